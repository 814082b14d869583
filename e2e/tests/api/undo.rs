//! Removing the annotations, or rolling back to an older template, removes what Winddown injected.

use anyhow::Result;
use serde_json::{Value, json};

use crate::manifest::{GRACE_PERIOD, Manifest, deployment};
use crate::namespace::Namespace;
use crate::request::create;
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        removing_annotations_with_kubectl_apply_removes_the_injection,
        removing_annotations_with_server_side_apply_removes_the_injection,
        removing_annotations_with_kubectl_annotate_removes_the_injection,
        a_rollback_to_before_the_annotations_removes_the_injection,
        a_rollback_restores_the_older_budget_and_record,
        changes_by_the_owner_are_kept,
    ]
}

fn web() -> Manifest {
    deployment("web")
        .with("/spec/template/metadata/annotations/team", "shop")
        .with("/spec/template/spec/containers/0/lifecycle", json!({"postStart": {"exec": {"command": ["true"]}}}))
}

fn annotated() -> Manifest {
    web().with_budget().annotated("readiness", "http:http/health")
}

/// Checks that the template equals that of a Deployment without annotations, and that no annotation of Winddown remains.
async fn assert_no_injection(namespace: &Namespace) -> Result<()> {
    let expected = namespace.accepts(create(web().as_ref()).dry_run_as("expected")).await?;
    let web = namespace.deployment("web").await?;
    assert_eq!(web["spec"]["template"], expected["spec"]["template"]);
    assert!(!web["metadata"]["annotations"].to_string().contains("winddown.dev/"), "{}", web["metadata"]);
    Ok(())
}

async fn removing_annotations_with_kubectl_apply_removes_the_injection(namespace: Namespace) -> Result<()> {
    namespace.kubectl("apply -f -", Some(&annotated())).await?;
    assert_eq!(namespace.deployment("web").await?.pointer(GRACE_PERIOD), Some(&json!(35)));
    namespace.kubectl("apply -f -", Some(&web())).await?;
    assert_no_injection(&namespace).await
}

async fn removing_annotations_with_server_side_apply_removes_the_injection(namespace: Namespace) -> Result<()> {
    namespace.kubectl("apply --server-side -f -", Some(&annotated())).await?;
    assert_eq!(namespace.deployment("web").await?.pointer(GRACE_PERIOD), Some(&json!(35)));
    namespace.kubectl("apply --server-side -f -", Some(&web())).await?;
    assert_no_injection(&namespace).await
}

async fn removing_annotations_with_kubectl_annotate_removes_the_injection(namespace: Namespace) -> Result<()> {
    namespace.accepts(annotated()).await?;
    namespace.undeclare("web").await?;
    assert_no_injection(&namespace).await
}

async fn a_rollback_to_before_the_annotations_removes_the_injection(namespace: Namespace) -> Result<()> {
    namespace.accepts(web()).await?;
    let unannotated = namespace.deployment("web").await?["spec"]["template"].clone();
    assert_eq!(namespace.revisions("web").await?.len(), 1);
    let annotate = namespace.annotate("web", json!({"winddown.dev/drain": "5s"}));
    let injected = namespace.accepts(annotate).await?["spec"]["template"].clone();
    assert_ne!(injected, unannotated);
    assert_eq!(namespace.revisions("web").await?.len(), 2);

    // kubectl also restores the annotations of that revision.
    namespace.kubectl("rollout undo deployment web", None).await?;
    assert_no_injection(&namespace).await
}

async fn a_rollback_restores_the_older_budget_and_record(namespace: Namespace) -> Result<()> {
    namespace.accepts(web().annotated("drain", "5s")).await?;
    let old = namespace.deployment("web").await?;
    namespace.revisions("web").await?;
    // The next revision has a larger budget; it is rolled back.
    let changes = json!({
        "metadata": {"annotations": {"winddown.dev/drain": "20s"}},
        "spec": {"template": {"spec": {"containers": [{
            "name": "app", "image": "registry.example/app:2", "lifecycle": {"postStart": {"exec": {"command": ["true"]}}},
        }]}}},
    });
    let new = namespace.accepts(namespace.merge("web", changes)).await?;
    assert_eq!(new.pointer(GRACE_PERIOD), Some(&json!(50)));
    namespace.revisions("web").await?;

    namespace.kubectl("rollout undo deployment web", None).await?;
    let restored = namespace.deployment("web").await?;
    assert_eq!(restored["spec"]["template"], old["spec"]["template"]);
    assert_eq!(
        restored["metadata"]["annotations"]["winddown.dev/budget"],
        old["metadata"]["annotations"]["winddown.dev/budget"]
    );
    Ok(())
}

async fn changes_by_the_owner_are_kept(namespace: Namespace) -> Result<()> {
    namespace.accepts(annotated()).await?;
    let hook = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/lifecycle/preStop/sleep/seconds", "value": 8}]);
    namespace
        .kubectl(&format!("patch deployment web --type=json --patch={}", hook.to_string().replace(' ', "")), None)
        .await?;
    let changed = namespace.deployment("web").await?;
    let budget = &changed["metadata"]["annotations"]["winddown.dev/budget"];
    assert_eq!(budget, "drain 8s (preStop of app) + deadline 25s + margin 5s = 38s of 38s");
    namespace.undeclare("web").await?;
    let removed: Value = namespace.deployment("web").await?;
    let container = &removed["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["lifecycle"]["preStop"], json!({"sleep": {"seconds": 8}}));
    assert!(container["readinessProbe"].is_null());
    assert_eq!(removed.pointer(GRACE_PERIOD), Some(&json!(30)));
    Ok(())
}
