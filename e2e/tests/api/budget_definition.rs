//! The API server stores every status of a `ShutdownBudget` that Winddown writes, and refuses others.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use anyhow::Result;
use serde_json::{Value, json};
use winddown_core::evaluation::{Existing, Origin, evaluate};
use winddown_core::observation::Timestamp;
use winddown_core::policy::Policy;
use winddown_core::shutdown_budget::{Computed, Pods, ShutdownBudgetStatus, Update};

use crate::namespace::Namespace;
use crate::request::{create, delete, merge};
use crate::rights::is_allowed;
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        a_status_with_the_longest_texts_is_stored_as_it_is,
        a_status_that_winddown_does_not_write_is_refused,
        a_user_of_the_namespace_may_read_budgets_and_not_write_them,
        a_budget_reads_like_a_page,
    ]
}

fn path(namespace: &Namespace) -> String {
    format!("/apis/winddown.dev/v1alpha1/namespaces/{}/shutdownbudgets", namespace.name)
}

/// Creates a budget, once the API server serves the resource.
async fn created(namespace: &Namespace) -> Result<()> {
    let metadata = json!({"name": "deployment-web", "namespace": namespace.name});
    let budget = json!({"apiVersion": "winddown.dev/v1alpha1", "kind": "ShutdownBudget", "metadata": metadata});
    until("the resource to be served", async || {
        let response = namespace.send(create(&budget)).await?;
        if response.code == 404 { Ok(None) } else { response.into_object().map(Some) }
    })
    .await
    .map(drop)
}

/// The status of a Deployment with many containers of long names, whose first one is too long for the grace period.
fn longest() -> Result<Value> {
    let names = (0..40).map(|number| format!("{number:0>63}"));
    let containers: Vec<_> = names
        .map(|name| {
            json!({"name": name, "image": "app", "command": ["sh", "-c", "npm start"],
                   "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "sleep 99"]}}}})
        })
        .collect();
    let workload = json!({
        "kind": "Deployment",
        "metadata": {
            "name": "w".repeat(253), "generation": i64::MAX,
            "annotations": {"winddown.dev/drain": "99999s", "winddown.dev/deadline": "30s"},
        },
        "spec": {"template": {"spec": {"containers": containers, "terminationGracePeriodSeconds": 31}}},
    });
    let evaluation = evaluate(&workload, Existing::Unchanged, &Policy::default(), Origin::ApiServer)?;
    let computed = Computed::of(&workload, &evaluation, Some(&"p".repeat(253)));
    let pods = Some(Pods { current: u32::MAX, old: u32::MAX, none: u32::MAX });
    let update = Update { computed: Some(&computed), pods, ..Update::default() };
    let next = ShutdownBudgetStatus::default().next(&update, Timestamp::from_second(1_770_000_000));
    assert_eq!((next.status.findings.len(), next.status.findings[0].chars().count()), (6, 300));
    Ok(serde_json::to_value(next.status)?)
}

async fn a_status_with_the_longest_texts_is_stored_as_it_is(namespace: Namespace) -> Result<()> {
    created(&namespace).await?;
    let status = longest()?;
    let written = merge(&format!("{}/deployment-web/status", path(&namespace)), json!({"status": status}));
    let stored = namespace.accepts(written).await?;
    assert_eq!(stored["status"], status);
    namespace.accepts(delete(&format!("{}/deployment-web", path(&namespace)))).await.map(drop)
}

async fn a_status_that_winddown_does_not_write_is_refused(namespace: Namespace) -> Result<()> {
    created(&namespace).await?;
    let long = |length: usize| "x".repeat(length);
    let condition = |status: &str, reason: &str| {
        json!({"conditions": [{"type": "Fits", "status": status, "reason": reason, "message": "",
                               "lastTransitionTime": "2026-01-31T21:00:03Z"}]})
    };
    for (status, problem) in [
        (json!({"budget": long(301)}), "budget: Too long"),
        (json!({"budget": 5}), "budget in body must be of type string"),
        (json!({"checkpoint": long(8193)}), "checkpoint: Too long"),
        (json!({"reported": long(1025)}), "reported: Too long"),
        (json!({"recent": [long(201)]}), "recent[0]: Too long"),
        (json!({"recent": ["", "", "", ""]}), "recent: Too many"),
        (json!({"findings": ["", "", "", "", "", "", "", "", "", ""]}), "findings: Too many"),
        (json!({"phases": {"drain": long(271)}}), "phases.drain: Too long"),
        (json!({"pods": {"current": -1, "old": 0, "none": 0}}), "pods.current in body should be greater than"),
        (json!({"shutdowns": {"killed": -1}}), "shutdowns.killed in body should be greater than"),
        (json!({"shutdowns": {"since": "yesterday"}}), "shutdowns.since in body must be of type date-time"),
        (condition("Maybe", "Fits"), "conditions[0].status: Unsupported value"),
        (condition("True", ""), "conditions[0].reason"),
    ] {
        let written = merge(&format!("{}/deployment-web/status", path(&namespace)), json!({"status": status}));
        let refused = namespace.send(written.dry_run()).await?;
        let message = refused.object["message"].as_str().unwrap_or_default();
        assert!(refused.code == 422 && message.contains(problem), "{problem}: {} {message}", refused.code);
    }
    namespace.accepts(delete(&format!("{}/deployment-web", path(&namespace)))).await.map(drop)
}

async fn a_user_of_the_namespace_may_read_budgets_and_not_write_them(namespace: Namespace) -> Result<()> {
    // The controller manager adds the rights of `winddown-view` to the roles of Kubernetes.
    for role in ["view", "edit", "admin"] {
        may_read_budgets_and_not_write_them(&namespace, role).await?;
    }
    Ok(())
}

async fn may_read_budgets_and_not_write_them(namespace: &Namespace, role: &str) -> Result<()> {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "RoleBinding", "metadata": {"name": role},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": "User", "name": role}],
    });
    namespace.accepts(create(&binding)).await?;
    let allowed =
        async |verb: &str, resource: &str| is_allowed(namespace, role, verb, ("winddown.dev", resource)).await;
    until("the binding to count", async || Ok(allowed("get", "shutdownbudgets").await?.then_some(()))).await?;
    for (verb, resource, expected) in [
        ("list", "shutdownbudgets", true),
        ("watch", "shutdownbudgets", true),
        ("create", "shutdownbudgets", false),
        ("update", "shutdownbudgets", false),
        ("delete", "shutdownbudgets", false),
        ("update", "shutdownbudgets/status", false),
        ("patch", "shutdownbudgets/status", false),
    ] {
        assert_eq!(allowed(verb, resource).await?, expected, "{role}: {verb} {resource}");
    }
    Ok(())
}

/// As `kubectl` shows the status of which `docs/budgets.md` shows the YAML. `UPDATE=1` writes the expected output.
async fn a_budget_reads_like_a_page(namespace: Namespace) -> Result<()> {
    created(&namespace).await?;
    let status = include_str!("../../../crates/core/src/shutdown_budget/tests/golden/killed.yaml");
    let status: Value = serde_saphyr::from_str(status)?;
    namespace.accepts(merge(&format!("{}/deployment-web/status", path(&namespace)), status)).await?;
    let mut shown = String::new();
    for command in ["get sdb", "get sdb -o wide", "describe sdb deployment-web"] {
        writeln!(shown, "$ kubectl {command}")?;
        for line in namespace.kubectl(command, None).await?.lines() {
            shown += &comparable(line);
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/budget_definition/shown.txt");
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, &shown)?;
    }
    assert_eq!(shown, fs::read_to_string(&file)?, "{shown}");
    namespace.accepts(delete(&format!("{}/deployment-web", path(&namespace)))).await.map(drop)
}

/// A line of kubectl without what differs from run to run.
fn comparable(line: &str) -> String {
    let differs = ["Namespace:", "Creation Timestamp:", "Generation:", "Resource Version:", "UID:"];
    if differs.iter().any(|field| line.trim_start().starts_with(field)) {
        return String::new();
    }
    // The age is the last column of a row.
    let row = line.starts_with("deployment-web ");
    let line = if row { line.trim_end().rsplit_once(' ').map_or(line, |(rest, _)| rest.trim_end()) } else { line };
    format!("{line}\n")
}
