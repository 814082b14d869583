//! `kubectl winddown status -w`: lookups that fail, workloads that are created again, and an output that is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::proxy::{Act, Proxy, Seen};
use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::request::{delete, get};
use crate::suite::{Test, tests, until};

pub(super) fn tests() -> Vec<Test> {
    tests![shared:
        a_row_whose_labels_could_not_be_looked_up_is_printed_later,
        a_lookup_without_an_answer_keeps_no_other_row_and_is_repeated,
        a_row_whose_workload_is_created_again_is_printed_again,
        a_watch_whose_output_is_closed_ends_with_the_next_row,
        the_first_row_has_headings,
    ]
}

/// Longer than a watch needs to show a change.
const A_WHILE: Duration = Duration::from_secs(2);

/// Sets the drain of a Deployment, and waits until its budget says so.
async fn drain(namespace: &Namespace, name: &str, drain: &str) -> Result<()> {
    namespace.accepts(namespace.annotate(name, json!({"winddown.dev/drain": drain}))).await?;
    until_drain(namespace, name, drain).await
}

async fn until_drain(namespace: &Namespace, name: &str, drain: &str) -> Result<()> {
    until("the budget to have the drain", async || {
        let budget = namespace.send(get(&budget(namespace, name))).await?.object;
        Ok((budget["status"]["phases"]["drain"] == drain).then_some(()))
    })
    .await
}

fn budget(namespace: &Namespace, name: &str) -> String {
    format!("/apis/winddown.dev/v1alpha1/namespaces/{}/shutdownbudgets/deployment-{name}", namespace.name)
}

/// Two Deployments with a label and a budget. Returns the path of the lookups of the label.
async fn create_labelled(namespace: &Namespace) -> Result<String> {
    for name in ["first", "second"] {
        namespace.accepts(deployment(name).with_budget().with("/metadata/labels/tier", "a")).await?;
        until_drain(namespace, name, "5s").await?;
    }
    Ok(namespace.deployment_path("").trim_end_matches('/').to_owned())
}

async fn a_row_whose_labels_could_not_be_looked_up_is_printed_later(namespace: Namespace) -> Result<()> {
    let path = create_labelled(&namespace).await?;
    let (fails, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let rule = {
        let (fails, lost) = (fails.clone(), lost.clone());
        move |seen: &Seen| {
            let is_lost = seen.path == path && fails.load(Ordering::Relaxed);
            lost.fetch_add(usize::from(is_lost), Ordering::Relaxed);
            if is_lost { Act::Lose } else { Act::Forward }
        }
    };
    let proxy = Proxy::with_rule(&namespace.environment.server, rule).await?;
    let program = namespace.program()?.with_kubeconfig(&proxy.kubeconfig);
    let mut watch = program.start("status -w -l tier=a --no-headers")?;
    watch.until_line(|line| line.starts_with("deployment/second")).await?;

    fails.store(true, Ordering::Relaxed);
    drain(&namespace, "first", "6s").await?;
    until("a lookup to fail", async || Ok((lost.load(Ordering::Relaxed) > 0).then_some(()))).await?;
    // Everything that the change of this row causes is over before a lookup succeeds again.
    sleep(A_WHILE).await;
    fails.store(false, Ordering::Relaxed);
    let next = watch.until_line(|line| line.contains("+25s+")).await?;
    assert!(next.starts_with("deployment/first") && next.contains(" 6s+"), "{next}");

    // The control: where lookups succeed, a change is printed as before.
    drain(&namespace, "second", "7s").await?;
    let next = watch.until_line(|line| line.contains("+25s+")).await?;
    assert!(next.starts_with("deployment/second") && next.contains(" 7s+"), "{next}");
    Ok(())
}

async fn a_lookup_without_an_answer_keeps_no_other_row_and_is_repeated(namespace: Namespace) -> Result<()> {
    let path = create_labelled(&namespace).await?;
    let is_next_lost = Arc::new(AtomicBool::new(false));
    let rule = {
        let is_next_lost = is_next_lost.clone();
        move |seen: &Seen| {
            let is_lost = seen.path == path && is_next_lost.swap(false, Ordering::Relaxed);
            if is_lost { Act::NoAnswer } else { Act::Forward }
        }
    };
    let proxy = Proxy::with_rule(&namespace.environment.server, rule).await?;
    let program = namespace.program()?.with_kubeconfig(&proxy.kubeconfig);
    let mut watch = program.start("status -w -l tier=a --no-headers --request-timeout 0")?;
    watch.until_line(|line| line.starts_with("deployment/second")).await?;
    // Nothing of the start is to be looked up later.
    sleep(A_WHILE).await;

    is_next_lost.store(true, Ordering::Relaxed);
    drain(&namespace, "first", "6s").await?;
    until("the lookup", async || Ok((!is_next_lost.load(Ordering::Relaxed)).then_some(()))).await?;
    sleep(A_WHILE).await;
    drain(&namespace, "second", "7s").await?;
    // Before the limit of the lookup.
    let next = timeout(Duration::from_secs(20), watch.until_line(|line| line.contains("+25s+"))).await??;
    assert!(next.starts_with("deployment/second") && next.contains(" 7s+"), "{next}");
    let next = watch.until_line(|line| line.contains("+25s+")).await?;
    assert!(next.starts_with("deployment/first") && next.contains(" 6s+"), "{next}");
    Ok(())
}

async fn a_row_whose_workload_is_created_again_is_printed_again(namespace: Namespace) -> Result<()> {
    for name in ["other", "web"] {
        namespace.accepts(deployment(name).with_budget()).await?;
        until_drain(&namespace, name, "5s").await?;
    }
    let mut watch = namespace.program()?.start("status -w --no-headers")?;
    watch.until_line(|line| line.starts_with("deployment/web")).await?;
    let uid = |object: &Value| object["metadata"]["uid"].clone();
    // At once, so that the budget may be the same object; and after the budget was collected.
    for (is_collected, marker) in [(false, "6s"), (true, "7s")] {
        // What was printed before does not count.
        sleep(A_WHILE).await;
        drain(&namespace, "other", marker).await?;
        let marked = format!(" {marker}+25s+");
        watch.until_line(|line| line.starts_with("deployment/other") && line.contains(&marked)).await?;
        namespace.accepts(delete(&namespace.deployment_path("web"))).await?;
        if is_collected {
            // What the garbage collector would do.
            until("the budget to be gone", async || {
                let gone = namespace.send(delete(&budget(&namespace, "web"))).await?.code == 404;
                Ok(gone.then_some(()))
            })
            .await?;
        }
        let again = uid(&namespace.accepts(deployment("web").with_budget()).await?);
        until("the budget of the new Deployment", async || {
            let budget = namespace.send(get(&budget(&namespace, "web"))).await?.object;
            let is_own = budget["metadata"]["ownerReferences"][0]["uid"] == again;
            Ok((is_own && budget["status"]["phases"]["drain"] == "5s").then_some(()))
        })
        .await?;
        watch.until_line(|line| line.starts_with("deployment/web") && line.contains(" 5s+25s+")).await?;
    }
    Ok(())
}

async fn a_watch_whose_output_is_closed_ends_with_the_next_row(namespace: Namespace) -> Result<()> {
    namespace.accepts(deployment("web").with_budget()).await?;
    until_drain(&namespace, "web", "5s").await?;
    // The first status is written.
    sleep(A_WHILE).await;
    let program = namespace.program()?;
    // A table of one line, which is written at once.
    let mut running = tokio::spawn(async move { program.run_until_first_byte("status -w --no-headers").await });
    // The control: without a change, it goes on.
    let ended = timeout(A_WHILE, &mut running).await;
    ensure!(ended.is_err(), "it ended without another row: {ended:?}");
    drain(&namespace, "web", "6s").await?;
    let ran = timeout(Duration::from_mins(1), running).await???;
    assert_eq!(ran.stderr, "winddown: the output was closed before everything was written\n");
    ran.assert(2);
    Ok(())
}

async fn the_first_row_has_headings(namespace: Namespace) -> Result<()> {
    for (name, arguments, headings) in [("a", "status -w", true), ("b", "status -w -l tier=b --no-headers", false)] {
        let mut watch = namespace.program()?.start(arguments)?;
        // The list is over before there is a row.
        sleep(A_WHILE).await;
        namespace.accepts(deployment(name).with_budget().with("/metadata/labels/tier", name)).await?;
        let first = watch.until_line(|_| true).await?;
        assert_eq!(first.starts_with("NAME "), headings, "{arguments}: {first}");
        if headings {
            let next = watch.until_line(|_| true).await?;
            assert!(next.starts_with("deployment/a "), "{next}");
            namespace.accepts(deployment("c").with_budget()).await?;
            let other = watch.until_line(|line| !line.starts_with("deployment/a ")).await?;
            assert!(other.starts_with("deployment/c "), "{other}");
        }
    }
    Ok(())
}
