//! Winddown unavailable, completely or one replica at a time.

use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams};
use kube::runtime::conditions::is_deleted;
use tokio::time::sleep;
use winddown_e2e::cluster::watch_until;
use winddown_e2e::demo::BUDGET;
use winddown_e2e::release;

use crate::example::{Example, has_no_injection, is_injected};
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        annotations_set_during_an_outage_are_applied_afterwards,
        every_create_is_injected_while_replicas_are_deleted,
        every_create_is_injected_during_a_rollout_of_winddown,
    ]
}

/// For the start of a replica, the expiry of the old Lease, and the reconciliation.
const RECOVERY_LIMIT: Duration = Duration::from_mins(2);

async fn annotations_set_during_an_outage_are_applied_afterwards(environment: Environment) -> Result<()> {
    environment.set_up().await?;
    let operator = environment.operator();
    let app = Example::new("app").start(&environment).await?;

    let scale_down = operator.before_rollout().await?;
    operator.kubectl("scale deployment winddown --replicas 0").run().await?;
    scale_down.complete().await?;
    app.kubectl("annotate deployment app winddown.dev/drain=5s winddown.dev/deadline=25s").run().await?;
    let missed = app.deployment().await?;
    assert!(has_no_injection(&missed) && !missed.annotations().contains_key(BUDGET), "{missed:#?}");

    let start = Instant::now();
    let rollout = app.before_rollout().await?;
    operator.kubectl("scale deployment winddown --replicas 2").run().await?;
    app.wait_until("the injection", RECOVERY_LIMIT, is_injected).await?;
    eprintln!("  the controller updated it {:.1} s after the scale-up", start.elapsed().as_secs_f32());
    rollout.complete().await?;
    let note = environment.wait_for_event("BudgetApplied", "app", RECOVERY_LIMIT).await?;
    assert!(note.starts_with("drain 5s + deadline 25s + margin 5s = 35s of 35s"), "{note}");
    operator.wait_until_available().await?;
    environment.clean_up().await
}

async fn every_create_is_injected_while_replicas_are_deleted(environment: Environment) -> Result<()> {
    environment.set_up().await?;
    let pods: Api<Pod> = Api::namespaced(environment.client.clone(), release::NAME);
    for pod in environment.operator().all_pods().await? {
        let (name, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
        let created = create_during(&environment, &name, async {
            pods.delete(&name, &DeleteParams::default()).await?;
            let description = format!("Pod {name} to be removed");
            watch_until(pods.clone(), &name, &description, RECOVERY_LIMIT, is_deleted(&uid)).await?;
            environment.operator().wait_until_available().await
        });
        eprintln!("  {} Deployments were injected during the deletion of {name}", created.await?);
    }
    environment.clean_up().await
}

async fn every_create_is_injected_during_a_rollout_of_winddown(environment: Environment) -> Result<()> {
    environment.set_up().await?;
    let created = create_during(&environment, "app", async { environment.operator().restart().await.map(drop) });
    eprintln!("  {} Deployments were injected during the rollout of winddown", created.await?);
    environment.clean_up().await
}

/// Between two creations.
const INTERVAL: Duration = Duration::from_millis(50);

/// Creates annotated Deployments until `action` completes, and returns how many. Each creation response must contain the
/// injection, which shows that the webhook made the change and not the controller afterwards.
async fn create_during(
    environment: &Environment,
    prefix: &str,
    action: impl Future<Output = Result<()>>,
) -> Result<u32> {
    let mut action = pin!(action);
    let mut count = 0;
    loop {
        let create: Pin<Box<dyn Future<Output = Result<()>>>> = Box::pin(async {
            let example = Example::new(&format!("{prefix}-{count}")).annotated().without_pods();
            let created = example.create(environment).await?;
            assert!(is_injected(&created), "Deployment {count} was not injected: {created:#?}");
            sleep(INTERVAL).await;
            Ok(())
        });
        tokio::select! {
            result = &mut action => return result.map(|()| count),
            result = create => result?,
        }
        count += 1;
    }
}
