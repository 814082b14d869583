//! How many requests the API server answered.

use std::collections::BTreeMap;

/// The resources of workloads.
const WORKLOADS: [&str; 3] = ["deployments", "statefulsets", "daemonsets"];
const WRITES: [&str; 5] = ["POST", "PUT", "PATCH", "APPLY", "DELETE"];

/// The number of requests by verb and resource. Those of the API server to itself are included.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests(BTreeMap<(String, String), u64>);

impl Requests {
    /// Reads `apiserver_request_total` in the metrics of an API server.
    pub(super) fn parse(metrics: &str) -> Self {
        let mut requests = Self::default();
        for line in metrics.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
            let Some((labels, count)) = line.rsplit_once("} ") else { continue };
            let label = |name: &str| {
                let value = labels.split("\",").find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""));
                value.unwrap_or_default().trim_end_matches('"')
            };
            let resource = [label("resource"), label("subresource")].join("/").trim_end_matches('/').to_owned();
            *requests.0.entry((label("verb").to_owned(), resource)).or_default() += whole(count);
        }
        requests
    }

    /// The requests since an earlier moment.
    pub(super) fn since(&self, before: &Self) -> Self {
        let counts = self.0.iter().map(|(key, count)| (key.clone(), count - before.0.get(key).unwrap_or(&0)));
        Self(counts.filter(|(_, count)| *count > 0).collect())
    }

    /// The number of requests with this verb about workloads.
    pub(super) fn of_workloads(&self, verb: &str) -> u64 {
        self.count(|asked, resource| asked == verb && WORKLOADS.contains(&resource))
    }

    /// The number of writes of a resource or subresource.
    pub(super) fn writes_of(&self, resource: &str) -> u64 {
        self.count(|verb, asked| WRITES.contains(&verb) && asked == resource)
    }

    /// All writes, as in "PUT shutdownbudgets/status: 3".
    pub(super) fn writes(&self) -> BTreeMap<String, u64> {
        self.named(|verb| WRITES.contains(&verb))
    }

    /// All other requests.
    pub(super) fn reads(&self) -> BTreeMap<String, u64> {
        self.named(|verb| !WRITES.contains(&verb))
    }

    /// Without Leases: replicas renew theirs, and the API server its own.
    fn named(&self, is_named: impl Fn(&str) -> bool) -> BTreeMap<String, u64> {
        let named = self.0.iter().filter(|((verb, resource), _)| is_named(verb) && resource != "leases");
        named.map(|((verb, resource), count)| (format!("{verb} {resource}"), *count)).collect()
    }

    fn count(&self, is_counted: impl Fn(&str, &str) -> bool) -> u64 {
        self.0.iter().filter(|((verb, resource), _)| is_counted(verb, resource)).map(|(_, count)| count).sum()
    }
}

/// The value of the first series of a family.
pub(super) fn value(metrics: &str, family: &str) -> Option<u64> {
    let mut lines = metrics.lines().filter_map(|line| line.strip_prefix(family));
    let series = lines.find(|line| line.starts_with(['{', ' ']))?;
    series.rsplit_once(' ').map(|(_, value)| whole(value))
}

/// The values of counters, which large ones have as in "1.2e+06".
pub(super) fn whole(value: &str) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are not negative")]
    let rounded = |value: f64| value.round() as u64;
    value.trim().parse().map_or(0, rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",group="apps",resource="deployments",subresource="",verb="GET"} 5
apiserver_request_total{code="404",component="apiserver",group="apps",resource="deployments",subresource="",verb="GET"} 2
apiserver_request_total{code="200",group="winddown.dev",resource="shutdownbudgets",subresource="status",verb="PUT"} 7
apiserver_request_total{code="200",group="coordination.k8s.io",resource="leases",subresource="",verb="PUT"} 9
"#;

    #[test]
    fn requests_count_by_verb_and_resource() {
        let after = BEFORE.replace("} 5", "} 1.2e+06").replace("} 7", "} 8").replace("} 9", "} 20");
        let requests = Requests::parse(&after).since(&Requests::parse(BEFORE));
        assert_eq!(requests.of_workloads("GET"), 1_199_995);
        assert_eq!(requests.of_workloads("LIST"), 0);
        assert_eq!(requests.writes_of("shutdownbudgets/status"), 1);
        assert_eq!(requests.writes(), [("PUT shutdownbudgets/status".to_owned(), 1)].into());
    }
}
