//! Bodies that reach the webhooks: whole reviews, whatever else arrives, and reviews of the workloads in the golden cases.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_crossover, fuzz_mutator, fuzz_target};
use serde_json::{Value, json};
use winddown_core::policy::Policy;
use winddown_core::review::{self, Answer, ReviewError};
use winddown_fuzz::{document, laws, mutation};

/// The API reference of `AdmissionResponse`: more may be truncated, or dropped altogether.
const LONGEST_WARNING: usize = 120;
const MOST_WARNINGS: usize = 17;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some(document) = document::read(data) else {
        // What it does not read it does not check either, so this may even be a review.
        for webhook in [review::mutate, review::validate] {
            let _ = webhook(data, &Policy::default());
        }
        return Corpus::Reject;
    };
    let is_review = document.get("request").is_some();
    let asked = if is_review { document } else { review_of(&document) };
    let (Some(mutated), Some(validated)) = (answered(review::mutate, &asked), answered(review::validate, &asked))
    else {
        return Corpus::Keep;
    };
    assert_eq!(mutated["allowed"], true, "the mutating webhook denies nothing");
    assert_eq!(validated.get("patch"), None, "the validating webhook changes nothing");
    if let Some(patched) = patched(&asked["request"]["object"], &mutated) {
        it_has_nothing_to_add(&asked, &patched);
    }
    Corpus::Keep
});

/// Where the API server asks again, after other webhooks had their say.
fn it_has_nothing_to_add(asked: &Value, patched: &Value) {
    let mut again = asked.clone();
    again["request"]["object"] = patched.clone();
    let claimed = laws::has_claims(patched) || laws::has_claims(&asked["request"]["oldObject"]);
    let answer = answered(review::mutate, &again).expect("the same review could be read before");
    assert!(claimed || answer.get("patch").is_none(), "patched a second time: {answer}");
}

/// The response inside an answer, if the body is a review at all.
fn answered(webhook: fn(&[u8], &Policy) -> Result<Answer, ReviewError>, asked: &Value) -> Option<Value> {
    let answer = webhook(asked.to_string().as_bytes(), &Policy::default()).ok()?;
    let body: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    // serde reads a list of its fields as an object, too; nobody sends one.
    if !asked["request"].is_object() {
        return None;
    }
    let response = body["response"].clone();
    assert_eq!((&body["apiVersion"], &body["kind"]), (&json!("admission.k8s.io/v1"), &json!("AdmissionReview")));
    assert_eq!(response["uid"], asked["request"]["uid"], "an answer to another question");
    assert_eq!(response["allowed"], json!(answer.allowed));
    assert_eq!(response.get("patch").is_some(), answer.patched);
    assert_eq!(response.get("status").is_some(), !answer.allowed, "a denial says why");
    let warnings = response.get("warnings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    assert!(warnings.len() <= MOST_WARNINGS);
    for warning in warnings.iter().filter_map(Value::as_str) {
        assert!(warning.chars().count() <= LONGEST_WARNING, "{warning}");
        assert!(!warning.chars().any(char::is_control), "the API server drops {warning:?}");
    }
    Some(response)
}

/// What the API server makes of the object.
fn patched(object: &Value, response: &Value) -> Option<Value> {
    let base64 = response.get("patch")?;
    assert_eq!(response["patchType"], "JSONPatch");
    let bytes: k8s_openapi::ByteString = serde_json::from_value(base64.clone()).expect("a patch is base64");
    let patch: json_patch::Patch = serde_json::from_slice(&bytes.0).expect("a patch is a JSON Patch");
    let mut patched = object.clone();
    json_patch::patch(&mut patched, &patch).expect("a patch applies to the object it was made for");
    Some(patched)
}

/// A review of a workload that is being made.
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
