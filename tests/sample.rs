//! `winddown sample` as a process, as a kubelet starts and stops it: when it ends.
#![cfg(all(target_os = "linux", feature = "sampling"))]
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::env;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use winddown_core::measurement::{EndReason, Line};

/// For a line, or the end, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);
/// How soon it ends after the app: the pod is not to wait for it.
const SOON: Duration = Duration::from_secs(2);

/// The command. Dropping it ends it.
struct Sampler {
    child: Child,
    lines: Receiver<Line>,
}

impl Sampler {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_winddown"));
        let mut child = command.arg("sample").args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        spawn(move || {
            for line in stdout.lines() {
                let line = line.unwrap();
                // A line that is not understood is none that `drill` would use.
                sender.send(Line::parse(&line).unwrap_or_else(|| unreachable!("{line}"))).unwrap_or_default();
            }
        });
        Self { child, lines }
    }

    /// Reads lines until one is of this kind.
    fn until(&self, is_expected: fn(&Line) -> bool) -> Line {
        let until = Instant::now() + LIMIT;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap();
            if is_expected(&line) {
                return line;
            }
        }
    }

    /// Sends SIGTERM, as the kubelet does.
    fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end with exit code 0; the time, and the reason of its last line.
    fn end(mut self) -> (Duration, EndReason) {
        let begun = Instant::now();
        let line = self.until(|line| matches!(line, Line::End { .. }));
        let status = self.child.wait().unwrap();
        let Line::End { reason, .. } = line else { unreachable!("{line:?}") };
        assert!(status.success() && self.lines.recv_timeout(LIMIT).is_err(), "{status}");
        (begun.elapsed(), reason)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

#[test]
fn without_a_sigterm_it_ends_by_itself() {
    let sampler = Sampler::start(&["--wait", "1"]);
    sampler.until(|line| matches!(line, Line::Start(_)));
    let (time, reason) = sampler.end();
    assert_eq!(reason, EndReason::NoSignal);
    assert!(time > Duration::from_millis(500) && time < Duration::from_secs(10), "{time:?}");
}

/// Runs the test below in a network namespace, where no other process has a socket.
#[test]
fn it_goes_on_after_sigterm_until_the_app_has_closed_its_listener() {
    let mut unshare = Command::new("unshare");
    let permitted = |options: &[&str]| {
        let status = Command::new("unshare").args(options).arg("true").stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let options: &[&[&str]] = &[&["--net"], &["--user", "--map-root-user", "--net"]];
    let Some(options) = options.iter().find(|options| permitted(options)) else {
        assert!(env::var_os("REQUIRE_ALL").is_none(), "this machine permits no network namespaces");
        eprintln!("skipped: this machine permits no network namespaces");
        return;
    };
    let arguments = ["--exact", "in_a_network_of_its_own", "--ignored", "--nocapture", "--test-threads", "1"];
    let output = unshare.args(*options).arg(env::current_exe().unwrap()).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "it needs a network namespace; the test above runs it there"]
fn in_a_network_of_its_own() {
    // Nothing listens any more: the app has ended.
    let sampler = Sampler::start(&["--wait", "30"]);
    sampler.until(|line| matches!(line, Line::Sample(_)));
    sampler.terminate();
    let (time, reason) = sampler.end();
    assert_eq!(reason, EndReason::NoSockets);
    assert!(time < SOON, "{time:?}");

    // The app listens, and goes on for a while.
    let app = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = app.local_addr().unwrap().port();
    let mut sampler = Sampler::start(&["--wait", "2"]);
    let first = sampler.until(|line| matches!(line, Line::Sample(_)));
    let Line::Sample(sample) = first else { unreachable!("{first:?}") };
    assert!(sample.ports.len() == 1 && sample.ports[0].port == port && sample.ports[0].listening, "{sample:?}");
    sampler.terminate();
    sampler.until(|line| matches!(line, Line::Signal { .. }));
    // Longer than it would wait for the first one; another SIGTERM changes nothing.
    for _ in 0..6 {
        sleep(Duration::from_millis(500));
        assert!(sampler.is_running());
        sampler.terminate();
    }
    drop(app);
    let (time, reason) = sampler.end();
    assert_eq!(reason, EndReason::NoSockets);
    assert!(time < SOON, "{time:?}");
}
