//! `kubectl winddown` as a team uses it: an audit before the installation, the state of an app with real pods, and the way back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;
use winddown_e2e::command::{CommandLine, Output};
use winddown_e2e::drill::{command_under_load, plugin};
use winddown_e2e::environment::Environment;
use winddown_e2e::release;
use winddown_e2e::rollout::App;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;
use winddown_e2e::wait::until;

pub(crate) fn tests() -> Vec<Test> {
    tests![an_app_is_audited_annotated_and_restored_without_a_dropped_request]
}

/// Requests per second.
const RATE: u32 = 200;

/// A status is written at most every 30 s.
const STATUS_LIMIT: Duration = Duration::from_mins(1);

/// Its own readiness probe, so that new pods get requests only when they serve, also without Winddown; and it exits at once
/// on SIGTERM, so that only a drain keeps its requests.
const PATCH: &str = r#"{"spec":{"template":{"spec":{"containers":[{"name":"app",
    "env":[{"name":"MISTAKE","value":"exit-at-once"}],
    "readinessProbe":{"httpGet":{"port":"http","path":"/health"},"periodSeconds":1}}]}}}}"#;

async fn an_app_is_audited_annotated_and_restored_without_a_dropped_request(environment: Environment) -> Result<()> {
    environment.set_up_without_winddown(&[]).await?;
    CommandLine::new("kubectl delete crd --ignore-not-found").words(DEFINITIONS).run().await?;
    let app = App::new(&environment.client, &environment.namespace, "node-http");
    app.kubectl("apply --filename examples/node-http/deployment.yaml").run().await?;
    app.kubectl("patch deployment node-http --patch").word(PATCH).run().await?;
    app.wait_until_serving(3000, "/health").await?;
    app.wait_until_available().await?;
    let original = template(&app).await?;
    the_audit_needs_no_winddown(&app).await?;

    environment.install().await?;
    nothing_is_wrong().await?;
    let rollout = app.before_rollout().await?;
    app.kubectl("annotate deployment node-http winddown.dev/drain=5s winddown.dev/deadline=25s").run().await?;
    rollout.complete().await?;
    ensure!(template(&app).await? != original, "nothing was injected");
    a_stop_is_in_the_status(&app).await?;
    a_missing_operator_is_found(&environment).await?;
    kubectl_completes_names(&app).await?;

    let restored = under_load(&environment, &app, &restore(&app)).await?;
    ensure!(restored == 0, "{restored} requests failed while the app was restored");
    ensure!(template(&app).await? == original, "the template is not as before: {:#}", template(&app).await?);
    let status = run(&app, "status --output json").await?;
    ensure!(status.code == Some(0) && json(&status)? == json!([]), "{status:?}");
    // The control: the load shows a rollout without a drain.
    let restart = "kubectl rollout restart deployment node-http --namespace $0 &&
        kubectl rollout status deployment node-http --namespace $0 && sleep 2";
    let restart = CommandLine::new("bash -c").word(restart).word(app.namespace());
    let restarted = under_load(&environment, &app, &restart).await?;
    ensure!(restarted > 0, "no request failed in a rollout without a drain");

    release::remove().await?;
    environment.clean_up().await
}

/// All of the chart.
const DEFINITIONS: &str = "shutdownbudgets.winddown.dev shutdownpolicies.winddown.dev";

async fn template(app: &App) -> Result<Value> {
    let deployment = serde_json::to_value(app.deployment().await?)?;
    Ok(deployment["spec"]["template"].clone())
}

async fn run(app: &App, words: &str) -> Result<Output> {
    plugin(words).word("--namespace").word(app.namespace()).output().await
}

fn json(output: &Output) -> Result<Value> {
    serde_json::from_str(&output.stdout).with_context(|| format!("{output:?}"))
}

/// How many requests over new connections fail while a command runs, which must succeed. Kept connections end with an app that
/// exits at once.
async fn under_load(environment: &Environment, app: &App, command: &CommandLine) -> Result<u64> {
    let ran = command_under_load(&environment.client, app, RATE, command).await?;
    ensure!(ran.output.code == Some(0), "{:?}", ran.output);
    let counts = ran.new.counts;
    eprintln!("  {command}: {} of {} requests failed", counts.failed, counts.sent);
    Ok(counts.failed)
}

fn restore(app: &App) -> CommandLine {
    let words = "restore deploy/node-http --remove-annotations --yes --wait 3m --namespace";
    plugin(words).word(app.namespace())
}

async fn the_audit_needs_no_winddown(app: &App) -> Result<()> {
    let audit = run(app, "audit --output json").await?;
    let document = json(&audit)?;
    let workloads = document["workloads"].as_array().context("no workloads")?;
    ensure!(audit.code == Some(0) && workloads.len() == 1, "{audit:?}");
    let table = run(app, "audit").await?;
    ensure!(table.stdout.contains("/node-http  Deployment") && table.stdout.contains("no preStop wait"), "{table:?}");
    // The components of the cluster, too.
    let all = plugin("audit --all-namespaces --output json").output().await?;
    let names: Vec<_> = json(&all)?["workloads"].as_array().into_iter().flatten().cloned().collect();
    for kind in ["Deployment", "DaemonSet"] {
        ensure!(names.iter().any(|workload| workload["kind"] == kind), "no {kind} in {all:?}");
    }
    let status = run(app, "status").await?;
    ensure!(status.code == Some(2) && status.stderr.contains("ShutdownBudget is not installed"), "{status:?}");
    Ok(())
}

async fn nothing_is_wrong() -> Result<()> {
    let check = plugin("check --wait 60s").output().await?;
    ensure!(check.code == Some(0) && !check.stdout.contains("FAIL"), "{check:?}");
    Ok(())
}

async fn a_stop_is_in_the_status(app: &App) -> Result<()> {
    let pod = app.all_pods().await?.into_iter().next().and_then(|pod| pod.metadata.name).context("no pod")?;
    app.kubectl("delete pod").word(pod).run().await?;
    app.wait_until_available().await?;
    until("the status to count a stop and three pods with the budget", STATUS_LIMIT, async || {
        sleep(Duration::from_secs(1)).await;
        let status = run(app, "status --output json").await?;
        let document = json(&status)?;
        let row = &document[0];
        let is_counted = row["shutdowns"]["clean"].as_u64() >= Some(1) && row["carried"] == "3/3";
        let fits = row["budget"] == "drain 5s + deadline 25s + margin 5s = 35s of 35s";
        Ok((is_counted && fits && status.code == Some(0)).then_some(()))
    })
    .await?;
    let table = run(app, "status deploy/node-http").await?;
    eprintln!("{}", table.stdout);
    ensure!(table.code == Some(0) && table.stdout.contains("35s of 35s"), "{table:?}");
    Ok(())
}

/// The control of [`nothing_is_wrong`].
async fn a_missing_operator_is_found(environment: &Environment) -> Result<()> {
    let scale = async |replicas: u8| {
        let words = format!("kubectl --namespace {0} scale deployment {0} --replicas {replicas}", release::NAME);
        CommandLine::new(&words).run().await
    };
    scale(0).await?;
    until("the operator's pods to be removed", STATUS_LIMIT, async || {
        Ok(environment.operator().all_pods().await?.is_empty().then_some(()))
    })
    .await?;
    let check = plugin("check").output().await?;
    ensure!(check.code == Some(1) && check.stdout.contains("FAIL its replicas are ready"), "{check:?}");
    scale(2).await?;
    environment.operator().wait_until_available().await?;
    nothing_is_wrong().await
}

/// As kubectl's completion in a shell asks for it.
async fn kubectl_completes_names(app: &App) -> Result<()> {
    let complete = async |words: &str| {
        let output = CommandLine::new("kubectl __complete winddown").words(words).output().await?;
        anyhow::Ok(output.stdout)
    };
    let workloads = complete(&format!("drill --namespace {} deploy/", app.namespace())).await?;
    ensure!(workloads.lines().next().is_some_and(|first| first.trim() == "deploy/node-http"), "{workloads}");
    let namespaces = complete("status --namespace kube-s").await?;
    ensure!(namespaces.starts_with("kube-system"), "{namespaces}");
    let contexts = complete("audit --context kind-").await?;
    ensure!(contexts.starts_with("kind-winddown"), "{contexts}");
    let nothing = complete("drill --context other deploy/").await?;
    ensure!(nothing.starts_with(':'), "{nothing}");
    Ok(())
}
