//! The demo: the same rollouts under the same load, first without and then with Winddown's annotations.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Client, ResourceExt as _};
use tokio::time::sleep;

use crate::cluster::{delete_namespace, recreate_namespace};
use crate::command::CommandLine;
use crate::drill::{Drilled, plugin, under_load};
use crate::load::delete_generators;
use crate::progress::Progress;
use crate::release::{self, Helm};
use crate::report::{ANNOTATED, CONTROL, Report};
use crate::rollout::App;
use crate::variant::{self, Scale};
use crate::wait::until;

/// The namespace of the example app.
pub const NAMESPACE: &str = "demo";

const EXAMPLE: &str = "node-http";

/// The annotations, as arguments of `kubectl annotate`; the README uses the same.
pub const ANNOTATIONS: &str = "winddown.dev/drain=5s winddown.dev/deadline=25s winddown.dev/readiness=http:3000/health";

/// The annotation that Winddown writes.
pub const BUDGET: &str = "winddown.dev/budget";

/// For the budget annotation. Includes the time that the controller needs if the webhook was not called.
const BUDGET_LIMIT: Duration = Duration::from_mins(1);

/// The size of each variant.
#[derive(Clone, Copy, Debug)]
pub struct Variants {
    /// Without annotations.
    pub control: Scale,
    /// With annotations.
    pub annotated: Scale,
}

/// For the count of the last stops: a status is written at most every 30 s.
const COUNT_LIMIT: Duration = Duration::from_mins(2);

/// Installs Winddown and the example app and runs both variants.
pub async fn run(client: &Client, variants: Variants, progress: Progress) -> Result<Report> {
    progress.report("creating an empty namespace and installing Winddown");
    tokio::try_join!(recreate_namespace(client, NAMESPACE, &[]), install(client, progress))?;
    let app = App::new(client, NAMESPACE, EXAMPLE);
    print_and_run(&app.kubectl("apply --filename examples/node-http/deployment.yaml"), progress).await?;
    app.wait_until_serving(3000, "/health").await?;

    let Scale { rollouts, rate } = variants.control;
    progress.report(format_args!(
        "control: {rollouts} rollouts without annotations; {rate} requests/s over new connections and {rate} requests/s \
         over keep-alive connections"
    ));
    let control = variant::run(client, &app, CONTROL, variants.control, progress).await;
    let control = control.context("control variant")?;

    annotate(&app, progress).await?;
    let Scale { rollouts, rate } = variants.annotated;
    progress
        .report(format_args!("annotated: {rollouts} rollouts with annotations; the same load, {rate} requests/s each"));
    let annotated = variant::run(client, &app, ANNOTATED, variants.annotated, progress).await;
    let annotated = annotated.context("annotated variant")?;

    Ok(Report { variants: control.into_iter().chain(annotated).collect() })
}

/// Prints the description of the annotated Deployment.
pub async fn describe(client: &Client, progress: Progress) -> Result<()> {
    let app = App::new(client, NAMESPACE, EXAMPLE);
    let description = print_and_run(&app.kubectl("describe deployment").word(&app.name), progress).await?;
    println!("{description}");
    Ok(())
}

/// Waits until the `ShutdownBudget` of the app counts the stops of all annotated rollouts, and prints what it shows.
pub async fn print_budgets(client: &Client, rollouts: u32, progress: Progress) -> Result<()> {
    let app = App::new(client, NAMESPACE, EXAMPLE);
    let replicas = app.deployment().await?.spec.replicas.unwrap_or(1);
    let stops = i64::from(rollouts) * i64::from(replicas);
    let resource = format!("sdb/deployment-{EXAMPLE}");
    let count = app.kubectl("get").word(&resource).words("--output jsonpath={.status.shutdowns.count}");
    let condition = format!("{resource} to count the stops of {rollouts} rollouts");
    until(&condition, COUNT_LIMIT, async || {
        sleep(Duration::from_secs(1)).await;
        Ok(count.run().await?.parse::<i64>().ok().filter(|count| *count >= stops))
    })
    .await?;
    let table = print_and_run(&CommandLine::new("kubectl get sdb --all-namespaces"), progress).await?;
    println!("{table}");
    let description = print_and_run(&app.kubectl("describe").word(&resource), progress).await?;
    println!("{description}");
    Ok(())
}

/// Prints what the plugin of kubectl says of the app, and evicts one of its pods under load to measure how long traffic keeps
/// arriving.
pub async fn drill(client: &Client, rate: u32, progress: Progress) -> Result<()> {
    let status = print_and_run(&plugin("status --namespace").word(NAMESPACE), progress).await?;
    println!("{status}");
    let app = App::new(client, NAMESPACE, EXAMPLE);
    progress.report(format_args!(
        "$ kubectl winddown drill deploy/{EXAMPLE} --namespace {NAMESPACE} --measure --yes; {rate} requests/s each meanwhile"
    ));
    let Drilled { output, new, kept } = under_load(client, &app, rate, "--measure --yes").await?;
    println!("{}{}", output.stdout, output.stderr);
    ensure!(output.code == Some(0), "the drill ended with the exit code {:?}", output.code);
    let failed = new.counts.failed + kept.counts.failed;
    ensure!(failed == 0, "{failed} requests failed in the drill");
    Ok(())
}

/// Deletes the load generators after an interrupted run.
pub async fn stop_load(client: &Client) -> Result<()> {
    delete_generators(client, NAMESPACE).await
}

async fn install(client: &Client, progress: Progress) -> Result<()> {
    release::remove().await?;
    delete_namespace(client, release::NAME).await?;
    print_and_run(&Helm::V4.install(""), progress).await?;
    Ok(())
}

/// Annotates the app and waits for the rollout. That rollout stops pods without a drain, so neither variant counts it.
async fn annotate(app: &App, progress: Progress) -> Result<()> {
    let rollout = app.before_rollout().await?;
    print_and_run(&app.kubectl("annotate deployment").word(&app.name).words(ANNOTATIONS), progress).await?;
    let condition = format!("the annotation {BUDGET}");
    let annotated = app.wait_until(&condition, BUDGET_LIMIT, |app| budget(app).is_some()).await?;
    progress.report(format_args!("  {BUDGET}: {}", budget(&annotated).unwrap_or_default()));
    let seconds = rollout.complete().await?.as_secs_f32();
    progress.report(format_args!(
        "  rollout of the annotations {seconds:5.1} s (not counted: it stops the pods without annotations)"
    ));
    Ok(())
}

fn budget(deployment: &Deployment) -> Option<&str> {
    deployment.annotations().get(BUDGET).map(String::as_str)
}

async fn print_and_run(command: &CommandLine, progress: Progress) -> Result<String> {
    progress.report(format_args!("$ {command}"));
    command.run().await
}
