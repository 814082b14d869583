//! `ShutdownPolicy`: which one counts, from when on, and what the operator reports about it.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::manifest::{GRACE_PERIOD, Manifest, deployment};
use crate::namespace::Namespace;
use crate::request::{Request, create, delete, get, json_patch, merge};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    let shared = tests![shared:
        the_defaults_of_a_policy_reach_a_workload_created_after_it,
        a_change_of_a_policy_counts_from_the_next_change_of_a_template,
        a_misfit_that_fits_under_another_policy_waits_for_the_next_change_of_its_template,
        workloads_of_a_labelled_namespace_wait_for_the_next_change_of_their_template,
        the_highest_priority_counts_then_the_oldest,
        a_limit_denies_warns_or_is_audited,
    ];
    let exclusive = tests![exclusive:
        policies_count_when_their_crd_is_installed,
        a_policy_that_cannot_be_read_does_not_count_and_the_others_do,
    ];
    [shared, exclusive].concat()
}

const CRD: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/shutdownpolicies.winddown.dev";

fn path(name: &str) -> String {
    format!("/apis/winddown.dev/v1alpha1/shutdownpolicies/{name}")
}

/// The condition of a policy as `Type=Status/Reason: message`.
fn condition(policy: &Value, name: &str) -> Option<String> {
    let conditions = policy["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == name)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default();
    Some(format!("{name}={}/{}: {}", text("status"), text("reason"), text("message")))
}

impl Namespace {
    /// A policy for this namespace alone, with a name that begins with that of the namespace.
    fn policy(&self, name: &str, mut spec: Value) -> Value {
        let name = format!("{}-{name}", self.name);
        spec["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": self.name}});
        if spec["validationActions"].is_null() {
            spec["validationActions"] = json!(["Deny"]);
        }
        json!({"apiVersion": "winddown.dev/v1alpha1", "kind": "ShutdownPolicy", "metadata": {"name": name}, "spec": spec})
    }

    async fn create_policy(&self, name: &str, spec: Value) -> Result<String> {
        let created = self.accepts(create(&self.policy(name, spec))).await?;
        Ok(created["metadata"]["name"].as_str().context("no name")?.to_owned())
    }

    async fn change_policy(&self, name: &str, spec: Value) -> Result<()> {
        self.accepts(merge(&path(name), json!({"spec": spec}))).await.map(drop)
    }

    /// Waits until a workload that is created now would have this budget.
    async fn wait_for_budget(&self, manifest: &Manifest, budget: &str) -> Result<()> {
        until(&format!("a new workload to have the budget {budget:?}"), async || {
            let created = self.accepts(create(manifest.as_ref()).dry_run_as("probe")).await?;
            let found = created["metadata"]["annotations"]["winddown.dev/budget"].as_str();
            Ok(found.is_some_and(|found| found.contains(budget)).then_some(()))
        })
        .await
    }

    /// Waits until this is so for the stored policy.
    async fn wait_for_policy(&self, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        until(&format!("policy {name} {what}"), async || {
            let policy = self.accepts(get(&path(name))).await?;
            Ok(is_so(&policy).then_some(policy))
        })
        .await
    }

    fn set_image_of_web(&self) -> Request {
        let operations =
            json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "r/app:2"}]);
        json_patch(&self.deployment_path("web"), operations)
    }
}

fn declared() -> Manifest {
    deployment("web").annotated("drain", "6s")
}

async fn the_defaults_of_a_policy_reach_a_workload_created_after_it(namespace: Namespace) -> Result<()> {
    let policy = namespace.create_policy("gold", json!({"defaults": {"deadline": "30s", "margin": "3s"}})).await?;
    namespace.wait_for_budget(&declared(), "deadline 30s").await?;
    let created = namespace.accepts(declared()).await?;
    assert_eq!(created.pointer(GRACE_PERIOD), Some(&json!(39)));
    let stored = namespace.wait_for_status("web", |status| status["policy"] == policy).await?;
    let phases = &stored["status"]["phases"];
    assert_eq!(
        (&phases["deadlineFrom"], &phases["marginFrom"]),
        (&json!(format!("policy {policy}")), &json!(format!("policy {policy}")))
    );
    let counted = |policy: &Value| policy["status"]["workloads"] == 1 && policy["status"]["waiting"] == 0;
    let policy = namespace.wait_for_policy(&policy, "to count one workload", counted).await?;
    assert_eq!(policy["status"]["namespaces"], 1);
    assert_eq!(policy["status"]["observedGeneration"], policy["metadata"]["generation"]);
    assert_eq!(condition(&policy, "Accepted").as_deref(), Some("Accepted=True/Valid: the policy can be used"));
    assert!(condition(&policy, "Effective").is_some_and(|effective| effective.starts_with("Effective=True/Counts")));
    Ok(())
}

async fn a_change_of_a_policy_counts_from_the_next_change_of_a_template(namespace: Namespace) -> Result<()> {
    let policy = namespace.create_policy("gold", json!({"defaults": {"deadline": "30s"}})).await?;
    namespace.wait_for_budget(&declared(), "deadline 30s").await?;
    let created = namespace.accepts(declared()).await?;
    namespace.change_policy(&policy, json!({"defaults": {"deadline": "50s"}})).await?;
    namespace.wait_for_budget(&declared(), "deadline 50s").await?;
    let waiting = |number: i32| move |policy: &Value| policy["status"]["waiting"] == number;
    namespace.wait_for_policy(&policy, "to count a workload that waits", waiting(1)).await?;
    let labelled = namespace.merge("web", json!({"metadata": {"labels": {"team": "shop"}}}));
    for workload in [namespace.accepts(labelled).await?, namespace.deployment("web").await?] {
        assert_eq!(workload["spec"], created["spec"]);
    }
    let changed = namespace.accepts(namespace.set_image_of_web()).await?;
    assert_eq!(changed.pointer(GRACE_PERIOD), Some(&json!(61)));
    namespace.wait_for_policy(&policy, "to count no workload that waits", waiting(0)).await?;
    // Without the policy, the built-in numbers count, again from the next change on.
    namespace.accepts(delete(&path(&policy))).await?;
    namespace.wait_for_budget(&declared(), "deadline 25s").await?;
    assert_eq!(namespace.deployment("web").await?["spec"], changed["spec"]);
    Ok(())
}

async fn a_misfit_that_fits_under_another_policy_waits_for_the_next_change_of_its_template(
    namespace: Namespace,
) -> Result<()> {
    let spec = json!({"limits": {"gracePeriod": "40s"}, "validationActions": ["Audit"], "defaults": {"margin": "4s"}});
    let policy = namespace.create_policy("gold", spec).await?;
    namespace.wait_for_budget(&declared(), "margin 4s").await?;
    let long = || declared().annotated("deadline", "50s");
    let created = namespace.accepts(long()).await?;
    assert_eq!(created.pointer(GRACE_PERIOD), Some(&json!(30)), "nothing is injected");
    let waiting = |number: i32| move |policy: &Value| policy["status"]["waiting"] == number;
    let counted = |policy: &Value| policy["status"]["workloads"] == 1 && policy["status"]["waiting"] == 0;
    namespace.wait_for_policy(&policy, "to count a workload that does not wait", counted).await?;
    namespace.change_policy(&policy, json!({"limits": {"gracePeriod": "10m"}})).await?;
    namespace.wait_for_budget(&long(), "= 60s of 60s").await?;
    namespace.wait_for_policy(&policy, "to count a workload that waits", waiting(1)).await?;
    let labelled = namespace.merge("web", json!({"metadata": {"labels": {"team": "shop"}}}));
    for workload in [namespace.accepts(labelled).await?, namespace.deployment("web").await?] {
        assert_eq!(workload["spec"], created["spec"]);
        assert_eq!(workload["metadata"]["generation"], 1);
    }
    let changed = namespace.accepts(namespace.set_image_of_web()).await?;
    assert_eq!(changed.pointer(GRACE_PERIOD), Some(&json!(60)));
    namespace.wait_for_policy(&policy, "to count no workload that waits", waiting(0)).await.map(drop)
}

async fn workloads_of_a_labelled_namespace_wait_for_the_next_change_of_their_template(
    namespace: Namespace,
) -> Result<()> {
    let policy = namespace.create_policy("gold", json!({})).await?;
    let created = namespace.accepts(deployment("web")).await?;
    let counts = |workloads: i32, waiting: i32| {
        move |policy: &Value| policy["status"]["workloads"] == workloads && policy["status"]["waiting"] == waiting
    };
    namespace.wait_for_policy(&policy, "to count no workload", counts(0, 0)).await?;
    namespace.opt_in(true).await?;
    namespace.wait_for_policy(&policy, "to count a workload that waits", counts(1, 1)).await?;
    assert_eq!(namespace.deployment("web").await?["spec"], created["spec"]);
    let injected = namespace.accepts(namespace.set_image_of_web()).await?;
    assert_eq!(injected.pointer(GRACE_PERIOD), Some(&json!(35)));
    namespace.wait_for_policy(&policy, "to count a workload that does not wait", counts(1, 0)).await?;
    namespace.opt_in(false).await?;
    namespace.wait_for_policy(&policy, "to count a workload whose injection ends", counts(1, 1)).await?;
    namespace.accepts(namespace.merge("web", json!({"spec": {"template": created["spec"]["template"]}}))).await?;
    namespace.wait_for_policy(&policy, "to count no workload any more", counts(0, 0)).await.map(drop)
}

async fn the_highest_priority_counts_then_the_oldest(namespace: Namespace) -> Result<()> {
    let deadline = |seconds: u32| json!({"defaults": {"deadline": format!("{seconds}s")}});
    let older = namespace.create_policy("z-older", deadline(31)).await?;
    // `creationTimestamp` has a resolution of one second.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let newer = namespace.create_policy("a-newer", deadline(32)).await?;
    let overridden = |by: String| {
        move |policy: &Value| {
            condition(policy, "Effective") == Some(format!("Effective=False/Overridden: Overridden by {by}"))
        }
    };
    namespace.wait_for_policy(&newer, "to be overridden", overridden(older.clone())).await?;
    namespace.wait_for_budget(&declared(), "deadline 31s").await?;
    namespace.change_policy(&newer, json!({"priority": 1})).await?;
    namespace.wait_for_budget(&declared(), "deadline 32s").await?;
    namespace.wait_for_policy(&older, "to be overridden", overridden(newer.clone())).await?;
    namespace.accepts(delete(&path(&newer))).await?;
    namespace.wait_for_budget(&declared(), "deadline 31s").await
}

async fn a_limit_denies_warns_or_is_audited(namespace: Namespace) -> Result<()> {
    let spec = json!({"limits": {"gracePeriod": "40s"}, "validationActions": ["Deny"], "defaults": {"margin": "4s"}});
    let policy = namespace.create_policy("limit", spec).await?;
    namespace.wait_for_budget(&declared(), "margin 4s").await?;
    let long = || create(deployment("long").annotated("deadline", "50s").as_ref()).dry_run();
    let denial = namespace.rejects(long(), &["40s", &policy]).await?;
    assert_eq!(denial["code"], 422);
    for (actions, warns) in [(json!(["Warn"]), true), (json!(["Audit"]), false)] {
        namespace.change_policy(&policy, json!({"validationActions": actions})).await?;
        let response = until(&format!("{actions} to count"), async || {
            let response = namespace.send(long()).await?;
            let warned = response.warnings.iter().any(|warning| warning.contains("40s"));
            Ok((response.is_success() && warned == warns).then_some(response))
        })
        .await?;
        // Only rejection depends on the actions.
        assert_eq!(response.object.pointer("/spec/template/spec/containers/0/lifecycle"), None);
        let logged = until("the audit log to have the request", async || {
            Ok(namespace.environment.server.audit_annotations()?.get(&response.audit_id).cloned())
        });
        let logged = logged.await?;
        let audited = logged.iter().any(|(_, text)| text.contains("40s"));
        assert_eq!(audited, !warns, "{actions} {logged:?}");
    }
    Ok(())
}

/// Removes what the API server adds, so that the definition can be created again.
fn bare(mut definition: Value) -> Value {
    let metadata = json!({"name": definition["metadata"]["name"]});
    definition["metadata"] = metadata;
    if let Some(fields) = definition.as_object_mut() {
        fields.remove("status");
    }
    definition
}

async fn policies_count_when_their_crd_is_installed(namespace: Namespace) -> Result<()> {
    let built_in = "drain 6s + deadline 25s (default) + margin 5s";
    namespace.create_policy("gold", json!({"defaults": {"deadline": "30s"}})).await?;
    namespace.wait_for_budget(&declared(), "deadline 30s").await?;
    let definition = bare(namespace.accepts(get(CRD)).await?);
    namespace.accepts(delete(CRD)).await?;
    namespace.wait_for_budget(&declared(), built_in).await?;
    // Also after a start.
    namespace.environment.stop_operator().await?;
    namespace.environment.start_operator().await?;
    namespace.environment.wait_for_webhooks().await?;
    let created = namespace.accepts(declared()).await?;
    assert_eq!(created["metadata"]["annotations"]["winddown.dev/budget"], format!("{built_in} = 36s of 36s"));
    let said = namespace.environment.log().await.matches("ShutdownPolicies are not installed").count();
    assert!((1..=2).contains(&said), "once for each process: {said}");
    namespace.accepts(create(&definition)).await?;
    until("the resource to exist", async || {
        let policy = namespace.policy("gold", json!({"defaults": {"deadline": "30s"}}));
        Ok(namespace.send(create(&policy)).await?.is_success().then_some(()))
    })
    .await?;
    // The operator looks for it at least twice a minute, and more often after its start.
    namespace.wait_for_budget(&declared(), "deadline 30s").await
}

async fn a_policy_that_cannot_be_read_does_not_count_and_the_others_do(namespace: Namespace) -> Result<()> {
    let definition = bare(namespace.accepts(get(CRD)).await?);
    let good = namespace.create_policy("good", json!({"defaults": {"deadline": "30s"}})).await?;
    let edited = namespace.create_policy("edited", json!({"priority": 1, "defaults": {"deadline": "40s"}})).await?;
    namespace.wait_for_budget(&declared(), "deadline 40s").await?;
    // The definition of another version, which allows anything.
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let schema = json!([
        {"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": {
            "type": "object", "properties": {"spec": anything, "status": anything},
        }},
        {"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns"},
    ]);
    namespace.accepts(json_patch(CRD, schema)).await?;
    until("the policy to be edited into nonsense", async || {
        let nonsense = json!({"spec": {"defaults": {"deadline": {"seconds": 5}}, "validationActions": "Deny"}});
        Ok(namespace.send(merge(&path(&edited), nonsense)).await?.is_success().then_some(()))
    })
    .await?;
    namespace.wait_for_budget(&declared(), "deadline 30s").await?;
    let refused = |policy: &Value| {
        condition(policy, "Accepted").is_some_and(|accepted| accepted.starts_with("Accepted=False/Invalid: spec."))
    };
    namespace.wait_for_policy(&edited, "not to be accepted", refused).await?;
    let counts = |policy: &Value| condition(policy, "Effective").is_some_and(|text| text.starts_with("Effective=True"));
    namespace.wait_for_policy(&good, "to count", counts).await?;
    for name in [good, edited] {
        namespace.accepts(delete(&path(&name))).await?;
    }
    let spec = json!({"spec": {"versions": definition["spec"]["versions"]}});
    namespace.accepts(merge(CRD, spec)).await?;
    Ok(())
}
