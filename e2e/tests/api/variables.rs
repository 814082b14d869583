//! The variables that tell an app its budget (`winddown.dev/expose`).

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::manifest::{Manifest, deployment};
use crate::namespace::Namespace;
use crate::request::{apply, create, merge};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = tests![shared:
        the_containers_of_the_app_are_told_their_budget,
        the_variables_follow_the_budget_and_go_with_the_annotation,
        variables_have_no_field_manager,
        a_workload_that_is_right_stays_as_it_is,
        another_value_of_the_annotation_is_rejected,
    ];
    tests.extend(tests![exclusive:
        the_controller_injects_variables_without_webhooks,
        an_earlier_version_leaves_the_variables_as_they_are,
    ]);
    tests
}

const POD: &str = "/spec/template/spec";
const ENV: &str = "/spec/template/spec/containers/0/env";
const REFERENCE: &str = "--grace=$(WINDDOWN_DEADLINE_SECONDS)";

/// With a variable that refers to an injected one.
fn exposed() -> Manifest {
    bare().with_budget().annotated("expose", "env")
}

fn bare() -> Manifest {
    deployment("web").with(ENV, json!([variable("OPTIONS", REFERENCE)]))
}

fn variable(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// The injected variables, then that of the owner.
fn told(drain: i64, deadline: i64, grace_period: i64) -> Value {
    let injected = [("DRAIN", drain), ("DEADLINE", deadline), ("GRACE_PERIOD", grace_period)];
    let injected = injected.map(|(name, seconds)| variable(&format!("WINDDOWN_{name}_SECONDS"), &seconds.to_string()));
    injected.into_iter().chain([variable("OPTIONS", REFERENCE)]).collect()
}

async fn env(namespace: &Namespace) -> Result<Value> {
    Ok(namespace.deployment("web").await?.pointer(ENV).cloned().unwrap_or_default())
}

async fn the_containers_of_the_app_are_told_their_budget(namespace: Namespace) -> Result<()> {
    let own = json!({"name": "WINDDOWN_DEADLINE_SECONDS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}});
    let with_hook = json!({
        "name": "api", "image": "registry.example/api:1", "ports": [{"containerPort": 8081}], "env": [own],
        "lifecycle": {"preStop": {"httpGet": {"path": "/quiesce", "port": 8081}}},
    });
    let proxy = json!({"name": "envoy", "image": "envoyproxy/envoy:v1.35"});
    let sidecar = json!({"name": "log", "image": "registry.example/log:1", "restartPolicy": "Always"});
    let web = exposed().with(
        &format!("{POD}/initContainers"),
        json!([{"name": "migrate", "image": "registry.example/app:1"}, sidecar]),
    );
    let mut web = web.as_ref().clone();
    web["spec"]["template"]["spec"]["containers"] =
        json!([web["spec"]["template"]["spec"]["containers"][0], with_hook, proxy]);
    let web = namespace.accepts(create(&web)).await?;
    let pod = &web["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["env"], told(5, 25, 35));
    let mut own = own;
    own["valueFrom"]["fieldRef"]["apiVersion"] = json!("v1");
    let api = json!([variable("WINDDOWN_DRAIN_SECONDS", "5"), variable("WINDDOWN_GRACE_PERIOD_SECONDS", "35"), own]);
    assert_eq!(pod["containers"][1]["env"], api);
    for container in [&pod["containers"][2], &pod["initContainers"][0], &pod["initContainers"][1]] {
        assert_eq!(container["env"], Value::Null, "{container}");
    }
    Ok(())
}

async fn the_variables_follow_the_budget_and_go_with_the_annotation(namespace: Namespace) -> Result<()> {
    namespace.accepts(bare()).await?;
    let template = namespace.deployment("web").await?["spec"]["template"].clone();
    let annotate = |annotations: Value| namespace.annotate("web", annotations);
    let all = json!({"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s", "winddown.dev/expose": "env"});
    namespace.accepts(annotate(all)).await?;
    assert_eq!(env(&namespace).await?, told(5, 25, 35));
    namespace.accepts(annotate(json!({"winddown.dev/deadline": "40s"}))).await?;
    assert_eq!(env(&namespace).await?, told(5, 40, 50));
    namespace.accepts(annotate(json!({"winddown.dev/drain": "0s"}))).await?;
    assert_eq!(env(&namespace).await?, told(0, 40, 45));
    namespace
        .accepts(namespace.merge("web", json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 90}}}})))
        .await?;
    assert_eq!(env(&namespace).await?, told(0, 40, 90));
    namespace.accepts(annotate(json!({"winddown.dev/expose": null}))).await?;
    assert_eq!(env(&namespace).await?, json!([variable("OPTIONS", REFERENCE)]));
    namespace.accepts(annotate(json!({"winddown.dev/drain": "5s", "winddown.dev/expose": "env"}))).await?;
    assert_eq!(env(&namespace).await?, told(5, 40, 90));
    namespace.undeclare("web").await?;
    let mut restored = namespace.deployment("web").await?["spec"]["template"].clone();
    // This one is of the owner.
    assert_eq!(restored["spec"]["terminationGracePeriodSeconds"].take(), 90);
    restored["spec"]["terminationGracePeriodSeconds"] = json!(30);
    assert_eq!(restored, template);
    Ok(())
}

async fn variables_have_no_field_manager(namespace: Namespace) -> Result<()> {
    namespace.accepts(apply(exposed().as_ref())).await?;
    let managed_fields = namespace.deployment("web").await?["metadata"]["managedFields"].to_string();
    assert!(managed_fields.contains("OPTIONS") && !managed_fields.contains("WINDDOWN_"), "{managed_fields}");

    // Server-side apply of an injected variable causes no conflict.
    let own = json!([variable("OPTIONS", REFERENCE), variable("WINDDOWN_DEADLINE_SECONDS", "20")]);
    let applied = apply(exposed().with(ENV, own.clone()).as_ref());
    let warning = ["env[WINDDOWN_DEADLINE_SECONDS]: is ", "but the deadline is 25s; "];
    namespace.accepts_with_warning(applied, &warning).await?;
    let names = ["WINDDOWN_DRAIN_SECONDS", "WINDDOWN_GRACE_PERIOD_SECONDS", "OPTIONS", "WINDDOWN_DEADLINE_SECONDS"];
    let found = env(&namespace).await?;
    assert_eq!(found.as_array().map(Vec::len), Some(4));
    for (name, variable) in names.iter().zip(found.as_array().into_iter().flatten()) {
        assert_eq!(variable["name"], *name);
    }
    namespace.undeclare("web").await?;
    assert_eq!(env(&namespace).await?, own);
    Ok(())
}

async fn a_workload_that_is_right_stays_as_it_is(namespace: Namespace) -> Result<()> {
    for (command, own) in
        [("apply -f -", "apply -f -"), ("apply --server-side --force-conflicts -f -", "apply --server-side -f -")]
    {
        namespace.kubectl(command, Some(&exposed())).await?;
        // Its controller writes the revision into an annotation, which changes the generation.
        let observed = async || {
            until("the controller of the Deployment to see it", async || {
                let web = namespace.deployment("web").await?;
                let generation = web["metadata"]["generation"].clone();
                Ok((web["status"]["observedGeneration"] == generation).then_some((generation, web["spec"].clone())))
            })
            .await
        };
        let before = observed().await?;
        assert_eq!(env(&namespace).await?, told(5, 25, 35));
        for _ in 0..2 {
            namespace.kubectl(own, Some(&exposed())).await?;
        }
        let path = namespace.deployment_path("web");
        namespace
            .accepts(merge(&path, json!({"metadata": {"labels": {"touched": command.len().to_string()}}})))
            .await?;
        assert_eq!(observed().await?, before, "{command}");
    }
    // `kubectl set env` puts a new variable at the end.
    namespace.kubectl("set env deployment web LEVEL=info", None).await?;
    let expected =
        told(5, 25, 35).as_array().into_iter().flatten().cloned().chain([variable("LEVEL", "info")]).collect();
    assert_eq!(env(&namespace).await?, Value::Array(expected));
    Ok(())
}

async fn another_value_of_the_annotation_is_rejected(namespace: Namespace) -> Result<()> {
    let refused = namespace.send(create(exposed().annotated("expose", "file").as_ref())).await?;
    let message = refused.object["message"].as_str().unwrap_or_default();
    let expected =
        "metadata.annotations[winddown.dev/expose]: \"file\" is not a way to tell the app its budget; write env";
    assert!(!refused.is_success() && message.contains(expected), "{message}");
    Ok(())
}

async fn the_controller_injects_variables_without_webhooks(namespace: Namespace) -> Result<()> {
    namespace.environment.remove_webhooks().await?;
    namespace.accepts(apply(exposed().as_ref())).await?;
    let web = namespace.wait_for_grace_period("Deployment", "web", 35).await?;
    assert_eq!(web.pointer(ENV), Some(&told(5, 25, 35)));
    until("the fields to be released", async || {
        let web = namespace.deployment("web").await?;
        Ok((!web["metadata"]["managedFields"].to_string().contains("WINDDOWN_")).then_some(()))
    })
    .await?;
    namespace.accepts(namespace.annotate("web", json!({"winddown.dev/expose": null}))).await?;
    until("the variables to be removed", async || {
        Ok((env(&namespace).await? == json!([variable("OPTIONS", REFERENCE)])).then_some(()))
    })
    .await?;
    namespace.environment.install_webhooks().await?;
    namespace.environment.wait_for_webhooks().await
}

/// It knows neither the annotation nor the record: it changes nothing, and rejects nothing that exists.
async fn an_earlier_version_leaves_the_variables_as_they_are(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    namespace.accepts(apply(exposed().as_ref())).await?;
    let template = namespace.deployment("web").await?["spec"]["template"].clone();
    environment.stop_operator().await?;
    environment.start_earlier_operator().await?;
    environment.wait_for_webhooks().await?;
    let touched = exposed().with("/metadata/labels/touched", "yes");
    let applied = namespace.send(apply(touched.as_ref())).await?;
    ensure!(applied.is_success(), "{:#}", applied.object);
    let warned = applied.warnings.iter().any(|warning| warning.contains("winddown.dev/expose"));
    assert!(warned, "{:?}", applied.warnings);
    assert_eq!(namespace.deployment("web").await?["spec"]["template"], template);
    // Control: the earlier version answers.
    let created = namespace.accepts(create(deployment("other").annotated("drain", "7s").as_ref())).await?;
    assert_eq!(
        created["metadata"]["annotations"]["winddown.dev/budget"],
        "drain 7s + deadline 20s (default) + margin 3s = 30s of 30s"
    );

    environment.stop_operator().await?;
    environment.start_operator().await?;
    environment.wait_for_webhooks().await?;
    namespace.undeclare("web").await?;
    assert_eq!(env(&namespace).await?, json!([variable("OPTIONS", REFERENCE)]));
    Ok(())
}
