//! Helpers for the tables of the rules: the findings with one code for a manifest.

use serde_json::{Value, json};

use super::{Code, RULES, rule};
use crate::evaluation::{Existing, Origin, evaluate_among};
use crate::finding::{Finding, Severity};
use crate::object::Object;
use crate::policy::{Namespace, Policies, Policy};
use crate::related::Related;

/// A Deployment with a drain of 10s and a deadline of 20s; `change` adapts it to a case.
pub(crate) fn deployment(change: impl FnOnce(&mut Value)) -> Value {
    let mut deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "annotations": {"winddown.dev/drain": "10s", "winddown.dev/deadline": "20s"}},
        "spec": {"replicas": 3, "template": {"metadata": {}, "spec": {"containers": [{"name": "app", "image": "shop:1"}]}}},
    });
    change(&mut deployment);
    deployment
}

/// The same with a change of the pod spec.
pub(crate) fn pod(change: impl FnOnce(&mut Value)) -> Value {
    deployment(|deployment| change(&mut deployment["spec"]["template"]["spec"]))
}

/// The same with a change of the container `app`.
pub(crate) fn container(change: impl FnOnce(&mut Value)) -> Value {
    pod(|pod| change(&mut pod["containers"][0]))
}

/// The same with these fields in `spec`.
pub(crate) fn with_spec(fields: &Value) -> Value {
    deployment(|deployment| deployment["spec"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone()))
}

/// The same with another kind, number of replicas and strategy.
pub(crate) fn with_strategy(kind: &str, replicas: Option<u32>, strategy: &Value) -> Value {
    deployment(|workload| {
        workload["kind"] = json!(kind);
        workload["spec"]["replicas"] = json!(replicas);
        let field = if kind == "Deployment" { "strategy" } else { "updateStrategy" };
        workload["spec"][field] = strategy.clone();
    })
}

/// The same with this preStop hook in the container `app`.
pub(crate) fn pre_stop(hook: &Value) -> Value {
    container(|app| app["lifecycle"] = json!({"preStop": hook}))
}

/// The same with a preStop hook that runs this script.
pub(crate) fn script(script: &str) -> Value {
    pre_stop(&json!({"exec": {"command": ["sh", "-c", script]}}))
}

/// The same with this runtime preset, and with no other annotation than the deadline.
pub(crate) fn with_runtime(runtime: &str, deadline: Option<&str>) -> Value {
    let mut annotations = json!({"winddown.dev/runtime": runtime});
    if let Some(deadline) = deadline {
        annotations["winddown.dev/deadline"] = json!(deadline);
    }
    annotated(&annotations)
}

/// The same with other annotations on the workload.
pub(crate) fn annotated(annotations: &Value) -> Value {
    deployment(|deployment| deployment["metadata"]["annotations"] = annotations.clone())
}

/// A List of a workload and the objects that are related to it.
pub(crate) fn among(workload: Value, others: &[Value]) -> Value {
    let mut items = vec![workload];
    items.extend_from_slice(others);
    json!({"kind": "List", "items": items})
}

/// The same in a Namespace with these labels and annotations.
pub(crate) fn within(mut workload: Value, metadata: &Value) -> Value {
    workload["metadata"]["namespace"] = json!("web");
    let mut namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
    namespace["metadata"]["name"] = json!("web");
    among(workload, &[namespace])
}

/// The same under a `ShutdownPolicy` with the name `web` and these fields in `spec`.
pub(crate) fn governed(workload: Value, fields: &Value) -> Value {
    let mut spec = json!({"validationActions": ["Deny"]});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    among(workload, &[json!({"kind": "ShutdownPolicy", "metadata": {"name": "web"}, "spec": spec})])
}

/// The same with an autoscaler that keeps at least that many pods.
pub(crate) fn autoscaled(workload: Value, least: u32) -> Value {
    let target = json!({"apiVersion": "apps/v1", "kind": workload["kind"], "name": workload["metadata"]["name"]});
    let spec = json!({"scaleTargetRef": target, "minReplicas": least, "maxReplicas": 10});
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "shop"}, "spec": spec,
    });
    among(workload, &[autoscaler])
}

/// A Deployment with these annotations, behind a Service with these annotations and fields.
pub(crate) fn behind_service(annotations: &Value, of_service: &Value, fields: &Value) -> Value {
    let mut shop = annotated(annotations);
    shop["spec"]["template"]["metadata"]["labels"] = json!({"app": "shop"});
    let mut spec = json!({"selector": {"app": "shop"}});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let metadata = json!({"name": "shop", "annotations": of_service});
    among(shop, &[json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})])
}

/// The same behind an Ingress with these annotations and fields, and a Service.
pub(crate) fn behind_ingress(annotations: &Value, of_ingress: &Value, fields: &Value) -> Value {
    let mut list = behind_service(annotations, &json!({}), &json!({}));
    let backend = json!({"service": {"name": "shop", "port": {"number": 80}}});
    let mut spec = json!({"rules": [{"http": {"paths": [{"path": "/", "backend": backend}]}}]});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let metadata = json!({"name": "shop", "annotations": of_ingress});
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec});
    list["items"].as_array_mut().unwrap().push(ingress);
    list
}

/// The findings with that code; all rules are checked.
pub(crate) fn found(manifest: &Value, code: Code) -> Vec<Finding> {
    let items = manifest["items"].as_array().map_or(&[][..], Vec::as_slice);
    let mut related = Related::default();
    for item in items {
        if Object::new(item).kind().is_some() { related.add_workload(item) } else { related.add(item) }
    }
    let workload = items.first().unwrap_or(manifest);
    let policies = items.iter().filter(|item| item["kind"] == "ShutdownPolicy");
    let policies = Policies::new(policies.map(|policy| Policy::read(policy).unwrap()).collect());
    let governing = policies.for_namespace(&Namespace::named(Object::new(workload).namespace()));
    let evaluation = evaluate_among(workload, Existing::None, governing, Origin::File, Some(&related)).unwrap();
    evaluation.findings.into_iter().filter(|finding| finding.code == code).collect()
}

/// Asserts that the manifest has no finding with that code.
pub(crate) fn silent(manifest: &Value, code: Code) {
    assert_eq!(found(manifest, code), vec![], "{manifest}");
}

/// Asserts that the manifest has exactly one finding with that code; returns its field and message.
pub(crate) fn fires(manifest: &Value, code: Code) -> (String, String) {
    match found(manifest, code).as_slice() {
        [finding] => (finding.field.to_string(), finding.message()),
        findings => panic!("{} findings {}: {findings:?}", findings.len(), code.as_str()),
    }
}

#[test]
fn every_rule_reports_its_own_code() {
    for code in Code::ALL {
        assert_eq!(rule(*code).code, *code);
    }
}

#[test]
fn rules_that_need_related_objects_report_nothing_where_these_are_unknown() {
    let only = with_strategy("Deployment", None, &json!({"rollingUpdate": {"maxUnavailable": 1}}));
    let codes = |related: Option<&Related>| {
        let evaluation = evaluate_among(&only, Existing::None, &Policy::default(), Origin::File, related).unwrap();
        evaluation.findings.iter().filter(|finding| finding.code.needs_related_objects()).count()
    };
    assert_eq!((codes(None), codes(Some(&Related::default()))), (0, 1));
}

/// The webhooks do not see related objects, and an error prevents the injection.
#[test]
fn no_error_depends_on_related_objects() {
    for code in Code::ALL.iter().filter(|code| code.needs_related_objects()) {
        assert!(code.severity() < Severity::Error, "{}", code.as_str());
    }
}

#[test]
fn every_page_has_why_what_to_do_and_source() {
    for code in Code::ALL {
        let (name, text) = (code.as_str(), rule(*code).page);
        let sections: Vec<_> = text.split("## ").skip(1).filter_map(|section| section.split_once('\n')).collect();
        let headings: Vec<_> = sections.iter().map(|(heading, _)| *heading).collect();
        assert_eq!(headings, ["Why", "What to do", "Source"], "{name}");
        assert!(text.starts_with("## Why\n") && text.ends_with('\n'), "{name}");
        for (heading, text) in &sections {
            assert!(text.trim().len() > 20, "{name}: {heading} is empty");
        }
        let source = sections[2].1;
        assert!(source.contains("](https://") || source.contains(".md"), "{name}: no link under Source");
        assert!(code.title().ends_with('.'), "{name}");
    }
}

/// Rules without a table of manifests, and the reason.
const WITHOUT_TABLE: [(Code, &str); 1] =
    [(Code::NotInjected, "only /validate reports it; crates/core/src/review/tests.rs tests it")];

/// Reads the source files, because Rust cannot list the tests of a module.
#[test]
fn every_rule_has_a_table_with_and_without_findings() {
    macro_rules! sources {
        ($($file:ident $code:ident,)+) => {
            [$((Code::$code, include_str!(concat!(stringify!($file), ".rs")))),+]
        };
    }
    for (code, source) in crate::finding::for_each_code!(sources) {
        let name = code.as_str();
        let table = source.split_once("mod tests {").map(|(_, table)| table).unwrap_or_default();
        assert!(table.contains("#[test]"), "{name} has no table");
        if WITHOUT_TABLE.iter().any(|(exempt, _)| *exempt == code) {
            continue;
        }
        assert!(table.contains("fires("), "the table of {name} has no manifest with a finding");
        assert!(table.contains("silent("), "the table of {name} has no manifest without a finding");
    }
    assert_eq!(RULES.len(), Code::ALL.len());
}

#[test]
fn links_in_pages_are_absolute() {
    let page = Code::RuntimeUnbounded.page();
    assert!(page.starts_with("# RuntimeUnbounded\n\ninfo: "), "{page}");
    assert!(
        page.contains("[Presets](https://github.com/winddown/winddown/blob/main/docs/presets.md#runtimes)"),
        "{page}"
    );
    assert!(page.contains("](https://kubernetes.io/"), "{page}");
}
