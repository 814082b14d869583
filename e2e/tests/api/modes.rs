//! `winddown.dev/mode`: `Audit` only reports, `Off` disables Winddown. Both remove an earlier injection.

use anyhow::Result;
use serde_json::{Value, json};

use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::request::create;
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        audit_does_not_change_the_template,
        audit_returns_errors_as_warnings,
        audit_and_off_remove_the_injection,
    ]
}

// Parts of Winddown's warnings.
const OVER_BUDGET: [&str; 2] = ["terminationGracePeriodSeconds", "35s"];
const UNKNOWN_ANNOTATION: [&str; 2] = ["drian", "did you mean winddown.dev/drain?"];

async fn audit_does_not_change_the_template(namespace: Namespace) -> Result<()> {
    let web = deployment("web");
    let audited = namespace.accepts(web.clone().with_budget().annotated("mode", "Audit")).await?;
    let expected = namespace.accepts(create(web.as_ref()).dry_run_as("expected")).await?;
    assert_eq!(audited["spec"]["template"], expected["spec"]["template"]);
    assert!(audited["metadata"]["annotations"]["winddown.dev/budget"].is_null());
    Ok(())
}

async fn audit_returns_errors_as_warnings(namespace: Namespace) -> Result<()> {
    let over_budget = deployment("web").with_budget().annotated("mode", "Audit").grace_period(20);
    namespace.accepts_with_warning(over_budget, &OVER_BUDGET).await?;
    let unknown = deployment("unknown-annotation").with_budget().annotated("mode", "Audit").annotated("drian", "5s");
    namespace.accepts_with_warning(unknown, &UNKNOWN_ANNOTATION).await?;
    Ok(())
}

async fn audit_and_off_remove_the_injection(namespace: Namespace) -> Result<()> {
    let web = deployment("web");
    let expected = namespace.accepts(create(web.as_ref()).dry_run_as("expected")).await?;
    let injected = namespace.accepts(web.with_budget()).await?;
    for mode in ["Audit", "Off"] {
        let set_mode = |mode: Value| namespace.annotate("web", json!({"winddown.dev/mode": mode}));
        let removed = namespace.accepts(set_mode(json!(mode))).await?;
        assert_eq!(removed["spec"]["template"], expected["spec"]["template"], "{mode}");
        assert!(removed["metadata"]["annotations"]["winddown.dev/budget"].is_null(), "{mode}");
        let again = namespace.accepts(set_mode(Value::Null)).await?;
        assert_eq!(again["spec"]["template"], injected["spec"]["template"], "{mode}");
    }
    Ok(())
}
