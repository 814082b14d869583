//! The CA in the Secret and the `caBundle` of the webhook configurations.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use k8s_openapi::ByteString;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::environment::{CONFIGURATIONS, Environment};
use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::request::{create, delete, get, merge, send};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![exclusive:
        a_removed_ca_bundle_is_restored,
        a_deleted_ca_secret_is_recreated_without_a_restart,
        readiness_requires_both_ca_bundles,
        a_new_replica_uses_the_existing_ca,
        workloads_are_injected_while_the_secret_is_immutable,
        workloads_are_injected_while_the_secret_cannot_be_read,
        workloads_are_injected_while_the_secret_is_wiped_and_replaced,
        recreated_configurations_get_the_ca_bundle_without_a_restart,
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

    /// Waits until the operator has created the CA Secret; returns its `data`.
    async fn wait_for_ca_secret(&self) -> Result<Value> {
        until("the CA Secret to be created", async || {
            let response = send(&self.client(), &get(SECRET)).await?;
            Ok(response.is_success().then(|| response.object["data"].clone()))
        })
        .await
    }

    /// Waits until `/readyz` returns 200 with a text that contains `problem`, or no problem if it is `None`.
    async fn wait_for_problem(&self, problem: Option<&str>) -> Result<()> {
        until(&format!("/readyz to list the problem {problem:?}"), async || {
            let response = self.readiness().await;
            ensure!(response.starts_with("HTTP/1.1 200"), "not ready: {response}");
            let listed = problem.map_or_else(|| response.ends_with("\r\n\r\nok\n"), |text| response.contains(text));
            Ok(listed.then_some(()))
        })
        .await
    }

    /// How many lines of the log contain a text.
    async fn logged(&self, text: &str) -> usize {
        lines_with(&self.log().await, text)
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
    let after = environment.wait_for_ca_secret().await?;
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

/// Creates annotated Deployments (dry run) again and again until `change` returns. Each must be injected, or rejected if its
/// annotation is invalid.
async fn while_injected(namespace: &Namespace, change: impl Future<Output = Result<()>>) -> Result<()> {
    let request = create(deployment("probe").annotated("drain", "5s").as_ref()).dry_run();
    let invalid = create(deployment("probe").annotated("drain", "five").as_ref()).dry_run();
    let mut requests = 0;
    let probe = async {
        loop {
            let object = namespace.accepts(request.clone()).await?;
            let injected = object.pointer("/metadata/annotations/winddown.dev~1budget").is_some();
            ensure!(injected, "not injected after {requests} requests: {object:#}");
            let code = namespace.send(invalid.clone()).await?.code;
            ensure!(code == 422, "not rejected after {requests} requests: {code}");
            requests += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        result = change => result?,
        result = probe => return result,
    }
    assert!(requests > 3, "only {requests} requests");
    Ok(())
}

async fn workloads_are_injected_while_the_secret_is_immutable(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    let client = environment.client();
    while_injected(&namespace, async {
        // Without its bundle the Secret must be written.
        let change = json!({"immutable": true, "data": {"ca-bundle.crt": null}});
        send(&client, &merge(SECRET, change)).await?.into_object()?;
        environment.wait_for_problem(Some("cannot write Secret winddown/winddown-ca, which is immutable")).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(environment.logged("which is immutable").await, 1);
        send(&client, &delete(SECRET)).await?.into_object()?;
        environment.wait_for_problem(None).await
    })
    .await?;
    assert!(environment.ca_secret().await?["ca.key"].is_string());
    Ok(())
}

async fn workloads_are_injected_while_the_secret_cannot_be_read(namespace: Namespace) -> Result<()> {
    const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/winddown/roles/winddown";
    let environment = &namespace.environment;
    let client = environment.client();
    let rules = send(&client, &get(ROLE)).await?.into_object()?["rules"].clone();
    let without: Vec<_> =
        rules.as_array().into_iter().flatten().filter(|rule| rule["resources"][0] != "secrets").collect();
    send(&client, &merge(ROLE, json!({"rules": without}))).await?.into_object()?;
    let outcome = while_injected(&namespace, async {
        environment.wait_for_problem(Some("cannot read Secret winddown/winddown-ca")).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        ensure!(environment.logged("cannot read Secret winddown/winddown-ca").await == 1);
        Ok(())
    })
    .await;
    let repaired = async {
        environment.remove_ca_bundle(CONFIGURATIONS[0]).await?;
        until("the caBundle to be restored", async || {
            Ok((!environment.ca_bundle(CONFIGURATIONS[0]).await?.is_empty()).then_some(()))
        })
        .await
    }
    .await;
    send(&client, &merge(ROLE, json!({"rules": rules}))).await?.into_object()?;
    let recovered = environment.wait_for_problem(None).await;
    environment.expect_logged_errors().await;
    outcome.and(repaired).and(recovered)
}

async fn workloads_are_injected_while_the_secret_is_wiped_and_replaced(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    let client = environment.client();
    // One replica mutates and the other one validates, and each replaces the Secret: both certificates must stay trusted.
    let mut second = environment.start_additional_replica("winddown-1")?;
    second.wait_until_ready().await?;
    environment.install_webhook_on(1, second.webhook_port()).await?;
    environment.wait_for_webhooks().await?;
    while_injected(&namespace, async {
        for _ in 0..20 {
            send(&client, &delete(SECRET)).await?;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        environment.wait_for_ca_secret().await?;

        let text = "serving a new certificate";
        let by_second = || lines_with(&second.log(), text);
        let served = (environment.logged(text).await, by_second());
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key)?.pem();
        let field = |pem: String| json!(ByteString(pem.into_bytes()));
        let data = json!({"ca.crt": field(pem), "ca.key": field(key.serialize_pem())});
        send(&client, &merge(SECRET, json!({"data": data}))).await?.into_object()?;
        until("both replicas to serve certificates of the replaced authority", async || {
            Ok((environment.logged(text).await > served.0 && by_second() > served.1).then_some(()))
        })
        .await
    })
    .await?;
    for path in CONFIGURATIONS {
        let bundle = environment.ca_bundle(path).await?;
        assert_eq!(environment.ca_secret().await?["ca-bundle.crt"], bundle);
        assert!(bundle.len() < 16 * 1024, "{} bytes", bundle.len());
    }

    // As the page about security says: without the bundle, only the authority in use is trusted.
    send(&client, &merge(SECRET, json!({"data": {"ca-bundle.crt": null}}))).await?.into_object()?;
    for path in CONFIGURATIONS {
        until("only the new authority to be trusted", async || {
            Ok((environment.ca_secret().await?["ca.crt"] == environment.ca_bundle(path).await?).then_some(()))
        })
        .await?;
    }
    environment.install_webhooks().await?;
    assert!(second.terminate().await?.success());
    // Somebody's authority does not stay for later tests.
    send(&client, &delete(SECRET)).await?.into_object()?;
    environment.wait_for_ca_secret().await?;
    environment.wait_for_webhooks().await
}

async fn recreated_configurations_get_the_ca_bundle_without_a_restart(namespace: Namespace) -> Result<()> {
    let environment = &namespace.environment;
    environment.remove_webhooks().await?;
    environment.wait_for_problem(Some("cannot read MutatingWebhookConfiguration winddown")).await?;
    environment.install_webhooks().await?;
    environment.wait_for_webhooks().await?;
    environment.wait_for_problem(None).await?;
    while_injected(&namespace, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    })
    .await
}

/// How many lines contain a text.
fn lines_with(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.contains(text)).count()
}
