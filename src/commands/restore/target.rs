//! One workload to restore: what would change, and what would undo that again.

use json_patch::{Patch, PatchOperation, RemoveOperation, TestOperation, jsonptr::PointerBuf};
use serde_json::{Value, json};

use crate::cluster::lists::identify;
use crate::cluster::workloads::WorkloadName;
use winddown_core::annotations::{BUDGET, DECLARING, INJECTED, PREFIX, SETTLED};
use winddown_core::evaluation::{Changes, RemovalError, removal};
use winddown_core::kind::Kind;
use winddown_core::object::Object;
use winddown_core::patch::guarded;

/// What has become of a workload since it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is left of what was to be removed.
    Restored,
    Unrestored,
    Deleted,
    /// Another one has its name.
    Replaced,
}

/// A workload that has something of Winddown.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) namespace: String,
    pub(super) workload: WorkloadName,
    /// As received, with `kind`.
    object: Value,
    changes: Changes,
    with_annotations: bool,
    /// The annotations of the user that are removed as well.
    removed: Vec<String>,
}

impl Target {
    /// What restoring a workload as received changes; `None` if nothing does.
    pub(super) fn of(kind: Kind, mut object: Value, with_annotations: bool) -> Result<Option<Self>, RemovalError> {
        identify(&mut object, Kind::API_VERSION, kind.as_str());
        let changes = removal(&object)?;
        let view = Object::new(&object);
        let annotations = view.annotations()?;
        let of_the_user = |key: &&&str| key.starts_with(PREFIX) && **key != BUDGET;
        let removed: Vec<_> = if with_annotations {
            annotations.keys().filter(of_the_user).map(|key| (*key).to_owned()).collect()
        } else {
            Vec::new()
        };
        if changes.is_empty() && removed.is_empty() {
            return Ok(None);
        }
        let namespace = view.namespace().to_owned();
        let workload = WorkloadName::new(kind, view.name().unwrap_or_default());
        Ok(Some(Self { namespace, workload, object, changes, with_annotations, removed }))
    }

    /// As messages name it: `deployment/web in shop`.
    pub(super) fn title(&self) -> String {
        title(&self.workload, &self.namespace)
    }

    /// Whether an object is this workload, and no later one with its name.
    pub(super) fn is_of(&self, now: &Value) -> bool {
        uid(now) == uid(&self.object)
    }

    /// The same workload as it is now, if restoring it still changes what was shown. For example, it was scaled meanwhile.
    pub(super) fn renewed(&self, now: Value) -> Option<Self> {
        let renewed = Self::of(self.workload.kind, now, self.with_annotations).ok()??;
        (renewed.is_of(&self.object) && renewed.sides() == self.sides()).then_some(renewed)
    }

    /// Whether its pods are replaced.
    pub(super) fn rolls_out(&self) -> bool {
        self.changes.rolls_out()
    }

    /// Whether annotations stay that make a running operator inject again.
    pub(super) fn keeps_its_declaration(&self) -> bool {
        let view = Object::new(&self.object);
        DECLARING.iter().any(|key| view.has_annotation(key) && !self.removed.iter().any(|removed| removed == key))
    }

    /// What the workload with this name is now.
    pub(super) fn state(&self, now: &Value) -> State {
        if !self.is_of(now) {
            return State::Replaced;
        }
        let is_left = |key: &String| Object::new(now).has_annotation(key);
        if is_injected(now) || self.removed.iter().any(is_left) { State::Unrestored } else { State::Restored }
    }

    /// The annotations of the user that the patch has removed, as its answer shows.
    pub(super) fn removed_from(&self, patched: &Value) -> Vec<String> {
        let is_gone = |key: &&String| !Object::new(patched).has_annotation(key);
        self.removed.iter().filter(is_gone).cloned().collect()
    }

    /// The patch, which fails if another workload has the name, or spec or annotations changed since it was read.
    pub(super) fn patch(&self) -> Patch {
        let mut patch = self.changes.patch(Object::new(&self.object));
        let removes_all = patch.0.iter().any(|operation| operation.path().as_str() == "/metadata/annotations");
        let annotation = |key: &String| {
            PatchOperation::Remove(RemoveOperation { path: PointerBuf::from_tokens(["metadata", "annotations", key]) })
        };
        patch.0.extend(self.removed.iter().filter(|_| !removes_all).map(annotation));
        let Patch(mut guarded) = guarded(&self.object, patch);
        if let Some(uid) = uid(&self.object) {
            let test = TestOperation { path: PointerBuf::from_tokens(["metadata", "uid"]), value: uid.clone() };
            guarded.insert(0, PatchOperation::Test(test));
        }
        Patch(guarded)
    }

    /// The annotations and the template, before and after.
    pub(super) fn sides(&self) -> (Value, Value) {
        let mut after = self.changes.apply(&self.object);
        if let Some(annotations) = after.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| !self.removed.contains(key));
        }
        (shown(&self.object), shown(&after))
    }

    /// What would bring back the annotations or the injected fields, one sentence each.
    pub(super) fn sources(&self) -> Vec<String> {
        let view = Object::new(&self.object);
        let labels = view.labels().unwrap_or_default();
        let label = |key: &str| labels.get(key).copied();
        let mut sources = Vec::new();
        let tracked = view.annotation("argocd.argoproj.io/tracking-id").and_then(|id| id.split(':').next());
        if let Some(app) = tracked.or(label("argocd.argoproj.io/instance")) {
            sources.push(format!("the Argo CD application {app}"));
        }
        if let Some(name) = label("kustomize.toolkit.fluxcd.io/name") {
            let namespace = label("kustomize.toolkit.fluxcd.io/namespace").unwrap_or_default();
            sources.push(format!("the Flux Kustomization {namespace}/{name}"));
        }
        if let Some(name) = label("helm.toolkit.fluxcd.io/name") {
            let namespace = label("helm.toolkit.fluxcd.io/namespace").unwrap_or_default();
            sources.push(format!("the Flux HelmRelease {namespace}/{name}"));
        } else if let Some(release) = view.annotation("meta.helm.sh/release-name") {
            sources.push(format!("the Helm release {release}"));
        }
        let applied = view.annotation("kubectl.kubernetes.io/last-applied-configuration");
        if applied.is_some_and(|applied| applied.contains(PREFIX)) {
            sources.push("`kubectl apply` of the manifest it was created from".to_owned());
        }
        if view.is_controlled() {
            sources.push("the object that controls it".to_owned());
        }
        sources
    }
}

/// As messages name a workload: `deployment/web in shop`.
pub(super) fn title(workload: &WorkloadName, namespace: &str) -> String {
    format!("{workload} in {namespace}")
}

fn uid(object: &Value) -> Option<&Value> {
    object.pointer("/metadata/uid")
}

/// Whether a workload has something that Winddown injected.
pub(super) fn is_injected(workload: &Value) -> bool {
    let view = Object::new(workload);
    let has_record = view.template().is_ok_and(|template| template.annotation(INJECTED).is_some());
    has_record || view.has_annotation(SETTLED) || view.has_annotation(BUDGET)
}

/// Name, annotations and template; the applied manifest is long, and does not change.
fn shown(object: &Value) -> Value {
    let mut annotations = object.pointer("/metadata/annotations").cloned().unwrap_or_default();
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    json!({
        "metadata": {"annotations": annotations},
        "spec": {"template": object.pointer("/spec/template")},
    })
}

#[cfg(test)]
pub(super) mod tests {
    use json_patch::patch;
    use winddown_core::evaluation::{Existing, Origin, evaluate};
    use winddown_core::policy::Policy;

    use super::*;

    pub(in super::super) fn injected() -> Value {
        let given = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "uid": "a-1", "generation": 3, "annotations": {
                "winddown.dev/drain": "5s", "winddown.dev/deadline": "25s", "team": "a"}},
            "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {
                "terminationGracePeriodSeconds": 30,
                "containers": [{"name": "app", "image": "app:1"}],
            }}},
        });
        evaluate(&given, Existing::None, &Policy::default(), Origin::ApiServer).unwrap().changes.apply(&given)
    }

    fn target(object: Value, with_annotations: bool) -> Target {
        Target::of(Kind::Deployment, object, with_annotations).unwrap().unwrap()
    }

    #[test]
    fn the_patch_leads_to_what_the_diff_shows() {
        for with_annotations in [false, true] {
            let target = target(injected(), with_annotations);
            assert!(target.rolls_out());
            assert_eq!(target.keeps_its_declaration(), !with_annotations);
            let mut restored = injected();
            patch(&mut restored, &target.patch()).unwrap();
            assert_eq!(shown(&restored), target.sides().1);
            assert!(!is_injected(&restored) && is_injected(&injected()));
            assert_eq!(target.removed_from(&restored).len(), if with_annotations { 2 } else { 0 });
            assert!(target.removed_from(&injected()).is_empty());
            let annotations = &restored["metadata"]["annotations"];
            assert_eq!(annotations.as_object().unwrap().len(), if with_annotations { 1 } else { 3 }, "{annotations}");
        }
    }

    #[test]
    fn a_workload_that_was_created_again_is_not_patched() {
        let target = target(injected(), true);
        let mut again = injected();
        again["metadata"]["uid"] = json!("b-2");
        assert!(patch(&mut again, &target.patch()).is_err());
        assert_eq!(target.state(&again), State::Replaced);
    }

    #[test]
    fn a_workload_that_changed_is_patched_as_it_is_now_if_the_difference_is_the_same() {
        let target = target(injected(), true);
        let mut scaled = injected();
        scaled["spec"]["replicas"] = json!(5);
        scaled["metadata"]["generation"] = json!(4);
        assert!(patch(&mut scaled.clone(), &target.patch()).is_err());
        let renewed = target.renewed(scaled.clone()).unwrap();
        patch(&mut scaled, &renewed.patch()).unwrap();
        assert_eq!((renewed.state(&scaled), &scaled["spec"]["replicas"]), (State::Restored, &json!(5)));

        for (pointer, value) in [
            ("/spec/template/spec/containers/0/image", json!("app:2")),
            ("/metadata/annotations/winddown.dev~1drain", json!("9s")),
            ("/metadata/uid", json!("b-2")),
        ] {
            let mut other = injected();
            *other.pointer_mut(pointer).unwrap() = value;
            assert!(target.renewed(other).is_none(), "{pointer}");
        }
        assert!(target.renewed(scaled).is_none(), "nothing is left to restore");
    }

    #[test]
    fn a_workload_is_restored_if_nothing_is_left_of_what_was_to_be_removed() {
        let (with, without) = (target(injected(), true), target(injected(), false));
        assert_eq!(with.state(&injected()), State::Unrestored);
        let mut fields_only = injected();
        patch(&mut fields_only, &without.patch()).unwrap();
        assert_eq!((without.state(&fields_only), with.state(&fields_only)), (State::Restored, State::Unrestored));
        let mut all = injected();
        patch(&mut all, &with.patch()).unwrap();
        assert_eq!(with.state(&all), State::Restored);
    }

    #[test]
    fn a_workload_without_anything_of_winddown_is_no_target() {
        let mut object = injected();
        patch(&mut object, &target(injected(), true).patch()).unwrap();
        assert!(Target::of(Kind::Deployment, object, true).unwrap().is_none());
    }

    #[test]
    fn what_would_write_the_annotations_again_is_named() {
        for (pointer, fields, source) in [
            (
                "annotations",
                json!({"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}),
                "the Argo CD application shop",
            ),
            ("labels", json!({"argocd.argoproj.io/instance": "shop"}), "the Argo CD application shop"),
            (
                "labels",
                json!({"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux"}),
                "the Flux Kustomization flux/apps",
            ),
            ("annotations", json!({"meta.helm.sh/release-name": "shop"}), "the Helm release shop"),
            (
                "annotations",
                json!({"kubectl.kubernetes.io/last-applied-configuration": "{\"winddown.dev/drain\":\"5s\"}"}),
                "`kubectl apply` of the manifest it was created from",
            ),
            ("ownerReferences", json!([{"controller": true}]), "the object that controls it"),
        ] {
            let mut object = injected();
            match (&mut object["metadata"][pointer], fields) {
                (Value::Object(existing), Value::Object(fields)) => existing.extend(fields),
                (existing, fields) => *existing = fields,
            }
            assert_eq!(target(object, true).sources(), [source]);
        }
        assert!(target(injected(), true).sources().is_empty());
    }
}
