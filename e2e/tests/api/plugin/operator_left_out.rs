//! `kubectl winddown restore --all` where it is not known which Deployment is the operator.

use anyhow::Result;
use serde_json::json;
use winddown_e2e::chart::RELEASE;

use super::rights::{rights, user};
use crate::environment::CONFIGURATIONS;
use crate::manifest::{GRACE_PERIOD, deployment};
use crate::namespace::Namespace;
use crate::request::{delete, get};
use crate::suite::{Test, tests, until};

pub(super) fn tests() -> Vec<Test> {
    tests![exclusive: without_the_right_to_know_where_the_operator_is_all_that_looks_like_it_is_left_out]
}

async fn without_the_right_to_know_where_the_operator_is_all_that_looks_like_it_is_left_out(
    namespace: Namespace,
) -> Result<()> {
    let operator = namespace.environment.install_operator_deployment().await?;
    let before = namespace.accepts(get(&operator)).await?;
    namespace.accepts(deployment("web").with_budget()).await?;
    let mut others = rights("restore")?;
    others.retain(|atom| atom.named().1 != "mutatingwebhookconfigurations");
    user(&namespace, "blind", &others).await?;
    let restore = "restore --all -A --remove-annotations --as blind";
    // The question is not answered.
    until("the rights to be in effect", async || {
        let ran = namespace.plugin(restore).await?;
        Ok(ran.stderr.contains(" is not set. Restore ").then_some(()))
    })
    .await?;
    let ran = namespace.plugin(&format!("{restore} --yes --wait 0")).await?;
    let after = namespace.accepts(get(&operator)).await?;
    let again = namespace.plugin(&format!("restore --all -n {RELEASE} --remove-annotations --as blind")).await?;
    // Without webhooks it is not known either, but what runs may be it.
    namespace.environment.stop_operator().await?;
    for configuration in CONFIGURATIONS {
        namespace.accepts(delete(configuration)).await?;
    }
    let without = namespace.plugin(&format!("restore --all -n {RELEASE} --remove-annotations")).await?;
    namespace.accepts(delete(&operator)).await?;

    without.assert(1);
    let left_out = format!("winddown: deployment/winddown in {RELEASE} is left out: it has the labels and the flags ");
    assert!(without.stderr.starts_with(&left_out) && without.stdout.is_empty(), "{without:?}");
    assert_eq!(
        (&after["spec"], &after["metadata"]["annotations"]),
        (&before["spec"], &before["metadata"]["annotations"])
    );
    assert_eq!(namespace.deployment("web").await?.pointer(GRACE_PERIOD), Some(&json!(30)), "{ran:?}");
    for ran in [ran, again] {
        // Something of Winddown is left.
        ran.assert(1);
        let lines: Vec<_> = ran.stderr.lines().collect();
        let unknown = "winddown: where the operator is, is not known: cannot list mutatingwebhookconfigurations";
        assert!(lines[0].starts_with(unknown) && lines[0].contains("User \"blind\" cannot list"), "{ran:?}");
        assert!(lines[1].starts_with(&left_out) && lines.len() == 2, "{ran:?}");
        assert!(!ran.stdout.contains("deployment/winddown"), "{ran:?}");
    }
    Ok(())
}
