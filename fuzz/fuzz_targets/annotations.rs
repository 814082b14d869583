//! Arbitrary annotations: lines of the form `key: value`. The annotations of the pod template follow a line `template`. Values,
//! and all annotations together, are also arguments of `winddown plan --assume`.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::json;
use winddown_core::annotations::{
    Assumption, AssumptionError, CONTAINERS, DEADLINE, DRAIN, Declaration, Declared, EXPOSE, Expose, Issue, MARGIN,
    MODE, Mode, PREFIX, READINESS, RUNTIME, TRAFFIC, read,
};
use winddown_core::duration::Seconds;
use winddown_core::evaluation::Origin;
use winddown_core::finding::Finding;
use winddown_core::policy::{Policy, Resolved};
use winddown_core::probe_spec::ProbeSpec;
use winddown_core::sanitize::is_control;
use winddown_fuzz::laws;

/// A longer message contains user input that was not shortened.
const LONGEST_MESSAGE: usize = 1000;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    let (workload, template) = text.split_once("\ntemplate\n").unwrap_or((text, ""));
    let (workload, template) = (annotations(workload), annotations(template));
    for text in workload.values() {
        seconds_round_trip(text);
        probes_round_trip(text);
        an_assumption_is_a_declaration(text);
    }

    let reading = read(&borrowed(&workload), &borrowed(&template));
    let findings = findings(&workload, &template);
    laws::findings_are_one_line(&findings);
    for finding in &findings {
        assert!(finding.message().len() <= LONGEST_MESSAGE, "{finding}");
    }
    let errors = match &reading.declared {
        // The plan may also have errors.
        Declared::Budget(_) => {
            let unreadable = |issue: &Issue| matches!(issue, Issue::InvalidValue { .. } | Issue::UnknownKey { .. });
            reading.issues.iter().any(unreadable)
        }
        Declared::Nothing | Declared::Unreadable => findings.iter().any(Finding::is_error),
    };
    assert_eq!(errors && reading.mode != Mode::Off, reading.declared == Declared::Unreadable);
    assert!(reading.issues.len() <= findings.len(), "an issue without a finding: {:?}", reading.issues);
    let assumed: Vec<_> =
        workload.iter().map(|(key, value)| format!("{}={value}", key.strip_prefix(PREFIX).unwrap_or(key))).collect();
    an_assumption_is_a_declaration(&assumed.join(","));
    if let Declared::Budget(declaration) = reading.declared {
        a_declaration_round_trips(&declaration);
    }
    Corpus::Keep
});

/// What `--assume` accepts is written as it is read, and opts in a workload without errors; other text has one line of error.
fn an_assumption_is_a_declaration(text: &str) {
    let assumption: Assumption = match text.parse() {
        Ok(assumption) => assumption,
        Err(error) => {
            let message = AssumptionError::to_string(&error);
            assert!(message.len() <= LONGEST_MESSAGE && !message.contains(is_control), "{message:?}");
            return;
        }
    };
    let written = assumption.to_string();
    assert_eq!(written.parse().as_ref(), Ok(&assumption), "{text:?} is written as {written:?}");
    let workload = json!({"spec": {"template": {"spec": {"containers": [{"name": "app"}]}}}});
    let applied = assumption.applied_to(&workload).expect("it has no annotations");
    let annotations = applied["metadata"]["annotations"].as_object().expect("annotations");
    let annotations =
        annotations.iter().map(|(key, value)| (key.as_str(), value.as_str().expect("a string"))).collect();
    let reading = read(&annotations, &BTreeMap::new());
    assert!(matches!(reading.declared, Declared::Budget(_)), "{text:?}: {:?}", reading.issues);
    assert_eq!(reading.issues, [], "{text:?}");
}

/// Parses annotations. Keys without a prefix get that of Winddown. A value may contain anything except a line break.
fn annotations(text: &str) -> BTreeMap<String, &str> {
    let pairs = text.split('\n').filter_map(|line| line.split_once(": "));
    pairs
        .map(|(key, value)| (if key.contains('/') { key.to_owned() } else { format!("{PREFIX}{key}") }, value))
        .collect()
}

/// The findings of a Deployment with these annotations.
fn findings(workload: &BTreeMap<String, &str>, template: &BTreeMap<String, &str>) -> Vec<Finding> {
    let workload = json!({
        "kind": "Deployment",
        "metadata": {"annotations": workload},
        "spec": {"template": {"metadata": {"annotations": template}, "spec": {"containers": [{"name": "app"}]}}},
    });
    laws::evaluated(&workload, Origin::File).expect("annotations are strings").findings
}

fn borrowed<'a>(annotations: &'a BTreeMap<String, &str>) -> BTreeMap<&'a str, &'a str> {
    annotations.iter().map(|(key, value)| (key.as_str(), *value)).collect()
}

fn seconds_round_trip(text: &str) {
    if let Ok(seconds) = text.parse::<Seconds>() {
        assert!(seconds <= Seconds::MAX, "{text:?} is {seconds}");
        assert_eq!(seconds.to_string().parse(), Ok(seconds), "{text:?}");
    }
}

fn probes_round_trip(text: &str) {
    if let Ok(probe) = text.parse::<ProbeSpec>() {
        assert_eq!(probe.to_string().parse(), Ok(probe.clone()), "{text:?} is written as {probe}");
    }
}

/// A declaration converted to annotations is parsed to the same declaration.
fn a_declaration_round_trips(declaration: &Declaration) {
    let seconds = |value: Option<Seconds>| value.map(|value| value.to_string());
    let written: BTreeMap<&str, String> = [
        (DRAIN, seconds(declaration.drain)),
        (DEADLINE, seconds(declaration.deadline)),
        (TRAFFIC, declaration.traffic.map(|traffic| traffic.name.clone())),
        (RUNTIME, declaration.runtime.map(|runtime| runtime.name.clone())),
        (MARGIN, seconds(declaration.margin)),
        (READINESS, declaration.readiness.as_ref().map(ProbeSpec::to_string)),
        (CONTAINERS, declaration.containers.as_ref().map(|names| names.join(","))),
        (EXPOSE, declaration.expose.map(|Expose::Env| "env".to_owned())),
        (MODE, Some("Enforce".to_owned())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect();
    let borrowed = written.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let again = read(&borrowed, &BTreeMap::new());
    assert_eq!(again.declared, Declared::Budget(declaration.clone()), "written as {written:?}");
    assert_eq!(again.issues, [], "written as {written:?}");
    let policy = Policy::default();
    let resolved = Resolved::new(declaration, Mode::Enforce, &policy, &[]);
    let Resolved { drain, deadline, margin, .. } = resolved;
    let (drain, deadline, margin) = (Some(drain), Some(deadline), Some(margin));
    let explicit = Declaration { drain, deadline, margin, ..declaration.clone() };
    let again = Resolved::new(&explicit, Mode::Enforce, &policy, &[]).canonical();
    assert_eq!(again, resolved.canonical(), "resolved twice");
}
