//! `winddown.dev/mode`: Audit only tells, Off undoes.

use serde_json::{Value, json};

use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::request::create;
use crate::suite::{Result, Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![together:
        audit_changes_nothing,
        audit_warns_of_what_would_be_denied,
        going_from_enforce_to_audit_or_off_undoes,
    ]
}

async fn audit_changes_nothing(namespace: Namespace) -> Result {
    let web = deployment("web");
    let audited = namespace.accepts(web.clone().budgeted().annotated("mode", "Audit")).await?;
    let twin = namespace.accepts(create(web.as_ref()).dry_run_as("twin")).await?;
    assert_eq!(audited["spec"]["template"], twin["spec"]["template"]);
    assert!(audited["metadata"]["annotations"]["winddown.dev/budget"].is_null());
    Ok(())
}

async fn audit_warns_of_what_would_be_denied(namespace: Namespace) -> Result {
    let misfit = deployment("web").budgeted().annotated("mode", "Audit").grace_period(20);
    namespace.accepts_with_warning(misfit, &["terminationGracePeriodSeconds", "35s"]).await?;
    let typo = deployment("typo").budgeted().annotated("mode", "Audit").annotated("drian", "5s");
    namespace.accepts_with_warning(typo, &["drian", "did you mean winddown.dev/drain?"]).await?;
    Ok(())
}

async fn going_from_enforce_to_audit_or_off_undoes(namespace: Namespace) -> Result {
    let web = deployment("web");
    let twin = namespace.accepts(create(web.as_ref()).dry_run_as("twin")).await?;
    let injected = namespace.accepts(web.budgeted()).await?;
    for mode in ["Audit", "Off"] {
        let switch =
            |mode: Value| namespace.merge("web", json!({"metadata": {"annotations": {"winddown.dev/mode": mode}}}));
        let idle = namespace.accepts(switch(json!(mode))).await?;
        assert_eq!(idle["spec"]["template"], twin["spec"]["template"], "{mode}");
        assert!(idle["metadata"]["annotations"]["winddown.dev/budget"].is_null(), "{mode}");
        let again = namespace.accepts(switch(Value::Null)).await?;
        assert_eq!(again["spec"]["template"], injected["spec"]["template"], "{mode}");
    }
    Ok(())
}
