//! S7, S8, S14: what the webhook injects, what then happens in order, and that the app knows the same numbers.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;
use winddown_core::evaluation::{Existing, Origin, evaluate};
use winddown_core::policy::Policy;
use winddown_e2e::article::Facts;
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;
use winddown_e2e::wait::until;

use crate::arm::{Arm, HTTP_IMAGE, Running};
use crate::balancer::{self, Balanced};
use crate::observed::Observed;
use crate::record::{self, RIGHT};
use crate::stops::{BEGUN, Stop, Stops};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        the_annotations_have_the_effect_of_the_template,
        a_pod_stops_in_the_order_of_the_timeline,
        the_app_takes_its_deadline_from_the_annotation,
    ]
}

async fn the_annotations_have_the_effect_of_the_template(environment: Environment) -> Result<()> {
    let environment = environment.in_namespace("article-s7");
    environment.set_up_beside_others().await?;
    let deployments: Api<Deployment> = Api::namespaced(environment.client.clone(), &environment.namespace);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    // The article's hard deadline is 25 s, and its buffer the rest of its 45 s.
    let arm = Arm::service("s7").annotated("deadline", "25s").annotated("margin", "15s").not_annotated("expose");
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
    let pod = &template["spec"];
    let container = &pod["containers"][0];
    ensure!(pod["terminationGracePeriodSeconds"] == 30, "{template:#}");
    ensure!(container["lifecycle"].is_null() && container["readinessProbe"].is_null(), "{template:#}");
    let facts = |process: &str| Facts { sample: "dry run".to_owned(), process: process.to_owned(), ..Facts::default() };
    record::right(
        "S7",
        RIGHT,
        facts("grace period 45 s, preStop sleep 5 s, probe of /health:3000 every 5 s, failureThreshold 1"),
    )?;
    record::mistake("S7", "without annotations", facts("grace period 30 s, no hook, no probe"))?;
    environment.clean_up().await
}

async fn a_pod_stops_in_the_order_of_the_timeline(environment: Environment) -> Result<()> {
    let right = timeline(&environment, Arm::service("s8"));
    let no_drain = timeline(&environment, Arm::service("s8-no-drain").annotated("drain", "0s"));
    let (right, no_drain) = tokio::try_join!(right, no_drain)?;

    ensure!(right.withdrawn < right.begun, "endpoints were withdrawn after SIGTERM: {right:?}");
    right.observed.ensure_clean_in_phases()?;
    // Without a drain, SIGTERM does not wait for the endpoints.
    ensure!(right.planned.signal - no_drain.planned.signal == 5, "{:?}, {:?}", right.planned, no_drain.planned);
    for timeline in [&right, &no_drain] {
        ensure!(timeline.is_ordered() && timeline.is_as_planned(), "{timeline:?}");
        ensure!(timeline.health.checks.contains_key("503"), "{timeline:?}");
    }
    record::right("S8", RIGHT, right.facts()?)?;
    record::mistake("S8", "no drain", no_drain.facts()?)
}

/// Seconds after the deletion, as `winddown plan` prints them.
#[derive(Debug)]
struct Planned {
    signal: i64,
    kill: i64,
}

impl Planned {
    fn of(arm: &Arm) -> Result<Self> {
        let mut deployment = arm.deployment();
        deployment["apiVersion"] = json!("apps/v1");
        deployment["kind"] = json!("Deployment");
        let timeline = evaluate(&deployment, Existing::None, &Policy::default(), Origin::File)?.timeline;
        let timeline = timeline.context("no timeline")?;
        let lane = timeline.lanes.first().context("no container")?;
        Ok(Self { signal: lane.signal_at.as_i64(), kill: timeline.kill_at.as_i64() })
    }
}

/// When each step was seen.
#[derive(Debug)]
struct Timeline {
    planned: Planned,
    /// Whole seconds.
    deleted: Timestamp,
    /// The endpoint of the pod was no longer ready.
    withdrawn: Timestamp,
    begun: Timestamp,
    /// The rest, as the app logged it.
    steps: Vec<(String, Timestamp)>,
    health: Balanced,
    observed: Observed,
}

/// Seconds by which a busy machine is late: fewer than the drain, so that SIGTERM without a drain is distinguished.
const LATE: i64 = 4;

/// For the endpoint of a pod that was deleted.
const WITHDRAWAL_LIMIT: Duration = Duration::from_secs(30);

async fn timeline(environment: &Environment, arm: Arm) -> Result<Timeline> {
    let arm = arm.alone();
    let planned = Planned::of(&arm)?;
    let running = arm.start(environment).await?;
    let client = balancer::poll_pods(&running).await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    let pod = running.pod().await?;
    running.app.kubectl("delete pod --wait=false").word(&pod).run().await?;
    let withdrawn = withdrawn(&running, &pod).await?;
    running.wait_until_removed(&pod).await?;
    let health = client.stop().await?;
    let observed = running.observe(stops).await?;
    running.clean_up().await?;
    Timeline::of(planned, withdrawn, health, observed)
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
    fn of(planned: Planned, withdrawn: Timestamp, health: Balanced, observed: Observed) -> Result<Self> {
        let [stop] = &observed.stops[..] else { bail!("not one stop: {observed}") };
        let line = |name: &str| stop.line(name).with_context(|| format!("no {name:?}: {stop:?}"));
        let begun = line(BEGUN)?;
        ensure!(begun.fields["reason"] == "SIGTERM", "{begun:?}");
        let steps = ["listeners-closed", "connections-closed", "finished"];
        let steps = steps.map(|name| Ok((name.to_owned(), line(name)?.at))).into_iter().collect::<Result<_>>()?;
        Ok(Self { planned, deleted: stop.deleted, withdrawn, begun: begun.at, steps, health, observed })
    }

    fn is_ordered(&self) -> bool {
        let times: Vec<_> = [self.begun].into_iter().chain(self.steps.iter().map(|(_, at)| *at)).collect();
        times.is_sorted() && self.observed.all_exited_with(0)
    }

    /// SIGTERM is at its planned time, and the exit before that of SIGKILL.
    fn is_as_planned(&self) -> bool {
        let Planned { signal, kill } = self.planned;
        let begun = self.begun.as_second() - self.deleted.as_second();
        let ended = self.observed.stops.iter().all(|stop| stop.seconds() < kill);
        (signal - 1..=signal + LATE).contains(&begun) && ended
    }

    fn facts(&self) -> Result<Facts> {
        let after = |at: Timestamp| {
            let milliseconds = at.as_millisecond() - self.deleted.as_millisecond();
            format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
        };
        let steps = self.steps.iter().map(|(name, at)| format!("{name} {}", after(*at)));
        let steps = [format!("begun by SIGTERM {}", after(self.begun))].into_iter().chain(steps);
        let Planned { signal, kill } = self.planned;
        let plan = format!("planned: SIGTERM {signal} s, SIGKILL {kill} s");
        let facts = self.observed.facts();
        let recent = self.observed.budget.recent.first().and_then(|line| line.split_once(" PodDeletion: "));
        let (_, recent) = recent.with_context(|| format!("no PodDeletion: {:?}", self.observed.budget.recent))?;
        Ok(Facts {
            clients: format!(
                "endpoint withdrawn {} after the deletion, {}",
                after(self.withdrawn),
                self.health.health()
            ),
            process: format!("{}; exit code 0; {plan}", steps.collect::<Vec<_>>().join(" → ")),
            operator: format!("{}; recent: {recent}", facts.operator),
            ..facts
        })
    }
}

async fn the_app_takes_its_deadline_from_the_annotation(environment: Environment) -> Result<()> {
    let service = deadlines(&environment, Arm::service("s14"), Change::RollsOut);
    let http = deadlines(&environment, Arm::of_image("s14-http", HTTP_IMAGE), Change::RollsOut);
    let not_exposed = Arm::service("s14-not-exposed").not_annotated("expose");
    let not_exposed = deadlines(&environment, not_exposed, Change::Nothing);
    let (service, http, not_exposed) = tokio::try_join!(service, http, not_exposed)?;

    for Exposed { deadlines, .. } in [&service, &http] {
        ensure!(deadlines == &[5_000, 7_000], "{deadlines:?}");
    }
    // The control: the default of the library, whatever the annotation says.
    ensure!(not_exposed.deadlines == [25_000, 25_000], "{:?}", not_exposed.deadlines);
    for Exposed { observed, .. } in [&service, &http, &not_exposed] {
        ensure!(observed.all_exited_with(0) && observed.all_reported("clean"), "{observed}");
    }
    record::right("S14", "node-service", service.facts())?;
    record::right("S14", "node-http", http.facts())?;
    record::mistake("S14", "the budget is not exposed", not_exposed.facts())
}

/// Two pods of one app, before and after a change of the annotation from 5s to 7s.
struct Exposed {
    /// What they log, in milliseconds.
    deadlines: Vec<u64>,
    health: Balanced,
    observed: Observed,
}

/// Changes the annotation, and stops a pod before and after that.
async fn deadlines(environment: &Environment, arm: Arm, change: Change) -> Result<Exposed> {
    let running = arm.alone().annotated("deadline", "5s").start(environment).await?;
    let client = balancer::poll_service(&running).await?;
    let stops = Stops::watch(&running.environment, running.app.name());
    let rollout = running.app.before_rollout().await?;
    running.app.kubectl("annotate --overwrite deployment").word(running.app.name()).word(ANNOTATION).run().await?;
    match change {
        Change::RollsOut => rollout.complete().await?,
        Change::Nothing => running.app.restart().await?,
    };
    running.app.kubectl("delete pod").word(running.pod().await?).run().await?;
    let health = client.stop().await?;
    let observed = running.observe(stops).await?;
    running.clean_up().await?;
    let deadline = |stop: &Stop| stop.line(BEGUN)?.fields["deadlineMs"].as_u64();
    let deadlines = observed.stops.iter().map(|stop| deadline(stop).with_context(|| format!("no deadline: {stop:?}")));
    Ok(Exposed { deadlines: deadlines.collect::<Result<_>>()?, health, observed })
}

impl Exposed {
    fn facts(&self) -> Facts {
        Facts {
            sample: "2 pods".to_owned(),
            clients: self.health.health(),
            process: format!("annotation 5s, then 7s: the deadline of the app is {:?} ms", self.deadlines),
            ..self.observed.facts()
        }
    }
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
