//! Rejected workloads, the messages, and robustness against malformed annotations.

use anyhow::Result;
use serde_json::{Value, json};

use crate::manifest::{GRACE_PERIOD, deployment};
use crate::namespace::Namespace;
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![shared:
        a_budget_over_the_grace_period_is_denied_with_the_numbers,
        kubectl_prints_the_complete_message,
        an_unknown_annotation_is_denied_with_a_suggestion,
        an_invalid_duration_is_denied_with_an_example,
        malformed_annotations_are_denied_and_do_not_crash_winddown,
        an_unknown_container_is_denied,
        all_errors_are_reported_at_once,
    ]
}

const FIELD: &str = "spec.template.spec.terminationGracePeriodSeconds";

// Parts of Winddown's messages.
const MESSAGE: [&str; 5] =
    [FIELD, "drain 10s + deadline 40s + margin 5s = 55s", "45s", "set it to 55", "winddown.dev/deadline"];
const KUBECTL_MESSAGE: [&str; 5] = [
    FIELD,
    "drain 5s + deadline 25s + margin 5s = 35s",
    "grace period of 20s",
    "set it to 35",
    "winddown.dev/deadline",
];
const UNKNOWN_ANNOTATION: [&str; 2] = ["winddown.dev/drian", "did you mean winddown.dev/drain?"];
const INVALID_DURATION: [&str; 2] = ["\"5\"", "write one like 5s"];
const UNKNOWN_CONTAINER: &str = "\"proxy\" is not a container of this pod; containers: app";

async fn a_budget_over_the_grace_period_is_denied_with_the_numbers(namespace: Namespace) -> Result<()> {
    let over_budget = deployment("web").annotated("drain", "10s").annotated("deadline", "40s").grace_period(45);
    let status = namespace.rejects(over_budget, &MESSAGE).await?;
    assert_eq!(
        (&status["code"], &status["reason"], &status["status"]),
        (&json!(422), &json!("Invalid"), &json!("Failure"))
    );
    assert_eq!(status["details"]["kind"], "Deployment");
    assert_eq!(status["details"]["name"], "web");
    assert_eq!(fields(&status), [FIELD]);
    assert_eq!(namespace.list("apps/v1", "deployments").await?, Vec::<Value>::new());
    Ok(())
}

async fn kubectl_prints_the_complete_message(namespace: Namespace) -> Result<()> {
    let over_budget = deployment("web").with_budget().grace_period(20);
    let message = namespace.kubectl_fails("create -f -", Some(&over_budget)).await?;
    for text in KUBECTL_MESSAGE {
        assert!(message.contains(text), "{text:?} is not in the message: {message}");
    }
    Ok(())
}

async fn an_unknown_annotation_is_denied_with_a_suggestion(namespace: Namespace) -> Result<()> {
    let typo = deployment("web").annotated("drian", "5s");
    let status = namespace.rejects(typo, &UNKNOWN_ANNOTATION).await?;
    assert_eq!(fields(&status), ["metadata.annotations[winddown.dev/drian]"]);
    Ok(())
}

async fn an_invalid_duration_is_denied_with_an_example(namespace: Namespace) -> Result<()> {
    let status = namespace.rejects(deployment("web").annotated("drain", "5"), &INVALID_DURATION).await?;
    assert_eq!(fields(&status), ["metadata.annotations[winddown.dev/drain]"]);
    Ok(())
}

async fn malformed_annotations_are_denied_and_do_not_crash_winddown(namespace: Namespace) -> Result<()> {
    let huge = "9".repeat(200 * 1024);
    let nested = "[".repeat(50_000);
    let values = [
        "",
        " ",
        "-5s",
        "+5s",
        "1.5s",
        "5S",
        "5s\n",
        "\0",
        "99999h99999h99999h99999h",
        "∞s",
        "٥s",
        "🦀",
        "\u{202e}s5",
        "NaN",
        "null",
        "{}",
        &huge,
        &nested,
    ];
    for name in ["drain", "deadline", "margin", "readiness", "containers", "mode"] {
        for value in values {
            let malformed = deployment("malformed").annotated("drain", "5s").annotated(name, value);
            let shortened: String = value.chars().take(40).collect();
            let response = namespace.send(malformed).await?;
            assert_eq!(response.code, 422, "{name}: {shortened:?}");
            assert!(
                response.object["message"].as_str().is_some_and(|message| message.len() < 2000),
                "{name}: {shortened:?}"
            );
        }
    }
    // Records are user input too: an invalid record is ignored.
    for (index, value) in ["", "{}", "null", "[]", "{\"v\":1}", &huge, &nested].into_iter().enumerate() {
        let workload = deployment(&format!("invalid-record-{index}"))
            .with_budget()
            .with("/spec/template/metadata/annotations/winddown.dev~1injected", value);
        let injected = namespace.accepts(workload).await?;
        assert_eq!(injected.pointer(GRACE_PERIOD), Some(&json!(35)), "{index}");
    }
    // A record with an unknown version is left unchanged, so that different versions of Winddown do not revert each other.
    let other_version = deployment("other-version")
        .with_budget()
        .with("/spec/template/metadata/annotations/winddown.dev~1injected", "{\"v\":9999}");
    assert_eq!(namespace.accepts(other_version).await?.pointer(GRACE_PERIOD), Some(&json!(30)));
    assert!(namespace.environment.is_healthy().await);
    Ok(())
}

async fn an_unknown_container_is_denied(namespace: Namespace) -> Result<()> {
    let unknown = deployment("web").with_budget().annotated("containers", "app,proxy");
    namespace.rejects(unknown, &[UNKNOWN_CONTAINER]).await?;
    Ok(())
}

async fn all_errors_are_reported_at_once(namespace: Namespace) -> Result<()> {
    let invalid = deployment("web").annotated("drain", "x").annotated("deadline", "y").annotated("marign", "5s");
    let mut reported = fields(&namespace.rejects(invalid, &[]).await?);
    reported.sort_unstable();
    assert_eq!(
        reported,
        ["deadline", "drain", "marign"].map(|name| format!("metadata.annotations[winddown.dev/{name}]"))
    );
    Ok(())
}

/// `details.causes[].field`.
fn fields(status: &Value) -> Vec<String> {
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    causes.map(|cause| cause["field"].as_str().unwrap_or_default().to_owned()).collect()
}
