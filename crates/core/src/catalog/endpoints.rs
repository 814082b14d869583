//! HTTP endpoints that only accept POST: `data/endpoints.yaml`.

use std::sync::LazyLock;

use serde::Deserialize;

/// An endpoint that only accepts POST (or PUT).
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The end of its path.
    pub path: String,
    /// The program that answers: the text that follows "of" in messages.
    pub of: String,
    /// The ports; empty for any.
    #[serde(default)]
    pub ports: Vec<i32>,
    /// Whether a POST stops an app.
    pub stops: bool,
    /// The sources.
    pub sources: Vec<String>,
}

// A test checks that it can be read.
static ENDPOINTS: LazyLock<Vec<Endpoint>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/endpoints.yaml")).unwrap_or_default());

impl Endpoint {
    /// Every endpoint.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &ENDPOINTS
    }

    /// The endpoint at a path; `None` for the port if it is unknown.
    pub(crate) fn at(path: &str, port: Option<i32>) -> Option<&'static Self> {
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        Self::all().iter().find(|endpoint| {
            path.ends_with(&endpoint.path)
                && (endpoint.ports.is_empty() || port.is_some_and(|port| endpoint.ports.contains(&port)))
        })
    }

    /// The endpoint of a URL, with or without `http://`.
    pub(crate) fn of_url(url: &str) -> Option<&'static Self> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (host, path) = rest.split_at(rest.find('/')?);
        Self::at(path, host.rsplit_once(':').map_or(Some(80), |(_, port)| port.parse().ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;
    use crate::catalog::tests::assert_documented;

    #[test]
    fn every_endpoint_is_documented() {
        let endpoints = Endpoint::all().iter();
        let names: Vec<_> = endpoints.clone().map(|it| format!("{} of {}", it.path, it.of)).collect();
        assert_documented(
            endpoints.zip(&names).map(|(it, name)| (name.as_str(), it.of.as_str(), it.sources.as_slice())),
        );
        assert!(Endpoint::all().iter().all(|it| it.path.starts_with('/')));
    }

    #[test]
    fn an_endpoint_is_known_by_path_and_port() {
        for (url, expected) in [
            ("http://localhost:8080/actuator/shutdown", Some("/actuator/shutdown")),
            ("localhost:8081/manage/actuator/shutdown/", Some("/actuator/shutdown")),
            ("127.0.0.1:19000/drain_listeners?graceful", Some("/drain_listeners")),
            ("http://localhost:4191/shutdown", Some("/shutdown")),
            ("http://localhost:8080/shutdown", None),
            ("http://localhost:2019/stop", Some("/stop")),
            ("http://localhost:8080/stop", None),
            ("http://localhost/health", None),
            ("localhost", None),
        ] {
            assert_eq!(Endpoint::of_url(url).map(|it| it.path.as_str()), expected, "{url}");
        }
    }
}
