//! No surprise rollouts.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use winddown_e2e::release::Helm;
use winddown_e2e::rollout::App;

use crate::example::{Example, is_injected};
use crate::suite::{Result, Test, tests};
use crate::world::{World, names};

pub(crate) fn tests() -> Vec<Test> {
    tests![an_upgrade_of_winddown_and_a_touched_label_start_no_rollout]
}

const LIMIT: Duration = Duration::from_mins(1);

async fn an_upgrade_of_winddown_and_a_touched_label_start_no_rollout(world: World) -> Result {
    world.ready().await?;
    let app = Example::new("app").annotated().start(&world).await?;
    let before = app.deployment().await?;
    assert!(is_injected(&before));
    let (pods, sets) = (names(&app.all_pods().await?), replica_sets(&world).await?);
    assert_eq!(sets.len(), 1);

    let upgrade = world.operator().before_rollout().await?;
    Helm::V4.install("podAnnotations.revision=three").run().await?;
    upgrade.over().await?;
    app.kubectl("label deployment app team=checkout").run().await?;
    world.led().await?;
    // Once the new leader has told of a newer Deployment, it has seen this one, too.
    Example::new("newer").annotated().without_pods().create(&world).await?;
    world.event("BudgetApplied", "newer", LIMIT).await?;

    let after = settled(&app).await?;
    assert_eq!(after.labels().get("team").map(String::as_str), Some("checkout"));
    assert_eq!(after.spec.template, before.spec.template);
    assert_eq!(names(&app.all_pods().await?), pods);
    let mut now = replica_sets(&world).await?;
    now.retain(|name, _| name.starts_with("app-"));
    assert_eq!(now, sets);
    world.clear().await
}

async fn settled(app: &App) -> Result<Deployment> {
    let seen = app.until("the deployment controller has seen it", LIMIT, |app| {
        app.status.as_ref().and_then(|status| status.observed_generation) == app.metadata.generation
    });
    Ok(seen.await?)
}

/// The `ReplicaSet`s in the test's namespace, and how many pods each is to have.
async fn replica_sets(world: &World) -> Result<BTreeMap<String, Option<i32>>> {
    let sets: Api<ReplicaSet> = Api::namespaced(world.client.clone(), &world.namespace);
    let sets = sets.list(&ListParams::default()).await?.items;
    Ok(sets.into_iter().map(|set| (set.name_any(), set.spec.replicas)).collect())
}
