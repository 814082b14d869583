//! Applying the same manifest again starts no rollout with any tool; a new image keeps the injection.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::manifest::{GRACE_PERIOD, Manifest, deployment};
use crate::namespace::Namespace;
use crate::request::apply;
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        reapply_with_kubectl_apply_starts_no_rollout,
        reapply_with_kubectl_server_side_apply_starts_no_rollout,
        reapply_with_kubectl_replace_starts_no_rollout,
        reapply_with_helm_3_starts_no_rollout,
        reapply_with_helm_4_starts_no_rollout,
        server_side_apply_keeps_the_raised_grace_period,
        a_rollout_restart_keeps_the_injection,
    ]
}

const IMAGE: &str = "/spec/template/spec/containers/0/image";

fn web() -> Manifest {
    deployment("web").with_budget().annotated("readiness", "http:http/health")
}

async fn reapply_with_kubectl_apply_starts_no_rollout(namespace: Namespace) -> Result<()> {
    reapply_with_kubectl(&namespace, "apply -f -", "apply -f -").await
}

async fn reapply_with_kubectl_server_side_apply_starts_no_rollout(namespace: Namespace) -> Result<()> {
    reapply_with_kubectl(&namespace, "apply --server-side -f -", "apply --server-side -f -").await
}

async fn reapply_with_kubectl_replace_starts_no_rollout(namespace: Namespace) -> Result<()> {
    reapply_with_kubectl(&namespace, "create -f -", "replace -f -").await
}

async fn reapply_with_kubectl(namespace: &Namespace, first: &str, reapply: &str) -> Result<()> {
    namespace.kubectl(first, Some(&web())).await?;
    let apply = async |manifest: Manifest| namespace.kubectl(reapply, Some(&manifest)).await.map(drop);
    assert_starts_no_rollout(
        namespace,
        async || apply(web()).await,
        async || apply(web().image("registry.example/app:2")).await,
    )
    .await
}

async fn reapply_with_helm_3_starts_no_rollout(namespace: Namespace) -> Result<()> {
    reapply_with_helm(&namespace, "helm3").await
}

async fn reapply_with_helm_4_starts_no_rollout(namespace: Namespace) -> Result<()> {
    reapply_with_helm(&namespace, "helm4").await
}

async fn reapply_with_helm(namespace: &Namespace, helm: &str) -> Result<()> {
    let chart = namespace.environment.server.directory().join(format!("{helm}-chart"));
    fs::create_dir_all(chart.join("templates"))?;
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.0.0\n")?;
    let manifest = web().image("{{ .Values.image }}").with("/metadata/annotations/revision", "{{ .Values.revision }}");
    fs::write(chart.join("templates/web.json"), manifest.as_ref().to_string())?;
    let upgrade = async |image: &str, revision: &str| {
        let values = format!("image={image},revision=r{revision}");
        namespace.helm(helm, &format!("upgrade --install web {} --set {values}", chart.display())).await.map(drop)
    };
    let (one, two) = ("registry.example/app:1", "registry.example/app:2");
    upgrade(one, "1").await?;
    assert_starts_no_rollout(namespace, async || upgrade(one, "1").await, async || upgrade(two, "1").await).await?;
    // A change outside the template is applied and starts no rollout.
    let revisions = namespace.revisions("web").await?;
    upgrade(one, "2").await?;
    assert_eq!(namespace.deployment("web").await?["metadata"]["annotations"]["revision"], "r2");
    assert_eq!(namespace.revisions("web").await?, revisions);
    Ok(())
}

async fn assert_starts_no_rollout(
    namespace: &Namespace,
    reapply: impl AsyncFn() -> Result<()>,
    with_new_image: impl AsyncFn() -> Result<()>,
) -> Result<()> {
    let first = namespace.deployment("web").await?;
    assert_eq!(first.pointer(GRACE_PERIOD), Some(&json!(35)));
    let revisions = namespace.revisions("web").await?;
    assert_eq!(revisions.len(), 1);
    for _ in 0..2 {
        reapply().await?;
        let current = namespace.deployment("web").await?;
        assert_eq!(current["spec"], first["spec"]);
        assert_eq!(namespace.revisions("web").await?, revisions);
    }

    with_new_image().await?;
    let updated = namespace.deployment("web").await?;
    assert_eq!(updated.pointer(IMAGE), Some(&json!("registry.example/app:2")));
    let container = |deployment: &serde_json::Value| deployment["spec"]["template"]["spec"]["containers"][0].clone();
    assert_eq!(container(&updated)["lifecycle"], container(&first)["lifecycle"]);
    assert_eq!(container(&updated)["readinessProbe"], container(&first)["readinessProbe"]);
    assert_eq!(updated.pointer(GRACE_PERIOD), Some(&json!(35)));
    assert_eq!(namespace.revisions("web").await?.len(), 2);

    reapply().await?;
    assert_eq!(namespace.deployment("web").await?["spec"]["template"], first["spec"]["template"]);
    Ok(())
}

async fn server_side_apply_keeps_the_raised_grace_period(namespace: Namespace) -> Result<()> {
    for _ in 0..3 {
        let applied = namespace.accepts(apply(web().as_ref())).await?;
        assert_eq!((applied.pointer(GRACE_PERIOD), &applied["metadata"]["generation"]), (Some(&json!(35)), &json!(1)));
    }
    Ok(())
}

async fn a_rollout_restart_keeps_the_injection(namespace: Namespace) -> Result<()> {
    let first = namespace.accepts(web()).await?;
    namespace.revisions("web").await?;
    namespace.kubectl("rollout restart deployment web", None).await?;
    let restarted = namespace.deployment("web").await?;
    assert_eq!(restarted["spec"]["template"]["spec"], first["spec"]["template"]["spec"]);
    assert_eq!(namespace.revisions("web").await?.len(), 2);
    namespace.undeclare("web").await?;
    let template = namespace.deployment("web").await?["spec"]["template"].clone();
    let annotations = template["metadata"]["annotations"].as_object().context("the restart set no annotation")?;
    assert_eq!(annotations.keys().collect::<Vec<_>>(), ["kubectl.kubernetes.io/restartedAt"]);
    assert_eq!(template["spec"]["terminationGracePeriodSeconds"], 30);
    Ok(())
}
