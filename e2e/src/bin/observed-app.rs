//! The app of the process tests: records the signals that it receives, and needs some time to stop.
//!
//! It works in the folder of its own file, because wrappers clear the environment and change the working folder. There it reads
//! the seconds that it needs from `seconds`, and appends lines `EVENT MILLISECONDS` (on the monotonic clock) to `events`.

use std::fs::{File, OpenOptions, read_to_string};
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, interval, sleep_until};
use winddown_e2e::processes::monotonic_now;

/// The signals that a kubelet or a process manager may send to an app.
const STOP: [(&str, i32); 3] = [("SIGTERM", 15), ("SIGINT", 2), ("SIGQUIT", 3)];
const OTHERS: [(&str, i32); 5] = [("SIGHUP", 1), ("SIGUSR1", 10), ("SIGUSR2", 12), ("SIGWINCH", 28), ("SIGCONT", 18)];
const HEARTBEAT: Duration = Duration::from_millis(100);

struct Events(File);

impl Events {
    fn record(&mut self, event: &str) -> Result<()> {
        let now = monotonic_now();
        // One write for each line, because several instances may run.
        self.0.write_all(format!("{event} {}\n", now.as_millis()).as_bytes()).context("write an event")
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let file = std::env::current_exe().context("find the own file")?;
    let directory = file.parent().context("a folder")?;
    let seconds: f64 = read_to_string(directory.join("seconds"))?.trim().parse().context("seconds")?;
    let mut events = Events(OpenOptions::new().append(true).open(directory.join("events"))?);
    let mut signals = Vec::new();
    for (name, number) in STOP.into_iter().chain(OTHERS) {
        signals.push((name, signal(SignalKind::from_raw(number))?));
    }
    events.record("started")?;
    let mut heartbeat = interval(HEARTBEAT);
    let mut finish: Option<Instant> = None;
    loop {
        let finished = async {
            match finish {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            name = next(&mut signals) => {
                events.record(name)?;
                if STOP.iter().any(|(stop, _)| *stop == name) {
                    finish.get_or_insert(Instant::now() + Duration::from_secs_f64(seconds));
                }
            }
            () = finished => return events.record("finished"),
            _ = heartbeat.tick() => events.record("alive")?,
        }
    }
}

/// The name of the next signal.
async fn next(signals: &mut [(&'static str, Signal)]) -> &'static str {
    let received = signals.iter_mut().map(|(name, signal)| {
        let name = *name;
        Box::pin(async move {
            signal.recv().await;
            name
        })
    });
    futures::future::select_all(received).await.0
}
