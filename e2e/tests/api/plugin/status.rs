//! `kubectl winddown status`.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::proxy::Proxy;
use crate::manifest::{GRACE_PERIOD, deployment};
use crate::namespace::Namespace;
use crate::observation::kubelet::{End, Kubelet};
use crate::program::Closed;
use crate::suite::{Test, tests, until};

pub(super) fn tests() -> Vec<Test> {
    tests![shared: status_shows_what_fits_and_what_was_killed]
}

async fn status_shows_what_fits_and_what_was_killed(namespace: Namespace) -> Result<()> {
    let plugin = async |arguments: &str| namespace.plugin(arguments).await;
    let none = plugin("status").await?;
    none.assert(0);
    assert!(none.stdout.is_empty() && none.stderr.starts_with("No workloads with annotations"), "{none:?}");

    let fits = namespace.accepts(deployment("fits").with_budget().with("/metadata/labels/tier", "a")).await?;
    assert_eq!(fits.pointer(GRACE_PERIOD), Some(&json!(35)));
    // A misfit that the webhook would reject becomes one by its policy's action: it is stored before it is annotated.
    let misfit = deployment("misfit").with_budget().annotated("mode", "Audit").grace_period(10);
    let killed = Kubelet::of(&namespace, deployment("killed").with_budget()).await?;
    namespace.accepts(misfit).await?;
    let table = until("three rows", async || {
        let table = plugin("status").await?;
        let is_written = !table.stdout.lines().any(|line| line.contains("<none>   <none>   <none>"));
        Ok((table.stdout.lines().count() == 4 && is_written).then_some(table))
    })
    .await?;
    let lines: Vec<_> = table.stdout.lines().collect();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(lines[0]), ["NAME", "BUDGET", "POLICY", "FITS", "CARRIED", "STOPS", "KILLED", "P99", "AGE"]);
    assert_eq!(words(lines[1])[..4], ["deployment/fits", "5s+25s+5s/35s", "<none>", "True"]);
    assert!(lines[2].starts_with("deployment/killed   5s+25s+5s/35s   <none>   True"), "{table:?}");
    assert_eq!(words(lines[3])[..4], ["deployment/misfit", "5s+25s+5s/10s", "<none>", "False"]);
    table.assert(1);

    // What changes is printed while the command runs, also after its connection broke.
    let proxy = Proxy::start(&namespace.environment.server).await?;
    let mut watch = namespace.program()?.with_kubeconfig(&proxy.kubeconfig).start("status -w --no-headers")?;
    watch.until_line(|line| line.starts_with("deployment/misfit")).await?;
    proxy.cut();
    killed.start("killed-1", 2).await?;
    let end = End { after: Duration::from_secs(2), exit_code: 137, reason: "Error" };
    killed.stop("killed-1", 2, end).await?;
    watch
        .until_line(|line| words(line).first().is_some_and(|name| name == "deployment/killed") && words(line)[6] == "1")
        .await?;

    let one = plugin("status deploy/killed").await?;
    one.assert(1);
    for part in [
        "Name:             deployment/killed\n",
        "\n  Honoured    False     Killed",
        "killed-1",
        "#a-pod-was-killed-what-now",
    ] {
        assert!(one.stdout.contains(part), "{part}: {one:?}");
    }
    let json = plugin("status -o json").await?;
    let rows: Vec<Value> = serde_json::from_str(&json.stdout)?;
    assert_eq!(rows[1]["shutdowns"]["killed"], 1, "{json:?}");
    plugin("status deploy/fits").await?.assert(0);
    let selected = plugin("status -l tier=a -o name").await?;
    assert_eq!((selected.code, selected.stdout.as_str()), (0, "deployment.apps/fits\n"), "{selected:?}");
    let wide = plugin("status -A -o wide").await?;
    assert!(wide.stdout.starts_with("NAMESPACE ") && wide.stdout.contains("RECOMMENDATION"), "{wide:?}");
    for (arguments, text) in [
        ("status deploy/absent", "deployment.apps/absent is not in the namespace"),
        ("status --as eve", "User \"eve\" cannot list resource \"shutdownbudgets\""),
        ("status -w --as eve", "User \"eve\" cannot list resource \"shutdownbudgets\""),
        ("status --context nowhere", "the context \"nowhere\" is not in the kubeconfig; it has tests"),
        ("status --kubeconfig /dev/null/x", "the kubeconfig cannot be used"),
        ("status pod/x", "is not deployment, statefulset or daemonset"),
    ] {
        let ran = plugin(arguments).await?;
        ran.assert(2);
        assert!(ran.stderr.contains(text), "{arguments}: {ran:?}");
    }
    // With labels, only the rows of their workloads, also of those that got them meanwhile.
    let mut watch = namespace.program()?.start("status -w -l tier=a --no-headers")?;
    watch.until_line(|line| line.starts_with("deployment/fits")).await?;
    let drain = async |name: &str, drain: &str| {
        namespace.accepts(namespace.annotate(name, json!({"winddown.dev/drain": drain}))).await
    };
    drain("killed", "6s").await?;
    // The watch has seen it before the next change.
    until("the row of killed to change", async || {
        let rows: Vec<Value> = serde_json::from_str(&plugin("status -o json").await?.stdout)?;
        let is_changed = |row: &Value| row["name"] == "killed" && row["phases"]["drain"] == "6s";
        Ok(rows.iter().any(is_changed).then_some(()))
    })
    .await?;
    drain("fits", "7s").await?;
    let next = watch.until_line(|line| line.contains("+25s+")).await?;
    assert!(next.starts_with("deployment/fits") && next.contains(" 7s+"), "{next}");
    namespace.accepts(namespace.merge("killed", json!({"metadata": {"labels": {"tier": "a"}}}))).await?;
    drain("killed", "4s").await?;
    watch.until_line(|line| line.starts_with("deployment/killed") && line.contains(" 4s+")).await?;
    let closed = namespace.program()?.run_closed("status", Closed::Stdout).await?;
    assert_eq!(closed.stderr, "winddown: the output was closed before everything was written\n");
    closed.assert(2);
    Ok(())
}
