//! Containers that are not the app: the proxies in `data/sidecars.yaml`, and native sidecars of any kind.

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde::Deserialize;

use crate::duration::Seconds;
use crate::duration::go::go_duration;
use crate::workload::Workload;

/// A proxy that an app's own connections go through.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, serde(deny_unknown_fields))]
pub(crate) struct Sidecar {
    /// What people call it.
    pub(crate) name: String,
    /// What it does when it is told to stop, in a sentence.
    pub(crate) on_sigterm: String,
    known_by: Vec<String>,
    #[serde(default)]
    told_by: Vec<String>,
    #[serde(default)]
    helped_by: Vec<String>,
    // For whoever reads the data.
    #[cfg(test)]
    sources: Vec<String>,
}

// A test holds that it can be read.
static SIDECARS: LazyLock<Vec<Sidecar>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/sidecars.yaml")).unwrap_or_default());

impl Sidecar {
    /// Which one a container is, if any.
    pub(crate) fn of(container: &Container) -> Option<&'static Self> {
        SIDECARS.iter().find(|sidecar| is_one_of(container, &sidecar.known_by))
    }

    /// Whether a container serves this proxy, and is not served by it.
    pub(crate) fn is_helped_by(&self, container: &Container) -> bool {
        is_one_of(container, &self.helped_by)
    }

    /// What somebody told this proxy, which runs in that container, about waiting for the app.
    pub(crate) fn wait(&self, container: &Container, workload: &Workload) -> Option<Wait> {
        let environment = container.env.iter().flatten().map(|variable| {
            let value = variable.value.as_deref().unwrap_or_default();
            format!("{}={value}", variable.name)
        });
        let arguments: Vec<_> = container.command.iter().chain(&container.args).flatten().map(String::as_str).collect();
        let annotations = workload.annotations.iter().map(|(key, value)| format!("{key}: {value}"));
        let texts = environment.chain([arguments.join(" ")]).chain(annotations);
        let told = texts.flat_map(|text| self.told_by.iter().filter_map(move |word| Wait::behind(word, &text)));
        told.max()
    }
}

/// How long a proxy is told to wait for the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wait {
    /// That long.
    For(Seconds),
    /// Nobody can tell, so perhaps long enough.
    Somehow,
}

impl Wait {
    /// What stands behind a word, as in `--word=30s`, `--word 30s`, `WORD=30s` and `word: 30s`; nothing without the word.
    fn behind(word: &str, text: &str) -> Option<Self> {
        let (_, rest) = text.split_once(word)?;
        let value = rest.trim_start_matches(['=', ':', ' ', '"', '\'']);
        let end = value.find(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | ',' | '}'));
        Some(go_duration(&value[..end.unwrap_or(value.len())]).map_or(Self::Somehow, Self::For))
    }
}

/// The native sidecars of a pod, in the order in which they start.
pub(crate) fn native(pod: &PodSpec) -> impl DoubleEndedIterator<Item = &Container> {
    pod.init_containers.iter().flatten().filter(|container| container.restart_policy.as_deref() == Some("Always"))
}

fn is_one_of(container: &Container, names: &[String]) -> bool {
    let image = container.image.as_deref().map(repository);
    names.iter().any(|name| *name == container.name || image == Some(name))
}

/// The last part of an image's name, without tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split(':').next().unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::{SIDECARS, Seconds, Wait, repository};

    #[test]
    fn every_sidecar_is_known_by_something_and_has_a_reason_and_a_source() {
        assert!(!SIDECARS.is_empty());
        for sidecar in SIDECARS.iter() {
            let name = &sidecar.name;
            assert!(!name.is_empty() && !sidecar.known_by.is_empty() && !sidecar.on_sigterm.is_empty(), "{name}");
            assert!(!sidecar.sources.is_empty(), "{name}");
            assert!(sidecar.sources.iter().all(|source| source.starts_with("https://")), "{name}");
        }
    }

    #[test]
    fn a_wait_is_read_however_it_is_told() {
        for (text, expected) in [
            ("--min-sigterm-delay=30s db", Some(Wait::For(Seconds::new(30)))),
            ("--min-sigterm-delay 1m30s", Some(Wait::For(Seconds::new(90)))),
            ("proxy: {min-sigterm-delay: \"5s\", other: 1}", Some(Wait::For(Seconds::new(5)))),
            ("min-sigterm-delay=", Some(Wait::Somehow)),
            ("min-sigterm-delay=$(DELAY)", Some(Wait::Somehow)),
            ("min-sigterm-delay", Some(Wait::Somehow)),
            ("db", None),
        ] {
            assert_eq!(Wait::behind("min-sigterm-delay", text), expected, "{text}");
        }
    }

    #[test]
    fn an_image_is_known_by_the_last_part_of_its_name() {
        for (image, expected) in [
            ("envoy", "envoy"),
            ("envoyproxy/envoy:v1.30", "envoy"),
            ("registry:5000/a/cloud-sql-proxy:2.11@sha256:ab", "cloud-sql-proxy"),
            ("registry:5000/envoy", "envoy"),
            ("", ""),
        ] {
            assert_eq!(repository(image), expected, "{image}");
        }
    }
}
