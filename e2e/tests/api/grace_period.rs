//! An explicit grace period of 30 s is distinguished from the default of 30 s.

use anyhow::Result;
use serde_json::json;

use crate::manifest::{GRACE_PERIOD, deployment};
use crate::namespace::Namespace;
use crate::request::apply;
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        a_default_grace_period_is_raised,
        an_explicit_30_by_kubectl_apply_is_denied,
        an_explicit_30_by_server_side_apply_is_denied,
        a_larger_grace_period_is_kept,
        a_budget_within_the_default_keeps_the_grace_period,
    ]
}

/// Parts of Winddown's message.
const TOO_SMALL: [&str; 2] = ["= 35s, 5s more than the grace period of 30s", "set it to 35"];

async fn a_default_grace_period_is_raised(namespace: Namespace) -> Result<()> {
    for (name, command) in [("created", "create"), ("applied", "apply"), ("server", "apply --server-side")] {
        namespace.kubectl(&format!("{command} -f -"), Some(&deployment(name).with_budget())).await?;
        assert_eq!(namespace.deployment(name).await?.pointer(GRACE_PERIOD), Some(&json!(35)), "{command}");
    }
    Ok(())
}

async fn an_explicit_30_by_kubectl_apply_is_denied(namespace: Namespace) -> Result<()> {
    let message =
        namespace.kubectl_fails("apply -f -", Some(&deployment("web").with_budget().grace_period(30))).await?;
    assert!(TOO_SMALL.iter().all(|text| message.contains(text)), "{message}");
    Ok(())
}

async fn an_explicit_30_by_server_side_apply_is_denied(namespace: Namespace) -> Result<()> {
    let explicit = deployment("web").with_budget().grace_period(30);
    let message = namespace.kubectl_fails("apply --server-side -f -", Some(&explicit)).await?;
    assert!(TOO_SMALL.iter().all(|text| message.contains(text)), "{message}");
    namespace.rejects(apply(explicit.as_ref()), &TOO_SMALL).await?;
    Ok(())
}

async fn a_larger_grace_period_is_kept(namespace: Namespace) -> Result<()> {
    let web = namespace.accepts(deployment("web").with_budget().grace_period(90)).await?;
    assert_eq!(web.pointer(GRACE_PERIOD), Some(&json!(90)));
    assert_eq!(
        web["metadata"]["annotations"]["winddown.dev/budget"],
        "drain 5s + deadline 25s + margin 5s = 35s of 90s"
    );
    Ok(())
}

async fn a_budget_within_the_default_keeps_the_grace_period(namespace: Namespace) -> Result<()> {
    let web = namespace.accepts(deployment("web").annotated("drain", "5s").annotated("deadline", "10s")).await?;
    assert_eq!(web.pointer(GRACE_PERIOD), Some(&json!(30)));
    assert_eq!(
        web["metadata"]["annotations"]["winddown.dev/budget"],
        "drain 5s + deadline 10s + margin 5s = 20s of 30s"
    );
    Ok(())
}
