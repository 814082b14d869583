//! `winddown sample`: records the TCP connections of the pod in which it runs, as lines of JSON on standard output.
//!
//! `drill --measure` runs it in an ephemeral container, which gets SIGTERM when the pod starts to stop. It goes on until no
//! process of the pod holds a TCP socket, and so never prolongs the stop: whatever still holds one has not ended either.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use crate::message::message;
use crate::sampling::{Error, Namespace};
use winddown_core::error_chain::ErrorChain;
use winddown_core::measurement::{Ending, Line, Recorder, Snapshot, Start, milliseconds};

/// Between two snapshots. More, if a snapshot takes long: at most a tenth of the time is spent in them.
const INTERVAL: Duration = Duration::from_millis(25);
const SHARE: u32 = 10;
/// After SIGTERM: the pod stops only when this process does. A snapshot that takes longer is followed by a pause as long.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

const EXIT_CODES: &str = "\
Exit codes:
  0  the recording has its end
  1  the network namespace or the output cannot be used
  2  the command line is invalid";

/// Flags of `winddown sample`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    /// Address of the node; can be repeated
    #[arg(long, value_name = "IP")]
    node: Vec<IpAddr>,
    /// How long to wait for SIGTERM, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    wait: u64,
}

/// Why a recording has no end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Namespace(#[from] Error),
    #[error("cannot handle SIGTERM")]
    Signal(#[source] io::Error),
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    #[error("cannot encode a line")]
    Encode(#[from] serde_json::Error),
}

/// Records until the pod has stopped.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    match super::block_on(record(arguments)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            message!("winddown: {}", ErrorChain(&failure));
            ExitCode::FAILURE
        }
        Err(error) => {
            message!("winddown: cannot start the runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn record(arguments: &Arguments) -> Result<(), Failure> {
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::Signal)?;
    let mut namespace = Namespace::own();
    let node: Vec<_> = arguments.node.iter().copied().chain(Namespace::gateways()).collect();
    let mut recorder = Recorder::new(node.clone());
    let started = Instant::now();
    print(&Line::Start(Start {
        clock: clock(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node,
        receipts: namespace.has_receipts(),
    }))?;
    let ending = Ending { wait: Duration::from_secs(arguments.wait) };
    let mut signalled: Option<Instant> = None;
    loop {
        let begun = Instant::now();
        let snapshot =
            Snapshot { at: started.elapsed(), counters: Namespace::counters()?, sockets: namespace.sockets()? };
        recorder.take(&snapshot).map_or(Ok(()), |sample| print(&Line::Sample(sample)))?;
        let since_signal = signalled.map(|signalled| signalled.elapsed());
        if let Some(reason) = ending.reason(started.elapsed(), since_signal, snapshot.is_held()) {
            print(&Line::Sample(recorder.rest(snapshot.at)))?;
            return print(&Line::End { at: milliseconds(started.elapsed()), reason });
        }
        let pause = INTERVAL.max(begun.elapsed() * SHARE);
        match signalled {
            // A long pause would prolong the stop of the pod.
            Some(_) => sleep(pause.min(LONGEST_PAUSE.max(begun.elapsed()))).await,
            None if received(&mut terminated, pause).await => {
                signalled = Some(Instant::now());
                let at = started.elapsed();
                print(&Line::Sample(recorder.so_far(at)))?;
                print(&Line::Signal { at: milliseconds(at) })?;
            }
            None => {}
        }
    }
}

/// Whether SIGTERM arrives during this time.
async fn received(terminated: &mut Signal, pause: Duration) -> bool {
    timeout(pause, terminated.recv()).await.is_ok()
}

fn print(line: &Line) -> Result<(), Failure> {
    let text = serde_json::to_string(line)? + "\n";
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
}

/// The time by the clock of this node, in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the only reading of the clock")]
fn clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, milliseconds)
}
