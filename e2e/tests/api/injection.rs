//! What is injected, into whom, and that it comes back from the API server as it was sent.

use serde_json::{Value, json};

use crate::manifest::{GRACE_PERIOD, deployment};
use crate::namespace::Namespace;
use crate::request::{create, delete, get};
use crate::suite::{Result, Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![together:
        an_annotated_deployment_gets_sleep_probe_grace_period_label_record_and_budget,
        an_unannotated_deployment_is_left_alone_and_never_reaches_winddown,
        probes_of_every_kind_come_back_as_they_were_sent,
        everything_else_in_the_template_comes_through_untouched,
        a_template_of_300_containers_is_injected,
        a_dry_run_shows_the_injection_and_leaves_nothing,
        a_deployment_that_is_being_deleted_is_left_alone,
        what_winddown_injects_belongs_to_no_field_manager,
        a_deployment_that_the_api_server_names_is_injected,
        winddowns_own_deployment_is_left_alone,
    ]
}

const CONTAINER: &str = "/spec/template/spec/containers/0";

async fn an_annotated_deployment_gets_sleep_probe_grace_period_label_record_and_budget(namespace: Namespace) -> Result {
    let web = deployment("web").budgeted().annotated("readiness", "http:8080/health");
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

async fn an_unannotated_deployment_is_left_alone_and_never_reaches_winddown(namespace: Namespace) -> Result {
    let bystander = namespace.accepts(deployment("bystander")).await?;
    namespace.accepts(namespace.merge("bystander", json!({"metadata": {"labels": {"touched": "yes"}}}))).await?;
    assert_eq!(bystander.pointer(GRACE_PERIOD), Some(&json!(30)));
    assert!(bystander.pointer(CONTAINER).is_some_and(|container| container["lifecycle"].is_null()));
    assert!(
        bystander["metadata"]["annotations"].is_null()
            && bystander["spec"]["template"]["metadata"]["annotations"].is_null()
    );

    // One that does reach us is in the log, so that the other would be.
    namespace.accepts(deployment("web").budgeted()).await?;
    let log = namespace.world.log().await;
    assert!(log.contains(&format!("{}/web", namespace.name)));
    assert!(!log.contains(&format!("{}/bystander", namespace.name)));
    Ok(())
}

/// Undo recognises what was injected by comparing it with the record: defaults that the API server adds would hide it.
async fn probes_of_every_kind_come_back_as_they_were_sent(namespace: Namespace) -> Result {
    for (name, readiness) in [
        ("http", "http:8080/health"),
        ("http-bare", "http:8080/"),
        ("https-named", "https:http/ready"),
        ("tcp", "tcp:8080"),
        ("tcp-named", "tcp:http"),
        ("grpc", "grpc:8080"),
        ("grpc-named", "grpc:http/my.service"),
    ] {
        let created = namespace.accepts(deployment(name).budgeted().annotated("readiness", readiness)).await?;
        let recorded = record(&created)?;
        let container = created.pointer(CONTAINER).ok_or("no container")?;
        assert_eq!(container["readinessProbe"], recorded["readiness"]["app"], "{readiness}");
        assert_eq!(
            container["lifecycle"]["preStop"],
            json!({"sleep": {"seconds": recorded["preStop"]["app"]}}),
            "{readiness}"
        );
        assert_eq!(created.pointer(GRACE_PERIOD), Some(&recorded["gracePeriod"]["set"]), "{readiness}");

        // And so the annotations' end is the injection's end.
        let ended = namespace.accepts(namespace.merge(name, json!({"metadata": {"annotations": null}}))).await?;
        let twin = namespace.accepts(create(deployment(name).as_ref()).dry_run_as(&format!("{name}-twin"))).await?;
        assert_eq!(ended["spec"]["template"], twin["spec"]["template"], "{readiness}");
    }
    Ok(())
}

/// Among it fields that few know, and some that no version of Winddown's own types may know.
async fn everything_else_in_the_template_comes_through_untouched(namespace: Namespace) -> Result {
    let exotic = deployment("web")
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
    let bare = namespace.accepts(create(exotic.as_ref()).dry_run()).await?;
    let injected = namespace.accepts(exotic.budgeted().annotated("readiness", "tcp:8080")).await?;

    let mut expected = bare["spec"]["template"].clone();
    expected["metadata"]["labels"]["winddown.dev/managed"] = json!("true");
    expected["metadata"]["annotations"] = injected["spec"]["template"]["metadata"]["annotations"].clone();
    expected["spec"]["terminationGracePeriodSeconds"] = json!(35);
    expected["spec"]["containers"][0]["lifecycle"]["preStop"] = json!({"sleep": {"seconds": 5}});
    expected["spec"]["containers"][0]["readinessProbe"] = record(&injected)?["readiness"]["app"].clone();
    assert_eq!(injected["spec"]["template"], expected);

    let ended = namespace.accepts(namespace.merge("web", json!({"metadata": {"annotations": null}}))).await?;
    assert_eq!(ended["spec"]["template"], bare["spec"]["template"]);
    Ok(())
}

async fn a_template_of_300_containers_is_injected(namespace: Namespace) -> Result {
    let containers: Vec<_> =
        (0..300).map(|n| json!({"name": format!("c{n}"), "image": "registry.example/app:1"})).collect();
    let crowd =
        namespace.accepts(deployment("crowd").budgeted().with("/spec/template/spec/containers", containers)).await?;
    let containers = crowd["spec"]["template"]["spec"]["containers"].as_array().ok_or("no containers")?;
    let sleeps = containers.iter().filter(|container| container["lifecycle"]["preStop"]["sleep"]["seconds"] == 5);
    assert_eq!((containers.len(), sleeps.count()), (300, 300));
    let ended = namespace.accepts(namespace.merge("crowd", json!({"metadata": {"annotations": null}}))).await?;
    assert!(!ended["spec"]["template"].to_string().contains("preStop"));
    Ok(())
}

async fn a_dry_run_shows_the_injection_and_leaves_nothing(namespace: Namespace) -> Result {
    let web = deployment("web").budgeted();
    let shown = namespace.kubectl("apply --dry-run=server -o json -f -", Some(&web)).await?;
    let shown: Value = serde_json::from_str(&shown.out)?;
    assert_eq!(shown.pointer(GRACE_PERIOD), Some(&json!(35)));
    assert_eq!(namespace.list("apps/v1", "deployments").await?, Vec::<Value>::new());
    Ok(())
}

async fn a_deployment_that_is_being_deleted_is_left_alone(namespace: Namespace) -> Result {
    let path = namespace.deployment_path("web");
    namespace.accepts(deployment("web").budgeted().with("/metadata/finalizers", json!(["example.com/wait"]))).await?;
    namespace.accepts(delete(&path)).await?;
    let nonsense = json!({"metadata": {"annotations": {"winddown.dev/drain": "nonsense"}}});
    let kept = namespace.accepts(namespace.merge("web", nonsense)).await?;
    assert_eq!(kept.pointer(GRACE_PERIOD), Some(&json!(35)));
    namespace.accepts(namespace.merge("web", json!({"metadata": {"finalizers": null}}))).await?;
    assert_eq!(namespace.list("apps/v1", "deployments").await?, Vec::<Value>::new());
    Ok(())
}

async fn what_winddown_injects_belongs_to_no_field_manager(namespace: Namespace) -> Result {
    let web = deployment("web").budgeted();
    namespace.accepts(crate::request::apply(web.as_ref())).await?;
    let owners = namespace.deployment("web").await?["metadata"]["managedFields"].to_string();
    assert!(!owners.contains("terminationGracePeriodSeconds") && !owners.contains("preStop"), "{owners}");

    // So whoever applies it may set what Winddown had set, without a conflict.
    let own = web
        .clone()
        .grace_period(60)
        .with(&format!("{CONTAINER}/lifecycle"), json!({"preStop": {"sleep": {"seconds": 9}}}));
    let own = namespace.accepts(crate::request::apply(own.as_ref())).await?;
    assert_eq!(own.pointer(GRACE_PERIOD), Some(&json!(60)));
    assert_eq!(
        own["metadata"]["annotations"]["winddown.dev/budget"],
        "drain 9s (preStop of app) + deadline 25s + margin 5s = 39s of 60s"
    );
    Ok(())
}

async fn a_deployment_that_the_api_server_names_is_injected(namespace: Namespace) -> Result {
    let named = deployment("web").budgeted().with("/metadata/name", Value::Null).with("/metadata/generateName", "web-");
    let named = namespace.accepts(named).await?;
    assert!(named["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("web-")));
    assert_eq!(named.pointer(GRACE_PERIOD), Some(&json!(35)));
    Ok(())
}

/// It keeps its promise by itself: were it to wait for its own webhooks, it might never start.
async fn winddowns_own_deployment_is_left_alone(namespace: Namespace) -> Result {
    let own = deployment("winddown").with("/metadata/namespace", "winddown");
    let twin = namespace.accepts(create(own.as_ref()).dry_run()).await?;
    let own = namespace.accepts(own.budgeted()).await?;
    // Neither the webhooks nor, once it was busy with a later one, the controller.
    namespace.accepts(deployment("later").budgeted()).await?;
    namespace.is_told("later", "BudgetApplied: ").await?;
    let path = "/apis/apps/v1/namespaces/winddown/deployments/winddown";
    let still = namespace.accepts(get(path)).await?;
    assert_eq!((&still["spec"], &own["spec"]["template"]), (&own["spec"], &twin["spec"]["template"]));
    namespace.accepts(delete(path)).await?;
    Ok(())
}

/// `winddown.dev/injected`, read.
fn record(deployment: &Value) -> Result<Value> {
    let text = deployment.pointer("/spec/template/metadata/annotations/winddown.dev~1injected").and_then(Value::as_str);
    Ok(serde_json::from_str(text.ok_or("there is no record")?)?)
}
