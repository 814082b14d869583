//! `StatefulSet`s and `DaemonSet`s, by the same plan as Deployments; everything else is left alone.

use serde_json::{Value, json};

use crate::manifest::{GRACE_PERIOD, KINDS, workload};
use crate::namespace::Namespace;
use crate::request::{apply, create, delete, merge};
use crate::suite::{Result, Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    [
        tests![together:
            every_kind_is_injected_and_undone,
            every_kind_is_denied_what_does_not_fit,
            an_old_misfit_of_any_kind_does_not_block_a_hotfix,
            every_kind_is_told_of_in_events,
            other_kinds_are_left_alone,
        ],
        tests![alone:
            every_kind_that_was_missed_is_brought_to_plan,
            a_namesake_of_winddown_that_is_no_deployment_is_planned,
        ],
    ]
    .concat()
}

const BUDGET: &str = "drain 5s + deadline 25s + margin 5s = 35s of 35s";

impl Namespace {
    /// Waits until a workload carries this grace period.
    async fn has_grace_period(&self, kind: &str, name: &str, grace_period: i64) -> Result<Value> {
        until(&format!("{kind} {name} had a grace period of {grace_period} s"), async || {
            let workload = self.workload(kind, name).await?;
            Ok((workload.pointer(GRACE_PERIOD) == Some(&json!(grace_period))).then_some(workload))
        })
        .await
    }
}

async fn every_kind_is_injected_and_undone(namespace: Namespace) -> Result {
    for kind in KINDS {
        let bare = namespace.accepts(workload(kind, "bare")).await?;
        let injected = namespace.accepts(workload(kind, "web").budgeted()).await?;
        let container = &injected["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(injected["metadata"]["annotations"]["winddown.dev/budget"], BUDGET, "{kind}");
        assert_eq!(injected.pointer(GRACE_PERIOD), Some(&json!(35)), "{kind}");
        assert_eq!(container["lifecycle"]["preStop"], json!({"sleep": {"seconds": 5}}), "{kind}");

        let path = namespace.workload_path(kind, "web");
        let undone = namespace.accepts(merge(&path, json!({"metadata": {"annotations": null}}))).await?;
        let mut expected = bare["spec"]["template"].clone();
        expected["metadata"]["labels"] = json!({"app": "web"});
        assert_eq!(undone["spec"]["template"], expected, "{kind}");
    }
    Ok(())
}

async fn every_kind_is_denied_what_does_not_fit(namespace: Namespace) -> Result {
    for kind in KINDS {
        let said = ["= 35s, 5s more than the grace period of 30s"];
        let status =
            namespace.rejects(apply(workload(kind, "web").budgeted().grace_period(30).as_ref()), &said).await?;
        assert_eq!((&status["code"], &status["details"]["kind"]), (&json!(422), &json!(kind)));
        namespace
            .rejects(workload(kind, "web").annotated("drian", "5s"), &["did you mean winddown.dev/drain?"])
            .await?;
    }
    Ok(())
}

async fn an_old_misfit_of_any_kind_does_not_block_a_hotfix(namespace: Namespace) -> Result {
    for kind in KINDS {
        let audited = workload(kind, "web").budgeted().grace_period(20).annotated("mode", "Audit");
        namespace.accepts(audited).await?;
        let path = namespace.workload_path(kind, "web");
        let mode = "winddown.dev/mode";
        let enforced = merge(&path, json!({"metadata": {"annotations": {mode: null}}}));
        namespace.accepts_with_warning(enforced, &["15s more than the grace period"]).await?;
        let mut pod = namespace.workload(kind, "web").await?["spec"]["template"]["spec"].clone();
        pod["containers"][0]["image"] = json!("app:2");
        let hotfix = merge(&path, json!({"spec": {"template": {"spec": pod}}}));
        let patched = namespace.accepts_with_warning(hotfix, &["15s more"]).await?;
        assert_eq!(patched.pointer("/spec/template/spec/containers/0/image"), Some(&json!("app:2")));
    }
    Ok(())
}

async fn every_kind_is_told_of_in_events(namespace: Namespace) -> Result {
    for kind in KINDS {
        let name = kind.to_lowercase();
        namespace.accepts(workload(kind, &name).budgeted()).await?;
        namespace.is_told(&name, &format!("BudgetApplied: {BUDGET}")).await?;
        let events = namespace.list("events.k8s.io/v1", "events").await?;
        let of_it =
            events.iter().filter(|event| event["regarding"]["name"] == name && event["reason"] == "BudgetApplied");
        let regarding: Vec<_> = of_it.map(|event| &event["regarding"]).collect();
        assert_eq!((regarding.len(), &regarding[0]["kind"]), (1, &json!(kind)));
        assert_eq!(regarding[0]["apiVersion"], "apps/v1");
    }
    Ok(())
}

async fn other_kinds_are_left_alone(namespace: Namespace) -> Result {
    let annotations = json!({"winddown.dev/drain": "5s", "winddown.dev/drian": "nonsense"});
    let template = workload("Deployment", "web").as_ref()["spec"]["template"].clone();
    let metadata = json!({"name": "web", "annotations": annotations});
    let selector = json!({"matchLabels": {"app": "web"}});
    let mut of_a_job = template.clone();
    of_a_job["spec"]["restartPolicy"] = json!("Never");
    let job = json!({"suspend": true, "template": of_a_job});
    for (api_version, kind, spec) in [
        ("apps/v1", "ReplicaSet", json!({"replicas": 0, "selector": selector, "template": template})),
        ("batch/v1", "Job", job.clone()),
        ("batch/v1", "CronJob", json!({"suspend": true, "schedule": "0 0 * * *", "jobTemplate": {"spec": job}})),
        ("v1", "Pod", template["spec"].clone()),
    ] {
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec});
        let answer = namespace.answers(create(&object)).await?;
        assert_eq!(answer.warnings, Vec::<String>::new(), "{kind}");
        let made = answer.accepted()?;
        assert!(!made.to_string().contains("preStop"), "{kind}: {made:#}");
        assert_eq!(made["metadata"]["annotations"], annotations, "{kind}");
    }
    Ok(())
}

async fn every_kind_that_was_missed_is_brought_to_plan(namespace: Namespace) -> Result {
    namespace.world.stop_operator().await?;
    for kind in KINDS {
        namespace.accepts(apply(workload(kind, "web").budgeted().as_ref())).await?;
    }
    namespace.world.start_operator().await?;
    for kind in KINDS {
        let planned = namespace.has_grace_period(kind, "web", 35).await?;
        assert_eq!(planned["metadata"]["annotations"]["winddown.dev/budget"], BUDGET, "{kind}");
        let owners = planned["metadata"]["managedFields"].to_string();
        assert!(!owners.contains("\"winddown\""), "{kind}: {owners}");
    }
    Ok(())
}

async fn a_namesake_of_winddown_that_is_no_deployment_is_planned(namespace: Namespace) -> Result {
    let home = "/apis/apps/v1/namespaces/winddown";
    let namesake = workload("StatefulSet", "winddown").budgeted().with("/metadata/namespace", "winddown");
    let injected = namespace.accepts(&namesake).await?;
    namespace.accepts(delete(&format!("{home}/statefulsets/winddown"))).await?;
    assert_eq!(injected.pointer(GRACE_PERIOD), Some(&json!(35)));
    Ok(())
}
