//! An upgrade from an earlier version with other numbers, and the time in which replicas of both versions answer.
//!
//! The earlier binary (`e2e/tools/earlier`) has other defaults and presets than today's.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use winddown_e2e::wait;

use crate::manifest::{GRACE_PERIOD, Manifest, workload};
use crate::namespace::Namespace;
use crate::request::{apply, merge, replace};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![exclusive:
        an_upgrade_to_other_numbers_starts_no_rollout,
        no_apply_is_rejected_while_both_versions_answer,
    ]
}

/// Workloads of each history; there are ten histories.
const EACH: usize = 20;
/// For the patches that write the settled state, two per second.
const SETTLED_LIMIT: Duration = Duration::from_secs(100);
const CONTAINER: &str = "/spec/template/spec/containers/0";
const SETTLED: &str = "state.winddown.dev/settled";

/// How a workload came to be what it is when the version changes.
#[derive(Clone, Copy)]
struct History {
    name: &'static str,
    kind: &'static str,
    /// Without a declaration, as it is created.
    created: fn(Manifest) -> Manifest,
    /// Names and values of annotations that are set when it already has pods; none if it is created with them.
    annotated_later: bool,
    declaration: &'static [(&'static str, &'static str)],
    /// Whether the earlier version leaves the template without a record.
    without_record: bool,
}

/// A preStop hook and a probe of the owner, so that nothing is left to inject.
fn complete(manifest: Manifest) -> Manifest {
    hooked(manifest).with(&format!("{CONTAINER}/readinessProbe"), json!({"tcpSocket": {"port": "http"}}))
}

fn hooked(manifest: Manifest) -> Manifest {
    manifest.with(&format!("{CONTAINER}/lifecycle"), json!({"preStop": {"sleep": {"seconds": 5}}}))
}

/// Two containers, one of them with a hook of the owner.
fn half_hooked(manifest: Manifest) -> Manifest {
    let manifest = hooked(manifest);
    let mut web = manifest.as_ref()["spec"]["template"]["spec"]["containers"][0].clone();
    web["name"] = json!("web");
    web["ports"] = json!([{"containerPort": 8081, "protocol": "TCP"}]);
    web["startupProbe"] = json!({"tcpSocket": {"port": 8081}});
    web.as_object_mut().map(|web| web.remove("lifecycle"));
    let containers = json!([manifest.as_ref()["spec"]["template"]["spec"]["containers"][0], web]);
    manifest.with("/spec/template/spec/containers", containers)
}

const DEFAULTS: &[(&str, &str)] = &[("deadline", "25s")];
const PRESETS: &[(&str, &str)] = &[("traffic", "service"), ("runtime", "spring-boot")];
/// Fits into 30 s with the margin of the earlier version, and not with today's.
const SHORT: &[(&str, &str)] = &[("deadline", "21s")];

const HISTORIES: [History; 10] = {
    const fn history(
        name: &'static str,
        kind: &'static str,
        created: fn(Manifest) -> Manifest,
        declaration: &'static [(&'static str, &'static str)],
    ) -> History {
        History { name, kind, created, annotated_later: false, declaration, without_record: false }
    }
    const fn later(history: History) -> History {
        History { annotated_later: true, ..history }
    }
    const fn bare(history: History) -> History {
        History { annotated_later: true, without_record: true, ..history }
    }
    [
        history("record", "Deployment", |manifest| manifest, DEFAULTS),
        history("presets", "Deployment", |manifest| manifest, PRESETS),
        later(history("annotated-later", "Deployment", |manifest| manifest, DEFAULTS)),
        bare(history("bare", "Deployment", complete, SHORT)),
        bare(history("bare-set", "StatefulSet", complete, SHORT)),
        history("half", "Deployment", half_hooked, DEFAULTS),
        later(history("paused", "Deployment", |manifest| manifest.with("/spec/paused", true), DEFAULTS)),
        history("running", "Deployment", |manifest| manifest.with("/spec/replicas", 1), PRESETS),
        history("explicit", "StatefulSet", |manifest| manifest.grace_period(60), DEFAULTS),
        history("daemon", "DaemonSet", |manifest| manifest, PRESETS),
    ]
};

impl History {
    fn manifest(&self, name: &str) -> Manifest {
        (self.created)(workload(self.kind, name))
    }

    fn declared(&self, manifest: Manifest) -> Manifest {
        self.declaration.iter().fold(manifest, |manifest, (key, value)| manifest.annotated(key, value))
    }

    /// As its owner keeps it in Git.
    fn source(&self, name: &str) -> Manifest {
        self.declared(self.manifest(name))
    }
}

fn all() -> impl Iterator<Item = (&'static History, String)> {
    (0..EACH).flat_map(|number| HISTORIES.iter().map(move |history| (history, format!("{}-{number}", history.name))))
}

async fn create_all(namespace: &Namespace) -> Result<()> {
    for (history, name) in all() {
        if history.annotated_later {
            namespace.accepts(apply(history.manifest(&name).as_ref())).await?;
        }
        namespace.accepts(apply(history.source(&name).as_ref())).await?;
    }
    Ok(())
}

async fn templates(namespace: &Namespace) -> Result<Vec<(String, Value)>> {
    let mut templates = Vec::new();
    for (history, name) in all() {
        let found = namespace.workload(history.kind, &name).await?;
        templates.push((name, found["spec"]["template"].clone()));
    }
    Ok(templates)
}

/// The names of all `ReplicaSet`s and `ControllerRevision`s.
async fn revisions(namespace: &Namespace) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for plural in ["replicasets", "controllerrevisions"] {
        let found = namespace.list("apps/v1", plural).await?;
        names.extend(found.iter().map(|object| format!("{plural}/{}", object["metadata"]["name"])));
    }
    Ok(names)
}

/// Waits until each controller of Kubernetes has observed every workload.
async fn wait_until_observed(namespace: &Namespace) -> Result<()> {
    wait::until("every workload to be observed", SETTLED_LIMIT, async || {
        for (history, name) in all() {
            let found = namespace.workload(history.kind, &name).await?;
            if found["metadata"]["generation"] != found["status"]["observedGeneration"] {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await
}

async fn an_upgrade_to_other_numbers_starts_no_rollout(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    environment.stop_operator().await?;
    environment.start_earlier_operator().await?;
    environment.wait_for_webhooks().await?;
    create_all(&namespace).await?;
    wait_until_observed(&namespace).await?;
    let (before, revisions_before) = (templates(&namespace).await?, revisions(&namespace).await?);
    for (history, (name, template)) in HISTORIES.iter().zip(&before) {
        let record = template.pointer("/metadata/annotations/winddown.dev~1injected").is_some();
        assert_eq!(record, !history.without_record, "{name}: {template:#}");
    }

    environment.stop_operator().await?;
    environment.start_operator().await?;
    environment.wait_for_webhooks().await?;
    wait::until("the settled state of workloads without a record", SETTLED_LIMIT, async || {
        for (history, name) in all().filter(|(history, _)| history.without_record) {
            let found = namespace.workload(history.kind, &name).await?;
            if found["metadata"]["annotations"].get(SETTLED).is_none() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    ensure!(templates(&namespace).await? == before, "the controller changed a template");
    // Each owner changes a label, and applies the same manifest again.
    for (history, name) in all() {
        let labels = json!({"metadata": {"labels": {"touched": "yes"}}});
        namespace.accepts(merge(&namespace.workload_path(history.kind, &name), labels)).await?;
        namespace.accepts(apply(history.source(&name).as_ref())).await?;
    }
    for ((name, before), (_, after)) in before.iter().zip(templates(&namespace).await?) {
        assert_eq!(*before, after, "{name}");
    }
    wait_until_observed(&namespace).await?;
    assert_eq!(revisions(&namespace).await?, revisions_before);
    // Control: today's numbers are others.
    let history = &HISTORIES[0];
    let new = namespace.accepts(apply(history.source("new").as_ref())).await?;
    assert_ne!(new.pointer(GRACE_PERIOD), before[0].1.pointer("/spec/terminationGracePeriodSeconds"));
    Ok(())
}

async fn no_apply_is_rejected_while_both_versions_answer(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    let earlier = environment.start_earlier_replica("winddown-earlier").await?;
    let ports = [environment.webhook_port(), earlier.webhook_port()];
    // The pods of a Service answer in turn: each combination of mutating and validating version.
    for (mutating, validating) in [(0, 1), (1, 0), (1, 1), (0, 0), (1, 0), (0, 1)] {
        for (index, replica) in [mutating, validating].into_iter().enumerate() {
            environment.install_webhook_on(index, ports[replica]).await?;
        }
        environment.wait_for_webhooks().await?;
        for history in &HISTORIES {
            let case = format!("{} mutated by {mutating}, validated by {validating}", history.name);
            let name = format!("{}-{mutating}-{validating}", history.name);
            let kept = history.name.to_owned();
            for (name, manifest) in [(&name, history.source(&name)), (&kept, history.source(&kept))] {
                let applied = namespace.send(apply(manifest.as_ref())).await?;
                ensure!(applied.is_success(), "{case}: {:#}", applied.object);
                ensure!(
                    !applied.warnings.iter().any(|warning| warning.contains("NotInjected")),
                    "{case}: {:?}",
                    applied.warnings
                );
                let labels = json!({"metadata": {"labels": {"touched": format!("{mutating}-{validating}")}}});
                namespace.accepts(merge(&namespace.workload_path(history.kind, name), labels)).await?;
            }
            let mut current = namespace.workload(history.kind, &kept).await?;
            current["metadata"]["labels"]["replaced"] = json!("yes");
            if let Some(metadata) = current["metadata"].as_object_mut() {
                metadata.remove("managedFields");
                // Whatever its controller wrote in the meantime.
                metadata.remove("resourceVersion");
            }
            namespace.accepts(replace(&current)).await?;
        }
    }
    Ok(())
}
