//! Agents that run beside an app: `data/agents.yaml`.

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::Container;
use serde::Deserialize;

use super::minimal_images::is_repository;
use super::sidecars::is_one_of;
use crate::pod::image;

/// A program that collects logs, metrics or configuration of an app, and carries none of its connections.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// The name in documentation.
    pub name: String,
    /// The names of its container, or of its image without registry and tag.
    #[serde(default)]
    pub known_by: Vec<String>,
    /// The ends of the repositories of images whose last part is a common word.
    #[serde(default)]
    pub images: Vec<String>,
    /// The sources.
    pub sources: Vec<String>,
}

// A test checks that it can be read.
static AGENTS: LazyLock<Vec<Agent>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/agents.yaml")).unwrap_or_default());

impl Agent {
    /// Every agent.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &AGENTS
    }

    /// Whether a container runs one of them. `exporter` at the end of a name is the convention of Prometheus.
    pub(crate) fn is_run_by(container: &Container) -> bool {
        let image = container.image.as_deref().unwrap_or_default();
        let names = [container.name.as_str(), image::repository(image)];
        let is_exporter = |name: &&str| name.ends_with("-exporter") || name.ends_with("_exporter");
        let is_known = |agent: &Self| {
            is_one_of(container, &agent.known_by) || agent.images.iter().any(|known| is_repository(image, known))
        };
        names.iter().any(is_exporter) || Self::all().iter().any(is_known)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Container;

    use super::Agent;
    use crate::catalog::tests::assert_documented;

    #[test]
    fn every_agent_is_documented_and_can_be_detected() {
        let agents = Agent::all().iter();
        assert_documented(agents.map(|it| (it.name.as_str(), it.name.as_str(), it.sources.as_slice())));
        assert!(Agent::all().iter().all(|agent| !(agent.known_by.is_empty() && agent.images.is_empty())));
    }

    #[test]
    fn an_agent_is_known_by_its_container_or_its_image() {
        for (name, image, known) in [
            ("fluent-bit", "registry.example.com/logs:1", true),
            ("logs", "cr.fluentbit.io/fluent/fluent-bit:3.1", true),
            ("metrics", "gcr.io/datadoghq/agent:7", true),
            ("agent", "datadog/agent:7@sha256:ab", true),
            ("agent", "example.com/agent:7", false),
            ("exporter", "oliver006/redis_exporter:v1", true),
            ("nginx-exporter", "x", true),
            ("exporter", "example.com/exporter:1", false),
            ("app", "", false),
        ] {
            let container = Container { name: name.to_owned(), image: Some(image.to_owned()), ..Container::default() };
            assert_eq!(Agent::is_run_by(&container), known, "{name} {image}");
        }
    }
}
