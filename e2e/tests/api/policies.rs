//! The API server accepts the definitions of Winddown's resources, and refuses policies that contradict themselves.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use winddown_core::policy::Policy;

use crate::manifest::{GRACE_PERIOD, Manifest, deployment};
use crate::namespace::Namespace;
use crate::request::{Response, apply, create, delete, get, send};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        the_definitions_are_established,
        a_policy_is_accepted,
        a_contradiction_is_refused_and_named,
        a_raised_grace_period_is_given_back_by_every_way_of_writing,
        argo_cd_ignores_a_raised_grace_period_as_the_page_says,
    ]
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn policy(spec: &Value) -> Value {
    let metadata = json!({"name": "web"});
    json!({"apiVersion": "winddown.dev/v1alpha1", "kind": "ShutdownPolicy", "metadata": metadata, "spec": spec})
}

/// The policy with these fields, and `validationActions` if they are not among them.
fn with(fields: &Value) -> Value {
    let mut spec = json!({"validationActions": ["Deny"]});
    for (name, value) in fields.as_object().into_iter().flatten() {
        spec[name] = value.clone();
    }
    policy(&spec)
}

/// What the API server answers, once it serves the resource.
async fn answer(namespace: &Namespace, policy: &Value) -> Result<Response> {
    let (client, request) = (namespace.environment.client(), create(policy).dry_run());
    until("the resource to be served", async || {
        let response = send(&client, &request).await?;
        Ok((response.code != 404).then_some(response))
    })
    .await
}

async fn the_definitions_are_established(namespace: Namespace) -> Result<()> {
    let client = namespace.environment.client();
    for plural in ["shutdownpolicies", "shutdownbudgets"] {
        let definition = get(&format!("{DEFINITIONS}/{plural}.winddown.dev"));
        let conditions = until("the definition to be established", async || {
            let conditions = send(&client, &definition).await?.into_object()?["status"]["conditions"].clone();
            let status = |kind: &str| {
                let conditions = conditions.as_array().into_iter().flatten();
                conditions
                    .filter(|condition| condition["type"] == kind)
                    .map(|condition| condition["status"].clone())
                    .next()
            };
            Ok((status("Established") == Some(json!("True"))).then(|| conditions.clone()))
        })
        .await?;
        assert!(!conditions.to_string().contains("NonStructuralSchema"), "{plural}: {conditions}");
    }
    Ok(())
}

async fn a_policy_is_accepted(namespace: Namespace) -> Result<()> {
    for fields in [
        json!({}),
        json!({"validationActions": ["Warn", "Audit"]}),
        json!({"limits": {"gracePeriod": "35s", "drain": "5s"}}),
        json!({"defaults": {"drain": "500ms500ms", "deadline": "1m30s", "margin": "0s"}}),
        json!({"limits": {"gracePeriod": "720h"}}),
        json!({"namespaceSelector": {}, "priority": -2_147_483_648_i64}),
        json!({
            "namespaceSelector": {
                "matchLabels": {"tier": "web"},
                "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}, {"key": "c", "operator": "Exists"}],
            },
            "priority": 100,
            "defaults": {"drain": "15s", "readiness": {"periodSeconds": 3, "failureThreshold": 2}},
            "limits": {"gracePeriod": "5m", "drain": "1m"},
            "validationActions": ["Deny", "Audit"],
            "whenGracePeriodTooSmall": "Raise",
        }),
    ] {
        let sent = with(&fields);
        let stored = answer(&namespace, &sent).await?.into_object()?;
        assert_eq!(stored["spec"], sent["spec"], "no field is dropped, and no default is stored");
        assert!(Policy::read(&stored).is_ok(), "{fields}");
    }
    Ok(())
}

async fn a_contradiction_is_refused_and_named(namespace: Namespace) -> Result<()> {
    let sum = "defaults.drain + defaults.deadline + defaults.margin must not be more than limits.gracePeriod";
    let expression = |expression: Value| json!({"namespaceSelector": {"matchExpressions": [expression]}});
    for (fields, field, problem) in [
        (
            json!({"validationActions": ["Deny", "Warn"]}),
            "spec.validationActions",
            "Deny and Warn may not be used together",
        ),
        (json!({"validationActions": []}), "spec.validationActions", "should have at least 1 items"),
        (json!({"validationActions": ["Deny", "Deny"]}), "spec.validationActions[1]", "Duplicate value"),
        (json!({"validationActions": ["deny"]}), "spec.validationActions[0]", "Unsupported value: \"deny\""),
        (json!({"limits": {"gracePeriod": "34s"}}), "spec", sum),
        (json!({"defaults": {"deadline": "1m"}, "limits": {"gracePeriod": "69s"}}), "spec", sum),
        (
            json!({"defaults": {"drain": "11s"}, "limits": {"drain": "10s"}}),
            "spec",
            "defaults.drain must not be more than limits.drain",
        ),
        (json!({"limits": {"drain": "4s"}}), "spec", "defaults.drain must not be more than limits.drain"),
        (json!({"defaults": {"drain": "1500ms"}}), "spec.defaults.drain", "must be whole seconds"),
        (json!({"limits": {"gracePeriod": "720h1s"}}), "spec.limits.gracePeriod", "must be at most 720h"),
        (json!({"limits": {"drain": "99999h99999h99999h99999h"}}), "spec.limits.drain", "must be at most 720h"),
        (json!({"defaults": {"margin": "5"}}), "spec.defaults.margin", "should match"),
        (json!({"defaults": {"margin": "1d"}}), "spec.defaults.margin", "should match"),
        (json!({"defaults": {"margin": 5}}), "spec.defaults.margin", "must be of type string"),
        (
            json!({"defaults": {"readiness": {"periodSeconds": 0}}}),
            "spec.defaults.readiness.periodSeconds",
            "should be greater than or equal to 1",
        ),
        (json!({"priority": 2_147_483_648_i64}), "spec.priority", "2147483647"),
        (json!({"whenGracePeriodTooSmall": "Lower"}), "spec.whenGracePeriodTooSmall", "Unsupported value: \"Lower\""),
        (
            expression(json!({"key": "a", "operator": "Like"})),
            "spec.namespaceSelector.matchExpressions[0].operator",
            "Unsupported value: \"Like\"",
        ),
        (
            expression(json!({"key": "a", "operator": "In"})),
            "spec.namespaceSelector.matchExpressions[0]",
            "values must be set for In and NotIn",
        ),
    ] {
        let refused = answer(&namespace, &with(&fields)).await?;
        let message = refused.object["message"].as_str().unwrap_or_default();
        assert_eq!(refused.code, 422, "{fields}: {message}");
        assert!(message.contains(field) && message.contains(problem), "{fields}: {message}");
    }
    let without = answer(&namespace, &policy(&json!({}))).await?;
    assert!(without.object["message"].to_string().contains("spec.validationActions: Required value"), "{without:?}");
    Ok(())
}

/// Creates a policy for this namespace that raises grace periods, and waits until it counts.
async fn raising(namespace: &Namespace) -> Result<()> {
    let mut raising = with(&json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}},
        "defaults": {"drain": "7s"},
        "whenGracePeriodTooSmall": "Raise",
    }));
    raising["metadata"]["name"] = json!(namespace.name);
    until("the resource to be served", async || {
        let response = send(&namespace.environment.client(), &create(&raising)).await?;
        if response.code == 404 { Ok(None) } else { response.into_object().map(Some) }
    })
    .await?;
    let named = format!("drain 7s (policy {})", namespace.name);
    until("the policy to count", async || {
        let probe = create(deployment("probe").annotated("deadline", "25s").as_ref()).dry_run();
        let probe = namespace.accepts(probe).await?;
        Ok(probe
            .pointer("/metadata/annotations/winddown.dev~1budget")
            .is_some_and(|budget| budget.as_str().is_some_and(|budget| budget.starts_with(&named)))
            .then_some(()))
    })
    .await
}

async fn a_raised_grace_period_is_given_back_by_every_way_of_writing(namespace: Namespace) -> Result<()> {
    raising(&namespace).await?;
    for server_side in [true, false] {
        let name = if server_side { "server-side" } else { "client-side" };
        let write = async |manifest: &Manifest| {
            if server_side {
                namespace.accepts(apply(manifest.as_ref())).await?;
            } else {
                namespace.kubectl("apply -f -", Some(manifest)).await?;
            }
            namespace.deployment(name).await
        };
        let undeclared = deployment(name).grace_period(10);
        let declared = undeclared.clone().annotated("deadline", "25s");
        let raised = write(&declared).await?;
        assert_eq!(raised.pointer(GRACE_PERIOD), Some(&json!(37)), "{name}");
        let again = write(&declared).await?;
        assert_eq!(again["metadata"]["generation"], raised["metadata"]["generation"], "{name}: no rollout");
        let next = write(&declared.image("registry.example/app:2")).await?;
        assert_eq!(next.pointer(GRACE_PERIOD), Some(&json!(37)), "{name}");
        let removed = write(&undeclared).await?;
        assert_eq!(removed.pointer(GRACE_PERIOD), Some(&json!(10)), "{name}");
    }
    let policy = format!("/apis/winddown.dev/v1alpha1/shutdownpolicies/{}", namespace.name);
    send(&namespace.environment.client(), &delete(&policy)).await?.into_object().map(drop)
}

async fn argo_cd_ignores_a_raised_grace_period_as_the_page_says(namespace: Namespace) -> Result<()> {
    const PAGE: &str = include_str!("../../../docs/policies.md");
    let expression = PAGE.split_once("jqPathExpressions: [").and_then(|(_, rest)| rest.split_once(']'));
    let (expression, _) = expression.context("no expression in docs/policies.md")?;
    raising(&namespace).await?;
    for tool in ["argocd", "argocd-server-side"] {
        let manifest = deployment(tool).grace_period(10).annotated("deadline", "25s");
        namespace.gitops(tool, "apply", &manifest).await?;
        assert_eq!(namespace.deployment(tool).await?.pointer(GRACE_PERIOD), Some(&json!(37)));
        // Its controller writes the revision into an annotation, which would be a difference to an earlier read.
        namespace.revisions(tool).await?;
        let difference = async |options: &str| namespace.gitops_with(options, tool, "diff", &manifest).await;
        assert!(difference("").await?.contains("terminationGracePeriodSeconds"), "control: {tool}");
        assert_eq!(difference(&format!("--ignore {expression}")).await?, "", "{tool}");
    }
    let policy = format!("/apis/winddown.dev/v1alpha1/shutdownpolicies/{}", namespace.name);
    send(&namespace.environment.client(), &delete(&policy)).await?.into_object().map(drop)
}
