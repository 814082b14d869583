//! `kubectl winddown status`, `check` and `restore` on a cluster with a running operator.

pub(crate) mod program;
mod proxy;

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use winddown_e2e::chart::RELEASE;

use self::program::{Ran, Running};
use self::proxy::Proxy;
use crate::environment::CONFIGURATIONS;
use crate::manifest::{GRACE_PERIOD, deployment};
use crate::namespace::Namespace;
use crate::observation::kubelet::{End, Kubelet};
use crate::request::{apply, create, delete, get, json_patch, merge};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    [
        tests![shared: status_shows_what_fits_and_what_was_killed, restore_takes_the_injection_out],
        tests![exclusive: check_names_what_is_wrong],
    ]
    .concat()
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
    let arguments = format!("status -w --no-headers --kubeconfig {}", proxy.kubeconfig.display());
    let mut watch = Running::start(&namespace, &arguments)?;
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
    let closed = namespace.plugin_with_closed_output("status").await?;
    assert_eq!(closed.stderr, "winddown: the output was closed before everything was written\n");
    closed.assert(2);
    Ok(())
}

async fn restore_takes_the_injection_out(namespace: Namespace) -> Result<()> {
    let plugin = async |arguments: &str| namespace.plugin(arguments).await;
    let plain = namespace.accepts(create(deployment("web").as_ref()).dry_run_as("plain")).await?;
    namespace.kubectl("apply -f -", Some(&deployment("web").with_budget())).await?;
    namespace.accepts(deployment("other").with_budget().with("/spec/replicas", 1)).await?;
    let injected = namespace.deployment("web").await?;

    // Without the annotations, the operator would inject again.
    let refused = plugin("restore deploy/web --yes").await?;
    refused.assert(1);
    assert!(refused.stderr.contains("Use --remove-annotations"), "{refused:?}");
    // Standard input is no terminal.
    let dry_run = plugin("restore deploy/web --remove-annotations").await?;
    dry_run.assert(1);
    for line in ["-    winddown.dev/drain: 5s\n", "-          preStop:\n", "-      terminationGracePeriodSeconds: 35\n"]
    {
        assert!(dry_run.stdout.contains(line), "{line}: {dry_run:?}");
    }
    assert!(dry_run.stdout.contains("note: `kubectl apply` of the manifest"), "{dry_run:?}");
    assert!(
        dry_run.stderr.contains("1 of 1 restored workloads replace their pods. --yes restores them"),
        "{dry_run:?}"
    );
    assert_eq!(namespace.deployment("web").await?["spec"], injected["spec"]);

    let restored = plugin("restore deploy/web --remove-annotations --yes").await?;
    restored.assert(0);
    assert!(restored.stdout.ends_with(&format!("deployment/web in {} restored\n", namespace.name)), "{restored:?}");
    let web = namespace.deployment("web").await?;
    assert_eq!(web["spec"]["template"], plain["spec"]["template"]);
    let annotations = web["metadata"]["annotations"].as_object().context("no annotations")?;
    assert!(!annotations.keys().any(|key| key.contains("winddown.dev")), "{annotations:?}");
    let again = plugin("restore deploy/web --remove-annotations --yes").await?;
    again.assert(0);
    assert_eq!(again.stderr, "Nothing of Winddown is in these workloads\n");

    let denied = plugin("restore --all --remove-annotations --yes --as eve").await?;
    denied.assert(2);
    assert!(denied.stderr.contains("User \"eve\" cannot list resource \"deployments\""), "{denied:?}");
    // No kubelet starts the new pods.
    let waited = plugin("restore --all --remove-annotations --yes --wait 1s").await?;
    waited.assert(2);
    assert!(waited.stderr.contains("the rollout did not end within 1 s"), "{waited:?}");
    let other = namespace.deployment("other").await?;
    assert_eq!(other.pointer(GRACE_PERIOD), Some(&json!(30)));
    plugin("restore deploy/absent --yes").await?.assert(2);
    // The answer to a patch whose guard fails, by which the command knows that the workload changed meanwhile.
    let guard = json!([{"op": "test", "path": "/metadata/generation", "value": 99}]);
    let failed = namespace.send(json_patch(&namespace.deployment_path("web"), guard)).await?;
    let message = failed.object["message"].as_str().unwrap_or_default();
    assert!(failed.code == 422 && message.contains("the server rejected our request"), "{failed:?}");
    Ok(())
}

/// The lines of a report that begin with this mark.
fn marked<'a>(ran: &'a Ran, mark: &str) -> Vec<&'a str> {
    let checks = ran.stdout.lines().filter(|line| !line.ends_with("something is wrong"));
    checks.filter_map(|line| line.strip_prefix(mark)).collect()
}

async fn check_names_what_is_wrong(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    let check = async || namespace.plugin(&format!("check -n {}", namespace.name)).await;
    let absent = check().await?;
    absent.assert(1);
    assert_eq!(marked(&absent, "FAIL "), ["the Deployment of the operator is there"], "{absent:?}");

    let operator = environment.install_operator_deployment().await?;
    let well = namespace.plugin(&format!("check -n {} --wait 30s -o json", namespace.name)).await?;
    well.assert(0);
    let report: Value = serde_json::from_str(&well.stdout)?;
    assert_eq!(report["outcome"], "ok", "{report:#}");
    let text = check().await?;
    assert!(marked(&text, "ok   ").iter().any(|line| line.starts_with("one replica leads: winddown-0")), "{text:?}");
    assert!(marked(&text, "ok   ").contains(&"shutdownbudgets.winddown.dev is installed"), "{text:?}");

    // With no rights, nothing is known to be wrong, and each missing right is named.
    let denied = namespace.plugin(&format!("check -n {} --as eve -o short", namespace.name)).await?;
    denied.assert(2);
    for right in ["cannot list resource \"mutatingwebhookconfigurations\"", "cannot create resource \"deployments\""] {
        assert!(denied.stdout.contains(right), "{right}: {denied:?}");
    }
    assert!(!denied.stdout.contains("FAIL"), "{denied:?}");

    let broken = json!([{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": "LS0tLS1CRUdJTg=="}]);
    environment.stop_operator().await?;
    let lease = "/apis/coordination.k8s.io/v1/namespaces/winddown/leases/winddown";
    let stale = json!({"spec": {"renewTime": "2026-01-01T00:00:00.000000Z", "holderIdentity": "winddown-0"}});
    namespace.accepts(merge(lease, stale)).await?;
    namespace.accepts(json_patch(CONFIGURATIONS[0], broken)).await?;
    namespace.accepts(delete(CONFIGURATIONS[1])).await?;
    namespace.accepts(merge(&operator, json!({"spec": {"replicas": 0}}))).await?;
    let wrong = check().await?;
    wrong.assert(1);
    let failed = marked(&wrong, "FAIL ");
    for title in [
        "its replicas are ready (",
        "one replica leads",
        "the caBundle of mutate.winddown.dev (mutating) is valid",
        "the validating webhook configuration is there",
        "a Deployment is mutated",
        "a StatefulSet whose grace period is too short is rejected",
    ] {
        assert!(failed.iter().any(|line| line.starts_with(title)), "{title}: {wrong:?}");
    }
    assert!(wrong.stdout.contains("#when-winddown-is-unavailable"), "{wrong:?}");

    // Without the definition, the annotations are known.
    let annotated =
        deployment("web").with_budget().annotated("budget", "drain 5s + deadline 25s + margin 5s = 35s of 35s");
    namespace.accepts(annotated).await?;
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/shutdownbudgets.winddown.dev";
    let mut installed = namespace.accepts(get(definition)).await?;
    namespace.accepts(delete(definition)).await?;
    let status = until("the resource to be gone", async || {
        let status = namespace.plugin("status").await?;
        Ok((status.code == 2).then_some(status))
    })
    .await?;
    assert!(status.stderr.contains("kubectl winddown crd | kubectl apply"), "{status:?}");
    assert!(
        status.stdout.contains("deployment/web   drain 5s + deadline 25s + margin 5s = 35s of 35s   <none>"),
        "{status:?}"
    );
    let metadata = json!({"name": installed["metadata"]["name"]});
    installed["metadata"] = metadata;
    installed["status"].take();
    namespace.accepts(apply(&installed)).await?;
    namespace.accepts(delete(&operator)).await?;
    assert_eq!(operator, format!("/apis/apps/v1/namespaces/{RELEASE}/deployments/winddown"));
    Ok(())
}
