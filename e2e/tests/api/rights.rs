//! What the operator's service account may do: the RBAC objects and the admission policies of the chart.

use anyhow::Result;
use kube::Client;
use serde_json::{Value, json};
use winddown_e2e::chart::RELEASE;

use crate::manifest::{deployment, workload};
use crate::namespace::Namespace;
use crate::request::{Request, Response, create, delete, json_patch, merge, send};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        the_operator_may_only_change_the_fields_that_it_injects,
        the_operator_may_change_what_it_injects,
        the_operator_may_not_create_or_delete_objects_of_others,
        the_operator_may_only_write_the_status_of_a_policy,
        the_operator_may_write_budgets_and_no_pods,
    ]
}

/// Fields that the operator may not change, each with a valid JSON Patch of [`target`].
const FORBIDDEN: [(&str, &str); 43] = [
    ("replicas", r#"[{"op": "replace", "path": "/spec/replicas", "value": 7}]"#),
    ("replicas removed", r#"[{"op": "remove", "path": "/spec/replicas"}]"#),
    ("strategy", r#"[{"op": "replace", "path": "/spec/strategy", "value": {"type": "Recreate"}}]"#),
    ("paused", r#"[{"op": "add", "path": "/spec/paused", "value": true}]"#),
    ("minReadySeconds", r#"[{"op": "add", "path": "/spec/minReadySeconds", "value": 3}]"#),
    ("progressDeadlineSeconds", r#"[{"op": "replace", "path": "/spec/progressDeadlineSeconds", "value": 30}]"#),
    ("revisionHistoryLimit", r#"[{"op": "replace", "path": "/spec/revisionHistoryLimit", "value": 0}]"#),
    ("label", r#"[{"op": "add", "path": "/metadata/labels", "value": {"team": "x"}}]"#),
    ("annotation", r#"[{"op": "add", "path": "/metadata/annotations/team", "value": "x"}]"#),
    ("annotation removed", r#"[{"op": "remove", "path": "/metadata/annotations/owner"}]"#),
    ("finalizer", r#"[{"op": "add", "path": "/metadata/finalizers", "value": ["example.com/x"]}]"#),
    (
        "owner",
        r#"[{"op": "add", "path": "/metadata/ownerReferences",
             "value": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]}]"#,
    ),
    ("pod label", r#"[{"op": "add", "path": "/spec/template/metadata/labels/team", "value": "x"}]"#),
    ("pod annotation", r#"[{"op": "add", "path": "/spec/template/metadata/annotations", "value": {"team": "x"}}]"#),
    ("serviceAccountName", r#"[{"op": "add", "path": "/spec/template/spec/serviceAccountName", "value": "admin"}]"#),
    ("hostNetwork", r#"[{"op": "add", "path": "/spec/template/spec/hostNetwork", "value": true}]"#),
    ("hostPID", r#"[{"op": "add", "path": "/spec/template/spec/hostPID", "value": true}]"#),
    ("nodeName", r#"[{"op": "add", "path": "/spec/template/spec/nodeName", "value": "n"}]"#),
    ("nodeSelector", r#"[{"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"a": "b"}}]"#),
    ("securityContext", r#"[{"op": "add", "path": "/spec/template/spec/securityContext", "value": {"runAsUser": 0}}]"#),
    (
        "volume",
        r#"[{"op": "add", "path": "/spec/template/spec/volumes", "value": [{"name": "v", "hostPath": {"path": "/"}}]}]"#,
    ),
    (
        "init container",
        r#"[{"op": "add", "path": "/spec/template/spec/initContainers", "value": [{"name": "i", "image": "i"}]}]"#,
    ),
    (
        "container added",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "x", "image": "x"}}]"#,
    ),
    ("container removed", r#"[{"op": "remove", "path": "/spec/template/spec/containers/1"}]"#),
    ("container renamed", r#"[{"op": "replace", "path": "/spec/template/spec/containers/1/name", "value": "other"}]"#),
    ("image", r#"[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "x"}]"#),
    (
        "preStop request",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/lifecycle",
             "value": {"preStop": {"httpGet": {"port": 80, "path": "/"}}}}]"#,
    ),
    (
        "handler of another container",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/1/lifecycle",
             "value": {"preStop": {"exec": {"command": ["x"]}}}}]"#,
    ),
    ("command", r#"[{"op": "add", "path": "/spec/template/spec/containers/0/command", "value": ["x"]}]"#),
    (
        "env",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "A", "value": "b"}]}]"#,
    ),
    (
        "a variable with another name",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/env",
             "value": [{"name": "WINDDOWN_DRAIN_SECONDS", "value": "5"}, {"name": "winddown_drain_seconds", "value": "5"}]}]"#,
    ),
    (
        "a variable with another text",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/env",
             "value": [{"name": "WINDDOWN_DEADLINE_SECONDS", "value": "$(PATH)"}]}]"#,
    ),
    (
        "a variable from a Secret",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/env",
             "value": [{"name": "WINDDOWN_DEADLINE_SECONDS", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]"#,
    ),
    (
        "the value of a variable",
        r#"[{"op": "replace", "path": "/spec/template/spec/containers/1/env/0/value", "value": "9"}]"#,
    ),
    ("a variable removed", r#"[{"op": "remove", "path": "/spec/template/spec/containers/1/env/1"}]"#),
    ("all variables removed", r#"[{"op": "remove", "path": "/spec/template/spec/containers/1/env"}]"#),
    (
        "the order of variables",
        r#"[{"op": "move", "from": "/spec/template/spec/containers/1/env/0", "path": "/spec/template/spec/containers/1/env/1"}]"#,
    ),
    (
        "container securityContext",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/securityContext", "value": {"runAsUser": 0}}]"#,
    ),
    (
        "livenessProbe",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/livenessProbe", "value": {"tcpSocket": {"port": 1}}}]"#,
    ),
    (
        "postStart",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/lifecycle",
             "value": {"postStart": {"sleep": {"seconds": 1}}}}]"#,
    ),
    (
        "preStop command",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/lifecycle",
             "value": {"preStop": {"exec": {"command": ["x"]}}}}]"#,
    ),
    (
        "readinessProbe command",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/readinessProbe", "value": {"exec": {"command": ["x"]}}}]"#,
    ),
    (
        "readinessProbe host",
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/readinessProbe",
             "value": {"httpGet": {"port": 80, "host": "169.254.169.254"}}}]"#,
    ),
];

/// A Deployment with two containers and an annotation, which the webhooks do not see. One sets a variable of the budget
/// itself.
async fn target(namespace: &Namespace) -> Result<String> {
    let deployment = deployment("web").with("/metadata/annotations/owner", "shop");
    let mut manifest = deployment.as_ref().clone();
    if let Some(containers) = manifest["spec"]["template"]["spec"]["containers"].as_array_mut() {
        let own = json!({
            "name": "WINDDOWN_DEADLINE_SECONDS",
            "valueFrom": {"configMapKeyRef": {"name": "shop", "key": "deadline"}},
        });
        let env = [json!({"name": "A", "value": "1"}), json!({"name": "B", "value": "$(A)"}), own];
        containers.push(json!({"name": "log", "image": "registry.example/log:1", "env": env}));
    }
    namespace.accepts(create(&manifest)).await?;
    Ok(namespace.deployment_path("web"))
}

/// The client of the operator's service account, after the admission policies are in effect.
async fn operator(namespace: &Namespace, target: &str) -> Result<Client> {
    let client = namespace.environment.operator_client.clone();
    let probe = patch(target, FORBIDDEN[0].1)?;
    until("the admission policies to be in effect", async || {
        Ok((!send(&client, &probe).await?.is_success()).then_some(()))
    })
    .await?;
    Ok(client)
}

/// A JSON Patch as a dry run.
fn patch(path: &str, operations: &str) -> Result<Request> {
    Ok(json_patch(path, serde_json::from_str(operations)?).dry_run())
}

async fn the_operator_may_only_change_the_fields_that_it_injects(namespace: Namespace) -> Result<()> {
    let target = target(&namespace).await?;
    let operator = operator(&namespace, &target).await?;
    for (field, operations) in FORBIDDEN {
        let request = patch(&target, operations)?;
        let Response { code, object, .. } = send(&operator, &request).await?;
        let message = object["message"].as_str().unwrap_or_default();
        assert!(code >= 400 && message.contains("Winddown may not change"), "{field}: {code} {message}");
        // The control: the patch is valid, and only the policy rejects it.
        send(&namespace.environment.client(), &request).await?.into_object()?;
    }
    Ok(())
}

async fn the_operator_may_change_what_it_injects(namespace: Namespace) -> Result<()> {
    let target = target(&namespace).await?;
    let operator = operator(&namespace, &target).await?;
    for operations in [
        r#"[{"op": "replace", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 60}]"#,
        r#"[{"op": "add", "path": "/spec/template/metadata/labels/winddown.dev~1managed", "value": "true"}]"#,
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/lifecycle",
             "value": {"preStop": {"sleep": {"seconds": 5}}}}]"#,
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/readinessProbe",
             "value": {"httpGet": {"port": 80, "path": "/health"}}}]"#,
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0/env",
             "value": [{"name": "WINDDOWN_DRAIN_SECONDS", "value": "0"}, {"name": "WINDDOWN_DEADLINE_SECONDS", "value": "25"}]}]"#,
        r#"[{"op": "add", "path": "/spec/template/spec/containers/1/env/0",
             "value": {"name": "WINDDOWN_GRACE_PERIOD_SECONDS", "value": "35"}}]"#,
        r#"[{"op": "remove", "path": "/spec/template/spec/containers/1/env/2"}]"#,
        "[]",
    ] {
        send(&operator, &patch(&target, operations)?).await?.into_object()?;
    }
    Ok(())
}

async fn the_operator_may_not_create_or_delete_objects_of_others(namespace: Namespace) -> Result<()> {
    let target = target(&namespace).await?;
    let operator = operator(&namespace, &target).await?;
    let object = |api_version: &str, kind: &str, name: &str| -> Value {
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})
    };
    let in_release = |object: Value| create(&object).dry_run().within(RELEASE);
    for (request, expected) in [
        (in_release(object("v1", "Secret", "other")), "may create only its own"),
        (in_release(object("coordination.k8s.io/v1", "Lease", "other")), "may create only its own"),
        (in_release(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": "winddown-ca"}})), "own"),
        (create(&object("v1", "Secret", "winddown-ca")).dry_run().within(&namespace.name), "forbidden"),
        (create(workload("Deployment", "new").as_ref()).dry_run().within(&namespace.name), "forbidden"),
        (delete(&target).dry_run(), "forbidden"),
    ] {
        let Response { code, object, .. } = send(&operator, &request).await?;
        let message = object["message"].as_str().unwrap_or_default();
        assert!(code >= 400 && message.contains(expected), "{request:?}: {code} {message}");
    }
    Ok(())
}

async fn the_operator_may_only_write_the_status_of_a_policy(namespace: Namespace) -> Result<()> {
    let (client, path) =
        (&namespace.environment.operator_client, "/apis/winddown.dev/v1alpha1/shutdownpolicies/rights");
    // It selects no namespace.
    let spec = json!({"namespaceSelector": {"matchLabels": {"rights": "none"}}, "validationActions": ["Audit"]});
    let metadata = json!({"name": "rights"});
    let policy =
        json!({"apiVersion": "winddown.dev/v1alpha1", "kind": "ShutdownPolicy", "metadata": metadata, "spec": spec});
    namespace.accepts(create(&policy)).await?;
    let reported = merge(&format!("{path}/status"), json!({"status": {"workloads": 0}})).dry_run();
    send(client, &reported).await?.into_object()?;
    for request in [merge(path, json!({"spec": {"priority": 7}})), delete(path), create(&policy)] {
        let Response { code, object, .. } = send(client, &request.clone().dry_run()).await?;
        let message = object["message"].as_str().unwrap_or_default();
        assert!(code == 403 && message.contains("forbidden"), "{request:?}: {code} {message}");
    }
    namespace.accepts(delete(path)).await.map(drop)
}

async fn the_operator_may_write_budgets_and_no_pods(namespace: Namespace) -> Result<()> {
    for (group, resource, verb, expected) in [
        ("winddown.dev", "shutdownbudgets", "watch", true),
        ("winddown.dev", "shutdownbudgets", "create", true),
        ("winddown.dev", "shutdownbudgets", "delete", true),
        ("winddown.dev", "shutdownbudgets", "update", false),
        ("winddown.dev", "shutdownbudgets", "patch", false),
        ("winddown.dev", "shutdownbudgets", "deletecollection", false),
        ("winddown.dev", "shutdownbudgets/status", "update", true),
        ("winddown.dev", "shutdownbudgets/status", "patch", false),
        ("", "pods", "watch", true),
        ("", "pods", "create", false),
        ("", "pods", "patch", false),
        ("", "pods", "delete", false),
        ("", "pods/eviction", "create", false),
        ("", "pods/exec", "create", false),
        ("", "pods/log", "get", false),
    ] {
        let user = format!("system:serviceaccount:{RELEASE}:{RELEASE}");
        let allowed = is_allowed(&namespace, &user, verb, (group, resource)).await?;
        assert_eq!(allowed, expected, "{verb} {resource}");
    }
    Ok(())
}

/// Whether a user may do something in the namespace with a resource of an API group: `pods`, `pods/log`.
pub(crate) async fn is_allowed(
    namespace: &Namespace,
    user: &str,
    verb: &str,
    (group, resource): (&str, &str),
) -> Result<bool> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes = json!({
        "namespace": namespace.name, "group": group, "resource": resource, "subresource": subresource, "verb": verb,
    });
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "LocalSubjectAccessReview",
        "metadata": {"namespace": namespace.name}, "spec": {"user": user, "resourceAttributes": attributes},
    });
    let review = namespace.accepts(create(&review)).await?;
    Ok(review["status"]["allowed"] == true)
}
