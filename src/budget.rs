//! The one sum: drain + deadline + margin ≤ grace period.

use std::fmt;

use serde::Serialize;

use crate::seconds::Seconds;

/// The four numbers of a pod's shutdown, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// From the deletion request until no new traffic arrives: the longest preStop sleep of the pod.
    pub drain: Seconds,
    /// From SIGTERM to the app's own exit.
    pub deadline: Seconds,
    /// Slack that belongs to nobody.
    pub margin: Seconds,
    /// From the deletion request to SIGKILL: `terminationGracePeriodSeconds`.
    pub grace_period: Seconds,
}

impl Budget {
    /// What the grace period has to be at least.
    #[must_use]
    pub fn needed(&self) -> Seconds {
        self.drain.plus(self.deadline).plus(self.margin)
    }

    /// Whether the promise can be kept.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.needed() <= self.grace_period
    }

    /// How much is missing; zero where it fits.
    #[must_use]
    pub fn missing(&self) -> Seconds {
        self.needed().minus(self.grace_period)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { drain, deadline, margin, grace_period } = self;
        write!(f, "drain {drain} + deadline {deadline} + margin {margin} = {} of {grace_period}", self.needed())
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Seconds};

    fn budget(numbers: [u32; 4]) -> Budget {
        let [drain, deadline, margin, grace_period] = numbers.map(Seconds::new);
        Budget { drain, deadline, margin, grace_period }
    }

    #[test]
    fn a_budget_fits_exactly_when_the_sum_is_at_most_the_grace_period() {
        for (numbers, missing) in [([5, 25, 5, 35], 0), ([5, 25, 0, 30], 0), ([5, 25, 5, 30], 5), ([0, 0, 0, 0], 0)] {
            let budget = budget(numbers);
            assert_eq!((budget.fits(), budget.missing()), (missing == 0, Seconds::new(missing)), "{budget}");
        }
    }

    #[test]
    fn a_budget_reads_like_a_sum() {
        assert_eq!(budget([5, 25, 5, 40]).to_string(), "drain 5s + deadline 25s + margin 5s = 35s of 40s");
    }

    #[test]
    fn the_longest_durations_still_add_up() {
        let day = 86_400;
        assert_eq!(budget([day, day, day, 30]).needed().as_i64(), 3 * 86_400);
    }
}
