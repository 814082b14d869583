//! S7, S8, S14: what the webhook injects, what then happens in order, and that the app knows the same numbers.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;
use winddown_e2e::article::Facts;
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;
use winddown_e2e::wait::until;

use crate::arm::{Arm, HTTP_IMAGE, Running};
use crate::record::{self, RIGHT};
use crate::stops::{BEGUN, Stop, Stops};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        two_annotations_have_the_effect_of_the_template,
        a_pod_stops_in_the_order_of_the_timeline,
        the_app_takes_its_deadline_from_the_annotation,
    ]
}

async fn two_annotations_have_the_effect_of_the_template(environment: Environment) -> Result<()> {
    let environment = environment.in_namespace("article-s7");
    environment.set_up_beside_others().await?;
    let deployments: Api<Deployment> = Api::namespaced(environment.client.clone(), &environment.namespace);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    // The article's hard deadline is 25 s, and its buffer the rest of its 45 s.
    let arm = Arm::service("s7").annotated("deadline", "25s").annotated("margin", "15s");
    let created = deployments.create(&dry, &serde_json::from_value(arm.deployment())?).await?;
    let template = serde_json::to_value(created.spec.template)?;
    let pod = &template["spec"];
    let container = &pod["containers"][0];
    ensure!(pod["terminationGracePeriodSeconds"] == 45, "{template:#}");
    ensure!(container["lifecycle"] == json!({"preStop": {"sleep": {"seconds": 5}}}), "{template:#}");
    let probe = &container["readinessProbe"];
    let http = &probe["httpGet"];
    ensure!(http["path"] == "/health" && http["port"] == 3000, "{template:#}");
    ensure!(probe["periodSeconds"] == 5 && probe["failureThreshold"] == 1, "{template:#}");

    // The control: without the annotations nothing is injected.
    let mut plain = arm.deployment();
    plain["metadata"]["annotations"] = json!({});
    let created = deployments.create(&dry, &serde_json::from_value(plain)?).await?;
    let template = serde_json::to_value(created.spec.template)?;
    let container = &template["spec"]["containers"][0];
    ensure!(container["lifecycle"].is_null() && container["readinessProbe"].is_null(), "{template:#}");
    let facts = |process: &str| Facts { process: process.to_owned(), ..Facts::default() };
    record::right(
        "S7",
        RIGHT,
        facts("grace period 45 s, preStop sleep 5 s, probe of /health:3000 every 5 s, failureThreshold 1"),
    );
    record::mistake("S7", "without annotations", facts("grace period 30 s, no hook, no probe"));
    environment.clean_up().await
}

async fn a_pod_stops_in_the_order_of_the_timeline(environment: Environment) -> Result<()> {
    let right = timeline(&environment, Arm::service("s8"));
    let no_drain = timeline(&environment, Arm::service("s8-no-drain").annotated("drain", "0s"));
    let (right, no_drain) = tokio::try_join!(right, no_drain)?;

    ensure!(right.withdrawn < right.begun, "endpoints were withdrawn after SIGTERM: {right:?}");
    ensure!(right.is_ordered(), "{right:?}");
    let drain = right.begun.as_second() - right.deleted.as_second();
    ensure!((4..=7).contains(&drain), "SIGTERM {drain} s after the deletion: {right:?}");
    // The control: without a drain, SIGTERM does not wait for the endpoints.
    ensure!(no_drain.begun.as_second() - no_drain.deleted.as_second() < 4, "{no_drain:?}");
    record::right("S8", RIGHT, right.facts());
    record::mistake("S8", "no drain", no_drain.facts());
    Ok(())
}

/// When each step was seen.
#[derive(Debug)]
struct Timeline {
    /// Whole seconds.
    deleted: Timestamp,
    /// The endpoint of the pod was no longer ready.
    withdrawn: Timestamp,
    begun: Timestamp,
    /// The rest, as the app logged it.
    steps: Vec<(String, Timestamp)>,
    exit_code: i32,
}

/// For the endpoint of a pod that was deleted.
const WITHDRAWAL_LIMIT: Duration = Duration::from_secs(30);

async fn timeline(environment: &Environment, arm: Arm) -> Result<Timeline> {
    let running = arm.alone().start(environment).await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    let pod = running.pod().await?;
    running.app.kubectl("delete pod --wait=false").word(&pod).run().await?;
    let withdrawn = withdrawn(&running, &pod).await?;
    running.app.kubectl("wait --for=delete --timeout=60s").word(format!("pod/{pod}")).run().await?;
    let stop = stops.finish().await?.pop().context("no stop")?;
    running.clean_up().await?;
    Timeline::of(&stop, withdrawn)
}

/// Waits until the endpoint of a pod is not ready, and returns when that was seen.
async fn withdrawn(running: &Running, pod: &str) -> Result<Timestamp> {
    let slices: Api<EndpointSlice> =
        Api::namespaced(running.environment.client.clone(), &running.environment.namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={}", running.app.name()));
    until(&format!("the endpoint of Pod {pod} to be withdrawn"), WITHDRAWAL_LIMIT, async || {
        let slices = slices.list(&of_service).await?;
        let mut endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
        let ready = endpoints.any(|endpoint| {
            let target = endpoint.target_ref.as_ref().and_then(|target| target.name.as_deref());
            let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready);
            target == Some(pod) && ready.unwrap_or(true)
        });
        Ok((!ready).then(Timestamp::now))
    })
    .await
}

impl Timeline {
    fn of(stop: &Stop, withdrawn: Timestamp) -> Result<Self> {
        let begun = stop.line(BEGUN).with_context(|| format!("no {BEGUN:?}: {stop:?}"))?.at;
        let steps = ["listeners-closed", "connections-closed", "finished"].map(|name| {
            let line = stop.line(name).with_context(|| format!("no {name:?}: {stop:?}"))?;
            Ok((name.to_owned(), line.at))
        });
        let steps = steps.into_iter().collect::<Result<_>>()?;
        Ok(Self { deleted: stop.deleted, withdrawn, begun, steps, exit_code: stop.exit_code })
    }

    fn is_ordered(&self) -> bool {
        let times: Vec<_> = [self.begun].into_iter().chain(self.steps.iter().map(|(_, at)| *at)).collect();
        times.is_sorted() && self.exit_code == 0
    }

    fn facts(&self) -> Facts {
        let after = |at: Timestamp| {
            let milliseconds = at.as_millisecond() - self.deleted.as_millisecond();
            format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
        };
        let steps = self.steps.iter().map(|(name, at)| format!("{name} {}", after(*at)));
        let steps = [format!("begun (SIGTERM, health 503) {}", after(self.begun))].into_iter().chain(steps);
        Facts {
            clients: format!("endpoint withdrawn {} after the deletion", after(self.withdrawn)),
            process: format!("{}; exit code {}", steps.collect::<Vec<_>>().join(" → "), self.exit_code),
            operator: String::new(),
        }
    }
}

async fn the_app_takes_its_deadline_from_the_annotation(environment: Environment) -> Result<()> {
    let service = deadlines(&environment, Arm::service("s14"), Change::RollsOut);
    let http = deadlines(&environment, Arm::of_image("s14-http", HTTP_IMAGE), Change::RollsOut);
    let not_exposed = Arm::service("s14-not-exposed").not_annotated("expose");
    let not_exposed = deadlines(&environment, not_exposed, Change::Nothing);
    let (service, http, not_exposed) = tokio::try_join!(service, http, not_exposed)?;

    ensure!(service == [5_000, 7_000] && http == [5_000, 7_000], "{service:?} {http:?}");
    // The control: the default of the library, whatever the annotation says.
    ensure!(not_exposed == [25_000, 25_000], "{not_exposed:?}");
    let facts = |deadlines: &[u64]| Facts {
        process: format!("annotation 5s, then 7s: the deadline of the app is {deadlines:?} ms"),
        ..Facts::default()
    };
    record::right("S14", "node-service", facts(&service));
    record::right("S14", "node-http", facts(&http));
    record::mistake("S14", "the budget is not exposed", facts(&not_exposed));
    Ok(())
}

/// The deadline that the app logs, before and after a change of the annotation from 5s to 7s.
async fn deadlines(environment: &Environment, arm: Arm, change: Change) -> Result<Vec<u64>> {
    let running = arm.alone().start(environment).await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    let rollout = running.app.before_rollout().await?;
    running.app.kubectl("annotate --overwrite deployment").word(running.app.name()).word(ANNOTATION).run().await?;
    match change {
        Change::RollsOut => rollout.complete().await?,
        Change::Nothing => running.app.restart().await?,
    };
    running.app.kubectl("delete pod").word(running.pod().await?).run().await?;
    let stops = stops.finish().await?;
    running.clean_up().await?;
    let deadline = |stop: &Stop| stop.line(BEGUN)?.fields["deadlineMs"].as_u64();
    stops.iter().map(|stop| deadline(stop).with_context(|| format!("no deadline: {stop:?}"))).collect()
}

const ANNOTATION: &str = "winddown.dev/deadline=7s";

/// What the changed annotation does by itself.
#[derive(Clone, Copy)]
enum Change {
    /// The template has the new deadline.
    RollsOut,
    /// The new deadline fits into the grace period, and nothing else in the template depends on it.
    Nothing,
}
