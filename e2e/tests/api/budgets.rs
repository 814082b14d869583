//! `ShutdownBudget`: what the operator stores of each workload, and that it reports nothing twice.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::manifest::{KINDS, Manifest, deployment, workload};
use crate::namespace::Namespace;
use crate::request::{create, delete, get, json_patch, merge, send};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    let shared = tests![shared:
        a_budget_says_what_an_evaluation_found,
        every_declaration_has_a_budget,
        without_its_declaration_a_budget_is_deleted,
        a_budget_that_is_deleted_or_edited_by_hand_comes_back,
        a_workload_that_its_namespace_opts_in_has_a_budget,
        a_workload_that_is_created_again_has_a_new_budget,
    ];
    let exclusive = tests![exclusive:
        a_restart_writes_and_publishes_nothing_again,
        a_new_leader_goes_on_where_the_old_one_ended,
        what_happened_during_an_outage_is_reported_once,
        budgets_are_written_when_their_crd_is_installed,
        a_crd_that_drops_fields_causes_no_endless_writes,
    ];
    [shared, exclusive].concat()
}

const CRD: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/shutdownbudgets.winddown.dev";
const FITTING: &str = "drain 5s + deadline 25s + margin 5s = 35s of 35s";

impl Namespace {
    fn budget_path(&self, kind: &str, name: &str) -> String {
        let kind = kind.to_lowercase();
        format!("/apis/winddown.dev/v1alpha1/namespaces/{}/shutdownbudgets/{kind}-{name}", self.name)
    }

    /// The budget of a Deployment, if there is one.
    async fn budget(&self, name: &str) -> Result<Option<Value>> {
        self.budget_of("Deployment", name).await
    }

    async fn budget_of(&self, kind: &str, name: &str) -> Result<Option<Value>> {
        let response = self.send(get(&self.budget_path(kind, name))).await?;
        if response.code == 404 { Ok(None) } else { response.into_object().map(Some) }
    }

    /// Waits until the budget of a Deployment has such a status.
    pub(crate) async fn wait_for_status(&self, name: &str, matches: impl Fn(&Value) -> bool) -> Result<Value> {
        until(&format!("the budget of {name} to be written"), async || {
            Ok(self.budget(name).await?.filter(|budget| matches(&budget["status"])))
        })
        .await
    }

    async fn wait_for_no_budget(&self, name: &str) -> Result<()> {
        until(&format!("the budget of {name} to be deleted"), async || {
            Ok(self.budget(name).await?.is_none().then_some(()))
        })
        .await
    }

    /// Waits until a Deployment that is created now was reconciled, and so were those before it.
    pub(crate) async fn reconciled(&self, name: &str) -> Result<()> {
        self.accepts(deployment(name).with_budget()).await?;
        self.wait_for_event(name, "BudgetApplied: ").await?;
        self.wait_for_status(name, |status| status["budget"] == FITTING).await.map(drop)
    }
}

fn has_budget(status: &Value) -> bool {
    status["budget"].is_string()
}

/// Status and reason of a condition.
fn condition(budget: &Value, name: &str) -> Option<String> {
    let conditions = budget["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == name)?;
    Some(format!("{}/{}", found["status"].as_str()?, found["reason"].as_str()?))
}

fn version(budget: &Value) -> Value {
    budget["metadata"]["resourceVersion"].clone()
}

async fn a_budget_says_what_an_evaluation_found(namespace: Namespace) -> Result<()> {
    let created = namespace.accepts(deployment("web").with_budget()).await?;
    let budget = namespace.wait_for_status("web", has_budget).await?;
    let owner = &budget["metadata"]["ownerReferences"];
    let expected = json!([{
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": created["metadata"]["uid"], "controller": true,
    }]);
    assert_eq!(*owner, expected);
    let status = &budget["status"];
    assert_eq!((&status["workload"], &status["budget"]), (&json!("Deployment/web"), &json!(FITTING)));
    assert_eq!((&status["phases"]["drain"], &status["workloadGeneration"]), (&json!("5s"), &json!(1)));
    for name in ["Fits", "Injected"] {
        let found = condition(&budget, name).context("no condition")?;
        assert!(found.starts_with("True/"), "{name}: {found}");
    }
    let table = namespace.kubectl("get sdb", None).await?;
    assert!(table.contains("Deployment/web"), "{table}");
    let page = namespace.kubectl("describe sdb deployment-web", None).await?;
    for line in [FITTING, "Drain:", "Workload:", "Deployment/web"] {
        assert!(page.contains(line), "{line}: {page}");
    }
    // A later generation.
    namespace.accepts(namespace.annotate("web", json!({"winddown.dev/drain": "6s"}))).await?;
    let counted = |status: &Value| !status["pods"].is_null();
    namespace.wait_for_status("web", |status| status["phases"]["drain"] == "6s" && counted(status)).await?;
    namespace.wait_for_event("web", "BudgetApplied: drain 6s").await.map(drop)
}

async fn every_declaration_has_a_budget(namespace: Namespace) -> Result<()> {
    let misfit = deployment("misfit").with_budget().grace_period(10).annotated("mode", "Audit");
    namespace.accepts(misfit).await?;
    namespace.accepts(deployment("off").with_budget().annotated("mode", "Off")).await?;
    let misfit = namespace.wait_for_status("misfit", |status| status["findings"].is_array()).await?;
    assert!(condition(&misfit, "Fits").is_some_and(|fits| fits.starts_with("False/")), "{misfit}");
    namespace.wait_for_status("off", |status| status["conditions"].is_array()).await?;
    for kind in KINDS {
        namespace.accepts(workload(kind, "of-kind").with_budget()).await?;
        until(&format!("the {kind} to have a budget"), async || {
            let budget = namespace.budget_of(kind, "of-kind").await?;
            Ok(budget.filter(|budget| budget["status"]["workload"] == format!("{kind}/of-kind")))
        })
        .await?;
    }
    Ok(())
}

async fn without_its_declaration_a_budget_is_deleted(namespace: Namespace) -> Result<()> {
    namespace.accepts(deployment("web").with_budget()).await?;
    namespace.wait_for_event("web", "BudgetApplied: ").await?;
    namespace.wait_for_status("web", has_budget).await?;
    namespace.undeclare("web").await?;
    namespace.wait_for_no_budget("web").await?;
    assert_eq!(namespace.wait_for_event("web", "BudgetRemoved: ").await?, 2);
    // Declared again.
    let again = json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"});
    namespace.accepts(namespace.annotate("web", again)).await?;
    namespace.wait_for_status("web", has_budget).await?;
    assert_eq!(namespace.wait_for_event("web", "BudgetApplied: ").await?, 3);
    Ok(())
}

async fn a_budget_that_is_deleted_or_edited_by_hand_comes_back(namespace: Namespace) -> Result<()> {
    namespace.accepts(deployment("web").with_budget()).await?;
    namespace.wait_for_event("web", "BudgetApplied: ").await?;
    namespace.wait_for_status("web", has_budget).await?;
    let path = namespace.budget_path("Deployment", "web");
    namespace.accepts(delete(&path)).await?;
    namespace.wait_for_status("web", has_budget).await?;
    let nonsense = json!({"status": {
        "budget": "reviewed by security", "phases": {"drain": "1h"}, "findings": ["x"], "checkpoint": "nonsense",
        "reported": "nonsense", "conditions": null, "shutdowns": null,
    }});
    namespace.accepts(merge(&format!("{path}/status"), nonsense)).await?;
    let repaired = namespace.wait_for_status("web", |status| status["budget"] == FITTING).await?;
    assert_eq!(repaired["status"]["phases"]["drain"], "5s");
    // Another owner.
    let other = json!({"metadata": {"ownerReferences": null}});
    namespace.accepts(merge(&path, other)).await?;
    until("the owner to be restored", async || {
        let budget = namespace.budget("web").await?;
        Ok(budget.filter(|budget| budget["metadata"]["ownerReferences"][0]["name"] == "web"))
    })
    .await?;
    let events = namespace.events_about("web").await?;
    assert_eq!(events.iter().filter(|event| event.starts_with("BudgetApplied: ")).count(), 1, "{events:?}");
    Ok(())
}

async fn a_workload_that_its_namespace_opts_in_has_a_budget(namespace: Namespace) -> Result<()> {
    namespace.accepts(deployment("web")).await?;
    let path = format!("/api/v1/namespaces/{}", namespace.name);
    let label = |value: Value| merge(&path, json!({"metadata": {"labels": {"winddown.dev/inject": value}}}));
    namespace.accepts(label(json!("enabled"))).await?;
    let budget = namespace.wait_for_status("web", has_budget).await?;
    assert!(condition(&budget, "Injected").is_some_and(|injected| injected.starts_with("False/")), "{budget}");
    let unchanged = namespace.deployment("web").await?;
    assert_eq!(unchanged["metadata"]["generation"], 1);
    namespace.accepts(label(Value::Null)).await?;
    namespace.wait_for_no_budget("web").await
}

async fn a_workload_that_is_created_again_has_a_new_budget(namespace: Namespace) -> Result<()> {
    namespace.accepts(deployment("web").with_budget()).await?;
    let first = namespace.wait_for_status("web", has_budget).await?;
    namespace.accepts(delete(&namespace.deployment_path("web"))).await?;
    let second = namespace.accepts(deployment("web").with_budget()).await?;
    until("the budget to belong to the new Deployment", async || {
        let budget = namespace.budget("web").await?.filter(|budget| has_budget(&budget["status"]));
        let owner = budget.map(|budget| budget["metadata"]["ownerReferences"][0]["uid"].clone());
        Ok((owner.as_ref() == Some(&second["metadata"]["uid"])).then_some(()))
    })
    .await?;
    assert_ne!(first["metadata"]["ownerReferences"][0]["uid"], second["metadata"]["uid"]);
    Ok(())
}

/// Two Deployments with Events of both types, and their budgets.
async fn reported(namespace: &Namespace) -> Result<[Value; 2]> {
    namespace.accepts(deployment("web").with_budget()).await?;
    namespace.accepts(misfit()).await?;
    assert_eq!(namespace.wait_for_event("web", "BudgetApplied: ").await?, 1);
    assert_eq!(namespace.wait_for_event("misfit", "BudgetDoesNotFit: ").await?, 1);
    let web = namespace.wait_for_status("web", has_budget).await?;
    Ok([web, namespace.wait_for_status("misfit", has_budget).await?])
}

fn misfit() -> Manifest {
    deployment("misfit").with_budget().grace_period(10).annotated("mode", "Audit")
}

/// Checks that neither was written or reported again.
async fn is_unchanged(namespace: &Namespace, [web, misfit]: &[Value; 2]) -> Result<()> {
    for (name, before) in [("web", web), ("misfit", misfit)] {
        assert_eq!(namespace.events_about(name).await?.len(), 1, "{name}");
        assert_eq!(namespace.budget(name).await?.as_ref().map(version), Some(version(before)), "{name}");
    }
    Ok(())
}

async fn a_restart_writes_and_publishes_nothing_again(namespace: Namespace) -> Result<()> {
    // Ten seconds after its creation, a workload is evaluated once more, with related objects.
    reported(&namespace).await?;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let stored = reported_now(&namespace).await?;
    for restart in 0..2 {
        namespace.environment.stop_operator().await?;
        namespace.environment.start_operator().await?;
        namespace.environment.wait_for_webhooks().await?;
        namespace.reconciled(&format!("later-{restart}")).await?;
        is_unchanged(&namespace, &stored).await?;
    }
    Ok(())
}

async fn reported_now(namespace: &Namespace) -> Result<[Value; 2]> {
    let of = async |name| namespace.budget(name).await?.context("no budget");
    Ok([of("web").await?, of("misfit").await?])
}

async fn a_new_leader_goes_on_where_the_old_one_ended(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    reported(&namespace).await?;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let stored = reported_now(&namespace).await?;
    let mut second = environment.start_additional_replica("winddown-1")?;
    second.wait_until_ready().await?;
    environment.stop_operator().await?;
    environment.wait_for_leader("winddown-1").await?;
    // The API server cannot reach the webhooks of the second replica, so its controller updates the Deployment.
    namespace.accepts(deployment("later").with_budget()).await?;
    namespace.wait_for_event("later", "BudgetApplied: ").await?;
    namespace.wait_for_status("later", |status| status["budget"] == FITTING).await?;
    is_unchanged(&namespace, &stored).await?;
    assert!(second.terminate().await?.success());
    Ok(())
}

async fn what_happened_during_an_outage_is_reported_once(namespace: Namespace) -> Result<()> {
    reported(&namespace).await?;
    namespace.environment.stop_operator().await?;
    namespace.accepts(namespace.annotate("misfit", json!({"winddown.dev/drain": "7s"}))).await?;
    namespace
        .accepts(namespace.annotate("web", json!({"winddown.dev/drain": null, "winddown.dev/deadline": null})))
        .await?;
    for restart in 0..2 {
        namespace.environment.start_operator().await?;
        namespace.environment.wait_for_webhooks().await?;
        assert_eq!(namespace.wait_for_event("misfit", "BudgetDoesNotFit: ").await?, 2);
        namespace.wait_for_no_budget("web").await?;
        assert_eq!(namespace.wait_for_event("web", "BudgetRemoved: ").await?, 2);
        namespace.reconciled(&format!("later-{restart}")).await?;
        assert_eq!(namespace.events_about("misfit").await?.len(), 2);
        assert_eq!(namespace.events_about("web").await?.len(), 2);
        if restart == 0 {
            namespace.environment.stop_operator().await?;
        }
    }
    Ok(())
}

async fn budgets_are_written_when_their_crd_is_installed(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    reported(&namespace).await?;
    let mut definition = namespace.accepts(get(CRD)).await?;
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
        definition["metadata"][field].take();
    }
    definition["status"].take();
    namespace.accepts(delete(CRD)).await?;
    until("the operator to notice", async || {
        Ok(environment.log().await.contains("ShutdownBudgets are not installed").then_some(()))
    })
    .await?;
    // Events work as before, and nothing is repeated.
    namespace.accepts(deployment("later").with_budget()).await?;
    namespace.wait_for_event("later", "BudgetApplied: ").await?;
    assert_eq!(namespace.events_about("web").await?.len(), 1);
    namespace.accepts(create(&definition)).await?;
    for name in ["web", "misfit", "later"] {
        // The operator looks for it at least twice a minute.
        winddown_e2e::wait::until("the budget to be written", Duration::from_mins(1), async || {
            let response = send(&environment.client(), &get(&namespace.budget_path("Deployment", name))).await?;
            Ok(response.is_success().then_some(response.object).filter(|budget| has_budget(&budget["status"])))
        })
        .await?;
    }
    assert_eq!(environment.log().await.matches("ShutdownBudgets are not installed").count(), 1);
    // While the definition is being deleted, no budget can be created.
    environment.expect_logged_errors().await;
    Ok(())
}

async fn a_crd_that_drops_fields_causes_no_endless_writes(namespace: Namespace) -> Result<()> {
    let definition = namespace.accepts(get(CRD)).await?;
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    let removed =
        ["findings", "phases", "conditions"].map(|field| json!({"op": "remove", "path": format!("{status}/{field}")}));
    namespace.accepts(json_patch(CRD, json!(removed))).await?;
    until("the API server to drop the fields", async || {
        let probe = json!({
            "apiVersion": "winddown.dev/v1alpha1", "kind": "ShutdownBudget", "metadata": {"name": "probe"},
        });
        namespace.send(create(&probe)).await?;
        let path = format!("/apis/winddown.dev/v1alpha1/namespaces/{}/shutdownbudgets/probe", namespace.name);
        let written =
            namespace.accepts(merge(&format!("{path}/status"), json!({"status": {"findings": ["x"]}}))).await?;
        namespace.accepts(delete(&path)).await?;
        Ok(written["status"].get("findings").is_none().then_some(()))
    })
    .await?;
    namespace.accepts(deployment("web").with_budget()).await?;
    namespace.wait_for_status("web", has_budget).await?;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let stored = namespace.budget("web").await?.context("no budget")?;
    // No condition to poll for: what would be written again and again would be written in this time.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let later = namespace.budget("web").await?.context("no budget")?;
    assert_eq!(version(&later), version(&stored));
    assert_eq!(namespace.events_about("web").await?.len(), 1);
    let schema = definition["spec"]["versions"][0]["schema"].clone();
    let restore = json!([{"op": "replace", "path": "/spec/versions/0/schema", "value": schema}]);
    namespace.accepts(json_patch(CRD, restore)).await.map(drop)
}
