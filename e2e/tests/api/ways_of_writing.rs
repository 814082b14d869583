//! The ways in which an owner writes a Deployment, with the real clients.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

use crate::manifest::{GRACE_PERIOD, Manifest};
use crate::namespace::Namespace;
use crate::suite::until;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Apply,
    ServerSideApply,
    /// Server-side apply: one field manager owns the workload, the other hook, probe, variables and grace period.
    TwoManagers,
    Helm3,
    Helm4,
    ArgoCd,
    ArgoCdServerSide,
    Flux,
    Replace,
    StrategicPatch,
    MergePatch,
    JsonPatch,
    Edit,
}

const CONTAINERS: &str = "/spec/template/spec/containers";
/// The fields of the container that an owner writes in the tests.
const FIELDS: [&str; 3] = ["lifecycle", "readinessProbe", "env"];

impl Way {
    /// Writes the manifest of the Deployment `web` over the previous one.
    pub(crate) async fn write(
        self,
        namespace: &Namespace,
        manifest: &Manifest,
        previous: Option<&Manifest>,
    ) -> Result<()> {
        let kubectl = async |arguments: &str, manifest: &Manifest| namespace.kubectl(arguments, Some(manifest)).await;
        match self {
            Self::Apply => kubectl("apply -f -", manifest).await.map(drop),
            Self::ServerSideApply => kubectl("apply --server-side -f -", manifest).await.map(drop),
            Self::TwoManagers => {
                let (workload, fields) = split(manifest);
                kubectl("apply --server-side --field-manager=platform -f -", &workload).await?;
                kubectl("apply --server-side --field-manager=team -f -", &fields).await.map(drop)
            }
            Self::Helm3 => upgrade(namespace, "helm3", manifest).await,
            Self::Helm4 => upgrade(namespace, "helm4", manifest).await,
            Self::ArgoCd | Self::ArgoCdServerSide | Self::Flux => {
                namespace.gitops(self.gitops_tool(), "apply", manifest).await.map(drop)
            }
            _ => match previous {
                None => kubectl("create -f -", manifest).await.map(drop),
                Some(_) if self == Self::Replace => {
                    // A controller that is still updating the workload could cause a conflict.
                    namespace.revisions("web").await?;
                    kubectl("replace -f -", manifest).await.map(drop)
                }
                Some(previous) => self.change(namespace, manifest, previous).await,
            },
        }
    }

    async fn change(self, namespace: &Namespace, manifest: &Manifest, previous: &Manifest) -> Result<()> {
        if manifest.as_ref()["metadata"]["annotations"].is_null() {
            return namespace.undeclare("web").await;
        }
        let (kind, patch) = match self {
            Self::StrategicPatch => ("strategic", strategic_patch(previous.as_ref(), manifest.as_ref())),
            Self::MergePatch => (
                "merge",
                json!({"spec": {"template": {"spec": {
                    "terminationGracePeriodSeconds": manifest.as_ref().pointer(GRACE_PERIOD),
                    "containers": manifest.as_ref().pointer(CONTAINERS),
                }}}}),
            ),
            Self::JsonPatch => ("json", json_patch(previous.as_ref(), manifest.as_ref())),
            _ => return edit(namespace, manifest).await,
        };
        namespace.kubectl(&format!("patch deployment web --type={kind} --patch={patch}"), None).await.map(drop)
    }

    /// Whether the client merges a part of a probe into the current probe.
    pub(crate) fn merges(self) -> bool {
        !matches!(self, Self::Replace | Self::MergePatch | Self::JsonPatch | Self::Edit)
    }

    /// Whether the client sends only the fields of a handler that the manifest contains. Flux adds a port of 0, which the API
    /// server rejects.
    pub(crate) fn merges_handlers(self) -> bool {
        self.merges() && self != Self::Flux
    }

    /// Writes the same manifest again, which must change nothing, and compares as the tool does.
    pub(crate) async fn check_in_sync(self, namespace: &Namespace, manifest: &Manifest) -> Result<()> {
        if !self.merges() || matches!(self, Self::StrategicPatch | Self::Helm3 | Self::Helm4) {
            return Ok(());
        }
        let generation = async || namespace.deployment("web").await.map(|web| web["metadata"]["generation"].clone());
        // Its controller writes the revision into an annotation, which would be a difference to an earlier read.
        let before = until("the controller of the Deployment to see it", async || {
            let web = namespace.deployment("web").await?;
            let generation = &web["metadata"]["generation"];
            Ok((web["status"]["observedGeneration"] == *generation).then(|| generation.clone()))
        })
        .await?;
        if let Self::ArgoCd | Self::ArgoCdServerSide | Self::Flux = self {
            let difference = namespace.gitops(self.gitops_tool(), "diff", manifest).await?;
            ensure!(difference.is_empty(), "out of sync: {difference}");
        }
        self.write(namespace, manifest, Some(manifest)).await?;
        ensure!(generation().await? == before, "the same manifest changed the workload");
        Ok(())
    }

    fn gitops_tool(self) -> &'static str {
        match self {
            Self::ArgoCd => "argocd",
            Self::ArgoCdServerSide => "argocd-server-side",
            _ => "flux",
        }
    }
}

async fn upgrade(namespace: &Namespace, helm: &str, manifest: &Manifest) -> Result<()> {
    let chart = namespace.environment.server.directory().join(format!("{}-chart", namespace.name));
    fs::create_dir_all(chart.join("templates"))?;
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.0.0\n")?;
    fs::write(chart.join("templates/web.json"), manifest.as_ref().to_string())?;
    namespace.helm(helm, &format!("upgrade --install web {}", chart.display())).await
}

/// The manifest without and with only hook, probe, variables and grace period.
fn split(manifest: &Manifest) -> (Manifest, Manifest) {
    let mut workload = manifest.as_ref().clone();
    let mut pod = json!({"containers": [{"name": "app"}]});
    if let Some(spec) = workload.pointer_mut("/spec/template/spec").and_then(Value::as_object_mut)
        && let Some(seconds) = spec.remove("terminationGracePeriodSeconds")
    {
        pod["terminationGracePeriodSeconds"] = seconds;
    }
    if let Some(container) = workload.pointer_mut("/spec/template/spec/containers/0").and_then(Value::as_object_mut) {
        for field in FIELDS {
            if let Some(value) = container.remove(field) {
                pod["containers"][0][field] = value;
            }
        }
    }
    let fields = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": {"spec": pod}},
    });
    (Manifest::from(workload), Manifest::from(fields))
}

/// The fields that differ: the pointer of each, its previous and its new value.
fn changed<'a>(previous: &'a Value, manifest: &'a Value) -> Vec<(String, Option<&'a Value>, Option<&'a Value>)> {
    let pointers = FIELDS.map(|field| format!("{CONTAINERS}/0/{field}")).into_iter().chain([GRACE_PERIOD.to_owned()]);
    let values = pointers.map(|pointer| (previous.pointer(&pointer), manifest.pointer(&pointer), pointer));
    values
        .filter(|(before, after, _)| before != after)
        .map(|(before, after, pointer)| (pointer, before, after))
        .collect()
}

fn strategic_patch(previous: &Value, manifest: &Value) -> Value {
    let (mut pod, mut container) = (Map::new(), Map::from_iter([("name".to_owned(), json!("app"))]));
    for (pointer, before, after) in changed(previous, manifest) {
        let field = pointer.rsplit('/').next().unwrap_or_default().to_owned();
        let below = if pointer == GRACE_PERIOD { &mut pod } else { &mut container };
        below.insert(field, merge_patch(before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null)));
    }
    pod.insert("containers".to_owned(), json!([container]));
    json!({"spec": {"template": {"spec": pod}}})
}

fn merge_patch(before: &Value, after: &Value) -> Value {
    if let Value::Array(before) = before {
        return without_removed(before, after);
    }
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return after.clone() };
    let removed = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let set =
        after.iter().map(|(key, after)| (key.clone(), merge_patch(before.get(key).unwrap_or(&Value::Null), after)));
    removed.chain(set).collect()
}

/// A list whose items are merged by name: what the list had before and has no longer is deleted by name.
fn without_removed(before: &[Value], after: &Value) -> Value {
    let after = after.as_array().map_or(&[][..], Vec::as_slice);
    let is_removed = |item: &&Value| !after.iter().any(|after| after["name"] == item["name"]);
    let removed = before.iter().filter(is_removed).map(|item| json!({"$patch": "delete", "name": item["name"]}));
    removed.chain(after.iter().cloned()).collect()
}

fn json_patch(previous: &Value, manifest: &Value) -> Value {
    let operation = |(path, _, after): (String, Option<&Value>, Option<&Value>)| match after {
        Some(value) => json!({"op": "add", "path": path, "value": value}),
        None => json!({"op": "remove", "path": path}),
    };
    changed(previous, manifest).into_iter().map(operation).collect()
}

/// Replaces the owner's fields in the text that the editor shows.
async fn edit(namespace: &Namespace, manifest: &Manifest) -> Result<()> {
    // kubectl would report a conflict with a later update of the status.
    namespace.revisions("web").await?;
    let mut shown = namespace.deployment("web").await?;
    let pod = manifest.as_ref()["spec"]["template"]["spec"].clone();
    for (pointer, value) in [
        (GRACE_PERIOD.to_owned(), pod.get("terminationGracePeriodSeconds")),
        (format!("{CONTAINERS}/0/lifecycle"), pod["containers"][0].get("lifecycle")),
        (format!("{CONTAINERS}/0/readinessProbe"), pod["containers"][0].get("readinessProbe")),
        (format!("{CONTAINERS}/0/env"), pod["containers"][0].get("env")),
    ] {
        let (parent, field) = pointer.rsplit_once('/').unwrap_or_default();
        let Some(parent) = shown.pointer_mut(parent).and_then(Value::as_object_mut) else { continue };
        match value {
            Some(value) => parent.insert(field.to_owned(), value.clone()),
            None => parent.remove(field),
        };
    }
    fs::write(namespace.edited_file(), shown.to_string())?;
    namespace.kubectl("edit deployment web --output=json", None).await.map(drop)
}
