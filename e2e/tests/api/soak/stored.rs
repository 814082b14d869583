//! Large objects that somebody has stored: every replica reads them after each restart.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::stream::{self, TryStreamExt as _};
use serde_json::{Map, Value, json};

use super::MAX_RESIDENT_MIB;
use super::hostile;
use super::memory::{Cgroup, Resident};
use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::request::{create, delete};

/// Workloads with thousands of annotations, which the watch receives.
const WORKLOADS: usize = 60;
/// Of one in so many these are unknown annotations of Winddown, each of which is an error. So there are Events about them.
const REPORTED: usize = 12;
/// Services with annotations of the maximum size, which the controller lists because of the workloads.
const SERVICES: usize = 30;
/// Requests at the same time.
const CONCURRENT: usize = 8;
/// How much more than without the objects is held later. They still exist, so a part of it is in use.
const HOLDS: f64 = 1.5;
/// For the reconciliation of one workload, its Events included.
const LIMIT_PER_WORKLOAD: Duration = Duration::from_secs(1);

pub(super) async fn stored_objects_do_not_exhaust_the_memory_after_a_restart(namespace: Namespace) -> Result<()> {
    let environment = namespace.environment.clone();
    let cold = Resident::of(environment.operator_pid().await?)?;
    let (cold, files) = (cold.mebibytes()?, cold.file_mebibytes()?);
    environment.stop_operator().await?;
    // The API server is faster without them.
    environment.remove_webhooks().await?;
    let workloads = (0..WORKLOADS).map(workload);
    let objects: Vec<_> = workloads.chain((0..SERVICES).map(service)).collect();
    let creating = Instant::now();
    stream::iter(objects.iter().map(Ok))
        .try_for_each_concurrent(CONCURRENT, async |object| namespace.accepts(create(object)).await.map(drop))
        .await?;

    println!("soak: objects created after {:.1} s", creating.elapsed().as_secs_f32());
    environment.install_webhooks().await?;
    let start = Instant::now();
    environment.start_operator().await?;
    let pid = environment.operator_pid().await?;
    let resident = Resident::of(pid)?;
    let cgroup = Cgroup::limited_to(pid, environment.memory_limit()?);
    if let Err(error) = &cgroup {
        println!("soak: no cgroup ({error:#}); only the resident memory is read");
    }
    let ready = start.elapsed();
    until_reconciled(&namespace).await?;
    let (reported, cpu) = (start.elapsed(), resident.cpu_time()?);
    let after = resident.falls_to(cold * HOLDS, files).await?;
    let peak = resident.highest_mebibytes()?;
    println!(
        "soak: {WORKLOADS} large workloads and {SERVICES} large Services after a restart: leader after {:.1} s, the findings reported \
         after {:.1} s, CPU {:.1} s; resident memory {cold:.0} MiB without them, {peak:.0} MiB at most, {after:.0} MiB later",
        ready.as_secs_f32(),
        reported.as_secs_f32(),
        cpu.as_secs_f32()
    );
    for number in 0..SERVICES {
        let path = format!("/api/v1/namespaces/{}/services/{}", namespace.name, name_of_service(number));
        namespace.accepts(delete(&path)).await?;
    }
    ensure!(peak < MAX_RESIDENT_MIB, "resident memory reached {peak:.0} MiB, the limit is {MAX_RESIDENT_MIB:.0}");
    ensure!(after <= cold * HOLDS, "resident memory stays at {after:.0} MiB, it was {cold:.0}");
    environment.stop_operator().await
}

/// Waits until there is an Event about each workload with an error.
async fn until_reconciled(namespace: &Namespace) -> Result<()> {
    let limit = LIMIT_PER_WORKLOAD * u32::try_from(WORKLOADS)?;
    let reported = WORKLOADS / REPORTED;
    let end = Instant::now() + limit;
    loop {
        let events = namespace.list("events.k8s.io/v1", "events").await?;
        let names: BTreeSet<_> = events.iter().filter_map(|event| event["regarding"]["name"].as_str()).collect();
        if names.len() == reported {
            return Ok(());
        }
        ensure!(Instant::now() < end, "there are Events about {} of {reported} workloads", names.len());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn workload(number: usize) -> Value {
    let name = format!("stored-{number}");
    if number.is_multiple_of(REPORTED) {
        return hostile::with_many_keys(&name);
    }
    let many = annotations("winddown.dev/drain", "5s");
    deployment(&name).with("/metadata/annotations", many).annotated("mode", "Audit").as_ref().clone()
}

/// As many as the API server accepts, and this one.
fn annotations(key: &str, value: &str) -> Value {
    let many = (0..12_000).map(|key| (format!("example.com/{key}"), json!("x")));
    Value::Object(many.chain([(key.to_owned(), json!(value))]).collect::<Map<_, _>>())
}

fn name_of_service(number: usize) -> String {
    format!("large-{number}")
}

fn service(number: usize) -> Value {
    let annotations = annotations("team", "shop");
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name_of_service(number), "annotations": annotations},
        "spec": {"clusterIP": "None", "ports": [{"port": 80}], "selector": {"app": format!("stored-{number}")}},
    })
}
