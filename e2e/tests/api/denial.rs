//! What is refused, in which words, and that no text brings the operator down.

use serde_json::{Value, json};

use crate::manifest::{GRACE_PERIOD, deployment};
use crate::namespace::Namespace;
use crate::suite::{Result, Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![together:
        what_does_not_fit_is_denied_with_field_numbers_and_ways_out,
        kubectl_prints_the_whole_reason,
        a_typo_is_denied_with_the_word_that_was_meant,
        an_unreadable_duration_is_denied_with_an_example,
        hostile_annotations_are_denied_and_winddown_lives,
        a_container_that_is_not_there_is_denied,
        several_things_wrong_are_all_named_at_once,
    ]
}

const FIELD: &str = "spec.template.spec.terminationGracePeriodSeconds";

async fn what_does_not_fit_is_denied_with_field_numbers_and_ways_out(namespace: Namespace) -> Result {
    let misfit = deployment("web").annotated("drain", "10s").annotated("deadline", "40s").grace_period(45);
    let said = [FIELD, "drain 10s + deadline 40s + margin 5s = 55s", "45s", "raise it to 55", "winddown.dev/deadline"];
    let status = namespace.rejects(misfit, &said).await?;
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

async fn kubectl_prints_the_whole_reason(namespace: Namespace) -> Result {
    let misfit = deployment("web").budgeted().grace_period(20);
    let said = namespace.kubectl_fails("create -f -", Some(&misfit)).await?;
    for words in [
        FIELD,
        "drain 5s + deadline 25s + margin 5s = 35s",
        "grace period of 20s",
        "raise it to 35",
        "winddown.dev/deadline",
    ] {
        assert!(said.contains(words), "{words:?} is not said in: {said}");
    }
    Ok(())
}

async fn a_typo_is_denied_with_the_word_that_was_meant(namespace: Namespace) -> Result {
    let typo = deployment("web").annotated("drian", "5s");
    let status = namespace.rejects(typo, &["winddown.dev/drian", "did you mean winddown.dev/drain?"]).await?;
    assert_eq!(fields(&status), ["metadata.annotations[winddown.dev/drian]"]);
    Ok(())
}

async fn an_unreadable_duration_is_denied_with_an_example(namespace: Namespace) -> Result {
    let status = namespace.rejects(deployment("web").annotated("drain", "5"), &["\"5\"", "write one like 5s"]).await?;
    assert_eq!(fields(&status), ["metadata.annotations[winddown.dev/drain]"]);
    Ok(())
}

async fn hostile_annotations_are_denied_and_winddown_lives(namespace: Namespace) -> Result {
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
            let hostile = deployment("hostile").annotated("drain", "5s").annotated(name, value);
            let shown: String = value.chars().take(40).collect();
            let answer = namespace.answers(hostile).await?;
            assert_eq!(answer.code, 422, "{name}: {shown:?}");
            assert!(answer.object["message"].as_str().is_some_and(|message| message.len() < 2000), "{name}: {shown:?}");
        }
    }
    // A record is user input, too: one that nobody wrote is not believed, and not fatal.
    for (at, value) in ["", "{}", "null", "[]", "{\"v\":1}", &huge, &nested].into_iter().enumerate() {
        let forged = deployment(&format!("forged-{at}"))
            .budgeted()
            .with("/spec/template/metadata/annotations/winddown.dev~1injected", value);
        let injected = namespace.accepts(forged).await?;
        assert_eq!(injected.pointer(GRACE_PERIOD), Some(&json!(35)), "{at}");
    }
    // One of another version of Winddown is left to that version, so that two of them do not undo each other's work.
    let of_another = deployment("of-another-version")
        .budgeted()
        .with("/spec/template/metadata/annotations/winddown.dev~1injected", "{\"v\":9999}");
    assert_eq!(namespace.accepts(of_another).await?.pointer(GRACE_PERIOD), Some(&json!(30)));
    assert!(namespace.world.is_alive().await);
    Ok(())
}

async fn a_container_that_is_not_there_is_denied(namespace: Namespace) -> Result {
    let lost = deployment("web").budgeted().annotated("containers", "app,proxy");
    namespace.rejects(lost, &["\"proxy\" is not a container of this pod; there are app"]).await?;
    Ok(())
}

async fn several_things_wrong_are_all_named_at_once(namespace: Namespace) -> Result {
    let wrong = deployment("web").annotated("drain", "x").annotated("deadline", "y").annotated("marign", "5s");
    let mut named = fields(&namespace.rejects(wrong, &[]).await?);
    named.sort_unstable();
    assert_eq!(named, ["deadline", "drain", "marign"].map(|name| format!("metadata.annotations[winddown.dev/{name}]")));
    Ok(())
}

/// `details.causes[].field`.
fn fields(status: &Value) -> Vec<String> {
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    causes.map(|cause| cause["field"].as_str().unwrap_or_default().to_owned()).collect()
}
