//! For the tables of the rules: the findings of one code for a manifest.

use serde_json::{Value, json};

use super::{Check, Code, RULES, rule};
use crate::evaluation::{Existing, Origin, evaluate};
use crate::finding::Finding;
use crate::policy::Policy;

/// A Deployment with a drain of 10s and a deadline of 20s; `change` makes of it what a case is about.
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

/// The same, where the case is about the pod spec.
pub(crate) fn pod(change: impl FnOnce(&mut Value)) -> Value {
    deployment(|deployment| change(&mut deployment["spec"]["template"]["spec"]))
}

/// The same, where the case is about the container `app`.
pub(crate) fn container(change: impl FnOnce(&mut Value)) -> Value {
    pod(|pod| change(&mut pod["containers"][0]))
}

/// The same, where the case is about the annotations of the workload.
pub(crate) fn annotated(annotations: &Value) -> Value {
    deployment(|deployment| deployment["metadata"]["annotations"] = annotations.clone())
}

/// The findings with that code, all rules checked.
pub(crate) fn found(manifest: &Value, code: Code) -> Vec<Finding> {
    let evaluation = evaluate(manifest, Existing::None, &Policy::default(), Origin::File).unwrap();
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

/// The files are read as text: what a rule's own table does cannot be asked of it from outside.
#[test]
fn every_rule_has_a_table_in_which_it_fires_and_is_silent() {
    macro_rules! sources {
        ($($file:ident $code:ident,)+) => {
            [$((Code::$code, include_str!(concat!(stringify!($file), ".rs")))),+]
        };
    }
    for (code, source) in crate::finding::for_each_code!(sources) {
        let name = code.as_str();
        let table = source.split_once("mod tests {").map(|(_, table)| table).unwrap_or_default();
        assert!(table.contains("#[test]"), "{name} has no table");
        assert!(
            matches!(rule(code).check, Check::Reported) || table.contains("fires("),
            "{name} is never shown to fire"
        );
        assert!(
            matches!(rule(code).check, Check::Reported) || table.contains("silent("),
            "{name} is never shown to be silent"
        );
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
