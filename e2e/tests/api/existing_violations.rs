//! What stood there before does not block a hotfix; what makes it worse is denied.

use serde_json::{Value, json};

use crate::manifest::{Manifest, deployment};
use crate::namespace::Namespace;
use crate::request::{Request, replace};
use crate::suite::{Result, Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    [
        tests![together: a_misfit_from_the_time_of_audit_does_not_block_a_hotfix],
        tests![alone: a_misfit_from_before_the_webhooks_does_not_block_a_hotfix],
    ]
    .concat()
}

fn misfit() -> Manifest {
    deployment("web").budgeted().grace_period(20)
}

async fn a_misfit_from_the_time_of_audit_does_not_block_a_hotfix(namespace: Namespace) -> Result {
    let audited = namespace.accepts(misfit().annotated("mode", "Audit")).await?;
    let enforced = json!({"metadata": {"annotations": {"winddown.dev/mode": null}}});
    namespace.accepts_with_warning(namespace.merge("web", enforced), &["35s"]).await?;
    assert_is_no_obstacle(&namespace, audited["spec"]["template"].clone()).await
}

async fn a_misfit_from_before_the_webhooks_does_not_block_a_hotfix(namespace: Namespace) -> Result {
    namespace.world.remove_webhooks().await?;
    let standing = namespace.accepts(misfit()).await?;
    namespace.world.install_webhooks().await?;
    namespace.world.wait_for_webhooks().await?;
    assert_is_no_obstacle(&namespace, standing["spec"]["template"].clone()).await
}

async fn assert_is_no_obstacle(namespace: &Namespace, mut template: Value) -> Result {
    let hotfix =
        changed(namespace, |web| web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("fixed")).await?;
    let fixed = namespace.accepts_with_warning(hotfix, &["terminationGracePeriodSeconds", "35s"]).await?;
    template["spec"]["containers"][0]["image"] = json!("fixed");
    assert_eq!(fixed["spec"]["template"], template);

    let worse =
        changed(namespace, |web| web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(10)).await?;
    namespace.rejects(worse, &["= 35s, 25s more than the grace period of 10s"]).await?;
    let more = changed(namespace, |web| web["metadata"]["annotations"]["winddown.dev/drain"] = json!("9s")).await?;
    namespace.rejects(more, &["drain 9s"]).await?;
    let another = changed(namespace, |web| web["metadata"]["annotations"]["winddown.dev/drian"] = json!("9s")).await?;
    namespace.rejects(another, &["winddown.dev/drian"]).await?;

    let mended =
        changed(namespace, |web| web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(40)).await?;
    let mended = namespace.accepts(mended).await?;
    assert_eq!(
        mended["metadata"]["annotations"]["winddown.dev/budget"],
        "drain 5s + deadline 25s + margin 5s = 35s of 40s"
    );
    Ok(())
}

/// The Deployment as it stands, with a change.
async fn changed(namespace: &Namespace, change: impl FnOnce(&mut Value)) -> Result<Request> {
    let mut web = namespace.deployment("web").await?;
    if let Some(metadata) = web["metadata"].as_object_mut() {
        // Whatever the deployment controller writes meanwhile.
        metadata.remove("resourceVersion");
    }
    change(&mut web);
    Ok(replace(&web))
}
