//! The runtime of an app: presets for the deadline, from `data/runtimes.yaml`.

use std::str::FromStr;
use std::sync::LazyLock;

use serde::Deserialize;

use super::{UnknownPreset, preset};
use crate::duration::Seconds;

/// The runtime of an app.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// The value of `winddown.dev/runtime`.
    pub name: String,
    /// The time after which it stops by default; `None` if it has no limit.
    pub deadline: Option<Seconds>,
    /// What it does on SIGTERM by default: the text that follows its name in messages.
    pub by_default: String,
    /// How to set a deadline, with placeholders for the number.
    setting: String,
    /// The sources.
    pub sources: Vec<String>,
}

// A test checks that it can be read.
static RUNTIMES: LazyLock<Vec<Runtime>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/runtimes.yaml")).unwrap_or_default());

impl Runtime {
    /// Every preset.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &RUNTIMES
    }

    /// How to set this deadline.
    #[must_use]
    pub fn setting(&self, deadline: Seconds) -> String {
        let seconds = deadline.as_i64();
        self.setting.replace("{seconds}", &seconds.to_string()).replace("{milliseconds}", &(seconds * 1000).to_string())
    }
}

impl FromStr for &'static Runtime {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, UnknownPreset> {
        preset(text, Runtime::all(), |runtime| &runtime.name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Runtime, Seconds};
    use crate::catalog::tests::assert_documented;

    #[test]
    fn every_preset_is_documented() {
        let presets = Runtime::all().iter();
        assert_documented(
            presets.map(|preset| (preset.name.as_str(), preset.by_default.as_str(), preset.sources.as_slice())),
        );
    }

    #[test]
    fn every_runtime_has_a_setting_for_the_deadline() {
        for runtime in Runtime::all() {
            let setting = runtime.setting(Seconds::new(45));
            assert!(setting.contains("45"), "{setting}");
            assert!(!setting.contains("{seconds}") && !setting.contains("{milliseconds}"), "{setting}");
        }
    }

    #[test]
    fn a_typo_gets_a_suggestion() {
        let error = "spring-bot".parse::<&Runtime>().unwrap_err().to_string();
        assert_eq!(error, "is not a preset; did you mean spring-boot?");
    }
}
