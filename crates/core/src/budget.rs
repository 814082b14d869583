//! The budget: drain + deadline + margin <= grace period, and the longest other lane.

use std::fmt;

use serde::Serialize;

use crate::duration::Seconds;

/// The four durations of an app's shutdown, the source of drain and deadline, and a container that needs longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// From the deletion request until no new traffic arrives: the preStop hook of the app that exits last.
    pub drain: Seconds,
    /// From SIGTERM to the app's own exit.
    pub deadline: Seconds,
    /// Time between the deadline and SIGKILL.
    pub margin: Seconds,
    /// From the deletion request to SIGKILL: `terminationGracePeriodSeconds`.
    pub grace_period: Seconds,
    /// The source of the drain.
    pub drain_from: Source,
    /// The source of the deadline.
    pub deadline_from: Source,
    /// The source of the margin.
    pub margin_from: Source,
    /// The helper or native sidecar that needs the longest, if it needs longer than the sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_helper: Option<LongestHelper>,
}

/// A helper or native sidecar that needs longer than the app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LongestHelper {
    /// The container's name.
    pub container: String,
    /// The grace period that it needs.
    pub needs: Seconds,
    /// Whether a part of that is unknown and counts as zero.
    pub at_least: bool,
}

/// The source of a duration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// An annotation.
    #[default]
    Declared,
    /// The runtime's own setting with that name, in the container's command, args or env.
    Setting(String),
    /// The preset with that name.
    Preset(String),
    /// The default of the policy with that name.
    Policy(String),
    /// The default of the policy that counted when the template changed last, where another number counts today.
    EarlierPolicy,
    /// The built-in default.
    Default,
    /// The existing preStop hook of the container with that name.
    Hook(String),
}

impl Budget {
    /// What the app needs: drain + deadline + margin.
    #[must_use]
    pub fn sum(&self) -> Seconds {
        self.drain.plus(self.deadline).plus(self.margin)
    }

    /// What the pod needs: its longest lane.
    #[must_use]
    pub fn needed(&self) -> Seconds {
        self.longest_helper.as_ref().map_or_else(|| self.sum(), |helper| helper.needs)
    }

    /// Whether the app has enough time: the sum is at most the grace period.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.sum() <= self.grace_period
    }

    /// How much longer than the grace period the sum is; zero if it fits.
    #[must_use]
    pub fn missing(&self) -> Seconds {
        self.sum().minus(self.grace_period)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { drain, deadline, margin, grace_period, drain_from, deadline_from, margin_from, longest_helper } =
            self;
        write!(f, "drain {drain}{drain_from} + deadline {deadline}{deadline_from} + margin {margin}")?;
        // Most budgets have the built-in margin.
        if *margin_from != Source::Default {
            write!(f, "{margin_from}")?;
        }
        write!(f, " = {} of {grace_period}", self.sum())?;
        match longest_helper {
            Some(LongestHelper { container, needs, at_least: false }) => write!(f, "; {container} needs {needs}"),
            Some(LongestHelper { container, needs, at_least: true }) => {
                write!(f, "; {container} needs at least {needs}")
            }
            None => Ok(()),
        }
    }
}

impl Source {
    /// `annotation`, `preset alb-ip`, `policy web`, `built in`.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Declared => "annotation".to_owned(),
            Self::Setting(name) => format!("setting {name}"),
            Self::Preset(name) => format!("preset {name}"),
            Self::Policy(name) => format!("policy {name}"),
            Self::EarlierPolicy => "earlier policy".to_owned(),
            Self::Default => "built in".to_owned(),
            Self::Hook(container) => format!("preStop of {container}"),
        }
    }

    /// The suffix of a number of a policy; empty for any other number.
    pub(crate) fn policy_suffix(&self) -> String {
        if let Self::Policy(_) = self { self.to_string() } else { String::new() }
    }
}

impl fmt::Display for Source {
    /// The suffix after the number; empty for a declared number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declared => Ok(()),
            Self::Preset(name) | Self::Setting(name) => write!(f, " ({name})"),
            Self::Policy(name) => write!(f, " (policy {name})"),
            Self::EarlierPolicy => f.write_str(" (earlier policy)"),
            Self::Default => f.write_str(" (default)"),
            Self::Hook(container) => write!(f, " (preStop of {container})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, LongestHelper, Seconds, Source};

    fn budget(numbers: [u32; 4]) -> Budget {
        let [drain, deadline, margin, grace_period] = numbers.map(Seconds::new);
        let [drain_from, deadline_from, margin_from] = [Source::Declared, Source::Declared, Source::Default];
        Budget { drain, deadline, margin, grace_period, drain_from, deadline_from, margin_from, longest_helper: None }
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
    fn a_helper_that_needs_longer_is_named() {
        let mut budget = budget([5, 25, 5, 60]);
        let (container, needs) = ("cloud-sql-proxy".to_owned(), Seconds::new(60));
        budget.longest_helper = Some(LongestHelper { container, needs, at_least: false });
        let text = "drain 5s + deadline 25s + margin 5s = 35s of 60s; cloud-sql-proxy needs 60s";
        assert_eq!((budget.to_string().as_str(), budget.needed(), budget.fits()), (text, needs, true));
        budget.longest_helper.as_mut().unwrap().at_least = true;
        assert!(budget.to_string().ends_with("; cloud-sql-proxy needs at least 60s"));
    }

    #[test]
    fn a_number_that_is_not_declared_shows_its_source() {
        let mut budget = budget([60, 25, 5, 90]);
        budget.drain_from = Source::Preset("alb-ip".to_owned());
        budget.deadline_from = Source::Setting("gunicorn --graceful-timeout".to_owned());
        assert!(budget.to_string().contains("+ deadline 25s (gunicorn --graceful-timeout) + "));
        budget.deadline_from = Source::Default;
        assert_eq!(budget.to_string(), "drain 60s (alb-ip) + deadline 25s (default) + margin 5s = 90s of 90s");
        budget.drain_from = Source::Policy("web".to_owned());
        budget.margin_from = Source::Policy("web".to_owned());
        let text = "drain 60s (policy web) + deadline 25s (default) + margin 5s (policy web) = 90s of 90s";
        assert_eq!(budget.to_string(), text);
        budget.drain_from = Source::Hook("app".to_owned());
        assert!(budget.to_string().starts_with("drain 60s (preStop of app) + "));
    }

    #[test]
    fn the_longest_durations_still_add_up() {
        let days = 30 * 86_400;
        assert_eq!(budget([days, days, days, 30]).needed().as_i64(), 90 * 86_400);
    }
}
