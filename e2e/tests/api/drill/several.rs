//! `kubectl winddown drill --pods`: what keeps the next pod from its eviction.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::app::App;
use super::{LIMIT, meanwhile};
use crate::namespace::Namespace;
use crate::program::Ran;
use crate::request::{create, merge};
use crate::suite::{Test, tests};

pub(super) fn tests() -> Vec<Test> {
    tests![shared:
        the_next_pod_is_not_evicted_while_the_earlier_one_may_be_stopping,
        a_disruption_budget_that_counts_the_replacement_late_is_asked_again,
    ]
}

async fn the_next_pod_is_not_evicted_while_the_earlier_one_may_be_stopping(namespace: Namespace) -> Result<()> {
    let app = App::start(&namespace, "web", &["web-b"]).await?;
    // Its node is lost: it stays, and the command waits for its grace period and one minute.
    app.start_pod_within("web-a", 1).await?;
    let drill = "drill deploy/web --yes --pods 2";
    let ran = Ran::of(namespace.program()?.command(drill).spawn()?, drill);
    let ran = timeout(2 * LIMIT, ran).await.context("the command does not end")??;
    ran.assert(2);
    assert!(app.pod("web-a").await?["metadata"]["deletionTimestamp"].is_string(), "{ran:?}");
    assert!(app.is_untouched("web-b").await?, "{ran:?}");
    let reason = "\nnot rehearsed: the pod web-a may still be stopping: no other pod is evicted\n";
    assert!(ran.stdout.contains(reason), "{ran:?}");
    Ok(())
}

async fn a_disruption_budget_that_counts_the_replacement_late_is_asked_again(namespace: Namespace) -> Result<()> {
    let app = App::start(&namespace, "web", &["web-a", "web-b"]).await?;
    let selector = json!({"matchLabels": {"app": "web"}});
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": selector}});
    namespace.accepts(create(&budget).within(&namespace.name)).await?;
    // What the disruption controller would write.
    let path = format!("/apis/policy/v1/namespaces/{}/poddisruptionbudgets/web/status", namespace.name);
    let allow = async |evictions: u32| {
        let status = json!({"disruptionsAllowed": evictions, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2,
            "observedGeneration": 1});
        namespace.accepts(merge(&path, json!({"status": status}))).await.map(drop)
    };
    allow(0).await?;
    // The first pod is not waited for.
    let refused = timeout(Duration::from_secs(20), namespace.plugin("drill deploy/web --yes --pods 2")).await??;
    refused.assert(2);
    assert!(refused.stdout.contains("disruption budget") && app.is_untouched("web-a").await?, "{refused:?}");

    allow(1).await?;
    let ran = meanwhile(&namespace, "drill deploy/web --yes --pods 2", async {
        app.exit("web-a").await?;
        app.start_pod("web-c").await?;
        sleep(Duration::from_secs(3)).await;
        assert!(app.is_untouched("web-b").await?);
        allow(1).await?;
        app.exit("web-b").await
    })
    .await?;
    ran.assert(0);
    assert!(ran.stdout.contains("result: 2 of 2 pods honoured the promise"), "{ran:?}");
    Ok(())
}
