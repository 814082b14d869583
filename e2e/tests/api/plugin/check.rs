//! `kubectl winddown check`.

use anyhow::Result;
use serde_json::{Value, json};
use winddown_e2e::chart::RELEASE;

use super::rights::{rights, user};
use crate::environment::CONFIGURATIONS;
use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::program::Ran;
use crate::request::{apply, create, delete, get, json_patch, merge};
use crate::suite::{Test, tests, until};

pub(super) fn tests() -> Vec<Test> {
    tests![exclusive:
        check_names_what_is_wrong,
        policies_of_a_namespace_do_not_fail_the_check,
        the_service_of_the_webhooks_says_which_deployment_is_the_operator,
    ]
}

/// The lines of a report that begin with this mark.
fn marked<'a>(ran: &'a Ran, mark: &str) -> Vec<&'a str> {
    let checks = ran.stdout.lines().filter(|line| !line.ends_with("something is wrong"));
    checks.filter_map(|line| line.strip_prefix(mark)).collect()
}

fn every_problem_says_what_to_do(ran: &Ran) -> Result<()> {
    let report = ran.json()?;
    let checks: Vec<_> =
        report["groups"].as_array().into_iter().flatten().filter_map(|it| it["checks"].as_array()).collect();
    let problems: Vec<_> = checks.into_iter().flatten().filter(|check| check["outcome"] != "ok").collect();
    assert!(problems.len() > 3, "{report:#}");
    for problem in problems {
        assert!(problem["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{problem:#}");
    }
    Ok(())
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
    every_problem_says_what_to_do(&namespace.plugin(&format!("check -n {} --as eve -o json", namespace.name)).await?)?;

    // The answer about a namespace that is not there says nothing about Winddown.
    let absent = namespace.plugin("check -n absent -o short").await?;
    absent.assert(2);
    assert!(absent.stdout.contains("choose another namespace with -n"), "{absent:?}");

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
    every_problem_says_what_to_do(&namespace.plugin(&format!("check -n {} -o json", namespace.name)).await?)?;

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
    // Who may read only the workloads gets 403 for the resource that is not there.
    let of_workloads: Vec<_> =
        rights("status")?.into_iter().filter(|atom| atom.named().1 != "shutdownbudgets").collect();
    user(&namespace, "reader", &of_workloads).await?;
    for (arguments, row) in [("status --as reader", "deployment/web"), ("status deploy/web --as reader", "Name:")] {
        let reader = until("the role to count", async || {
            let reader = namespace.plugin(arguments).await?;
            Ok((!reader.stderr.contains("\"deployments\"")).then_some(reader))
        })
        .await?;
        reader.assert(2);
        assert!(reader.stderr.contains("kubectl winddown crd | kubectl apply"), "{reader:?}");
        assert!(reader.stdout.contains(row), "{reader:?}");
    }
    let metadata = json!({"name": installed["metadata"]["name"]});
    installed["metadata"] = metadata;
    installed["status"].take();
    namespace.accepts(apply(&installed)).await?;
    namespace.accepts(delete(&operator)).await?;
    assert_eq!(operator, format!("/apis/apps/v1/namespaces/{RELEASE}/deployments/winddown"));
    Ok(())
}

async fn policies_of_a_namespace_do_not_fail_the_check(namespace: Namespace) -> Result<()> {
    let operator = namespace.environment.install_operator_deployment().await?;
    let check = async |more: &str| namespace.plugin(&format!("check -n {}{more}", namespace.name)).await;
    check(" --wait 30s").await?.assert(0);
    let name = format!("{}-gold", namespace.name);
    let path = format!("/apis/winddown.dev/v1alpha1/shutdownpolicies/{name}");
    let policy = |spec: Value| {
        let mut spec = spec;
        spec["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace.name}});
        json!({"apiVersion": "winddown.dev/v1alpha1", "kind": "ShutdownPolicy", "metadata": {"name": name}, "spec": spec})
    };
    // A default margin, and actions that reject nothing.
    for actions in [["Warn"], ["Audit"]] {
        let defaults = json!({"margin": "10s"});
        namespace.accepts(apply(&policy(json!({"defaults": defaults, "validationActions": actions})))).await?;
        until("the policy to count", async || {
            let created = namespace.accepts(create(deployment("probe").with_budget().as_ref()).dry_run()).await?;
            let budget = created["metadata"]["annotations"]["winddown.dev/budget"].as_str().unwrap_or_default();
            Ok(budget.contains("margin 10s").then_some(()))
        })
        .await?;
        let well = check("").await?;
        well.assert(0);
        let rejected = "a Deployment whose grace period is too short is rejected";
        assert!(marked(&well, "ok   ").contains(&rejected), "{well:?}");
    }
    let raise = json!({"validationActions": ["Deny"], "whenGracePeriodTooSmall": "Raise"});
    namespace.accepts(apply(&policy(raise))).await?;
    let raised = format!("with whenGracePeriodTooSmall: Raise ({name})");
    let warned = until("the policy to raise", async || {
        let ran = check("").await?;
        Ok(ran.stdout.contains(&raised).then_some(ran))
    })
    .await?;
    warned.assert(0);
    assert!(
        marked(&warned, "warn ").contains(&"a StatefulSet whose grace period is too short is rejected"),
        "{warned:?}"
    );
    // A limit below what the workloads of the check need is an answer of Winddown.
    let limits = json!({"gracePeriod": "20s"});
    let defaults = json!({"deadline": "10s"});
    let limited = json!({"defaults": defaults, "limits": limits, "validationActions": ["Deny"]});
    namespace.accepts(apply(&policy(limited))).await?;
    let limited = until("the limit to count", async || {
        let ran = check("").await?;
        Ok(ran.stdout.contains("a limit of a ShutdownPolicy").then_some(ran))
    })
    .await?;
    limited.assert(2);
    namespace.accepts(delete(&path)).await?;
    namespace.accepts(delete(&operator)).await.map(drop)
}

async fn the_service_of_the_webhooks_says_which_deployment_is_the_operator(namespace: Namespace) -> Result<()> {
    let operator = namespace.environment.install_operator_deployment().await?;
    let fake = deployment("fake")
        .with("/metadata/labels/app.kubernetes.io~1name", "winddown")
        .with("/spec/template/spec/containers/0/args", json!(["--lease-name=x"]));
    namespace.accepts(fake).await?;
    // The webhooks of these tests have an address instead.
    let by_label = namespace.plugin(&format!("check -n {}", namespace.name)).await?;
    namespace.environment.install_mutating_webhooks_of_service().await?;
    let by_service = namespace.plugin(&format!("check -n {}", namespace.name)).await;
    let restored = namespace.plugin(&format!("restore --all -n {RELEASE} --remove-annotations")).await;
    namespace.environment.install_webhook(0).await?;
    namespace.accepts(delete(&operator)).await?;
    assert!(marked(&by_label, "warn ").contains(&"the Deployment of the operator is there"), "{by_label:?}");
    let (by_service, restored) = (by_service?, restored?);
    let found = format!("the Deployment of the operator is there: {RELEASE}/winddown");
    assert!(marked(&by_service, "ok   ").contains(&found.as_str()), "{by_service:?}");
    let left_out = format!("winddown: deployment/winddown in {RELEASE} is left out: ");
    assert!(restored.stderr.starts_with(&left_out), "{restored:?}");
    Ok(())
}
