//! The same manifest again replaces no pods, whichever tool applies it; a new image keeps the injection.

use std::fs;

use serde_json::json;

use crate::manifest::{GRACE_PERIOD, Manifest, deployment};
use crate::namespace::Namespace;
use crate::request::apply;
use crate::suite::{Result, Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![together:
        the_same_again_by_kubectl_apply_replaces_no_pods,
        the_same_again_by_kubectl_apply_server_side_replaces_no_pods,
        the_same_again_by_kubectl_replace_replaces_no_pods,
        the_same_again_by_helm_3_replaces_no_pods,
        the_same_again_by_helm_4_replaces_no_pods,
        a_grace_period_that_git_says_nothing_of_stays_raised,
        a_rollout_restart_keeps_the_injection,
    ]
}

const IMAGE: &str = "/spec/template/spec/containers/0/image";

fn web() -> Manifest {
    deployment("web").budgeted().annotated("readiness", "http:http/health")
}

async fn the_same_again_by_kubectl_apply_replaces_no_pods(namespace: Namespace) -> Result {
    again_by_kubectl(&namespace, "apply -f -", "apply -f -").await
}

async fn the_same_again_by_kubectl_apply_server_side_replaces_no_pods(namespace: Namespace) -> Result {
    again_by_kubectl(&namespace, "apply --server-side -f -", "apply --server-side -f -").await
}

async fn the_same_again_by_kubectl_replace_replaces_no_pods(namespace: Namespace) -> Result {
    again_by_kubectl(&namespace, "create -f -", "replace -f -").await
}

async fn again_by_kubectl(namespace: &Namespace, first: &str, again: &str) -> Result {
    namespace.kubectl(first, Some(&web())).await?;
    let steps = async |manifest: Manifest| namespace.kubectl(again, Some(&manifest)).await.map(drop);
    assert_replaces_no_pods(
        namespace,
        async || steps(web()).await,
        async || steps(web().image("registry.example/app:2")).await,
    )
    .await
}

async fn the_same_again_by_helm_3_replaces_no_pods(namespace: Namespace) -> Result {
    again_by_helm(&namespace, "helm3").await
}

async fn the_same_again_by_helm_4_replaces_no_pods(namespace: Namespace) -> Result {
    again_by_helm(&namespace, "helm4").await
}

async fn again_by_helm(namespace: &Namespace, helm: &str) -> Result {
    let chart = namespace.world.server.directory().join(format!("{helm}-chart"));
    fs::create_dir_all(chart.join("templates"))?;
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.0.0\n")?;
    let manifest = web().image("{{ .Values.image }}").with("/metadata/annotations/again", "{{ .Values.again }}");
    fs::write(chart.join("templates/web.json"), manifest.as_ref().to_string())?;
    let upgrade = async |image: &str, again: &str| {
        let values = format!("image={image},again=a{again}");
        namespace.helm(helm, &format!("upgrade --install web {} --set {values}", chart.display())).await.map(drop)
    };
    let (one, two) = ("registry.example/app:1", "registry.example/app:2");
    upgrade(one, "1").await?;
    assert_replaces_no_pods(namespace, async || upgrade(one, "1").await, async || upgrade(two, "1").await).await?;
    // A change of something else goes through, without new pods.
    let revisions = namespace.revisions("web").await?;
    upgrade(one, "2").await?;
    assert_eq!(namespace.deployment("web").await?["metadata"]["annotations"]["again"], "a2");
    assert_eq!(namespace.revisions("web").await?, revisions);
    Ok(())
}

async fn assert_replaces_no_pods(
    namespace: &Namespace,
    again: impl AsyncFn() -> Result,
    with_new_image: impl AsyncFn() -> Result,
) -> Result {
    let first = namespace.deployment("web").await?;
    assert_eq!(first.pointer(GRACE_PERIOD), Some(&json!(35)));
    let revisions = namespace.revisions("web").await?;
    assert_eq!(revisions.len(), 1);
    for _ in 0..2 {
        again().await?;
        let same = namespace.deployment("web").await?;
        assert_eq!(same["spec"], first["spec"]);
        assert_eq!(namespace.revisions("web").await?, revisions);
    }

    with_new_image().await?;
    let newer = namespace.deployment("web").await?;
    assert_eq!(newer.pointer(IMAGE), Some(&json!("registry.example/app:2")));
    let container = |deployment: &serde_json::Value| deployment["spec"]["template"]["spec"]["containers"][0].clone();
    assert_eq!(container(&newer)["lifecycle"], container(&first)["lifecycle"]);
    assert_eq!(container(&newer)["readinessProbe"], container(&first)["readinessProbe"]);
    assert_eq!(newer.pointer(GRACE_PERIOD), Some(&json!(35)));
    assert_eq!(namespace.revisions("web").await?.len(), 2);

    again().await?;
    assert_eq!(namespace.deployment("web").await?["spec"]["template"], first["spec"]["template"]);
    Ok(())
}

async fn a_grace_period_that_git_says_nothing_of_stays_raised(namespace: Namespace) -> Result {
    for _ in 0..3 {
        let applied = namespace.accepts(apply(web().as_ref())).await?;
        assert_eq!((applied.pointer(GRACE_PERIOD), &applied["metadata"]["generation"]), (Some(&json!(35)), &json!(1)));
    }
    Ok(())
}

async fn a_rollout_restart_keeps_the_injection(namespace: Namespace) -> Result {
    let first = namespace.accepts(web()).await?;
    namespace.revisions("web").await?;
    namespace.kubectl("rollout restart deployment web", None).await?;
    let restarted = namespace.deployment("web").await?;
    assert_eq!(restarted["spec"]["template"]["spec"], first["spec"]["template"]["spec"]);
    assert_eq!(namespace.revisions("web").await?.len(), 2);
    let keys = "winddown.dev/drain- winddown.dev/deadline- winddown.dev/readiness-";
    namespace.kubectl(&format!("annotate deployment web {keys}"), None).await?;
    let ended = namespace.deployment("web").await?["spec"]["template"].clone();
    let annotations = ended["metadata"]["annotations"].as_object().ok_or("the restart left no trace")?;
    assert_eq!(annotations.keys().collect::<Vec<_>>(), ["kubectl.kubernetes.io/restartedAt"]);
    assert_eq!(ended["spec"]["terminationGracePeriodSeconds"], 30);
    Ok(())
}
