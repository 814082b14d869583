use serde_json::{Value, json};

use super::{Answer, Request, ReviewError, Scope, mutate, validate};
use crate::policy::{Namespace, Policies};

fn deployment(annotations: &Value, grace_period: i64) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "annotations": annotations},
        "spec": {"template": {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "app"}], "terminationGracePeriodSeconds": grace_period},
        }},
    })
}

fn declared(grace_period: i64) -> Value {
    deployment(&json!({"winddown.dev/drain": "5s"}), grace_period)
}

fn review(object: &Value, old: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "operation": if old.is_null() { "CREATE" } else { "UPDATE" },
            "namespace": "web",
            "name": "shop",
            "object": object,
            "oldObject": old,
            "dryRun": false,
            "unknownField": true,
        },
    })
}

type Webhook = fn(&Request<'_>, Scope<'_>) -> Result<Answer, ReviewError>;

/// The answer under the built-in policy.
fn answered(webhook: Webhook, body: &[u8]) -> Result<Answer, ReviewError> {
    let (request, policies) = (Request::read(body)?, Policies::default());
    webhook(&request, Scope::new(policies.for_namespace(&Namespace::named(request.namespace()))))
}

fn answer_of(webhook: Webhook, review: &Value) -> Value {
    let answer = answered(webhook, review.to_string().as_bytes()).unwrap();
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["response"]["uid"], review["request"]["uid"]);
    assert_eq!((&body["response"]["allowed"], answer.object.as_str()), (&json!(answer.allowed), "web/shop"));
    assert_eq!(body["response"]["patch"].is_string(), answer.patched);
    body["response"].clone()
}

/// The object with the patch of the answer applied, as by the API server.
fn patched(object: &Value, response: &Value) -> Value {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(response["patch"].clone()).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&bytes.0).unwrap();
    let mut object = object.clone();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

#[test]
fn mutate_patches_once() {
    let object = declared(30);
    let response = answer_of(mutate, &review(&object, &Value::Null));
    assert_eq!(response["patchType"], "JSONPatch");
    let injected = patched(&object, &response);
    assert_eq!(injected["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], 35);
    let again = answer_of(mutate, &review(&injected, &object));
    assert_eq!(again, json!({"uid": again["uid"], "allowed": true}), "no patch, not even an empty one");
    assert_eq!(answer_of(validate, &review(&injected, &Value::Null)), again);
}

#[test]
fn mutate_never_rejects() {
    let object = declared(10);
    let response = answer_of(mutate, &review(&object, &Value::Null));
    assert_eq!(response["allowed"], true);
    let left = patched(&object, &response);
    assert_eq!(left["spec"], object["spec"], "nothing is injected");
    let again = answer_of(mutate, &review(&left, &left));
    assert_eq!(again, json!({"uid": again["uid"], "allowed": true}));
}

#[test]
fn validate_rejects_like_the_api_server() {
    let response = answer_of(validate, &review(&declared(10), &Value::Null));
    assert_eq!(response["allowed"], false);
    let status = &response["status"];
    assert_eq!(
        (&status["code"], &status["reason"], &status["status"]),
        (&json!(422), &json!("Invalid"), &json!("Failure"))
    );
    assert_eq!(status["details"]["causes"][0]["field"], "spec.template.spec.terminationGracePeriodSeconds");
    assert_eq!(status["details"]["causes"][0]["reason"], "FieldValueInvalid");
    assert!(status["message"].as_str().unwrap().contains("= 35s, 25s more than the grace period of 10s"), "{status}");
}

#[test]
fn validate_only_warns_about_a_pre_existing_error() {
    let old = declared(10);
    let mut hotfix = old.clone();
    hotfix["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop:fixed");
    let response = answer_of(validate, &review(&hotfix, &old));
    assert_eq!(response["allowed"], true);
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("winddown: terminationGracePeriodSeconds: drain 5s") && warning.chars().count() <= 120,
        "{warning}"
    );
    let worse = deployment(&json!({"winddown.dev/drain": "6s"}), 10);
    assert_eq!(answer_of(validate, &review(&worse, &old))["allowed"], false);
}

#[test]
fn validate_warns_when_the_mutating_webhook_was_not_called() {
    let response = answer_of(validate, &review(&declared(30), &Value::Null));
    assert_eq!(response["allowed"], true);
    assert!(response["warnings"][0].as_str().unwrap().contains("mutating webhook was not called"));
}

/// The answer of the validating webhook for 300 containers with this hook, after the mutating webhook.
fn validated_with_300(hook: &Value) -> Value {
    let container =
        |number| json!({"name": format!("container-with-a-long-name-{number}"), "lifecycle": {"preStop": hook}});
    let mut object = declared(30);
    object["spec"]["template"]["spec"]["containers"] = (0..300).map(container).collect();
    let object = patched(&object, &answer_of(mutate, &review(&object, &Value::Null)));
    answer_of(validate, &review(&object, &Value::Null))
}

#[test]
fn warnings_are_few_and_short() {
    let response = validated_with_300(&json!({"exec": {"command": ["x"]}}));
    let warnings = response["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 17);
    assert!(warnings.iter().all(|warning| warning.as_str().unwrap().chars().count() <= 120), "{warnings:?}");
    assert!(warnings[16].as_str().unwrap().contains("and 284 more"));
}

#[test]
fn infos_are_written_to_the_audit_log() {
    let response = validated_with_300(&json!({"sleep": {"seconds": 0}}));
    assert_eq!(response.get("warnings"), None);
    let notes = response["auditAnnotations"]["findings"].as_str().unwrap();
    assert_eq!(notes.matches("info DrainOptedOut: ").count(), 16, "{notes}");
    assert!(notes.ends_with("; and 284 more"), "{notes}");
}

#[test]
fn other_objects_are_allowed_without_a_patch() {
    let mut deleted = declared(10);
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut of_another_kind = review(&declared(10), &Value::Null);
    of_another_kind["request"]["kind"]["kind"] = json!("ReplicaSet");
    let mut scale = review(&declared(10), &Value::Null);
    scale["request"]["subResource"] = json!("scale");
    for review in [review(&deleted, &Value::Null), review(&Value::Null, &declared(10)), of_another_kind, scale] {
        for webhook in [mutate as Webhook, validate] {
            let response = answer_of(webhook, &review);
            assert_eq!(response, json!({"uid": response["uid"], "allowed": true}));
        }
    }
}

#[test]
fn an_invalid_deployment_is_allowed_with_a_warning() {
    let mut malformed = declared(30);
    malformed["spec"]["template"]["spec"]["containers"] = json!("many");
    let response = answer_of(mutate, &review(&malformed, &Value::Null));
    assert_eq!((&response["allowed"], response.get("patch")), (&json!(true), None));
    assert!(response["warnings"][0].as_str().unwrap().starts_with("winddown: skipped, unchanged: spec.template.spec"));
    let validated = answer_of(validate, &review(&malformed, &Value::Null));
    assert_eq!(validated, response, "the API server shows equal warnings once");
}

#[test]
fn a_workload_that_is_too_large_is_allowed_and_not_silently() {
    let mut containers = declared(30);
    let container = |number| json!({"name": format!("c{number}")});
    containers["spec"]["template"]["spec"]["containers"] = (0..1001).map(container).collect();
    let mut values = declared(30);
    values["spec"]["template"]["spec"]["tolerations"] = json!(vec![json!({}); 1_000_000]);
    for (object, problem) in [
        (containers, "spec.template.spec.containers has 1001 entries, more than the limit of 1000"),
        (values, "workload has 1000018 values (fields and list items), more than the limit of 50000"),
    ] {
        for webhook in [mutate as Webhook, validate] {
            let response = answer_of(webhook, &review(&object, &Value::Null));
            let message = format!("skipped, unchanged: {problem}");
            assert_eq!((&response["allowed"], response.get("patch")), (&json!(true), None));
            assert_eq!(response["warnings"], json!([format!("winddown: {message}")]));
            assert_eq!(response["auditAnnotations"], json!({"not-evaluated": message}));
        }
    }
}

#[test]
fn an_old_object_that_is_too_large_does_not_count() {
    let mut old = declared(20);
    old["spec"]["template"]["spec"]["tolerations"] = json!(vec![json!({}); 100_000]);
    let response = answer_of(validate, &review(&declared(20), &old));
    assert_eq!(response["allowed"], false, "its errors are unknown, so that of the new object is new: {response}");
    assert!(answer_of(mutate, &review(&declared(30), &old))["patch"].is_string());
}

#[test]
fn an_unreadable_record_is_replaced_with_a_warning() {
    let mut malformed = declared(30);
    malformed["spec"]["template"]["metadata"]["annotations"] = json!({"winddown.dev/injected": "by hand"});
    let response = answer_of(mutate, &review(&malformed, &Value::Null));
    assert!(response["patch"].is_string());
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with(
            "winddown: template.metadata.annotations[winddown.dev/injected]: is not a record written by Winddown"
        ),
        "{warning}"
    );
}

#[test]
fn a_record_that_is_kept_causes_one_warning() {
    let mut newer = declared(30);
    newer["spec"]["template"]["metadata"]["annotations"] = json!({"winddown.dev/injected": "{\"v\":4}"});
    assert_eq!(answer_of(mutate, &review(&newer, &Value::Null)).get("warnings"), None);
    let response = answer_of(validate, &review(&newer, &Value::Null));
    assert_eq!(response["warnings"].as_array().map(Vec::len), Some(1), "{response}");
}

#[test]
fn other_bodies_are_errors() {
    let version =
        review(&declared(30), &Value::Null).to_string().replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
    for body in [
        "",
        "{}",
        "null",
        "[",
        "\u{feff}{}",
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"}",
        &version,
    ] {
        for webhook in [mutate as Webhook, validate] {
            assert!(answered(webhook, body.as_bytes()).is_err(), "{body}");
        }
    }
    assert!(answered(mutate, &[0xff, 0xfe, 0x00]).is_err());
    assert!(answered(mutate, "[".repeat(1_000_000).as_bytes()).is_err());
}

/// With its features `raw_value` or `arbitrary_precision`, `serde_json` reads an object whose first key is one of these as
/// something else. Both features are off in the whole workspace, and have to stay off: keys are user input.
#[test]
fn keys_that_serde_json_reserves_are_ordinary_keys() {
    for key in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
        let with_key = |mut deployment: Value| {
            let attributes = json!({key: "not json"});
            deployment["spec"]["template"]["spec"]["volumes"] =
                json!([{"name": "data", "csi": {"driver": "example.com", "volumeAttributes": attributes}}]);
            deployment
        };
        let created = with_key(declared(30));
        let response = answer_of(mutate, &review(&created, &Value::Null));
        let mutated = patched(&created, &response);
        assert_eq!(mutated["spec"]["template"]["spec"]["volumes"], created["spec"]["template"]["spec"]["volumes"]);
        assert_eq!(answer_of(validate, &review(&mutated, &Value::Null))["allowed"], true);
        assert_eq!(answer_of(mutate, &review(&created, &mutated))["allowed"], true);
        let misfit = with_key(declared(20));
        let response = answer_of(validate, &review(&misfit, &misfit));
        assert_eq!(response["allowed"], true, "the old object is read and has the same error");
    }
}

#[test]
fn an_old_object_that_is_needed_and_cannot_be_parsed_is_an_error() {
    let misfit = declared(20);
    let with_old = |replicas: &str| {
        let mut old = misfit.clone();
        old["spec"]["replicas"] = json!("REPLICAS");
        review(&misfit, &old).to_string().replace("\"REPLICAS\"", replicas)
    };
    let validate = |body: String| answered(validate, body.as_bytes());
    assert!(validate(with_old("3")).is_ok_and(|answer| answer.allowed), "control: a pre-existing error only warns");
    assert!(matches!(validate(with_old("1e400")), Err(ReviewError::NotAReview(_))));
    let mutate = |body: String| answered(mutate, body.as_bytes());
    let update = review(&declared(30), &json!("OLD")).to_string();
    assert!(mutate(update.replace("\"OLD\"", "{\"spec\": {\"replicas\": 1e400}}")).is_err());
    assert!(mutate(update.replace("\"OLD\"", "{}")).is_ok());
}
