//! Values of the chart that no other test sets: what they render, and that the API server accepts it.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;
use winddown_e2e::api_server::ApiServer;
use winddown_e2e::chart::{Manifests, RELEASE, chart_path};

use crate::namespace::Namespace;
use crate::program::Ran;
use crate::request::{create, get, send};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        the_network_policy_allows_only_the_ports_of_the_pods_and_the_api_server,
        a_digest_pins_the_image,
        annotations_tell_prometheus_where_the_metrics_are,
        the_definitions_are_rendered_unless_they_are_switched_off,
        an_upgrade_installs_the_definitions_and_an_uninstall_keeps_them,
    ]
}

/// The only object of a kind, which the API server accepts.
async fn rendered(namespace: &Namespace, values: Value, kind: &str) -> Result<Option<Value>> {
    let manifests = Manifests::render(namespace.environment.server.tools(), &values)?;
    let Some(object) = manifests.of_kind(kind) else { return Ok(None) };
    send(&namespace.environment.client(), &create(object).dry_run().within(RELEASE)).await?.into_object()?;
    Ok(Some(object.clone()))
}

async fn the_network_policy_allows_only_the_ports_of_the_pods_and_the_api_server(namespace: Namespace) -> Result<()> {
    assert_eq!(rendered(&namespace, json!({}), "NetworkPolicy").await?, None, "it is off by default");
    let values =
        json!({"networkPolicy": {"enabled": true, "apiServerCIDRs": ["10.0.0.0/28"], "apiServerPorts": [6443]}});
    let policy = rendered(&namespace, values, "NetworkPolicy").await?.context("no NetworkPolicy")?;
    let api_server = json!([{"ipBlock": {"cidr": "10.0.0.0/28"}}]);
    let port = |port: Value| json!([{"port": port, "protocol": "TCP"}]);
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["spec"]["egress"], json!([{"ports": port(json!(6443)), "to": api_server}]));
    let ingress = json!([{"ports": port(json!("https")), "from": api_server}, {"ports": port(json!("health"))}, {"ports": port(json!("metrics"))}]);
    assert_eq!(policy["spec"]["ingress"], ingress);
    Ok(())
}

async fn a_digest_pins_the_image(namespace: Namespace) -> Result<()> {
    let digest = format!("sha256:{}", "0".repeat(64));
    let values = json!({"image": {"tag": "other", "digest": digest}});
    let deployment = rendered(&namespace, values, "Deployment").await?.context("no Deployment")?;
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(*image, format!("ghcr.io/winddown/winddown:other@{digest}"));
    // OpenShift assigns the user ID.
    assert!(!deployment.to_string().contains("\"runAsUser\""), "{deployment}");
    Ok(())
}

async fn annotations_tell_prometheus_where_the_metrics_are(namespace: Namespace) -> Result<()> {
    let keys = ["scrape", "port", "path"].map(|key| format!("prometheus.io/{key}"));
    for (annotations, expected) in [(true, [Some("true"), Some("8090"), Some("/metrics")]), (false, [None; 3])] {
        let values = json!({"metrics": {"annotations": annotations, "port": 8090}});
        let deployment = rendered(&namespace, values, "Deployment").await?.context("no Deployment")?;
        let found = &deployment["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(keys.each_ref().map(|key| found[key].as_str()), expected);
        let ports = deployment["spec"]["template"]["spec"]["containers"][0]["ports"].to_string();
        assert!(ports.contains("8090"), "{ports}");
    }
    Ok(())
}

const CRD: &str = "CustomResourceDefinition";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

async fn the_definitions_are_rendered_unless_they_are_switched_off(namespace: Namespace) -> Result<()> {
    let definition = |crds: Value| {
        let manifests = Manifests::render(namespace.environment.server.tools(), &json!({"crds": crds}))?;
        anyhow::Ok(manifests.of_kind(CRD).cloned())
    };
    assert_eq!(definition(json!({"enabled": false}))?, None);
    for (keep, expected) in [(true, Some("keep")), (false, None)] {
        let definition = definition(json!({"keep": keep}))?.context("no definition")?;
        assert_eq!(definition["metadata"]["annotations"]["helm.sh/resource-policy"].as_str(), expected);
    }
    Ok(())
}

/// The Custom Resource Definitions of an API server.
async fn installed(server: &ApiServer) -> Result<Vec<String>> {
    let list = send(&server.client(), &get(DEFINITIONS)).await?.into_object()?;
    let names = list["items"].as_array().into_iter().flatten().filter_map(|item| item["metadata"]["name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

async fn an_upgrade_installs_the_definitions_and_an_uninstall_keeps_them(_: Namespace) -> Result<()> {
    let both = ["shutdownbudgets.winddown.dev", "shutdownpolicies.winddown.dev"];
    // One on which nothing of the chart is installed.
    let server = ApiServer::start().await?;
    let helm = async |arguments: &str| {
        let mut command = Command::from(server.tools().command("helm4")?);
        command.env("KUBECONFIG", server.kubeconfig()).env("HOME", server.directory()).kill_on_drop(true);
        command.args(arguments.split(' ')).args(["--namespace", RELEASE]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ran = Ran::of(command.spawn()?, &format!("helm4 {arguments}")).await?;
        ensure!(ran.code == 0, "helm4 {arguments}: {}", ran.stderr);
        Ok(())
    };
    let chart = chart_path().display().to_string();
    helm(&format!("install {RELEASE} {chart} --create-namespace --set crds.enabled=false")).await?;
    assert_eq!(installed(&server).await?, Vec::<String>::new());
    helm(&format!("upgrade {RELEASE} {chart} --set crds.enabled=true")).await?;
    assert_eq!(installed(&server).await?, both);
    let policy = json!({
        "apiVersion": "winddown.dev/v1alpha1", "kind": "ShutdownPolicy", "metadata": {"name": "gold"},
        "spec": {"validationActions": ["Audit"]},
    });
    let created = until("the policy to be created", async || {
        let response = send(&server.client(), &create(&policy)).await?;
        if response.code == 404 { Ok(None) } else { response.into_object().map(Some) }
    });
    let uid = created.await?["metadata"]["uid"].clone();
    helm(&format!("uninstall {RELEASE}")).await?;
    assert_eq!(installed(&server).await?, both, "kept, because all policies and budgets would go with them");
    let path = "/apis/winddown.dev/v1alpha1/shutdownpolicies/gold";
    assert_eq!(send(&server.client(), &get(path)).await?.into_object()?["metadata"]["uid"], uid);
    // Installed again, it takes them over.
    helm(&format!("install {RELEASE} {chart} --set crds.keep=false")).await?;
    helm(&format!("uninstall {RELEASE}")).await?;
    until("the definitions to be gone", async || Ok(installed(&server).await?.is_empty().then_some(()))).await?;
    Ok(())
}
