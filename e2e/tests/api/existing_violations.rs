//! An existing violation only causes a warning. A change that makes it worse, or adds another one, is denied.

use anyhow::Result;
use serde_json::{Value, json};

use crate::manifest::{Manifest, deployment};
use crate::namespace::Namespace;
use crate::request::{Request, replace};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    [
        tests![shared: an_existing_violation_from_audit_mode_only_warns],
        tests![exclusive: an_existing_violation_from_before_the_webhooks_only_warns],
    ]
    .concat()
}

/// Part of Winddown's message.
const OVER_BUDGET: &str = "= 35s, 25s more than the grace period of 10s";

fn over_budget() -> Manifest {
    deployment("web").with_budget().grace_period(20)
}

async fn an_existing_violation_from_audit_mode_only_warns(namespace: Namespace) -> Result<()> {
    let audited = namespace.accepts(over_budget().annotated("mode", "Audit")).await?;
    let enforce = namespace.annotate("web", json!({"winddown.dev/mode": null}));
    namespace.accepts_with_warning(enforce, &["35s"]).await?;
    assert_only_worse_is_denied(&namespace, audited["spec"]["template"].clone()).await
}

async fn an_existing_violation_from_before_the_webhooks_only_warns(namespace: Namespace) -> Result<()> {
    namespace.environment.remove_webhooks().await?;
    let created = namespace.accepts(over_budget()).await?;
    namespace.environment.install_webhooks().await?;
    namespace.environment.wait_for_webhooks().await?;
    assert_only_worse_is_denied(&namespace, created["spec"]["template"].clone()).await
}

async fn assert_only_worse_is_denied(namespace: &Namespace, mut template: Value) -> Result<()> {
    let hotfix =
        changed(namespace, |web| web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("fixed")).await?;
    let fixed = namespace.accepts_with_warning(hotfix, &["terminationGracePeriodSeconds", "35s"]).await?;
    template["spec"]["containers"][0]["image"] = json!("fixed");
    assert_eq!(fixed["spec"]["template"], template);

    let worse =
        changed(namespace, |web| web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(10)).await?;
    namespace.rejects(worse, &[OVER_BUDGET]).await?;
    let more = changed(namespace, |web| web["metadata"]["annotations"]["winddown.dev/drain"] = json!("9s")).await?;
    namespace.rejects(more, &["drain 9s"]).await?;
    let another = changed(namespace, |web| web["metadata"]["annotations"]["winddown.dev/drian"] = json!("9s")).await?;
    namespace.rejects(another, &["winddown.dev/drian"]).await?;

    let fixed =
        changed(namespace, |web| web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(40)).await?;
    let fixed = namespace.accepts(fixed).await?;
    assert_eq!(
        fixed["metadata"]["annotations"]["winddown.dev/budget"],
        "drain 5s + deadline 25s + margin 5s = 35s of 40s"
    );
    Ok(())
}

/// A replace request for the current Deployment with a change.
async fn changed(namespace: &Namespace, change: impl FnOnce(&mut Value)) -> Result<Request> {
    let mut web = namespace.deployment("web").await?;
    if let Some(metadata) = web["metadata"].as_object_mut() {
        // Avoids conflicts with status updates of the deployment controller.
        metadata.remove("resourceVersion");
    }
    change(&mut web);
    Ok(replace(&web))
}
