//! What one review costs: the two webhooks on a Deployment of 32 KB, 16 KB of them `managedFields`, and the parts
//! of which that consists.
//!
//! `cargo bench --package winddown-bench --bench review`

#![expect(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]

use divan::{Bencher, black_box};
use serde_json::{Value, json};
use winddown_core::evaluation::{Existing, Origin, evaluate};
use winddown_core::fingerprint;
use winddown_core::object::{self, LazyObject};
use winddown_core::policy::{Namespace, Policies, Policy};
use winddown_core::review::{self, Answer, Request, ReviewError, Scope};

fn main() {
    divan::main();
}

/// As the API server has it at creation, before the mutating webhook.
fn created() -> Value {
    let variables = |count: usize| -> Value {
        (0..count)
            .map(|n| json!({"name": format!("SETTING_NUMBER_{n}"), "value": format!("a value of some length, {n}")}))
            .collect()
    };
    let container = |name: &str, count: usize| {
        json!({
            "name": name,
            "image": "registry.example.com/shop/checkout:1.2.3",
            "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
            "env": variables(count),
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"}, "periodSeconds": 5,
                               "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3},
            "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
        })
    };
    let pod = json!({
        "containers": [container("checkout", 160), container("recommendations", 60)],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
    });
    let owned = |count: usize| -> Value {
        (0..count)
            .map(|n| (format!("k:{{\"name\":\"SETTING_NUMBER_{n}\"}}"), json!({".": {}, "f:name": {}, "f:value": {}})))
            .collect()
    };
    let containers = json!({
        "k:{\"name\":\"checkout\"}": {".": {}, "f:env": owned(160), "f:image": {}, "f:readinessProbe": {"f:httpGet": {}}},
        "k:{\"name\":\"recommendations\"}": {".": {}, "f:env": owned(60), "f:image": {}},
    });
    let fields = json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": containers}}}});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "checkout",
            "namespace": "shop",
            "annotations": {"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"},
            "managedFields": [{"manager": "helm", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                               "fieldsV1": fields}],
        },
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "checkout"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "template": {"metadata": {"creationTimestamp": null, "labels": {"app": "checkout"}}, "spec": pod},
        },
        "status": {},
    })
}

/// The same after the mutating webhook.
fn mutated() -> Value {
    let created = created();
    evaluate(&created, Existing::None, &Policy::default(), Origin::ApiServer).unwrap().changes.apply(&created)
}

fn review(object: &Value, old: Option<&Value>) -> Vec<u8> {
    let request = json!({
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "namespace": "shop",
        "name": "checkout",
        "operation": if old.is_none() { "CREATE" } else { "UPDATE" },
        "object": object,
        "oldObject": old,
    });
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string().into_bytes()
}

type Webhook = fn(&Request<'_>, Scope<'_>) -> Result<Answer, ReviewError>;

fn answered(webhook: Webhook, body: &[u8], policies: &Policies) -> Result<Answer, ReviewError> {
    let request = Request::read(body)?;
    webhook(&request, Scope::new(policies.for_namespace(&Namespace::named(request.namespace()))))
}

#[divan::bench]
fn mutate_on_create(bencher: Bencher<'_, '_>) {
    let (body, policies) = (review(&created(), None), Policies::default());
    bencher.bench(|| answered(review::mutate, black_box(&body), &policies));
}

#[divan::bench]
fn validate_on_create(bencher: Bencher<'_, '_>) {
    let (body, policies) = (review(&mutated(), None), Policies::default());
    bencher.bench(|| answered(review::validate, black_box(&body), &policies));
}

#[divan::bench]
fn mutate_on_update(bencher: Bencher<'_, '_>) {
    let (old, policies) = (mutated(), Policies::default());
    let mut new = old.clone();
    new["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example.com/shop/checkout:1.2.4");
    let body = review(&new, Some(&old));
    bencher.bench(|| answered(review::mutate, black_box(&body), &policies));
}

#[divan::bench]
fn evaluate_created(bencher: Bencher<'_, '_>) {
    let (object, policy) = (created(), Policy::default());
    bencher.bench(|| evaluate(black_box(&object), Existing::None, &policy, Origin::ApiServer));
}

#[divan::bench]
fn evaluate_unchanged(bencher: Bencher<'_, '_>) {
    let (object, policy) = (mutated(), Policy::default());
    let old = LazyObject::from(&object);
    bencher.bench_local(|| evaluate(black_box(&object), Existing::Replaced(&old), &policy, Origin::ApiServer));
}

#[divan::bench]
fn parse_object(bencher: Bencher<'_, '_>) {
    let text = created().to_string();
    bencher.bench(|| object::parse(black_box(&text)));
}

#[divan::bench]
fn parse_whole_object(bencher: Bencher<'_, '_>) {
    let text = created().to_string();
    bencher.bench(|| serde_json::from_str::<Value>(black_box(&text)));
}

#[divan::bench]
fn decode_pod_spec(bencher: Bencher<'_, '_>) {
    let object = created();
    let pod = &object["spec"]["template"]["spec"];
    bencher.bench(|| <k8s_openapi::api::core::v1::PodSpec as serde::Deserialize>::deserialize(black_box(pod)));
}

#[divan::bench]
fn fingerprint_template(bencher: Bencher<'_, '_>) {
    let object = created();
    bencher.bench(|| fingerprint::of_json(black_box(&object["spec"]["template"])));
}
