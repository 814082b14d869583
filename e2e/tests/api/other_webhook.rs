//! Another mutating webhook that changes the requests of the controller: it is reported, and the patch is not repeated without end.

mod server;

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use self::server::Server;
use crate::manifest::{GRACE_PERIOD, deployment};
use crate::namespace::Namespace;
use crate::request::{Request, create, delete, merge, send};
use crate::suite::{Test, tests, until};

pub(crate) fn tests() -> Vec<Test> {
    tests![exclusive:
        another_webhook_that_undoes_the_injection_is_reported_and_the_patch_is_not_repeated,
        a_patch_that_is_rejected_because_of_another_webhook_is_reported_once_and_retried_rarely,
        a_container_that_a_later_webhook_adds_in_a_labelled_namespace_is_injected_too,
    ]
}

const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
/// Earlier patches came within this time.
const QUIET: Duration = Duration::from_secs(6);

/// A workload that Winddown has yet to inject, in a namespace with another webhook.
async fn missed(namespace: &Namespace, patch: Value) -> Result<Server> {
    let environment = &namespace.environment;
    environment.stop_operator().await?;
    let created = namespace.accepts(deployment("web").with_budget()).await?;
    ensure!(created.pointer(GRACE_PERIOD) == Some(&json!(30)), "injected: {created:#}");
    install(namespace, &patch, "IfNeeded").await
}

/// Starts the other webhook and waits until it is called for the Deployment `web`.
async fn install(namespace: &Namespace, patch: &Value, reinvocation: &str) -> Result<Server> {
    let environment = &namespace.environment;
    let server = Server::start(patch).await?;
    let rules = json!([{
        "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE", "UPDATE"],
    }]);
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        // Called in the order of the names, so after Winddown.
        "metadata": {"name": namespace.other_webhook()},
        "webhooks": [{
            "name": "other.example.com",
            "clientConfig": server.client_config(),
            "rules": rules,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}},
            "failurePolicy": "Fail",
            "reinvocationPolicy": reinvocation,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }],
    });
    send(&environment.client(), &create(&configuration)).await?.into_object()?;
    until("the other webhook to be called", async || {
        namespace.accepts(namespace.touch()).await?;
        Ok((server.reviews() > 0).then_some(()))
    })
    .await?;
    Ok(server)
}

impl Namespace {
    /// Runs a test beside the other webhook, and deletes its configuration.
    async fn beside(&self, patch: Value, test: impl AsyncFnOnce(&Server) -> Result<()>) -> Result<()> {
        let outcome = async {
            let server = missed(self, patch).await?;
            self.environment.start_operator().await?;
            test(&server).await
        }
        .await;
        self.remove_other_webhook().await?;
        outcome?;
        // The server has stopped. Until the API server notices the deletion, it rejects every write.
        let condition = "the other webhook not to be called";
        until(condition, async || Ok(self.send(self.touch()).await?.is_success().then_some(()))).await
    }

    async fn remove_other_webhook(&self) -> Result<()> {
        let configuration = format!("{CONFIGURATIONS}/{}", self.other_webhook());
        send(&self.environment.client(), &delete(&configuration)).await.map(drop)
    }

    /// Only of this test, so that one that a failed test left disturbs no other.
    fn other_webhook(&self) -> String {
        format!("z-{}", self.name)
    }

    fn touch(&self) -> Request {
        merge(&self.deployment_path("web"), json!({"metadata": {"labels": {"a": "b"}}})).dry_run()
    }

    async fn events_with_reason(&self, reason: &str) -> Result<Vec<String>> {
        let mut events = self.events_about("web").await?;
        events.retain(|event| event.starts_with(reason));
        Ok(events)
    }

    /// Waits for the Event, and checks that there is one, and that nothing is sent any more.
    async fn is_reported_once(&self, server: &Server, reason: &str) -> Result<String> {
        let condition = format!("the Event {reason}");
        let events = until(&condition, async || {
            Ok(Some(self.events_with_reason(reason).await?).filter(|events| !events.is_empty()))
        })
        .await?;
        let (sent, version) = (server.reviews(), self.deployment("web").await?["metadata"]["resourceVersion"].clone());
        tokio::time::sleep(QUIET).await;
        assert_eq!(server.reviews(), sent, "reviews after the Event");
        assert_eq!(self.deployment("web").await?["metadata"]["resourceVersion"], version);
        assert_eq!(self.events_with_reason(reason).await?, events);
        Ok(events.concat())
    }
}

async fn another_webhook_that_undoes_the_injection_is_reported_and_the_patch_is_not_repeated(
    namespace: Namespace,
) -> Result<()> {
    let undo = json!([{"op": "add", "path": GRACE_PERIOD, "value": 30}]);
    namespace
        .beside(undo, async |server| {
            let event = namespace.is_reported_once(server, "InjectionReverted: ").await?;
            assert!(
                event.contains("changed 3 times, and reverted each time, last by another mutating webhook"),
                "{event}"
            );
            Ok(())
        })
        .await?;
    // Without the other webhook, the next change of the template is injected.
    let changed = json!({"spec": {"template": {"metadata": {"labels": {"release": "2"}}}}});
    let updated = namespace.accepts(namespace.merge("web", changed)).await?;
    assert_eq!(updated.pointer(GRACE_PERIOD), Some(&json!(35)));
    Ok(())
}

async fn a_patch_that_is_rejected_because_of_another_webhook_is_reported_once_and_retried_rarely(
    namespace: Namespace,
) -> Result<()> {
    let label = json!([{"op": "add", "path": "/spec/template/metadata/labels/team", "value": "shop"}]);
    namespace
        .beside(label, async |server| {
            let event = namespace.is_reported_once(server, "InjectionRejected: ").await?;
            assert!(event.contains("Winddown may not change the metadata of a pod template"), "{event}");
            namespace.environment.expect_logged_errors().await;
            Ok(())
        })
        .await?;
    // The retries go on, less and less often.
    namespace.wait_for_grace_period("Deployment", "web", 35).await.map(drop)
}

async fn a_container_that_a_later_webhook_adds_in_a_labelled_namespace_is_injected_too(
    namespace: Namespace,
) -> Result<()> {
    let container = json!({"name": "late", "image": "registry.example/late:1"});
    let add = json!([{"op": "add", "path": "/spec/template/spec/containers/1", "value": container}]);
    // The other webhook sees it only when it is created, without Winddown.
    namespace.accepts(deployment("web").annotated("mode", "Off")).await?;
    let outcome = async {
        // Called once for each request: it would add a second container.
        let _server = install(&namespace, &add, "Never").await?;
        namespace.opt_in(true).await?;
        namespace.accepts(deployment("plain")).await
    }
    .await;
    namespace.remove_other_webhook().await?;
    let created = outcome?;
    for container in 0..2 {
        let sleep = created.pointer(&format!("/spec/template/spec/containers/{container}/lifecycle/preStop/sleep"));
        assert_eq!(sleep, Some(&json!({"seconds": 5})), "{container} {created:#}");
    }
    Ok(())
}
