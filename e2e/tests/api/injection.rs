//! The injected fields, the workloads that get them, and that the API server stores them unchanged.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::manifest::{GRACE_PERIOD, deployment};
use crate::namespace::Namespace;
use crate::request::{apply, create, delete, get};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        drain_probe_and_grace_period_are_injected_on_create,
        webhooks_are_not_called_without_annotations,
        every_probe_type_is_stored_unchanged,
        other_template_fields_are_not_changed,
        a_template_with_300_containers_is_injected,
        a_server_dry_run_shows_the_injection,
        a_deployment_being_deleted_is_ignored,
        injected_fields_have_no_field_manager,
        a_deployment_with_generate_name_is_injected,
        the_deployment_of_winddown_is_ignored,
    ]
}

const CONTAINER: &str = "/spec/template/spec/containers/0";

async fn drain_probe_and_grace_period_are_injected_on_create(namespace: Namespace) -> Result<()> {
    let web = deployment("web").with_budget().annotated("readiness", "http:8080/health");
    let web = namespace.accepts(web).await?;
    assert_eq!(
        web["metadata"]["annotations"]["winddown.dev/budget"],
        "drain 5s + deadline 25s + margin 5s = 35s of 35s"
    );
    let template = &web["spec"]["template"];
    assert_eq!(template["spec"]["terminationGracePeriodSeconds"], 35);
    let container = &template["spec"]["containers"][0];
    assert_eq!(container["lifecycle"], json!({"preStop": {"sleep": {"seconds": 5}}}));
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/health");
    assert_eq!(container["readinessProbe"]["periodSeconds"], 5);
    assert_eq!(container["readinessProbe"]["failureThreshold"], 1);
    assert_eq!(template["metadata"]["labels"]["winddown.dev/managed"], "true");
    assert_eq!(record(&web)?["gracePeriod"], json!({"was": 30, "set": 35}));
    assert!(template["metadata"]["annotations"]["winddown.dev/budget"].is_null());
    Ok(())
}

async fn webhooks_are_not_called_without_annotations(namespace: Namespace) -> Result<()> {
    let unannotated = namespace.accepts(deployment("unannotated")).await?;
    namespace.accepts(namespace.merge("unannotated", json!({"metadata": {"labels": {"touched": "yes"}}}))).await?;
    assert_eq!(unannotated.pointer(GRACE_PERIOD), Some(&json!(30)));
    assert!(unannotated.pointer(CONTAINER).is_some_and(|container| container["lifecycle"].is_null()));
    assert!(
        unannotated["metadata"]["annotations"].is_null()
            && unannotated["spec"]["template"]["metadata"]["annotations"].is_null()
    );

    // The control: a reviewed Deployment appears in the log.
    namespace.accepts(deployment("web").with_budget()).await?;
    let log = namespace.environment.log().await;
    assert!(log.contains(&format!("{}/web", namespace.name)));
    assert!(!log.contains(&format!("{}/unannotated", namespace.name)));
    Ok(())
}

/// Removal compares the fields with the record, so defaults added by the API server would prevent it.
async fn every_probe_type_is_stored_unchanged(namespace: Namespace) -> Result<()> {
    for (name, readiness) in [
        ("http", "http:8080/health"),
        ("http-no-path", "http:8080/"),
        ("https-named", "https:http/ready"),
        ("tcp", "tcp:8080"),
        ("tcp-named", "tcp:http"),
        ("grpc", "grpc:8080"),
        ("grpc-named", "grpc:http/my.service"),
    ] {
        let created = namespace.accepts(deployment(name).with_budget().annotated("readiness", readiness)).await?;
        let record = record(&created)?;
        let container = created.pointer(CONTAINER).context("no container")?;
        assert_eq!(container["readinessProbe"], record["readiness"]["app"], "{readiness}");
        assert_eq!(
            container["lifecycle"]["preStop"],
            json!({"sleep": {"seconds": record["preStop"]["app"]}}),
            "{readiness}"
        );
        assert_eq!(created.pointer(GRACE_PERIOD), Some(&record["gracePeriod"]["set"]), "{readiness}");

        // Removing the annotations removes the injection.
        let removed = namespace.accepts(namespace.annotate(name, Value::Null)).await?;
        let expected = create(deployment(name).as_ref()).dry_run_as(&format!("{name}-expected"));
        let expected = namespace.accepts(expected).await?;
        assert_eq!(removed["spec"]["template"], expected["spec"]["template"], "{readiness}");
    }
    Ok(())
}

/// Includes rarely used fields and fields that the types of a client may not have.
async fn other_template_fields_are_not_changed(namespace: Namespace) -> Result<()> {
    let workload = deployment("web")
        .with("/spec/template/spec/topologySpreadConstraints", json!([{
            "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["pod-template-hash"],
            "nodeAffinityPolicy": "Honor",
        }]))
        .with("/spec/template/spec/schedulingGates", json!([{"name": "example.com/gate"}]))
        .with("/spec/template/spec/resources", json!({"requests": {"cpu": "1"}}))
        .with("/spec/template/spec/os", json!({"name": "linux"}))
        .with("/spec/template/spec/hostUsers", false)
        .with("/spec/template/spec/initContainers", json!([
            {"name": "sidecar", "image": "sidecar", "restartPolicy": "Always"},
            {"name": "first", "image": "first", "env": [{"name": "A", "value": "ü\u{1F980}"}]},
        ]))
        .with("/spec/template/spec/volumes", json!([
            {"name": "v", "image": {"reference": "registry.example/data:1", "pullPolicy": "IfNotPresent"}},
            {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}]}},
        ]))
        .with(&format!("{CONTAINER}/resizePolicy"), json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"}]))
        .with(&format!("{CONTAINER}/resources"), json!({"limits": {"cpu": "1500m", "memory": "1.5Gi"}}))
        .with(&format!("{CONTAINER}/lifecycle"), json!({"postStart": {"exec": {"command": ["true"]}}}))
        .with(&format!("{CONTAINER}/livenessProbe"), json!({"grpc": {"port": 8080}, "terminationGracePeriodSeconds": 7}))
        .with(&format!("{CONTAINER}/securityContext"), json!({"procMount": "Default", "appArmorProfile": {"type": "RuntimeDefault"}}));
    let unannotated = namespace.accepts(create(workload.as_ref()).dry_run()).await?;
    let injected = namespace.accepts(workload.with_budget().annotated("readiness", "tcp:8080")).await?;

    let mut expected = unannotated["spec"]["template"].clone();
    expected["metadata"]["labels"]["winddown.dev/managed"] = json!("true");
    expected["metadata"]["annotations"] = injected["spec"]["template"]["metadata"]["annotations"].clone();
    expected["spec"]["terminationGracePeriodSeconds"] = json!(35);
    expected["spec"]["containers"][0]["lifecycle"]["preStop"] = json!({"sleep": {"seconds": 5}});
    expected["spec"]["containers"][0]["readinessProbe"] = record(&injected)?["readiness"]["app"].clone();
    assert_eq!(injected["spec"]["template"], expected);

    let removed = namespace.accepts(namespace.annotate("web", Value::Null)).await?;
    assert_eq!(removed["spec"]["template"], unannotated["spec"]["template"]);
    Ok(())
}

async fn a_template_with_300_containers_is_injected(namespace: Namespace) -> Result<()> {
    let containers: Vec<_> =
        (0..300).map(|n| json!({"name": format!("c{n}"), "image": "registry.example/app:1"})).collect();
    let web = deployment("web").with_budget().with("/spec/template/spec/containers", containers);
    let web = namespace.accepts(web).await?;
    let containers = web["spec"]["template"]["spec"]["containers"].as_array().context("no containers")?;
    let sleeps = containers.iter().filter(|container| container["lifecycle"]["preStop"]["sleep"]["seconds"] == 5);
    assert_eq!((containers.len(), sleeps.count()), (300, 300));
    let removed = namespace.accepts(namespace.annotate("web", Value::Null)).await?;
    assert!(!removed["spec"]["template"].to_string().contains("preStop"));
    Ok(())
}

async fn a_server_dry_run_shows_the_injection(namespace: Namespace) -> Result<()> {
    let web = deployment("web").with_budget();
    let output = namespace.kubectl("apply --dry-run=server -o json -f -", Some(&web)).await?;
    let web: Value = serde_json::from_str(&output)?;
    assert_eq!(web.pointer(GRACE_PERIOD), Some(&json!(35)));
    assert_eq!(namespace.list("apps/v1", "deployments").await?, Vec::<Value>::new());
    Ok(())
}

async fn a_deployment_being_deleted_is_ignored(namespace: Namespace) -> Result<()> {
    let path = namespace.deployment_path("web");
    namespace
        .accepts(deployment("web").with_budget().with("/metadata/finalizers", json!(["example.com/wait"])))
        .await?;
    namespace.accepts(delete(&path)).await?;
    let invalid = namespace.annotate("web", json!({"winddown.dev/drain": "invalid"}));
    let kept = namespace.accepts(invalid).await?;
    assert_eq!(kept.pointer(GRACE_PERIOD), Some(&json!(35)));
    namespace.accepts(namespace.merge("web", json!({"metadata": {"finalizers": null}}))).await?;
    assert_eq!(namespace.list("apps/v1", "deployments").await?, Vec::<Value>::new());
    Ok(())
}

async fn injected_fields_have_no_field_manager(namespace: Namespace) -> Result<()> {
    let web = deployment("web").with_budget();
    namespace.accepts(apply(web.as_ref())).await?;
    let managed_fields = namespace.deployment("web").await?["metadata"]["managedFields"].to_string();
    assert!(
        !managed_fields.contains("terminationGracePeriodSeconds") && !managed_fields.contains("preStop"),
        "{managed_fields}"
    );

    // Server-side apply of the injected fields causes no conflict.
    let changed = web
        .clone()
        .grace_period(60)
        .with(&format!("{CONTAINER}/lifecycle"), json!({"preStop": {"sleep": {"seconds": 9}}}));
    let changed = namespace.accepts(apply(changed.as_ref())).await?;
    assert_eq!(changed.pointer(GRACE_PERIOD), Some(&json!(60)));
    assert_eq!(
        changed["metadata"]["annotations"]["winddown.dev/budget"],
        "drain 9s (preStop of app) + deadline 25s + margin 5s = 39s of 60s"
    );
    Ok(())
}

async fn a_deployment_with_generate_name_is_injected(namespace: Namespace) -> Result<()> {
    let named =
        deployment("web").with_budget().with("/metadata/name", Value::Null).with("/metadata/generateName", "web-");
    let named = namespace.accepts(named).await?;
    assert!(named["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("web-")));
    assert_eq!(named.pointer(GRACE_PERIOD), Some(&json!(35)));
    Ok(())
}

/// If its own webhooks reviewed it, Winddown might not start while it is unavailable.
async fn the_deployment_of_winddown_is_ignored(namespace: Namespace) -> Result<()> {
    let own = deployment("winddown").with("/metadata/namespace", "winddown");
    let expected = namespace.accepts(create(own.as_ref()).dry_run()).await?;
    let own = namespace.accepts(own.with_budget()).await?;
    // The Event about the later Deployment shows that the controller has seen this one and ignored it.
    namespace.accepts(deployment("later").with_budget()).await?;
    namespace.wait_for_event("later", "BudgetApplied: ").await?;
    let path = "/apis/apps/v1/namespaces/winddown/deployments/winddown";
    let stored = namespace.accepts(get(path)).await?;
    assert_eq!((&stored["spec"], &own["spec"]["template"]), (&own["spec"], &expected["spec"]["template"]));
    namespace.accepts(delete(path)).await?;
    Ok(())
}

/// The parsed annotation `winddown.dev/injected`.
fn record(deployment: &Value) -> Result<Value> {
    let text = deployment.pointer("/spec/template/metadata/annotations/winddown.dev~1injected").and_then(Value::as_str);
    Ok(serde_json::from_str(text.context("no annotation winddown.dev/injected")?)?)
}
