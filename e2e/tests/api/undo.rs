//! The annotations go, or an older template comes back: what Winddown did goes with them.

use serde_json::{Value, json};

use crate::manifest::{GRACE_PERIOD, Manifest, deployment};
use crate::namespace::Namespace;
use crate::request::create;
use crate::suite::{Result, Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![together:
        annotations_taken_away_by_kubectl_apply_leave_the_template_as_it_was,
        annotations_taken_away_by_server_side_apply_leave_the_template_as_it_was,
        annotations_taken_away_by_kubectl_annotate_leave_the_template_as_it_was,
        a_rollback_to_before_the_annotations_comes_through,
        a_rollback_to_an_older_budget_comes_with_its_own_record,
        what_the_owner_changed_since_stays,
    ]
}

fn web() -> Manifest {
    deployment("web")
        .with("/spec/template/metadata/annotations/team", "shop")
        .with("/spec/template/spec/containers/0/lifecycle", json!({"postStart": {"exec": {"command": ["true"]}}}))
}

fn annotated() -> Manifest {
    web().budgeted().annotated("readiness", "http:http/health")
}

/// Field for field like a twin that never had annotations; nothing of ours on the Deployment, either.
async fn assert_is_bare(namespace: &Namespace) -> Result {
    let twin = namespace.accepts(create(web().as_ref()).dry_run_as("twin")).await?;
    let web = namespace.deployment("web").await?;
    assert_eq!(web["spec"]["template"], twin["spec"]["template"]);
    assert!(!web["metadata"]["annotations"].to_string().contains("winddown.dev/"), "{}", web["metadata"]);
    Ok(())
}

async fn annotations_taken_away_by_kubectl_apply_leave_the_template_as_it_was(namespace: Namespace) -> Result {
    namespace.kubectl("apply -f -", Some(&annotated())).await?;
    assert_eq!(namespace.deployment("web").await?.pointer(GRACE_PERIOD), Some(&json!(35)));
    namespace.kubectl("apply -f -", Some(&web())).await?;
    assert_is_bare(&namespace).await
}

async fn annotations_taken_away_by_server_side_apply_leave_the_template_as_it_was(namespace: Namespace) -> Result {
    namespace.kubectl("apply --server-side -f -", Some(&annotated())).await?;
    assert_eq!(namespace.deployment("web").await?.pointer(GRACE_PERIOD), Some(&json!(35)));
    namespace.kubectl("apply --server-side -f -", Some(&web())).await?;
    assert_is_bare(&namespace).await
}

async fn annotations_taken_away_by_kubectl_annotate_leave_the_template_as_it_was(namespace: Namespace) -> Result {
    namespace.accepts(annotated()).await?;
    let keys = "winddown.dev/drain- winddown.dev/deadline- winddown.dev/readiness-";
    namespace.kubectl(&format!("annotate deployment web {keys}"), None).await?;
    assert_is_bare(&namespace).await
}

async fn a_rollback_to_before_the_annotations_comes_through(namespace: Namespace) -> Result {
    namespace.accepts(web()).await?;
    let bare = namespace.deployment("web").await?["spec"]["template"].clone();
    assert_eq!(namespace.revisions("web").await?.len(), 1);
    let annotations = json!({"metadata": {"annotations": {"winddown.dev/drain": "5s"}}});
    let injected = namespace.accepts(namespace.merge("web", annotations)).await?["spec"]["template"].clone();
    assert_ne!(injected, bare);
    assert_eq!(namespace.revisions("web").await?.len(), 2);

    // kubectl brings back the annotations of that time, too.
    namespace.kubectl("rollout undo deployment web", None).await?;
    assert_is_bare(&namespace).await
}

async fn a_rollback_to_an_older_budget_comes_with_its_own_record(namespace: Namespace) -> Result {
    namespace.accepts(web().annotated("drain", "5s")).await?;
    let old = namespace.deployment("web").await?;
    namespace.revisions("web").await?;
    // A new version asks for more, and then turns out to be a bad one.
    let more = json!({
        "metadata": {"annotations": {"winddown.dev/drain": "20s"}},
        "spec": {"template": {"spec": {"containers": [{
            "name": "app", "image": "registry.example/app:2", "lifecycle": {"postStart": {"exec": {"command": ["true"]}}},
        }]}}},
    });
    let new = namespace.accepts(namespace.merge("web", more)).await?;
    assert_eq!(new.pointer(GRACE_PERIOD), Some(&json!(50)));
    namespace.revisions("web").await?;

    namespace.kubectl("rollout undo deployment web", None).await?;
    let back = namespace.deployment("web").await?;
    assert_eq!(back["spec"]["template"], old["spec"]["template"]);
    assert_eq!(
        back["metadata"]["annotations"]["winddown.dev/budget"],
        old["metadata"]["annotations"]["winddown.dev/budget"]
    );
    Ok(())
}

async fn what_the_owner_changed_since_stays(namespace: Namespace) -> Result {
    namespace.accepts(annotated()).await?;
    let hook = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/lifecycle/preStop/sleep/seconds", "value": 8}]);
    namespace
        .kubectl(&format!("patch deployment web --type=json --patch={}", hook.to_string().replace(' ', "")), None)
        .await?;
    let changed = namespace.deployment("web").await?;
    let budget = &changed["metadata"]["annotations"]["winddown.dev/budget"];
    assert_eq!(budget, "drain 8s (preStop of app) + deadline 25s + margin 5s = 38s of 38s");
    let keys = "winddown.dev/drain- winddown.dev/deadline- winddown.dev/readiness-";
    namespace.kubectl(&format!("annotate deployment web {keys}"), None).await?;
    let ended: Value = namespace.deployment("web").await?;
    let container = &ended["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["lifecycle"]["preStop"], json!({"sleep": {"seconds": 8}}));
    assert!(container["readinessProbe"].is_null());
    assert_eq!(ended.pointer(GRACE_PERIOD), Some(&json!(30)));
    Ok(())
}
