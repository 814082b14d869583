//! `ShutdownBudget`s that cannot be written, and how large they are.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use crate::manifest::{Manifest, deployment};
use crate::namespace::Namespace;
use crate::observation::kubelet::{End, Kubelet};
use crate::request::{create, delete, get, merge};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        an_apply_succeeds_while_no_budget_can_be_written,
        a_large_budget_has_at_most_six_kilobytes,
    ]
}

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";

impl Namespace {
    fn sdb(&self, name: &str) -> String {
        format!("/apis/winddown.dev/v1alpha1/namespaces/{}/shutdownbudgets/{name}", self.name)
    }

    /// Denies every write of the status of a budget in this namespace.
    async fn deny_statuses(&self) -> Result<()> {
        let name = &self.name;
        let rule = json!({"apiGroups": ["winddown.dev"], "apiVersions": ["v1alpha1"], "operations": ["UPDATE"],
            "resources": ["shutdownbudgets/status"]});
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "false"}]},
        });
        let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": selector}},
        });
        self.accepts(create(&policy)).await?;
        self.accepts(create(&binding)).await?;
        self.accepts(create(&json!({
            "apiVersion": "winddown.dev/v1alpha1", "kind": "ShutdownBudget", "metadata": {"name": "probe"},
        })))
        .await?;
        let probe = format!("{}/status", self.sdb("probe"));
        until("the API server to deny statuses", async || {
            let written = self.send(merge(&probe, json!({"status": {"budget": "x"}}))).await?;
            Ok((!written.is_success()).then_some(()))
        })
        .await
    }
}

async fn an_apply_succeeds_while_no_budget_can_be_written(namespace: Namespace) -> Result<()> {
    namespace.deny_statuses().await?;
    let logged = || async { namespace.environment.log().await.matches("the ShutdownBudget was not written").count() };
    let before = logged().await;
    namespace.accepts(deployment("first").with_budget()).await?;
    until("the operator to be refused", async || Ok((logged().await > before).then_some(()))).await?;
    for name in ["second", "third"] {
        let start = Instant::now();
        let applied = namespace.accepts(deployment(name).with_budget()).await?;
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(applied["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], 35);
    }
    namespace.accepts(namespace.annotate("first", json!({"winddown.dev/drain": "6s"}))).await?;
    assert!(namespace.accepts(get(&namespace.sdb("deployment-first"))).await?["status"].is_null());
    for kind in ["validatingadmissionpolicybindings", "validatingadmissionpolicies"] {
        namespace.accepts(delete(&format!("{ADMISSION}/{kind}/{}", namespace.name))).await?;
    }
    // What was refused is written within the longest delay.
    for name in ["first", "second", "third"] {
        let written = winddown_e2e::wait::until("the budgets to be written", Duration::from_secs(90), async || {
            let budget = namespace.accepts(get(&namespace.sdb(&format!("deployment-{name}")))).await?;
            Ok(budget["status"]["budget"].is_string().then_some(()))
        });
        written.await?;
    }
    namespace.environment.expect_logged_errors().await;
    Ok(())
}

/// A Deployment with more findings than a budget lists.
fn with_many_findings(name: &str) -> Manifest {
    let container = |name: &str, command: &[&str]| {
        json!({"name": name, "image": "registry.example/shop/checkout:1.27.3", "command": command,
               "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "sleep 3"]}}}})
    };
    let containers = json!([
        container("app", &["npm", "start"]),
        container("payment-worker", &["sh", "-c", "sleep 1; node worker.js"]),
        container("metrics-exporter", &["sh", "-c", "sleep 1; ./exporter"]),
        container("log-forwarder", &["npm", "run", "forward"]),
        container("currency-rates-cache", &["sh", "-c", "sleep 1; ./cache"]),
    ]);
    deployment(name).with_budget().with("/spec/template/spec/containers", containers)
}

async fn a_large_budget_has_at_most_six_kilobytes(namespace: Namespace) -> Result<()> {
    let kubelet = Kubelet::of(&namespace, with_many_findings("checkout-payment-gateway")).await?;
    let stops = stream::iter(0..64_u32).map(async |number| {
        let pod = format!("checkout-payment-gateway-7d9f8c6b54-{number:05}");
        kubelet.start(&pod, 2).await?;
        let killed = End { after: Duration::from_secs(2), exit_code: 137, reason: "Error" };
        let clean = End { after: Duration::from_secs(1), exit_code: 0, reason: "Completed" };
        kubelet.stop(&pod, 2, if number % 8 == 0 { killed } else { clean }).await
    });
    stops.buffer_unordered(16).try_collect::<()>().await?;
    kubelet.until_status(|status| status["shutdowns"]["count"] == 64).await?;
    let budget = namespace.accepts(get(&namespace.sdb("deployment-checkout-payment-gateway"))).await?;
    let lines = |field: &str| budget["status"][field].as_array().map_or(0, Vec::len);
    assert_eq!((lines("findings"), lines("notHonoured"), lines("conditions")), (6, 3, 4), "{budget:#}");
    let size = |value: &Value| value.to_string().len();
    let managed = budget["metadata"].get("managedFields").context("no managedFields")?;
    let sizes = [size(&budget), size(&budget["status"]), size(&budget["metadata"]), size(managed)];
    eprintln!("bytes of a ShutdownBudget, its status, metadata and managedFields: {sizes:?}");
    assert!(sizes[0] <= 6 * 1024, "{sizes:?}: {budget:#}");
    Ok(())
}
