//! Request bodies of the webhooks: complete reviews, arbitrary text, and reviews of the workloads in the golden cases.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_crossover, fuzz_mutator, fuzz_target};
use serde_json::{Value, json};
use winddown_core::policy::{Namespace, Policies};
use winddown_core::review::{self, Answer, Request, ReviewError, Scope};
use winddown_fuzz::{document, laws, mutation};

/// Limits from the API reference of `AdmissionResponse`: longer or additional warnings may be truncated or dropped.
const LONGEST_WARNING: usize = 120;
const MOST_WARNINGS: usize = 17;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some(document) = document::read(data) else {
        // The webhooks read only a part of the body, so they may accept it.
        for webhook in [review::mutate as Webhook, review::validate] {
            let _ = answer(webhook, data);
        }
        return Corpus::Reject;
    };
    if let Ok(text) = std::str::from_utf8(data) {
        // The original text, for example with a key that occurs twice.
        laws::a_partial_parse_does_not_change_the_evaluation(text);
    }
    let is_review = document.get("request").is_some();
    let asked = if is_review { document } else { review_of(&document) };
    for object in ["object", "oldObject"] {
        laws::a_partial_parse_does_not_change_the_evaluation(&asked["request"][object].to_string());
    }
    let (Some(mutated), Some(validated)) = (answered(review::mutate, &asked), answered(review::validate, &asked))
    else {
        return Corpus::Keep;
    };
    assert_eq!(mutated["allowed"], true, "the mutating webhook denied a request");
    assert_eq!(validated.get("patch"), None, "the validating webhook returned a patch");
    if let Some(patched) = patched(&asked["request"]["object"], &mutated) {
        a_second_review_returns_no_patch(&asked, &patched);
    }
    Corpus::Keep
});

/// The API server calls the webhook again if a later webhook changed the object.
fn a_second_review_returns_no_patch(asked: &Value, patched: &Value) {
    let mut again = asked.clone();
    again["request"]["object"] = patched.clone();
    let has_ownership_metadata =
        laws::has_ownership_metadata(patched) || laws::has_ownership_metadata(&asked["request"]["oldObject"]);
    let answer = answered(review::mutate, &again).expect("the review was readable before");
    assert!(has_ownership_metadata || answer.get("patch").is_none(), "patched a second time: {answer}");
}

type Webhook = fn(&Request<'_>, Scope<'_>) -> Result<Answer, ReviewError>;

/// The answer under the built-in policy.
fn answer(webhook: Webhook, body: &[u8]) -> Result<Answer, ReviewError> {
    let policies = Policies::default();
    webhook(&Request::read(body)?, Scope::new(policies.for_namespace(&Namespace::default())))
}

/// The `response` of the returned review; none if the body is not a review.
fn answered(webhook: Webhook, asked: &Value) -> Option<Value> {
    let answer = answer(webhook, asked.to_string().as_bytes()).ok()?;
    let body: Value = serde_json::from_slice(&answer.body).expect("the response is JSON");
    // serde also accepts a list of the fields in place of an object.
    if !asked["request"].is_object() {
        return None;
    }
    let response = body["response"].clone();
    assert_eq!((&body["apiVersion"], &body["kind"]), (&json!("admission.k8s.io/v1"), &json!("AdmissionReview")));
    assert_eq!(response["uid"], asked["request"]["uid"], "the response has another uid");
    assert_eq!(response["allowed"], json!(answer.allowed));
    assert_eq!(response.get("patch").is_some(), answer.patched);
    assert_eq!(response.get("status").is_some(), !answer.allowed, "exactly the denials have a status");
    let warnings = response.get("warnings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    assert!(warnings.len() <= MOST_WARNINGS);
    for warning in warnings.iter().filter_map(Value::as_str) {
        assert!(warning.chars().count() <= LONGEST_WARNING, "{warning}");
        assert!(!warning.chars().any(char::is_control), "the API server drops {warning:?}");
    }
    Some(response)
}

/// Applies the patch as the API server does.
fn patched(object: &Value, response: &Value) -> Option<Value> {
    let base64 = response.get("patch")?;
    assert_eq!(response["patchType"], "JSONPatch");
    let bytes: k8s_openapi::ByteString = serde_json::from_value(base64.clone()).expect("the patch is base64");
    let patch: json_patch::Patch = serde_json::from_slice(&bytes.0).expect("the patch is a JSON Patch");
    let mut patched = object.clone();
    json_patch::patch(&mut patched, &patch).expect("the patch is applicable");
    Some(patched)
}

/// A review of the creation of a workload.
fn review_of(object: &Value) -> Value {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or("Deployment");
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "apps", "version": "v1", "kind": kind},
            "operation": "CREATE",
            "namespace": "web",
            "name": "shop",
            "object": object,
            "oldObject": null,
        },
    })
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutation::mutate(data, size, max_size, seed)
});
fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| { mutation::cross(one, other, out, seed) });
