//! All metrics as text.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, text};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::family::{Family, Type};
use super::{Metrics, process};

pub(super) const LEADER: Family = Family::new(
    Type::Gauge,
    "leader_election_master_status",
    &["name"],
    "1 on the replica that leads, 0 on the others; the name is that of the Lease",
);
pub(super) const BUILD: Family =
    Family::new(Type::Gauge, "winddown_build_info", &["version"], "Always 1; the version is a label");

/// What a scrape exports.
#[derive(Clone, Debug)]
pub(crate) struct Exposition {
    pub(crate) metrics: Metrics,
    /// Name of the Lease.
    pub(crate) lease: String,
    pub(crate) leading: watch::Receiver<bool>,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct LeaderLabels {
    name: String,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

impl Exposition {
    /// The text of a scrape.
    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let leading = *self.leading.borrow();
        self.metrics.reviews.encode(encoder)?;
        self.metrics.reconciliations.encode(encoder)?;
        self.metrics.api_requests.encode(encoder)?;
        LEADER.start(encoder)?.gauge(&LeaderLabels { name: self.lease.clone() }, leading.into())?;
        self.metrics.workloads.encode(encoder, leading)?;
        self.metrics.statuses.encode(encoder, leading)?;
        self.metrics.shutdowns.encode(encoder, leading)?;
        self.metrics.observed.encode(encoder, leading)?;
        BUILD.start(encoder)?.gauge(&BuildLabels { version: env!("CARGO_PKG_VERSION") }, 1)?;
        process::encode(encoder)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use kube::runtime::controller::Action;
    use tower::ServiceExt as _;

    use super::*;
    use crate::metrics::FAMILIES;
    use crate::metrics::reviews::counted;
    use crate::metrics::shutdowns::tests::stop;
    use winddown_core::kind::Kind;

    /// The text of these metrics on a replica that leads or does not.
    pub(crate) fn text(metrics: &Metrics, leads: bool) -> String {
        let (_, leading) = watch::channel(leads);
        Exposition { metrics: metrics.clone(), lease: "winddown".to_owned(), leading }.text().unwrap()
    }

    /// The series of a family in a text.
    pub(in crate::metrics) fn series(text: &str, family: &str) -> Vec<String> {
        text.lines().filter(|line| line.starts_with(&format!("{family}{{"))).map(str::to_owned).collect()
    }

    #[test]
    fn every_family_is_listed_and_exported_once() {
        let text = text(&Metrics::default(), true);
        let exported = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let listed = FAMILIES.map(|family| {
            let name = family.query_name();
            format!("{} {}", name.strip_suffix("_total").unwrap_or(&name), family.kind.as_str())
        });
        assert_eq!(exported.collect::<Vec<_>>(), listed);
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }

    #[test]
    fn every_series_has_the_labels_of_its_family() {
        let metrics = Metrics::default();
        metrics.workloads.not_evaluated("web");
        metrics.shutdowns.count(&stop("shop", "web", 0));
        let text = text(&metrics, true);
        for family in FAMILIES.iter().filter(|family| !family.labels.is_empty()) {
            let suffix = if family.kind == Type::Histogram { "_count" } else { "" };
            for series in series(&text, &format!("{}{suffix}", family.query_name())) {
                let (_, labels) = series.split_once('{').unwrap();
                let names: Vec<_> = labels.split("=\"").map(|part| part.rsplit(['{', ',']).next().unwrap()).collect();
                assert_eq!(names[..names.len() - 1], *family.labels, "{series}");
            }
        }
    }

    #[test]
    fn a_replica_exports_whether_it_leads() {
        for (leads, value) in [(true, 1), (false, 0)] {
            let expected = format!("leader_election_master_status{{name=\"winddown\"}} {value}");
            assert_eq!(series(&text(&Metrics::default(), leads), "leader_election_master_status"), [expected]);
        }
    }

    #[test]
    fn reconciliations_count_by_result() {
        let metrics = Metrics::default();
        let results = [Ok(Action::await_change()), Ok(Action::requeue(Duration::ZERO)), Err(()), Err(())];
        for result in results {
            metrics.reconciliations.count(Kind::StatefulSet, &result, Duration::from_millis(20));
        }
        let text = text(&metrics, true);
        let of_stateful_sets = series(&text, "controller_runtime_reconcile_total").into_iter();
        let of_stateful_sets: Vec<_> = of_stateful_sets.filter(|series| series.contains("\"statefulset\"")).collect();
        let expected = [("success", 1), ("requeue_after", 1), ("error", 2)].map(|(result, count)| {
            format!("controller_runtime_reconcile_total{{controller=\"statefulset\",result=\"{result}\"}} {count}")
        });
        assert_eq!(of_stateful_sets, expected);
        let time = "controller_runtime_reconcile_time_seconds";
        let buckets = series(&text, &format!("{time}_bucket"));
        for (limit, count) in [("0.01", 0), ("0.025", 4), ("+Inf", 4)] {
            let bucket = format!("{time}_bucket{{le=\"{limit}\",controller=\"statefulset\"}} {count}");
            assert!(buckets.contains(&bucket), "{bucket}: {buckets:?}");
        }
    }

    #[tokio::test]
    async fn reviews_count_by_code_and_so_do_those_that_the_client_gave_up() {
        let metrics = Metrics::default();
        let busy = post(async || StatusCode::TOO_MANY_REQUESTS);
        let router = Router::new()
            .route("/mutate", post(async || "ok"))
            .route("/validate", busy)
            .layer(from_fn_with_state(metrics.reviews.clone(), counted));
        let review = |path| router.clone().oneshot(Request::post(path).body(Body::empty()).unwrap());
        for path in ["/mutate", "/mutate", "/validate", "/elsewhere"] {
            review(path).await.unwrap();
        }
        // It starts, and its client does not wait.
        let slow = Router::new().route("/mutate", post(std::future::pending::<()>));
        let slow = slow.layer(from_fn_with_state(metrics.reviews.clone(), counted));
        let request = Request::post("/mutate").body(Body::empty()).unwrap();
        let mut waiting = Box::pin(slow.oneshot(request));
        assert!(futures::poll!(&mut waiting).is_pending());
        let in_flight = |count| format!("controller_runtime_webhook_requests_in_flight{{webhook=\"/mutate\"}} {count}");
        assert!(text(&metrics, true).contains(&in_flight(1)));
        drop(waiting);

        let text = text(&metrics, true);
        let requests = series(&text, "controller_runtime_webhook_requests_total");
        let counted: Vec<_> = requests.iter().filter(|series| !series.ends_with(" 0")).collect();
        let total = "controller_runtime_webhook_requests_total";
        let expected = [("/mutate", 200, 2), ("/mutate", 499, 1), ("/validate", 429, 1)]
            .map(|(path, code, count)| format!("{total}{{webhook=\"{path}\",code=\"{code}\"}} {count}"));
        assert_eq!(counted, expected.each_ref());
        assert!(text.contains(&in_flight(0)));
        assert!(text.contains("controller_runtime_webhook_latency_seconds_count{webhook=\"/mutate\"} 3"));
    }
}
