//! Proxies for the connections of an app: `data/sidecars.yaml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::api::core::v1::Container;
use serde::Deserialize;

use crate::duration::Seconds;
use crate::duration::go::go_duration;
use crate::pod::environment::Environment;
use crate::pod::image;

/// A proxy for the connections of an app.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sidecar {
    /// Its name in messages and documentation.
    pub name: String,
    /// The names of its image, without registry and tag, or of its container.
    pub known_by: Vec<String>,
    /// What it does on SIGTERM: the text that follows its name in messages.
    pub on_sigterm: String,
    /// Words in its arguments and environment, or in the pod's annotations, that configure how long it waits.
    #[serde(default)]
    pub wait_settings: Vec<String>,
    /// Those of them that limit a wait: it ends earlier, when the last connection is closed.
    #[serde(default)]
    pub wait_limits: Vec<String>,
    /// How long it runs after SIGTERM without these settings; absent where that depends on its connections.
    pub stops_after: Option<Seconds>,
    /// The names, as in `known_by`, of containers that support the proxy and do not use it.
    #[serde(default)]
    pub helpers: Vec<String>,
    /// The sources.
    pub sources: Vec<String>,
}

// A test checks that it can be read.
static SIDECARS: LazyLock<Vec<Sidecar>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/sidecars.yaml")).unwrap_or_default());

impl Sidecar {
    /// Every proxy.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &SIDECARS
    }

    /// The proxy that a container runs, if any.
    pub(crate) fn of(container: &Container) -> Option<&'static Self> {
        Self::all().iter().find(|sidecar| sidecar.is_run_by(container))
    }

    /// The proxy that a container with this name runs, if any.
    pub(crate) fn named(container: &str) -> Option<&'static Self> {
        Self::all().iter().find(|sidecar| sidecar.known_by.iter().any(|name| name == container))
    }

    /// Whether a container runs this proxy.
    pub(crate) fn is_run_by(&self, container: &Container) -> bool {
        is_one_of(container, &self.known_by)
    }

    /// Whether a container supports this proxy and does not use it.
    pub(crate) fn is_helped_by(&self, container: &Container) -> bool {
        is_one_of(container, &self.helpers)
    }

    /// How long this proxy is configured to wait for the app in this container. An idle one has no connections: it does
    /// not wait for a limit.
    pub(crate) fn wait(&self, container: &Container, is_idle: bool) -> Option<Wait> {
        let environment = Environment::of(container);
        let words = container.command.iter().chain(&container.args).flatten();
        let arguments: Vec<_> = words.map(|word| environment.expand(word)).collect();
        let variables = environment.iter().map(|(name, value)| format!("{name}={value}"));
        self.wait_in(variables.chain([arguments.join(" ")]), is_idle)
    }

    /// How long this proxy is configured to wait for the app in the annotations of its pod.
    pub(crate) fn wait_in_annotations(&self, annotations: &BTreeMap<String, String>) -> Option<Wait> {
        self.wait_in(annotations.iter().map(|(key, value)| format!("{key}: {value}")), false)
    }

    fn wait_in(&self, texts: impl Iterator<Item = String>, is_idle: bool) -> Option<Wait> {
        let applies = |word: &&String| !(is_idle && self.wait_limits.contains(word));
        texts
            .flat_map(|text| {
                let words = self.wait_settings.iter().filter(applies);
                words.filter_map(move |word| Wait::after(word, &text))
            })
            .max()
    }
}

/// How long a proxy is configured to wait for the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wait {
    /// This duration.
    For(Seconds),
    /// The value cannot be read, so it may be long enough.
    Unknown,
}

impl Wait {
    /// The value after a word, as in `--word=30s`, `--word 30s`, `WORD=30s` and `word: 30s`; `None` without the word.
    fn after(word: &str, text: &str) -> Option<Self> {
        let (_, rest) = text.split_once(word)?;
        let value = rest.trim_start_matches(['=', ':', ' ', '"', '\'']);
        let end = value.find(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | ',' | '}'));
        let value = &value[..end.unwrap_or(value.len())];
        // A setting whose name has the unit has a plain number.
        let seconds = || value.parse().ok().filter(|_| word.ends_with("seconds")).map(Seconds::new);
        Some(go_duration(value).or_else(seconds).map_or(Self::Unknown, |wait| Self::For(wait.min(Seconds::MAX))))
    }
}

pub(super) fn is_one_of(container: &Container, names: &[String]) -> bool {
    let image = container.image.as_deref().map(image::repository);
    names.iter().any(|name| *name == container.name || image == Some(name))
}

#[cfg(test)]
mod tests {
    use super::{Seconds, Sidecar, Wait};
    use crate::catalog::tests::assert_documented;

    #[test]
    fn every_sidecar_is_documented_and_can_be_detected() {
        let sidecars = Sidecar::all().iter();
        assert_documented(sidecars.map(|it| (it.name.as_str(), it.on_sigterm.as_str(), it.sources.as_slice())));
        assert!(Sidecar::all().iter().all(|sidecar| !sidecar.name.is_empty() && !sidecar.known_by.is_empty()));
    }

    #[test]
    fn the_text_names_the_default_duration() {
        for sidecar in Sidecar::all() {
            let expected = match sidecar.stops_after {
                Some(Seconds::ZERO) => "immediately".to_owned(),
                Some(seconds) => seconds.to_string(),
                None => continue,
            };
            assert!(sidecar.on_sigterm.contains(&expected), "{}: {expected}", sidecar.name);
        }
    }

    #[test]
    fn a_wait_is_read_in_every_notation() {
        for (text, expected) in [
            ("--min-sigterm-delay=30s db", Some(Wait::For(Seconds::new(30)))),
            ("--min-sigterm-delay 1m30s", Some(Wait::For(Seconds::new(90)))),
            ("proxy: {min-sigterm-delay: \"5s\", other: 1}", Some(Wait::For(Seconds::new(5)))),
            ("min-sigterm-delay=", Some(Wait::Unknown)),
            ("min-sigterm-delay=$(DELAY)", Some(Wait::Unknown)),
            ("min-sigterm-delay", Some(Wait::Unknown)),
            ("db", None),
        ] {
            assert_eq!(Wait::after("min-sigterm-delay", text), expected, "{text}");
        }
        for (text, expected) in [
            ("-grace-period-seconds=45", Some(Wait::For(Seconds::new(45)))),
            ("-grace-period-seconds=45s", Some(Wait::For(Seconds::new(45)))),
            ("-grace-period-seconds=$(GRACE)", Some(Wait::Unknown)),
            ("-grace-period-seconds=4294967295", Some(Wait::For(Seconds::MAX))),
        ] {
            assert_eq!(Wait::after("grace-period-seconds", text), expected, "{text}");
        }
    }
}
