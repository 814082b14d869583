//! When a recording ends, so that its container never prolongs the stop of the pod.

use std::time::Duration;

use super::EndReason;

/// The longest grace period that can be declared, and some.
const MAX_STOP: Duration = Duration::from_hours(24 * 31);

/// How long a recording goes on.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// The time until SIGTERM.
    pub wait: Duration,
}

impl Ending {
    /// Why the recording ends now, if it does. `elapsed` is the time since its start, `since_signal` the one since SIGTERM,
    /// and `is_held` says whether a process of the pod has a TCP socket.
    ///
    /// SIGTERM alone ends nothing: the app serves requests until its preStop hook has ended, and longer. Whatever has a
    /// socket has not ended either, so that the pod does not wait for the container.
    #[must_use]
    pub fn reason(self, elapsed: Duration, since_signal: Option<Duration>, is_held: bool) -> Option<EndReason> {
        match since_signal {
            Some(_) if !is_held => Some(EndReason::NoSockets),
            Some(since) if since > MAX_STOP => Some(EndReason::TooLong),
            None if elapsed >= self.wait => Some(EndReason::NoSignal),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_after_sigterm_until_no_process_has_a_socket() {
        let ending = Ending { wait: Duration::from_mins(1) };
        let seconds = Duration::from_secs;
        let day = seconds(24 * 3_600);
        for (elapsed, since_signal, is_held, expected) in [
            // Without a SIGTERM it ends after its time, also if nothing listens yet.
            (seconds(0), None, true, None),
            (seconds(1), None, false, None),
            (Duration::from_millis(59_999), None, true, None),
            (seconds(60), None, true, Some(EndReason::NoSignal)),
            (seconds(60), None, false, Some(EndReason::NoSignal)),
            // After it, the time is that of the app.
            (seconds(5), Some(seconds(0)), true, None),
            (seconds(5), Some(seconds(0)), false, Some(EndReason::NoSockets)),
            (seconds(59), Some(seconds(54)), true, None),
            (seconds(600), Some(seconds(595)), true, None),
            (30 * day, Some(30 * day), true, None),
            (32 * day, Some(32 * day), true, Some(EndReason::TooLong)),
            (32 * day, Some(32 * day), false, Some(EndReason::NoSockets)),
        ] {
            assert_eq!(
                ending.reason(elapsed, since_signal, is_held),
                expected,
                "{elapsed:?} {since_signal:?} {is_held}"
            );
        }
    }
}
