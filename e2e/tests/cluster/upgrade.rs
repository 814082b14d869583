//! An upgrade of Winddown must not start rollouts.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use winddown_e2e::release::Helm;

use crate::example::{Example, is_injected};
use winddown_e2e::environment::{Environment, names};
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

pub(crate) fn tests() -> Vec<Test> {
    tests![an_upgrade_of_winddown_and_a_label_change_start_no_rollout]
}

const LIMIT: Duration = Duration::from_mins(1);

async fn an_upgrade_of_winddown_and_a_label_change_start_no_rollout(environment: Environment) -> Result<()> {
    environment.set_up().await?;
    let app = Example::new("app").annotated().start(&environment).await?;
    let before = app.deployment().await?;
    assert!(is_injected(&before));
    let (pods, sets) = (names(&app.all_pods().await?), replica_sets(&environment).await?);
    assert_eq!(sets.len(), 1);

    let upgrade = environment.operator().before_rollout().await?;
    Helm::V4.install("podAnnotations.revision=three").run().await?;
    upgrade.complete().await?;
    app.kubectl("label deployment app team=checkout").run().await?;
    environment.wait_for_leader().await?;
    // An Event about a newer Deployment shows that the new leader has reconciled this one.
    Example::new("newer").annotated().without_pods().create(&environment).await?;
    environment.wait_for_event("BudgetApplied", "newer", LIMIT).await?;

    let observed = app.wait_until("the deployment controller to observe the latest generation", LIMIT, |app| {
        app.status.as_ref().and_then(|status| status.observed_generation) == app.metadata.generation
    });
    let after = observed.await?;
    assert_eq!(after.labels().get("team").map(String::as_str), Some("checkout"));
    assert_eq!(after.spec.template, before.spec.template);
    assert_eq!(names(&app.all_pods().await?), pods);
    let mut sets_after = replica_sets(&environment).await?;
    sets_after.retain(|name, _| name.starts_with("app-"));
    assert_eq!(sets_after, sets);
    environment.clean_up().await
}

/// The `ReplicaSet`s in the test's namespace and their `spec.replicas`.
async fn replica_sets(environment: &Environment) -> Result<BTreeMap<String, Option<i32>>> {
    let sets: Api<ReplicaSet> = Api::namespaced(environment.client.clone(), &environment.namespace);
    let sets = sets.list(&ListParams::default()).await?.items;
    Ok(sets.into_iter().map(|set| (set.name_any(), set.spec.replicas)).collect())
}
