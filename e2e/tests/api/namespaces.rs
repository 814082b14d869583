//! Namespaces that opt in whole, by the label `winddown.dev/inject`.

use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::manifest::{GRACE_PERIOD, deployment, workload};
use crate::namespace::Namespace;
use crate::request::{Request, create, delete, json_patch, merge, replace, send};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        a_labelled_namespace_injects_into_a_workload_without_annotations,
        a_workload_that_exists_follows_at_the_next_change_of_its_template,
        without_the_label_the_injection_is_undone_at_the_next_change_of_the_template,
        one_workload_of_a_labelled_namespace_opts_out,
        a_namespace_and_its_workload_can_be_created_in_one_go,
        a_workload_is_reviewed_once,
    ]
}

fn budget(workload: &Value) -> Option<&str> {
    workload["metadata"]["annotations"]["winddown.dev/budget"].as_str()
}

fn is_injected(workload: &Value) -> bool {
    workload.pointer(GRACE_PERIOD) == Some(&json!(35))
        && budget(workload).is_some_and(|budget| budget.ends_with(" = 35s of 35s"))
}

impl Namespace {
    /// Sets or removes the label, and waits until the API server and the operator know it.
    pub(crate) async fn opt_in(&self, enabled: bool) -> Result<()> {
        let label = if enabled { json!("enabled") } else { Value::Null };
        let path = format!("/api/v1/namespaces/{}", self.name);
        self.accepts(merge(&path, json!({"metadata": {"labels": {"winddown.dev/inject": label}}}))).await?;
        // The annotation alone does not opt in, so the operator's own knowledge of the namespace decides.
        let probe = || deployment("probe").annotated("margin", "5s");
        let condition = if enabled { "the namespace to opt in" } else { "the namespace not to opt in any more" };
        until(condition, async || {
            let plain = self.accepts(create(deployment("probe").as_ref()).dry_run()).await?;
            let annotated = self.accepts(create(probe().as_ref()).dry_run()).await?;
            let same = [plain, annotated].iter().all(|workload| is_injected(workload) == enabled);
            Ok(same.then_some(()))
        })
        .await
    }

    fn set_image(&self, name: &str, image: &str) -> Request {
        let image = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]);
        json_patch(&self.deployment_path(name), image)
    }
}

async fn a_labelled_namespace_injects_into_a_workload_without_annotations(namespace: Namespace) -> Result<()> {
    namespace.opt_in(true).await?;
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let created = namespace.accepts(workload(kind, "web")).await?;
        assert!(is_injected(&created), "{kind} {created:#}");
        let sleep = created.pointer("/spec/template/spec/containers/0/lifecycle/preStop/sleep/seconds");
        assert_eq!(sleep, Some(&json!(5)), "{kind}");
    }
    Ok(())
}

async fn a_workload_that_exists_follows_at_the_next_change_of_its_template(namespace: Namespace) -> Result<()> {
    let created = namespace.accepts(deployment("web")).await?;
    namespace.opt_in(true).await?;
    let labelled = namespace.accepts(namespace.merge("web", json!({"metadata": {"labels": {"team": "shop"}}}))).await?;
    assert_eq!(labelled["spec"], created["spec"]);
    // The controller has looked at both when it has updated the second one.
    namespace.accepts(deployment("other").with_budget()).await?;
    namespace.wait_for_event("other", "BudgetApplied: ").await?;
    assert_eq!(namespace.deployment("web").await?["spec"], created["spec"]);
    assert!(is_injected(&namespace.accepts(namespace.set_image("web", "registry.example/app:2")).await?));
    Ok(())
}

async fn without_the_label_the_injection_is_undone_at_the_next_change_of_the_template(
    namespace: Namespace,
) -> Result<()> {
    let bare = namespace.accepts(create(deployment("web").as_ref()).dry_run()).await?;
    namespace.opt_in(true).await?;
    let injected = namespace.accepts(deployment("web")).await?;
    assert!(is_injected(&injected));
    namespace.opt_in(false).await?;
    let labelled = namespace.accepts(namespace.merge("web", json!({"metadata": {"labels": {"team": "shop"}}}))).await?;
    namespace.accepts(deployment("other").with_budget()).await?;
    namespace.wait_for_event("other", "BudgetApplied: ").await?;
    for workload in [labelled, namespace.deployment("web").await?] {
        assert_eq!(workload["spec"], injected["spec"]);
        assert_eq!(workload["metadata"]["generation"], injected["metadata"]["generation"]);
    }
    let mut undone = namespace.accepts(namespace.set_image("web", "registry.example/app:2")).await?;
    assert_eq!(budget(&undone), None);
    undone["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example/app:1");
    assert_eq!(undone["spec"], bare["spec"]);
    Ok(())
}

async fn one_workload_of_a_labelled_namespace_opts_out(namespace: Namespace) -> Result<()> {
    let bare = namespace.accepts(create(deployment("web").as_ref()).dry_run()).await?;
    namespace.opt_in(true).await?;
    let off = namespace.accepts(deployment("off").annotated("mode", "Off")).await?;
    assert_eq!(off["spec"]["template"]["spec"], bare["spec"]["template"]["spec"]);
    assert!(is_injected(&namespace.accepts(deployment("web")).await?));
    let off = namespace.accepts(namespace.annotate("web", json!({"winddown.dev/mode": "Off"}))).await?;
    assert_eq!((budget(&off), &off["spec"]), (None, &bare["spec"]));
    Ok(())
}

async fn a_namespace_and_its_workload_can_be_created_in_one_go(namespace: Namespace) -> Result<()> {
    let environment: Arc<Environment> = namespace.environment.clone();
    for number in 0..10 {
        let name = format!("{}-{number}", namespace.name.chars().take(50).collect::<String>());
        let labels = json!({"winddown.dev/inject": "enabled"});
        let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        send(&environment.client(), &create(&manifest)).await?.into_object()?;
        let new = Namespace { environment: environment.clone(), name };
        // The second one comes through the webhook that does not select by labels.
        let response = new.send(deployment("web")).await?;
        let annotated = new.send(deployment("annotated").annotated("margin", "5s")).await?;
        for response in [response, annotated] {
            assert_eq!(response.warnings, Vec::<String>::new());
            let created = response.into_object()?;
            assert!(is_injected(&created), "{number} {created:#}");
        }
        new.delete_workloads().await?;
        new.accepts(delete(&format!("/api/v1/namespaces/{}", new.name))).await?;
    }
    Ok(())
}

/// How often the log of the first replica has a review of this object.
async fn reviews(namespace: &Namespace, object: &str) -> [usize; 2] {
    let (log, object) = (namespace.environment.log().await, format!("\"{}/{object}\"", namespace.name));
    ["mutate", "validate"].map(|webhook| {
        let webhook = format!("\"webhook\":\"{webhook}\"");
        log.lines().filter(|line| line.contains(&webhook) && line.contains(&object)).count()
    })
}

async fn a_workload_is_reviewed_once(namespace: Namespace) -> Result<()> {
    namespace.opt_in(true).await?;
    let mut expected = 0;
    let mut step = async |request: Request, is_reviewed: bool| {
        let stored = namespace.accepts(request).await?;
        expected += usize::from(is_reviewed);
        assert_eq!(reviews(&namespace, "web").await, [expected; 2], "{stored:#}");
        anyhow::Ok(stored)
    };
    let created = step(deployment("web").into(), true).await?;
    step(namespace.set_image("web", "registry.example/app:2"), true).await?;
    let plain = deployment("web").image("registry.example/app:3");
    step(replace(plain.as_ref()), true).await?;
    assert!(is_injected(&created));
    // A workload that is not injected is reviewed only when its template changes.
    step(namespace.annotate("web", json!({"winddown.dev/mode": "Off"})), true).await?;
    step(namespace.annotate("web", json!({"winddown.dev/mode": null})), true).await?;
    Ok(())
}
