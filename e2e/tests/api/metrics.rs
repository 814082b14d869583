//! Metrics, alerts and the dashboard, with the parser and the query engine of Prometheus (promtool).

mod promtool;
mod queries;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use winddown_e2e::chart::{Manifests, RELEASE};

use self::promtool::Promtool;
use self::queries::{metric_names, queries_of_alerts, queries_of_dashboard};
use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::request::{create, delete, send};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        metrics_show_reviews_reconciliations_and_budgets,
        the_alerts_of_the_chart_fire_when_they_should,
        every_query_is_valid_and_every_metric_in_it_is_exported,
        every_query_of_stops_counts_the_first_ones_of_a_series,
        the_service_monitor_selects_the_service,
    ]
}

/// The body of a scrape.
async fn scrape(namespace: &Namespace) -> Result<String> {
    let response = namespace.environment.metrics().await;
    let (head, body) = response.split_once("\r\n\r\n").context("no answer from /metrics")?;
    let format = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains(format), "{head}");
    Ok(body.to_owned())
}

async fn metrics_show_reviews_reconciliations_and_budgets(namespace: Namespace) -> Result<()> {
    let promtool = Promtool::new(&namespace)?;
    namespace.accepts(deployment("web").with_budget()).await?;
    namespace.accepts(deployment("slow").with_budget().grace_period(10).annotated("mode", "Audit")).await?;
    let budget = |name: &str, phase: &str| {
        let namespace = &namespace.name;
        format!(
            r#"winddown_budget_seconds{{kind="Deployment", name="{name}", namespace="{namespace}", phase="{phase}"}}"#
        )
    };
    let (web, slow) = (budget("web", "grace"), budget("slow", "grace"));
    let exported = until("both budgets to be exported", async || {
        let text = scrape(&namespace).await?;
        let series = promtool.parse(&text)?;
        Ok((series.contains_key(&web) && series.contains_key(&slow)).then_some((text, series)))
    });
    let (text, series) = exported.await?;
    promtool.lint(&text)?;

    let value = |name: &str| series.get(name).copied().with_context(|| format!("no {name} in\n{text}"));
    assert_eq!((value(&web)?, value(&slow)?), (35.0, 10.0));
    for (phase, seconds) in [("drain", 5.0), ("deadline", 25.0), ("margin", 5.0)] {
        assert_eq!((phase, value(&budget("web", phase))?), (phase, seconds));
    }
    for series in [
        r#"winddown_findings{code="BudgetDoesNotFit", severity="error"}"#,
        r#"controller_runtime_webhook_requests_total{code="200", webhook="/mutate"}"#,
        r#"controller_runtime_webhook_requests_total{code="200", webhook="/validate"}"#,
        r#"controller_runtime_webhook_latency_seconds_count{webhook="/mutate"}"#,
        r#"controller_runtime_webhook_latency_seconds_bucket{le="+Inf", webhook="/validate"}"#,
        r#"controller_runtime_reconcile_total{controller="deployment", result="requeue_after"}"#,
        r#"controller_runtime_reconcile_time_seconds_count{controller="deployment"}"#,
        r#"leader_election_master_status{name="winddown"}"#,
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(value(series)? > 0.0, "{series}");
    }
    let reads =
        series.iter().filter(|(series, _)| series.starts_with("rest_client_requests_total{code=\"200\", host=\""));
    assert!(reads.clone().any(|(series, count)| series.contains("method=\"GET\"") && *count > 0.0), "{text}");

    // A workload that goes takes its series with it.
    send(&namespace.environment.client(), &delete(&namespace.deployment_path("slow"))).await?.into_object()?;
    until("the budget of the deleted workload to be gone", async || {
        let series = promtool.parse(&scrape(&namespace).await?)?;
        assert!(series.contains_key(&web), "{series:?}");
        Ok((!series.contains_key(&slow)).then_some(()))
    })
    .await
}

/// The chart with everything for Prometheus and Grafana.
fn rendered(namespace: &Namespace) -> Result<Manifests> {
    let enabled = json!({"enabled": true});
    let metrics = json!({"serviceMonitor": enabled, "prometheusRule": enabled, "dashboard": enabled});
    Manifests::render(namespace.environment.server.tools(), &json!({"metrics": metrics}))
}

fn alerts(namespace: &Namespace) -> Result<Value> {
    Ok(rendered(namespace)?.of_kind("PrometheusRule").context("no PrometheusRule")?["spec"].clone())
}

async fn the_alerts_of_the_chart_fire_when_they_should(namespace: Namespace) -> Result<()> {
    let promtool = Promtool::new(&namespace)?;
    let alerts = alerts(&namespace)?;
    promtool.test_rules(&alerts, include_str!("metrics/alerts.test.yaml"))?;
    let tests = include_str!("metrics/alerts.test.yaml");
    for rule in alerts["groups"][0]["rules"].as_array().context("no rules")? {
        let tested = match rule["record"].as_str() {
            Some(name) => format!("expr: '{name}"),
            None => format!("alertname={}, alertstate=\"firing\"", rule["alert"]),
        };
        assert!(tests.contains(&tested), "no test of {rule}");
    }
    Ok(())
}

async fn every_query_is_valid_and_every_metric_in_it_is_exported(namespace: Namespace) -> Result<()> {
    let promtool = Promtool::new(&namespace)?;
    let manifests = rendered(&namespace)?;
    let dashboard = manifests.of_kind("ConfigMap").context("no ConfigMap")?;
    send(&namespace.environment.client(), &create(dashboard).dry_run().within(RELEASE)).await?.into_object()?;
    let queries = queries(&manifests)?;
    promtool.check_queries(&queries)?;
    let text = scrape(&namespace).await?;
    let exported = queries::exported_names(&text);
    for query in &queries {
        let names = metric_names(query);
        assert!(!names.is_empty(), "{query}");
        let unknown: Vec<_> = names.iter().filter(|name| !exported.contains(**name)).collect();
        assert!(unknown.is_empty(), "{unknown:?} in {query}");
    }
    Ok(())
}

/// Those of the dashboard and of the alerts.
fn queries(manifests: &Manifests) -> Result<Vec<String>> {
    let dashboard = manifests.of_kind("ConfigMap").context("no ConfigMap")?;
    let dashboard = dashboard["data"]["winddown.json"].as_str().context("no dashboard")?;
    let dashboard: Value = serde_json::from_str(dashboard)?;
    let mut queries = queries_of_dashboard(&dashboard);
    assert!(queries.len() > 20, "{queries:?}");
    let alerts = &manifests.of_kind("PrometheusRule").context("no PrometheusRule")?["spec"];
    queries.extend(queries_of_alerts(alerts));
    Ok(queries)
}

/// The stops of a rollout are often all that a series ever counts.
async fn every_query_of_stops_counts_the_first_ones_of_a_series(namespace: Namespace) -> Result<()> {
    let manifests = rendered(&namespace)?;
    let of_stops = [
        "winddown_endpoint_withdrawal_seconds",
        "winddown_shutdown_causes_total",
        "winddown_shutdown_duration_seconds",
        "winddown_shutdowns_total",
    ];
    let mut covered = BTreeSet::new();
    let mut cases = Vec::new();
    for query in queries(&manifests)?.into_iter().filter(|query| query.contains('[')) {
        let names = metric_names(&query);
        let names: BTreeSet<_> = names.iter().map(|name| name.trim_end_matches("_bucket").to_owned()).collect();
        let stops = of_stops.into_iter().filter(|name| names.contains(*name));
        if stops.clone().next().is_some() {
            covered.extend(stops);
            let expr = format!("count(({query}) > 0) > bool 0");
            cases.push(json!({"expr": expr, "eval_time": "40m", "exp_samples": [{"value": 1}]}));
        }
    }
    assert_eq!(covered, BTreeSet::from(of_stops), "a metric of stops is in no query");
    let workload = r#"namespace="shop", kind="Deployment", name="web""#;
    let series = [
        (format!(r#"winddown_shutdowns_total{{{workload}, outcome="Killed"}}"#), 4),
        (format!(r#"winddown_shutdowns_total{{{workload}, outcome="Clean"}}"#), 36),
        (r#"winddown_shutdown_causes_total{cause="Rollout"}"#.to_owned(), 40),
        (r#"winddown_shutdown_duration_seconds_bucket{namespace="shop", le="5"}"#.to_owned(), 30),
        (r#"winddown_shutdown_duration_seconds_bucket{namespace="shop", le="+Inf"}"#.to_owned(), 40),
        (r#"winddown_endpoint_withdrawal_seconds_bucket{le="0.5"}"#.to_owned(), 30),
        (r#"winddown_endpoint_withdrawal_seconds_bucket{le="+Inf"}"#.to_owned(), 40),
    ];
    let series = series.map(|(series, value)| json!({"series": series, "values": format!("_x30 {value}x30")}));
    let test = json!({"interval": "1m", "input_series": series, "promql_expr_test": cases});
    let file = json!({"rule_files": [], "evaluation_interval": "1m", "tests": [test]});
    Promtool::new(&namespace)?.test_rules(&alerts(&namespace)?, &file.to_string())
}

async fn the_service_monitor_selects_the_service(namespace: Namespace) -> Result<()> {
    let manifests = rendered(&namespace)?;
    let monitor = manifests.of_kind("ServiceMonitor").context("no ServiceMonitor")?;
    let service = manifests.of_kind("Service").context("no Service")?;
    let selector = monitor["spec"]["selector"]["matchLabels"].as_object().context("no selector")?;
    assert!(selector.iter().all(|(key, value)| service["metadata"]["labels"][key] == *value), "{selector:?}");
    let ports = service["spec"]["ports"].as_array().context("no ports")?;
    assert!(ports.iter().any(|port| port["name"] == monitor["spec"]["endpoints"][0]["port"]), "{ports:?}");
    assert_eq!(monitor["spec"]["endpoints"][0]["honorLabels"], true, "the namespace is that of the workload");

    let off = Manifests::render(namespace.environment.server.tools(), &json!({"metrics": {"enabled": false}}))?;
    assert!(!off.of_kind("Service").context("no Service")?.to_string().contains("metrics"));
    let operator = off.of_kind("Deployment").context("no Deployment")?.to_string();
    assert!(operator.contains("--metrics-port=0"), "{operator}");
    assert!(["--metrics-per-workload", "\"metrics\""].iter().all(|text| !operator.contains(text)), "{operator}");
    Ok(())
}
