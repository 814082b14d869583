//! Values of the chart that no other test sets: what they render, and that the API server accepts it.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use winddown_e2e::chart::{Manifests, RELEASE};

use crate::namespace::Namespace;
use crate::request::{create, send};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared: the_network_policy_allows_only_the_ports_of_the_pods_and_the_api_server, a_digest_pins_the_image]
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
