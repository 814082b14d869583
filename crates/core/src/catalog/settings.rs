//! The settings with which runtimes limit their shutdown: `data/settings.yaml`.

use std::sync::LazyLock;

use serde::Deserialize;

use super::runtimes::Runtime;
use crate::duration::Seconds;
use crate::duration::notation::Notation;

/// The settings of a runtime.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The name of its preset.
    pub runtime: String,
    /// The programs and images that show it.
    #[serde(default)]
    pub(crate) programs: Vec<String>,
    /// More images that show it.
    #[serde(default)]
    pub(crate) images: Vec<String>,
    /// Variables with more arguments, in ascending precedence.
    #[serde(default)]
    pub(crate) arguments: Vec<String>,
    /// Variables and properties with properties as JSON.
    #[serde(default)]
    pub(crate) json: Vec<Name>,
    /// Whether the names of variables are compared like those of properties.
    #[serde(default)]
    pub(crate) relaxed: bool,
    /// The sum of these is the time from SIGTERM to the exit.
    pub(crate) parts: Vec<Part>,
    #[serde(default)]
    sources: Vec<String>,
}

/// A setting.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    name: Option<String>,
    #[serde(default)]
    pub(crate) flags: Vec<Name>,
    #[serde(default)]
    pub(crate) variables: Vec<Name>,
    #[serde(default)]
    pub(crate) properties: Vec<Name>,
    pub(crate) directive: Option<String>,
    pub(crate) notation: Notation,
    pub(crate) default: Option<Seconds>,
    pub(crate) unlimited: Option<String>,
    #[serde(default)]
    pub(crate) unique: bool,
}

/// A name in the data, and the same as it is compared. A `*` stands for a name of the user.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Name {
    pub(crate) text: String,
    before: String,
    after: Option<String>,
}

// A test checks that it can be read.
static SETTINGS: LazyLock<Vec<Settings>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/settings.yaml")).unwrap_or_default());

impl Settings {
    /// The settings of every runtime that has some.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &SETTINGS
    }

    /// Where that comes from: their own sources, or else those of the preset.
    #[must_use]
    pub fn sources(&self) -> &[String] {
        match self.runtime.parse::<&Runtime>() {
            Ok(runtime) if self.sources.is_empty() => &runtime.sources,
            _ => &self.sources,
        }
    }

    /// The names of all settings, with `+` between those that are added.
    pub fn names(&self) -> impl Iterator<Item = Vec<&str>> {
        self.parts.iter().map(|part| {
            let arguments = self.arguments.iter().map(String::as_str).filter(|_| !part.flags.is_empty());
            let names = part.flags.iter().chain(&part.variables).chain(&part.properties);
            let directive = part.directive.as_deref().into_iter();
            let mut all: Vec<_> = directive.chain(names.map(|name| name.text.as_str())).chain(arguments).collect();
            // A property that is also an argument of its own.
            all.dedup();
            all
        })
    }
}

impl Part {
    /// Its name in messages, if it was found under this one.
    pub(crate) fn label<'a>(&'a self, found: &'a Name) -> &'a str {
        self.name.as_deref().unwrap_or(&found.text)
    }
}

impl Name {
    /// Whether a name, in the form of [`comparable`], is this one; if so, what the `*` stands for, else nothing.
    pub(crate) fn matches<'a>(&self, comparable: &'a str) -> Option<&'a str> {
        let rest = comparable.strip_prefix(self.before.as_str())?;
        match &self.after {
            Some(after) => rest.strip_suffix(after.as_str()).filter(|user| !user.is_empty()),
            None => rest.is_empty().then_some(""),
        }
    }

    /// A flag with one letter: `-t`.
    pub(crate) fn is_short(&self) -> bool {
        self.text.len() == 2
    }

    /// An argument without a dash: `name=VALUE`.
    pub(crate) fn is_bare(&self) -> bool {
        !self.text.starts_with('-')
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        let (before, after) =
            text.split_once('*').map_or((text.as_str(), None), |(before, after)| (before, Some(after)));
        Self { before: comparable(before), after: after.map(comparable), text }
    }
}

/// A name without case, dots, dashes and underscores.
pub(crate) fn comparable(name: &str) -> String {
    name.chars().filter(|char| !matches!(char, '.' | '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::{Name, Settings, comparable};
    use crate::catalog::runtimes::Runtime;
    use crate::duration::Seconds;

    #[test]
    fn every_setting_belongs_to_a_runtime_and_has_sources() {
        assert!(Settings::all().len() > 5);
        for settings in Settings::all() {
            let name = settings.runtime.as_str();
            assert!(name.parse::<&Runtime>().is_ok(), "{name}");
            assert!(settings.sources().iter().all(|source| source.starts_with("https://")), "{name}");
            assert!(!settings.sources().is_empty() && !settings.parts.is_empty(), "{name}");
            assert!(settings.names().all(|names| !names.is_empty()), "{name}");
        }
    }

    #[test]
    fn the_defaults_of_the_parts_add_up_to_the_default_of_the_runtime() {
        for settings in Settings::all().iter().filter(|settings| settings.parts.len() > 1) {
            let runtime: &Runtime = settings.runtime.parse().unwrap();
            let defaults = settings.parts.iter().map(|part| part.default.unwrap());
            let sum = defaults.fold(Seconds::ZERO, Seconds::plus);
            assert_eq!(sum, runtime.deadline.unwrap_or_default(), "{}", settings.runtime);
        }
    }

    #[test]
    fn names_are_compared_without_case_and_punctuation() {
        let name = Name::from("--entryPoints.*.transport.graceTimeOut".to_owned());
        for (text, user) in [
            ("entrypoints.web.transport.gracetimeout", Some("web")),
            ("entryPoints.web-secure.transport.graceTimeOut", Some("websecure")),
            ("entrypoints..transport.gracetimeout", None),
            ("entrypoints.web.gracetimeout", None),
            ("entrypointstransportgracetimeout", None),
        ] {
            assert_eq!(name.matches(&comparable(text)), user, "{text}");
        }
        let name = Name::from("--timeout".to_owned());
        assert_eq!((name.matches("timeout"), name.matches("timeouts")), (Some(""), None));
    }
}
