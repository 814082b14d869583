//! Numbers for those who have none of their own yet: how long which balancer keeps sending, and what which runtime does by
//! itself. Data with sources, in `data/`; what a team writes itself always wins.

use std::str::FromStr;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::duration::Seconds;
use crate::suggestion::nearest;

/// What brings traffic to a pod.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// The value of `winddown.dev/traffic`.
    pub name: String,
    /// How long it keeps sending.
    pub drain: Seconds,
    /// What takes so long.
    pub why: String,
    /// How it asks, where that is how it learns that a pod goes.
    pub polls: Option<Polling>,
    /// Whether a new pod is Ready before this sends it traffic, and nothing waits for that.
    #[serde(default)]
    pub registers: bool,
    /// Where the numbers come from.
    pub sources: Vec<String>,
}

/// How a balancer asks whether to send more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polling {
    /// Between two questions.
    pub period: Seconds,
    /// How many failures in a row it takes.
    pub failures: u32,
}

impl Polling {
    /// How long it takes to notice.
    #[must_use]
    pub const fn notices_after(self) -> Seconds {
        self.period.times(self.failures)
    }
}

/// What an app runs on.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// The value of `winddown.dev/runtime`.
    pub name: String,
    /// After how long it stops by itself; `None` where it waits for ever.
    pub deadline: Option<Seconds>,
    /// What it does on SIGTERM when nobody configured anything, as it stands behind its name.
    pub by_default: String,
    /// What to do so that it keeps to a deadline, with places for the number.
    setting: String,
    /// Where that comes from.
    pub sources: Vec<String>,
}

// A test holds that both can be read.
static TRAFFIC: LazyLock<Vec<Traffic>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/traffic.yaml")).unwrap_or_default());
static RUNTIMES: LazyLock<Vec<Runtime>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/runtimes.yaml")).unwrap_or_default());

impl Traffic {
    /// All that are known.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &TRAFFIC
    }
}

impl Runtime {
    /// All that are known.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &RUNTIMES
    }

    /// What to do so that it keeps to this deadline.
    #[must_use]
    pub fn setting(&self, deadline: Seconds) -> String {
        let seconds = deadline.as_i64();
        self.setting.replace("{seconds}", &seconds.to_string()).replace("{milliseconds}", &(seconds * 1000).to_string())
    }
}

impl FromStr for &'static Traffic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named(text, Traffic::all(), |traffic| &traffic.name)
    }
}

impl FromStr for &'static Runtime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named(text, Runtime::all(), |runtime| &runtime.name)
    }
}

fn named<T>(text: &str, presets: &'static [T], name: impl Fn(&T) -> &str) -> Result<&'static T, String> {
    if let Some(preset) = presets.iter().find(|preset| name(preset) == text) {
        return Ok(preset);
    }
    let names = || presets.iter().map(&name);
    Err(match nearest(text, names()) {
        Some(known) => format!("is not a preset; did you mean {known}?"),
        None => format!("is not a preset; there are {}", names().collect::<Vec<_>>().join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::{Runtime, Seconds, Traffic};

    #[test]
    fn every_preset_has_a_name_of_its_own_a_reason_and_a_source() {
        let traffic = Traffic::all().iter().map(|preset| (&preset.name, &preset.why, &preset.sources));
        let runtimes = Runtime::all().iter().map(|preset| (&preset.name, &preset.by_default, &preset.sources));
        for presets in [traffic.collect::<Vec<_>>(), runtimes.collect()] {
            assert!(!presets.is_empty());
            for (at, (name, why, sources)) in presets.iter().enumerate() {
                assert!(presets[..at].iter().all(|(other, ..)| other != name), "{name} twice");
                assert!(!why.is_empty() && !sources.is_empty(), "{name}");
                assert!(sources.iter().all(|source| source.starts_with("https://")), "{name}");
            }
        }
    }

    #[test]
    fn the_drain_of_a_preset_outlasts_its_own_polling() {
        for traffic in Traffic::all() {
            assert!(traffic.polls.is_none_or(|polls| polls.notices_after() < traffic.drain), "{}", traffic.name);
        }
    }

    #[test]
    fn every_runtime_says_what_to_do_in_words_that_fit_a_message() {
        for runtime in Runtime::all() {
            let setting = runtime.setting(Seconds::new(45));
            assert!(setting.contains("45"), "{setting}");
            assert!(!setting.contains("{seconds}") && !setting.contains("{milliseconds}"), "{setting}");
            // What comes before a semicolon is what a message is compared by.
            assert!(!runtime.by_default.contains(';') && !setting.contains("; "), "{}", runtime.name);
        }
    }

    #[test]
    fn a_preset_is_known_by_its_name_and_a_typo_by_its_neighbour() {
        assert_eq!("service".parse::<&Traffic>().map(|traffic| traffic.drain.as_i64()), Ok(5));
        let error = "spring-bot".parse::<&Runtime>().unwrap_err();
        assert_eq!(error, "is not a preset; did you mean spring-boot?");
        assert!("x".parse::<&Traffic>().unwrap_err().contains("there are service"));
    }
}
