//! The CA in the Secret and the `caBundle` of the webhook configurations.

use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use crate::environment::{CONFIGURATIONS, Environment};
use crate::namespace::Namespace;
use crate::request::{delete, get, merge, send};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![exclusive:
        a_removed_ca_bundle_is_restored,
        a_deleted_ca_secret_is_recreated_without_a_restart,
        readiness_requires_both_ca_bundles,
        a_new_replica_uses_the_existing_ca,
    ]
}

const SECRET: &str = "/api/v1/namespaces/winddown/secrets/winddown-ca";

impl Environment {
    /// The `caBundle` of the only webhook in a configuration; empty if it is not set.
    async fn ca_bundle(&self, path: &str) -> Result<String> {
        let configuration = self.configuration(path).await?;
        Ok(configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default().to_owned())
    }

    /// The `data` of the CA Secret.
    async fn ca_secret(&self) -> Result<Value> {
        Ok(send(&self.client(), &get(SECRET)).await?.into_object()?["data"].clone())
    }

    async fn remove_ca_bundle(&self, path: &str) -> Result<()> {
        let mut webhook = self.configuration(path).await?["webhooks"][0].clone();
        webhook["clientConfig"]["caBundle"] = Value::Null;
        let patched = send(&self.client(), &merge(path, json!({"webhooks": [webhook]}))).await?.into_object()?;
        assert!(patched["webhooks"][0]["clientConfig"]["caBundle"].is_null(), "{patched:#}");
        Ok(())
    }
}

async fn a_removed_ca_bundle_is_restored(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    for path in CONFIGURATIONS {
        let before = environment.ca_bundle(path).await?;
        assert!(!before.is_empty());
        environment.remove_ca_bundle(path).await?;
        let start = Instant::now();
        until("the caBundle to be restored", async || Ok((environment.ca_bundle(path).await? == before).then_some(())))
            .await?;
        eprintln!("the caBundle was restored after {:.1} s", start.elapsed().as_secs_f32());
    }
    environment.wait_for_webhooks().await
}

async fn a_deleted_ca_secret_is_recreated_without_a_restart(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    let client = environment.client();
    let before = environment.ca_secret().await?;
    send(&client, &delete(SECRET)).await?.into_object()?;
    let after = until("the CA Secret to be recreated", async || {
        let response = send(&client, &get(SECRET)).await?;
        Ok(response.is_success().then(|| response.object["data"].clone()))
    })
    .await?;
    assert!(after["ca.key"].is_string() && after["ca.key"] != before["ca.key"]);
    for path in CONFIGURATIONS {
        until("the caBundle to contain the new CA", async || {
            Ok((after["ca-bundle.crt"] == environment.ca_bundle(path).await?).then_some(()))
        })
        .await?;
    }
    assert!(environment.is_healthy().await);
    environment.wait_for_webhooks().await
}

async fn readiness_requires_both_ca_bundles(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    environment.stop_operator().await?;
    environment.remove_webhooks().await?;
    environment.start_operator_without_waiting().await?;
    let missing = async |mutating: bool, validating: bool| {
        until("/readyz to list the configurations without caBundle", async || {
            let response = environment.readiness().await;
            let listed = (response.contains("mutating"), response.contains("validating"));
            Ok((response.starts_with("HTTP/1.1 503") && listed == (mutating, validating)).then_some(()))
        })
        .await
    };
    missing(true, true).await?;
    environment.install_webhook(0).await?;
    missing(false, true).await?;
    environment.install_webhooks().await?;
    until("/readyz to return 200", async || {
        Ok(environment.readiness().await.starts_with("HTTP/1.1 200").then_some(()))
    })
    .await?;
    for path in CONFIGURATIONS {
        assert!(!environment.ca_bundle(path).await?.is_empty());
    }
    Ok(())
}

async fn a_new_replica_uses_the_existing_ca(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    let before = environment.ca_secret().await?;
    environment.start_additional_replica("winddown-1")?.wait_until_ready().await?;
    environment.stop_operator().await?;
    environment.start_operator().await?;
    assert_eq!(environment.ca_secret().await?, before);
    environment.wait_for_webhooks().await
}
