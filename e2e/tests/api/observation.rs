//! Observed stops: from the deletion of a pod to the status of its workload's `ShutdownBudget`, metrics and Events.

pub(crate) mod kubelet;

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, future, stream};
use serde_json::json;

use self::kubelet::{End, Kubelet};
use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::request::merge;
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    [
        tests![shared:
            every_end_of_a_pod_has_its_outcome_and_cause,
            a_pod_that_is_killed_is_reported_once,
            pods_count_by_the_budget_that_they_carry,
        ],
        tests![exclusive: a_kill_is_reported_once_by_all_leaders, a_leader_that_is_killed_loses_no_stop_and_none_counts_twice],
    ]
    .concat()
}

/// How a pod with a grace period of 30 s ends.
#[derive(Clone, Copy)]
enum Way {
    /// The kubelet stops it after a deletion with this grace period.
    Stops(i64, End),
    /// `kubectl delete --force --grace-period=0`.
    Forced,
    /// The garbage collector of pods removes it after its node.
    NodeLost,
}

/// Ends after this many seconds.
fn end(after: u64, exit_code: i32, reason: &'static str) -> End {
    End { after: Duration::from_secs(after), exit_code, reason }
}

impl Kubelet<'_> {
    async fn play(&self, way: Way) -> Result<()> {
        let pod = format!("{}-1", self.deployment);
        self.start(&pod, 30).await?;
        match way {
            Way::Stops(grace_period, end) => self.stop(&pod, grace_period, end).await,
            Way::Forced => self.delete(&pod, 0).await,
            Way::NodeLost => {
                let lost = json!({"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"});
                let status = json!({"status": {"phase": "Failed", "conditions": [lost]}});
                self.namespace.accepts(merge(&format!("{}/status", self.path(&pod)), status)).await?;
                self.delete(&pod, 0).await
            }
        }
    }
}

async fn every_end_of_a_pod_has_its_outcome_and_cause(namespace: Namespace) -> Result<()> {
    let ways = [
        ("clean", Way::Stops(30, end(1, 143, "Error")), "clean", "Deletion: "),
        ("failed", Way::Stops(30, end(1, 1, "Error")), "failed", "Deletion: Failed, "),
        ("killed-otherwise", Way::Stops(30, end(1, 137, "Error")), "killedOtherwise", "Deletion: KilledOtherwise, "),
        ("out-of-memory", Way::Stops(30, end(1, 137, "OOMKilled")), "outOfMemory", "Deletion: OutOfMemory, "),
        ("cut-short", Way::Stops(2, end(2, 137, "Error")), "cutShort", "Deletion: CutShort, "),
        ("forced", Way::Forced, "unknown", "Forced: Unknown (removed before its end)"),
        ("node-lost", Way::NodeLost, "unknown", "NodeLost: Unknown (node lost)"),
    ];
    let played = ways.map(async |(name, way, counter, line)| {
        let kubelet = Kubelet::new(&namespace, name).await?;
        kubelet.play(way).await?;
        let status = kubelet.until_status(|status| status["shutdowns"]["count"] == 1).await?;
        assert_eq!(status["shutdowns"][counter], 1, "{name}: {status:#}");
        let recent = status["recent"][0].as_str().unwrap_or_default();
        assert!(recent.contains(&format!(" {name}-1 {line}")), "{name}: {recent}");
        assert_eq!(status["shutdowns"]["killed"].as_u64().unwrap_or_default(), 0, "{name}: {status:#}");
        anyhow::Ok(())
    });
    future::try_join_all(played).await?;

    // A label that somebody removes is no stop.
    let kubelet = Kubelet::new(&namespace, "unlabelled").await?;
    kubelet.start("pod-unlabelled", 30).await?;
    until("the pod to be counted", async || Ok((kubelet.status().await?["carried"] == "1/1").then_some(()))).await.ok();
    let lost = lost_sight(&namespace).await?;
    let unlabelled = json!({"metadata": {"labels": {"winddown.dev/managed": null}}});
    namespace.accepts(merge(&kubelet.path("pod-unlabelled"), unlabelled)).await?;
    until("the pod to be lost", async || Ok((lost_sight(&namespace).await? > lost).then_some(()))).await?;
    assert_eq!(kubelet.status().await?["shutdowns"]["count"].as_u64().unwrap_or_default(), 0);
    Ok(())
}

/// The value of a metric of the first replica; 0 without a series.
fn value(metrics: &str, series: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
}

async fn lost_sight(namespace: &Namespace) -> Result<u64> {
    Ok(value(&namespace.environment.metrics().await, "winddown_observer_lost_sight_total"))
}

async fn a_pod_that_is_killed_is_reported_once(namespace: Namespace) -> Result<()> {
    let kubelet = Kubelet::new(&namespace, "web").await?;
    for pod in ["web-1", "web-2"] {
        kubelet.start(pod, 2).await?;
    }
    for pod in ["web-1", "web-2"] {
        kubelet.stop(pod, 2, end(2, 137, "Error")).await?;
    }
    let status = kubelet.until_status(|status| status["shutdowns"]["killed"] == 2).await?;
    let lines = status["notHonoured"].as_array().context("no stops")?;
    assert!(lines.len() == 2 && lines[0].to_string().contains("Killed, 2s of 2s"), "{lines:?}");
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let honoured = conditions.filter(|condition| condition["type"] == "Honoured").map(|condition| &condition["status"]);
    assert!(honoured.eq([&json!("False")]), "{status:#}");

    namespace.wait_for_event("web", "ShutdownKilled: ").await?;
    let events = namespace.events_about("web").await?;
    let killed: Vec<_> = events.iter().filter(|event| event.starts_with("ShutdownKilled: ")).collect();
    assert_eq!(killed.len(), 1, "{events:?}");
    assert!(killed[0].contains("container app of web-") && killed[0].contains("after 2s of 2s"), "{killed:?}");

    let labels = format!("namespace=\"{}\",kind=\"Deployment\",name=\"web\"", namespace.name);
    let total = format!("winddown_shutdowns_total{{{labels},outcome=\"Killed\"}}");
    let condition = format!("winddown_workload_condition{{{labels},type=\"Honoured\"}}");
    until("the metrics to agree with the status", async || {
        let metrics = namespace.environment.metrics().await;
        let agree = value(&metrics, &total) >= 2 && value(&metrics, &condition) >= 1;
        assert!(value(&metrics, &total) <= 2, "{metrics}");
        Ok(agree.then_some(()))
    })
    .await
}

async fn pods_count_by_the_budget_that_they_carry(namespace: Namespace) -> Result<()> {
    let kubelet = Kubelet::new(&namespace, "web").await?;
    kubelet.start("web-1", 35).await?;
    let kubelet = kubelet.with_deadline("26s").await?;
    for pod in ["web-2", "web-3"] {
        kubelet.start(pod, 36).await?;
    }
    let pods = |current: u32, old: u32| json!({"current": current, "old": old, "none": 0});
    let status = kubelet.until_status(|status| status["pods"] == pods(2, 1)).await?;
    assert_eq!(status["carried"], "2/3", "{status:#}");
    let labels = format!("namespace=\"{}\",kind=\"Deployment\",name=\"web\"", namespace.name);
    let metrics = namespace.environment.metrics().await;
    for (budget, count) in [("current", 2), ("old", 1)] {
        assert_eq!(value(&metrics, &format!("winddown_pods{{{labels},budget=\"{budget}\"}}")), count, "{metrics}");
    }
    kubelet.stop("web-1", 30, end(1, 0, "Completed")).await?;
    kubelet.until_status(|status| status["pods"] == pods(2, 0)).await.map(drop)
}

/// How many Events say that a pod of `web` was killed.
async fn kills(namespace: &Namespace) -> Result<usize> {
    Ok(namespace.events_about("web").await?.iter().filter(|event| event.starts_with("ShutdownKilled: ")).count())
}

async fn a_kill_is_reported_once_by_all_leaders(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    let kubelet = Kubelet::new(&namespace, "web").await?;
    kubelet.start("web-1", 2).await?;
    kubelet.stop("web-1", 2, end(2, 137, "Error")).await?;
    namespace.wait_for_event("web", "ShutdownKilled: ").await?;
    // A failed pod that still exists is listed again by every replica.
    kubelet.start("web-2", 2).await?;
    kubelet.stop_without_removal("web-2", 2, end(2, 137, "Error")).await?;
    kubelet.until_status(|status| status["shutdowns"]["killed"] == 2).await?;
    for restart in 0..2 {
        environment.stop_operator().await?;
        environment.start_operator().await?;
        environment.wait_for_webhooks().await?;
        namespace.reconciled(&format!("later-{restart}")).await?;
        assert_eq!(kubelet.status().await?["shutdowns"]["count"], 2);
        assert_eq!(kills(&namespace).await?, 1);
    }
    let mut second = environment.start_additional_replica("winddown-1")?;
    second.wait_until_ready().await?;
    environment.stop_operator().await?;
    environment.wait_for_leader("winddown-1").await?;
    namespace.accepts(deployment("after-the-change").with_budget()).await?;
    namespace.wait_for_event("after-the-change", "BudgetApplied: ").await?;
    assert_eq!((kubelet.status().await?["shutdowns"]["count"].as_u64(), kills(&namespace).await?), (Some(2), 1));
    assert!(second.terminate().await?.success());
    Ok(())
}

const PODS: u32 = 200;

async fn a_leader_that_is_killed_loses_no_stop_and_none_counts_twice(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    let kubelet = Kubelet::new(&namespace, "web").await?;
    let starts = stream::iter(0..PODS).map(async |pod| kubelet.start(&format!("web-{pod}"), 30).await);
    starts.buffer_unordered(20).try_collect::<()>().await?;
    let mut first = environment.start_additional_replica("winddown-1")?;
    first.wait_until_ready().await?;
    environment.stop_operator().await?;
    environment.wait_for_leader("winddown-1").await?;
    let mut second = environment.start_additional_replica("winddown-2")?;
    second.wait_until_ready().await?;
    let synced = async || Ok((value(&second.metrics().await, "winddown_observer_synced") >= 1).then_some(()));
    until("the second replica to know all pods", synced).await?;

    let stops = async {
        // For 50 seconds: before the leader is killed, while there is none, and after that.
        let stops = stream::iter(0..PODS).map(async |pod| {
            tokio::time::sleep(Duration::from_millis(250) * pod).await;
            kubelet.stop(&format!("web-{pod}"), 30, end(1, 143, "Error")).await
        });
        stops.buffer_unordered(PODS as usize).try_collect::<()>().await
    };
    let leaders = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        drop(first);
        environment.wait_for_leader("winddown-2").await
    };
    let counted = async || {
        let count = kubelet.status().await?["shutdowns"]["count"].as_u64().unwrap_or_default();
        assert!(count <= PODS.into(), "{count}");
        anyhow::Ok(count)
    };
    let watched = winddown_e2e::wait::until("all stops to be counted", Duration::from_mins(2), async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok((counted().await? == u64::from(PODS)).then_some(()))
    });
    futures::try_join!(stops, leaders, watched)?;
    // Nothing is added later.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(counted().await?, u64::from(PODS));
    let totals = kubelet.status().await?["shutdowns"].clone();
    assert_eq!(totals["clean"], json!(PODS), "{totals:#}");
    Ok(())
}
