//! Trust: the operator keeps Secret and `caBundle`s as they should be, and is not ready without.

use std::time::Instant;

use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::request::{delete, get, merge, send};
use crate::suite::{Result, Test, tests, until};
use crate::world::{CONFIGURATIONS, World};

pub(crate) fn tests() -> Vec<Test> {
    tests![alone:
        a_ca_bundle_that_was_wiped_is_written_again,
        a_deleted_authority_is_made_again_without_a_restart,
        an_operator_is_not_ready_before_both_configurations_trust_it,
        a_new_replica_uses_the_authority_that_is_there,
    ]
}

const SECRET: &str = "/api/v1/namespaces/winddown/secrets/winddown-ca";

impl World {
    /// The `caBundle` of the one webhook in a configuration; empty where there is none.
    async fn ca_bundle(&self, path: &str) -> Result<String> {
        let configuration = self.configuration(path).await?;
        Ok(configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default().to_owned())
    }

    /// What is in the Secret.
    async fn authority(&self) -> Result<Value> {
        Ok(send(&self.client(), &get(SECRET)).await?.accepted()?["data"].clone())
    }

    async fn wipe_ca_bundle(&self, path: &str) -> Result {
        let mut webhook = self.configuration(path).await?["webhooks"][0].clone();
        webhook["clientConfig"]["caBundle"] = Value::Null;
        let wiped = send(&self.client(), &merge(path, json!({"webhooks": [webhook]}))).await?.accepted()?;
        assert!(wiped["webhooks"][0]["clientConfig"]["caBundle"].is_null(), "{wiped:#}");
        Ok(())
    }
}

async fn a_ca_bundle_that_was_wiped_is_written_again(namespace: Namespace) -> Result {
    let world = &namespace.world;
    for path in CONFIGURATIONS {
        let before = world.ca_bundle(path).await?;
        assert!(!before.is_empty());
        world.wipe_ca_bundle(path).await?;
        let start = Instant::now();
        until("the caBundle was there again", async || Ok((world.ca_bundle(path).await? == before).then_some(())))
            .await?;
        eprintln!("the caBundle was there again after {:.1} s", start.elapsed().as_secs_f32());
    }
    world.wait_for_webhooks().await
}

async fn a_deleted_authority_is_made_again_without_a_restart(namespace: Namespace) -> Result {
    let world = &namespace.world;
    let client = world.client();
    let before = world.authority().await?;
    send(&client, &delete(SECRET)).await?.accepted()?;
    let after = until("the Secret was there again", async || {
        let answer = send(&client, &get(SECRET)).await?;
        Ok(answer.is_accepted().then(|| answer.object["data"].clone()))
    })
    .await?;
    assert!(after["ca.key"].is_string() && after["ca.key"] != before["ca.key"]);
    for path in CONFIGURATIONS {
        until("the caBundle was the new one", async || {
            Ok((after["ca-bundle.crt"] == world.ca_bundle(path).await?).then_some(()))
        })
        .await?;
    }
    assert!(world.is_alive().await);
    world.wait_for_webhooks().await
}

async fn an_operator_is_not_ready_before_both_configurations_trust_it(namespace: Namespace) -> Result {
    let world = &namespace.world;
    world.stop_operator().await?;
    world.remove_webhooks().await?;
    world.begin_operator().await?;
    let misses = async |mutating: bool, validating: bool| {
        until("it said which configurations it missed", async || {
            let said = world.readiness().await;
            let right = said.contains("mutating") == mutating && said.contains("validating") == validating;
            Ok((said.starts_with("HTTP/1.1 503") && right).then_some(()))
        })
        .await
    };
    misses(true, true).await?;
    world.install_webhook(0).await?;
    misses(false, true).await?;
    world.install_webhooks().await?;
    until("it was ready", async || Ok(world.readiness().await.starts_with("HTTP/1.1 200").then_some(()))).await?;
    for path in CONFIGURATIONS {
        assert!(!world.ca_bundle(path).await?.is_empty());
    }
    Ok(())
}

async fn a_new_replica_uses_the_authority_that_is_there(namespace: Namespace) -> Result {
    let world = &namespace.world;
    let before = world.authority().await?;
    world.another_replica("winddown-1")?.ready().await?;
    world.stop_operator().await?;
    world.start_operator().await?;
    assert_eq!(world.authority().await?, before);
    world.wait_for_webhooks().await
}
