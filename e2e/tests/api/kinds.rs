//! `StatefulSet`s and `DaemonSet`s are handled like Deployments; other kinds are ignored.

use anyhow::Result;
use serde_json::json;

use crate::manifest::{GRACE_PERIOD, KINDS, workload};
use crate::namespace::Namespace;
use crate::request::{apply, create, delete, merge};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    [
        tests![shared:
            injection_and_removal_work_for_every_kind,
            violations_are_denied_for_every_kind,
            an_existing_violation_of_any_kind_only_warns,
            events_are_published_for_every_kind,
            other_kinds_are_ignored,
        ],
        tests![exclusive:
            the_controller_updates_missed_workloads_of_every_kind,
            a_stateful_set_named_winddown_is_injected,
        ],
    ]
    .concat()
}

const BUDGET: &str = "drain 5s + deadline 25s + margin 5s = 35s of 35s";

// Parts of Winddown's messages.
const TOO_SMALL: &str = "= 35s, 5s more than the grace period of 30s";
const OVER_BUDGET: &str = "15s more than the grace period";
const SUGGESTION: &str = "did you mean winddown.dev/drain?";

async fn injection_and_removal_work_for_every_kind(namespace: Namespace) -> Result<()> {
    for kind in KINDS {
        let unannotated = namespace.accepts(workload(kind, "unannotated")).await?;
        let injected = namespace.accepts(workload(kind, "web").with_budget()).await?;
        let container = &injected["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(injected["metadata"]["annotations"]["winddown.dev/budget"], BUDGET, "{kind}");
        assert_eq!(injected.pointer(GRACE_PERIOD), Some(&json!(35)), "{kind}");
        assert_eq!(container["lifecycle"]["preStop"], json!({"sleep": {"seconds": 5}}), "{kind}");

        let path = namespace.workload_path(kind, "web");
        let removed = namespace.accepts(merge(&path, json!({"metadata": {"annotations": null}}))).await?;
        let mut expected = unannotated["spec"]["template"].clone();
        expected["metadata"]["labels"] = json!({"app": "web"});
        assert_eq!(removed["spec"]["template"], expected, "{kind}");
    }
    Ok(())
}

async fn violations_are_denied_for_every_kind(namespace: Namespace) -> Result<()> {
    for kind in KINDS {
        let status = namespace
            .rejects(apply(workload(kind, "web").with_budget().grace_period(30).as_ref()), &[TOO_SMALL])
            .await?;
        assert_eq!((&status["code"], &status["details"]["kind"]), (&json!(422), &json!(kind)));
        namespace.rejects(workload(kind, "web").annotated("drian", "5s"), &[SUGGESTION]).await?;
    }
    Ok(())
}

async fn an_existing_violation_of_any_kind_only_warns(namespace: Namespace) -> Result<()> {
    for kind in KINDS {
        let audited = workload(kind, "web").with_budget().grace_period(20).annotated("mode", "Audit");
        namespace.accepts(audited).await?;
        let path = namespace.workload_path(kind, "web");
        let mode = "winddown.dev/mode";
        let enforced = merge(&path, json!({"metadata": {"annotations": {mode: null}}}));
        namespace.accepts_with_warning(enforced, &[OVER_BUDGET]).await?;
        let mut pod = namespace.workload(kind, "web").await?["spec"]["template"]["spec"].clone();
        pod["containers"][0]["image"] = json!("app:2");
        let hotfix = merge(&path, json!({"spec": {"template": {"spec": pod}}}));
        let patched = namespace.accepts_with_warning(hotfix, &[OVER_BUDGET]).await?;
        assert_eq!(patched.pointer("/spec/template/spec/containers/0/image"), Some(&json!("app:2")));
    }
    Ok(())
}

async fn events_are_published_for_every_kind(namespace: Namespace) -> Result<()> {
    for kind in KINDS {
        let name = kind.to_lowercase();
        namespace.accepts(workload(kind, &name).with_budget()).await?;
        namespace.wait_for_event(&name, &format!("BudgetApplied: {BUDGET}")).await?;
        let events = namespace.list("events.k8s.io/v1", "events").await?;
        let about_it =
            events.iter().filter(|event| event["regarding"]["name"] == name && event["reason"] == "BudgetApplied");
        let regarding: Vec<_> = about_it.map(|event| &event["regarding"]).collect();
        assert_eq!((regarding.len(), &regarding[0]["kind"]), (1, &json!(kind)));
        assert_eq!(regarding[0]["apiVersion"], "apps/v1");
    }
    Ok(())
}

async fn other_kinds_are_ignored(namespace: Namespace) -> Result<()> {
    let annotations = json!({"winddown.dev/drain": "5s", "winddown.dev/drian": "invalid"});
    let template = workload("Deployment", "web").as_ref()["spec"]["template"].clone();
    let metadata = json!({"name": "web", "annotations": annotations});
    let selector = json!({"matchLabels": {"app": "web"}});
    let mut job_template = template.clone();
    job_template["spec"]["restartPolicy"] = json!("Never");
    let job = json!({"suspend": true, "template": job_template});
    for (api_version, kind, spec) in [
        ("apps/v1", "ReplicaSet", json!({"replicas": 0, "selector": selector, "template": template})),
        ("batch/v1", "Job", job.clone()),
        ("batch/v1", "CronJob", json!({"suspend": true, "schedule": "0 0 * * *", "jobTemplate": {"spec": job}})),
        ("v1", "Pod", template["spec"].clone()),
    ] {
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec});
        let response = namespace.send(create(&object)).await?;
        assert_eq!(response.warnings, Vec::<String>::new(), "{kind}");
        let created = response.into_object()?;
        assert!(!created.to_string().contains("preStop"), "{kind}: {created:#}");
        assert_eq!(created["metadata"]["annotations"], annotations, "{kind}");
    }
    // The control: a reviewed workload appears in the log.
    namespace.accepts(workload("DaemonSet", "reviewed").with_budget()).await?;
    let log = namespace.environment.log().await;
    let reviewed = |name: &str| log.contains(&format!("\"{}/{name}\"", namespace.name));
    assert_eq!((reviewed("reviewed"), reviewed("web")), (true, false));
    Ok(())
}

async fn the_controller_updates_missed_workloads_of_every_kind(namespace: Namespace) -> Result<()> {
    namespace.environment.stop_operator().await?;
    for kind in KINDS {
        namespace.accepts(apply(workload(kind, "web").with_budget().as_ref())).await?;
    }
    namespace.environment.start_operator().await?;
    for kind in KINDS {
        let updated = namespace.wait_for_grace_period(kind, "web", 35).await?;
        assert_eq!(updated["metadata"]["annotations"]["winddown.dev/budget"], BUDGET, "{kind}");
        let managed_fields = updated["metadata"]["managedFields"].to_string();
        assert!(!managed_fields.contains("\"winddown\""), "{kind}: {managed_fields}");
    }
    Ok(())
}

async fn a_stateful_set_named_winddown_is_injected(namespace: Namespace) -> Result<()> {
    let namespace_path = "/apis/apps/v1/namespaces/winddown";
    let stateful_set = workload("StatefulSet", "winddown").with_budget().with("/metadata/namespace", "winddown");
    let injected = namespace.accepts(&stateful_set).await?;
    namespace.accepts(delete(&format!("{namespace_path}/statefulsets/winddown"))).await?;
    assert_eq!(injected.pointer(GRACE_PERIOD), Some(&json!(35)));
    Ok(())
}
