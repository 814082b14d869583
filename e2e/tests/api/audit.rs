//! `kubectl winddown audit` on an API server with nothing of Winddown in it: no CRD, no operator.

mod fleet;
mod program;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use serde_json::{Value, json};
use winddown_e2e::api_server::ApiServer;

use crate::namespace::Namespace;
use crate::request::{create, send};
use crate::suite::{Test, tests};
use fleet::{ANNOTATED, NAMESPACES, OWNED, WORKLOADS, misfits};
use program::{Audit, Measured};

/// For all workloads, with an optimized binary.
const TIME_LIMIT: Duration = Duration::from_secs(2);
const MEMORY_LIMIT_MIB: f64 = 100.0;
/// Of the page.
const MAX_PAGE: usize = 3 << 20;

pub(crate) fn tests() -> Vec<Test> {
    let shared = tests![shared: a_cluster_without_winddown_is_audited_with_the_rights_of_the_user];
    [shared, tests![alone: an_audit_of_300_workloads_takes_two_seconds_and_100_mebibytes]].concat()
}

async fn an_audit_of_300_workloads_takes_two_seconds_and_100_mebibytes(_: Namespace) -> Result<()> {
    let server = ApiServer::start_without_controllers(None).await?;
    fleet::create_all(&server.client()).await.context("create the workloads")?;
    let audit = Audit::of(&server)?;
    for (format, size) in [("json", usize::MAX), ("table", usize::MAX), ("html", MAX_PAGE)] {
        it_is_fast_and_small(&audit, format, size).await.context(format)?;
    }
    Ok(())
}

/// One API server for all of it: its start takes longer than the rest.
async fn a_cluster_without_winddown_is_audited_with_the_rights_of_the_user(_: Namespace) -> Result<()> {
    let server = ApiServer::start_without_controllers(None).await?;
    fleet::create_all(&server.client()).await.context("create the workloads")?;
    let audit = Audit::of(&server)?;
    all_workloads_are_evaluated(&audit).await.context("JSON")?;
    the_table_has_errors_first(&audit).await.context("table")?;
    findings_have_logical_locations(&audit).await.context("SARIF")?;
    namespaces_and_labels_select(&audit).await.context("-n and -l")?;
    the_assumption_can_be_changed(&audit).await.context("--assume")?;
    missing_rights_are_named(&audit, &server.client()).await.context("rights")?;
    without_an_answer_it_says_why(&audit).await.context("no answer")?;
    closed_output_is_one_sentence(&audit).await.context("closed output")?;
    the_page_works_in_a_browser(&audit, server.directory()).await.context("HTML")
}

/// The workloads in the JSON output.
fn workloads(document: &Value) -> Vec<&Value> {
    document["workloads"].as_array().into_iter().flatten().collect()
}

fn errors(workload: &Value) -> usize {
    let findings = workload["findings"].as_array().into_iter().flatten();
    findings.filter(|finding| finding["severity"] == "Error").count()
}

async fn all_workloads_are_evaluated(audit: &Audit) -> Result<()> {
    let output = audit.run("-o json").await?;
    ensure!(output.code == 1, "{}: {}", output.code, output.stderr);
    ensure!(output.stderr.is_empty(), "{}", output.stderr);
    let document = output.json()?;
    let found = workloads(&document);
    ensure!(found.len() == WORKLOADS, "{} workloads", found.len());
    let kinds: BTreeSet<_> = found.iter().filter_map(|workload| workload["kind"].as_str()).collect();
    ensure!(kinds.len() == 3, "{kinds:?}");
    let count = |matches: &dyn Fn(&Value) -> bool| found.iter().filter(|workload| matches(workload)).count();
    ensure!(count(&|it| it["assumed"] == "drain=5s,deadline=25s") == WORKLOADS - ANNOTATED);
    ensure!(count(&|it| errors(it) > 0) == misfits(), "{} with errors", count(&|it| errors(it) > 0));
    ensure!(count(&|it| it["owner"] == "Etcd main") == OWNED);
    let errors: Vec<_> = found.iter().map(|workload| errors(workload)).collect();
    ensure!(errors.is_sorted_by(|a, b| a >= b), "errors are not first: {errors:?}");
    let drops = count(&|it| it["today"]["losses"].as_array().is_some_and(|losses| !losses.is_empty()));
    ensure!(drops > 0 && document["summary"]["canDropRequests"] == drops, "{}", document["summary"]);
    ensure!(document["summary"]["namespaces"] == NAMESPACES && document["missing"] == json!([]));
    // An autoscaler and a disruption budget are in the cluster, so findings that need them are there.
    let codes: BTreeSet<_> =
        document["summary"]["codes"].as_array().into_iter().flatten().filter_map(|it| it["code"].as_str()).collect();
    ensure!(codes.contains("EvictionNeverAllowed"), "{codes:?}");
    Ok(())
}

async fn the_table_has_errors_first(audit: &Audit) -> Result<()> {
    let output = audit.run("").await?;
    let lines: Vec<_> = output.stdout.lines().collect();
    ensure!(lines.iter().any(|line| line.starts_with("300 workloads in 10 namespaces")), "{}", output.stdout);
    ensure!(lines[0].starts_with("NAMESPACE/NAME"), "{}", lines[0]);
    let misfits = misfits();
    for line in &lines[1..=misfits] {
        ensure!(line.contains("BudgetDoesNotFit: "), "{line}");
    }
    ensure!(!lines[misfits + 1].contains("BudgetDoesNotFit"), "{}", lines[misfits + 1]);
    ensure!(output.stdout.contains("can drop requests during a rollout today"), "{}", output.stdout);
    ensure!(output.stdout.contains("Next: kubectl winddown explain BudgetDoesNotFit"), "{}", output.stdout);
    let text = audit.run("-o text").await?;
    ensure!(text.stdout.matches("Deployment team-").count() >= WORKLOADS / 3);
    ensure!(
        text.stdout.contains("today: a rollout can drop requests\n    no preStop wait: app: SIGTERM comes at once")
    );
    Ok(())
}

async fn findings_have_logical_locations(audit: &Audit) -> Result<()> {
    let sarif = audit.run("-o sarif").await?.json()?;
    let results = sarif["runs"][0]["results"].as_array().context("no results")?;
    ensure!(results.len() > misfits(), "{} results", results.len());
    for result in results {
        let location = &result["locations"][0];
        let path = location["logicalLocations"][0]["fullyQualifiedName"].as_str().unwrap_or_default();
        ensure!(path.starts_with("team-") && path.split('/').count() == 3, "{result}");
        ensure!(location.get("physicalLocation").is_none(), "{result}");
    }
    Ok(())
}

async fn namespaces_and_labels_select(audit: &Audit) -> Result<()> {
    for (arguments, expected) in [
        ("-n team-3", WORKLOADS / NAMESPACES),
        ("-A -l tier=web", WORKLOADS / 2),
        ("-n team-3 -l tier=web,kind!=daemonset", 10),
        ("-n no-such-namespace", 0),
    ] {
        let output = audit.run(&format!("{arguments} -o json")).await?;
        let found = workloads(&output.json()?).len();
        ensure!(found == expected, "{arguments}: {found} workloads; {}", output.stderr);
    }
    let empty = audit.run("-n no-such-namespace").await?;
    ensure!(empty.code == 0 && empty.stdout.is_empty());
    ensure!(
        empty.stderr.contains("no Deployments, StatefulSets or DaemonSets found in the namespace no-such-namespace")
    );
    let invalid = audit.run("-l =x").await?;
    ensure!(invalid.code == 2 && invalid.stderr.contains("cannot list deployments.apps in all namespaces: "));
    Ok(())
}

async fn the_assumption_can_be_changed(audit: &Audit) -> Result<()> {
    let output = audit.run("--assume none -o json").await?;
    let document = output.json()?;
    let found = workloads(&document);
    ensure!(found.len() == WORKLOADS && found.iter().all(|it| it.get("assumed").is_none()));
    let budgets = found.iter().filter(|it| !it["budget"].is_null()).count();
    ensure!(budgets == ANNOTATED, "{budgets} budgets");
    ensure!(audit.run("--assume none -n team-9").await?.code == 0, "warnings do not fail");
    ensure!(audit.run("--assume none --fail-on warning -n team-9").await?.code == 1, "unless asked for");
    for (fail_on, code) in [("error", 0), ("dropped-requests", 1), ("error,dropped-requests", 1)] {
        let found = audit.run(&format!("--assume none --fail-on {fail_on} -n team-9")).await?;
        ensure!(found.code == code, "--fail-on {fail_on}: {}\n{}", found.code, found.stdout);
    }
    let long = audit.run("--assume drain=15s,deadline=60s -n team-9 -o json").await?.json()?;
    let assumed = workloads(&long).into_iter().find(|it| !it["assumed"].is_null()).context("nothing is assumed")?;
    ensure!(assumed["budget"]["drain"] == 15, "{assumed}");
    ensure!(audit.run("--assume drian=5s").await?.code == 2);
    Ok(())
}

/// A user who may list these resources of these API groups, in the whole cluster.
async fn allow(client: &Client, user: &str, rules: &[(&str, &[&str])]) -> Result<()> {
    let rules: Vec<_> = rules
        .iter()
        .map(|(group, resources)| json!({"apiGroups": [group], "resources": resources, "verbs": ["list"]}))
        .collect();
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": user}, "rules": rules,
    });
    bind(client, user, &role).await
}

/// Creates a role and gives it to a user.
async fn bind(client: &Client, user: &str, role: &Value) -> Result<()> {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    for object in [role, &binding] {
        send(client, &create(object)).await?.into_object()?;
    }
    Ok(())
}

async fn missing_rights_are_named(audit: &Audit, client: &Client) -> Result<()> {
    allow(client, "eve", &[("apps", &["deployments", "statefulsets"])]).await?;
    let output = audit.run("--as eve -o json").await?;
    ensure!(output.code == 2, "a kind of workloads is missing: {}", output.code);
    let document = output.json()?;
    ensure!(workloads(&document).len() == WORKLOADS / 3 * 2, "the other kinds are shown");
    for resource in [
        "daemonsets.apps",
        "horizontalpodautoscalers.autoscaling",
        "poddisruptionbudgets.policy",
        "services",
        "ingresses.networking.k8s.io",
        "ingressclasses.networking.k8s.io",
        "namespaces",
    ] {
        let named = format!("cannot list {resource}");
        let line = output.stderr.lines().find(|line| line.contains(&named));
        let line = line.with_context(|| format!("{resource} is not named: {}", output.stderr))?;
        ensure!(line.contains("User \"eve\" cannot list resource") && line.contains("at the cluster scope"), "{line}");
    }
    ensure!(!output.stderr.contains("scaledobjects") && !output.stderr.contains("shutdownpolicies"), "not installed");
    ensure!(output.stderr.contains("withheld") && output.stderr.contains("EvictionNeverAllowed"));
    let codes = document["summary"]["codes"].to_string();
    ensure!(!codes.contains("EvictionNeverAllowed") && codes.contains("BudgetDoesNotFit"), "{codes}");

    allow(client, "adam", &[("apps", &["deployments", "statefulsets", "daemonsets"])]).await?;
    let output = audit.run("--as adam -n team-9").await?;
    ensure!(output.code == 1, "all workloads were listed: {}", output.stderr);
    ensure!(output.stderr.contains("cannot read the namespace team-9: "), "{}", output.stderr);

    let output = audit.run("--as mallory").await?;
    ensure!(output.code == 2 && output.stdout.is_empty(), "{}", output.stdout);
    ensure!(output.stderr.matches("winddown: cannot list ").count() == 9, "{}", output.stderr);
    ensure!(output.stderr.ends_with("rights in one namespace are enough with -n, for example -n default\n"));
    Ok(())
}

async fn without_an_answer_it_says_why(audit: &Audit) -> Result<()> {
    for (arguments, message) in [
        ("--context prod", "the context \"prod\" is not in the kubeconfig; it has tests"),
        ("--kubeconfig /no/such/file", "the kubeconfig cannot be used"),
    ] {
        let output = audit.run(arguments).await?;
        ensure!(output.code == 2 && output.stdout.is_empty(), "{arguments}: {}", output.stdout);
        ensure!(output.stderr.contains(message) && output.stderr.lines().count() == 1, "{}", output.stderr);
    }
    let unreachable = audit.elsewhere()?.run("--request-timeout 3s").await?;
    ensure!(unreachable.code == 2, "{}", unreachable.code);
    ensure!(unreachable.stderr.starts_with("winddown: cannot reach the API server"), "{}", unreachable.stderr);
    ensure!(unreachable.stderr.lines().count() == 1, "{}", unreachable.stderr);
    Ok(())
}

async fn closed_output_is_one_sentence(audit: &Audit) -> Result<()> {
    let output = audit.run_until_first_byte("-o json").await?;
    ensure!(output.code == 2, "{}", output.code);
    ensure!(output.stderr == "winddown: the output was closed before everything was written\n", "{}", output.stderr);
    Ok(())
}

/// Measured a second time before it fails: the machine may be busy.
async fn it_is_fast_and_small(audit: &Audit, format: &str, max_size: usize) -> Result<()> {
    let mut measured = audit.measure(format).await?;
    if !measured.is_within() {
        println!("audit: {format}: {measured}; measuring again, the machine may have been busy");
        measured = audit.measure(format).await?;
    }
    println!("audit: {format}: {WORKLOADS} workloads, {measured}");
    ensure!(measured.is_within(), "{measured}");
    ensure!(measured.bytes < max_size, "{measured}");
    Ok(())
}

impl Measured {
    fn is_within(&self) -> bool {
        let is_optimized = std::env::var_os("WINDDOWN_BIN").is_some();
        !is_optimized || self.time < TIME_LIMIT && self.peak_mebibytes < MEMORY_LIMIT_MIB
    }
}

/// Search, filters, both schemes, two widths and paper, as far as a program can see.
async fn the_page_works_in_a_browser(audit: &Audit, directory: &std::path::Path) -> Result<()> {
    let page = audit.run("-o html").await?;
    ensure!(page.stderr.is_empty() && page.code == 1, "{}", page.stderr);
    let file = directory.join("audit.html");
    tokio::fs::write(&file, &page.stdout).await?;
    ensure!(
        page.stdout.contains("onerror=") && !page.stdout.contains("<img"),
        "annotations are quoted, and are no markup"
    );
    let in_one_namespace = WORKLOADS / NAMESPACES;
    program::check_in_browser(&file, "team-3/", in_one_namespace).await
}
