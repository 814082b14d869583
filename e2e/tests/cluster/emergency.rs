//! The commands of `docs/emergency.md`.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use serde_json::json;
use winddown_e2e::command::CommandLine;
use winddown_e2e::wait::until;

use crate::example::{Example, has_no_injection, is_injected};
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

pub(crate) fn tests() -> Vec<Test> {
    tests![the_commands_of_the_page_switch_winddown_off_and_on]
}

const PAGE: &str = include_str!("../../../docs/emergency.md");

/// For API servers and operator to notice a change.
const LIMIT: Duration = Duration::from_mins(1);

/// The commands of a code block of the page.
fn block(index: usize) -> Result<Vec<&'static str>> {
    let block = PAGE.split("```sh\n").nth(index + 1).and_then(|rest| rest.split("```").next());
    Ok(block.with_context(|| format!("no code block {index}"))?.lines().collect())
}

/// The command in the row of the table about this.
fn row(what: &str) -> Result<&'static str> {
    let row = PAGE.lines().find(|line| line.starts_with(&format!("| {what} | `")));
    row.and_then(|row| row.split('`').nth(1)).with_context(|| format!("no command in the row {what:?}"))
}

async fn run(command: &str) -> Result<()> {
    let helm = command.strip_prefix("helm ").map(|arguments| format!("helm4 {arguments}"));
    CommandLine::new(helm.as_deref().unwrap_or(command)).run().await.map(drop)
}

async fn run_all(commands: &[&str]) -> Result<()> {
    for command in commands {
        run(command).await?;
    }
    Ok(())
}

/// Waits until a budget that does not fit is rejected, or stored.
async fn wait_until_misfits_are(environment: &Environment, rejected: bool) -> Result<()> {
    until(&format!("misfits to be rejected: {rejected}"), LIMIT, async || {
        let misfit = Example::new("misfit").annotated().without_pods().with_grace_period(10);
        Ok((misfit.create_dry(environment).await.is_err() == rejected).then_some(()))
    })
    .await
}

async fn the_commands_of_the_page_switch_winddown_off_and_on(environment: Environment) -> Result<()> {
    environment.set_up().await?;
    let create = async |name: &str| Example::new(name).annotated().without_pods().create(&environment).await;
    let deployments: Api<Deployment> = Api::namespaced(environment.client.clone(), &environment.namespace);
    assert!(is_injected(&create("before").await?));
    wait_until_misfits_are(&environment, true).await?;
    let [off, on] = [block(0)?, block(1)?];

    run_all(&off).await?;
    wait_until_misfits_are(&environment, false).await?;
    assert!(has_no_injection(&create("missed").await?));
    until("no replica to run", LIMIT, async || Ok(environment.operator().all_pods().await?.is_empty().then_some(())))
        .await?;
    assert!(is_injected(&deployments.get("before").await?), "it stays as it is");

    run_all(&on).await?;
    wait_until_misfits_are(&environment, true).await?;
    until("the missed workload to be updated", LIMIT, async || {
        Ok(is_injected(&deployments.get("missed").await?).then_some(()))
    })
    .await?;

    run(row("rejections, everywhere")?).await?;
    wait_until_misfits_are(&environment, false).await?;
    assert!(is_injected(&create("unchecked").await?));
    run_all(&on).await?;
    wait_until_misfits_are(&environment, true).await?;

    let kind = GroupVersionKind::gvk("winddown.dev", "v1alpha1", "ShutdownPolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "shutdownpolicies");
    let policies: Api<DynamicObject> = Api::all_with(environment.client.clone(), &resource);
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": environment.namespace}});
    let policy = json!({
        "apiVersion": "winddown.dev/v1alpha1", "kind": "ShutdownPolicy", "metadata": {"name": "emergency"},
        "spec": {"validationActions": ["Audit"], "priority": 1000, "namespaceSelector": selector},
    });
    policies.create(&PostParams::default(), &serde_json::from_value(policy)?).await?;
    wait_until_misfits_are(&environment, false).await?;
    assert!(is_injected(&create("audited").await?));
    policies.delete("emergency", &DeleteParams::default()).await?;
    wait_until_misfits_are(&environment, true).await?;

    let named = format!("before --namespace {}", environment.namespace);
    run(&row("everything, for one workload")?.replace("NAME", &named)).await?;
    assert!(has_no_injection(&deployments.get("before").await?));
    environment.clean_up().await
}
