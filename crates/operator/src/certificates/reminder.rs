//! When a failure that lasts is reported again.

use jiff::{SignedDuration, Timestamp};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Reports a failure again when a third of the validity that remained at its start is left, and daily after that.
#[derive(Debug, Default)]
pub(crate) struct Reminder(Option<Timestamp>);

impl Reminder {
    /// Records whether a check failed; returns whether to report it now. `expiry` is the end of the authority in use.
    pub(crate) fn record(&mut self, failed: bool, expiry: Timestamp, now: Timestamp) -> bool {
        if !failed {
            self.0 = None;
            return false;
        }
        let next = self.0.get_or_insert_with(|| now + expiry.duration_since(now) / 3 * 2);
        if now < *next {
            return false;
        }
        *next = now + DAY;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_reported_again_when_a_third_of_the_remaining_validity_is_left_and_daily_after_that() {
        let start: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let after = |hours| start + SignedDuration::from_hours(hours);
        let mut reminder = Reminder::default();
        for (hours, failed, reminds) in [
            (0, false, false),
            (10, true, false),
            (11, true, false),
            (199, true, false),
            (200, true, false),
            (203, true, false),
            (204, true, true),
            (227, true, false),
            (228, true, true),
            (252, true, true),
            (253, false, false),
            // The rest is shorter now.
            (270, true, false),
            (289, true, false),
            (290, true, true),
        ] {
            assert_eq!(reminder.record(failed, after(300), after(hours)), reminds, "after {hours} h");
        }
    }
}
