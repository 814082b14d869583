//! Any text in any annotation: lines of `key: value`, those of the pod template behind a line `template`.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::{Corpus, fuzz_target};
use winddown_core::annotations::{
    CONTAINERS, DEADLINE, DRAIN, Declaration, Declared, MARGIN, MODE, Mode, PREFIX, READINESS, RUNTIME, TRAFFIC, read,
};
use winddown_core::finding::Finding;
use winddown_core::policy::Policy;
use winddown_core::probe_spec::Readiness;
use winddown_core::duration::Seconds;
use winddown_fuzz::laws;

/// Far more than any message needs: what is longer repeats what somebody wrote.
const LONGEST_MESSAGE: usize = 1000;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    let (workload, template) = text.split_once("\ntemplate\n").unwrap_or((text, ""));
    let (workload, template) = (annotations(workload), annotations(template));
    for text in workload.values() {
        seconds_are_written_as_they_are_read(text);
        probes_are_written_as_they_are_read(text);
    }

    let reading = read(&borrowed(&workload), &borrowed(&template));
    laws::plainly(&reading.findings);
    for finding in &reading.findings {
        assert!(finding.message.len() <= LONGEST_MESSAGE, "{finding}");
    }
    let errors = reading.findings.iter().any(Finding::is_error);
    assert_eq!(errors && reading.mode != Mode::Off, reading.declared == Declared::Unreadable);
    if let Declared::Budget(declaration) = reading.declared {
        a_declaration_can_be_written_down(&declaration);
    }
    Corpus::Keep
});

/// The annotations of a few lines, ours if no prefix says otherwise. A value may hold anything but the end of a line.
fn annotations(text: &str) -> BTreeMap<String, &str> {
    let pairs = text.split('\n').filter_map(|line| line.split_once(": "));
    pairs
        .map(|(key, value)| (if key.contains('/') { key.to_owned() } else { format!("{PREFIX}{key}") }, value))
        .collect()
}

fn borrowed<'a>(annotations: &'a BTreeMap<String, &str>) -> BTreeMap<&'a str, &'a str> {
    annotations.iter().map(|(key, value)| (key.as_str(), *value)).collect()
}

fn seconds_are_written_as_they_are_read(text: &str) {
    if let Ok(seconds) = text.parse::<Seconds>() {
        assert!(seconds <= Seconds::MAX, "{text:?} is {seconds}");
        assert_eq!(seconds.to_string().parse(), Ok(seconds), "{text:?}");
    }
}

fn probes_are_written_as_they_are_read(text: &str) {
    if let Ok(probe) = text.parse::<Readiness>() {
        assert_eq!(probe.to_string().parse(), Ok(probe.clone()), "{text:?} is written as {probe}");
    }
}

/// From a declaration follow annotations that declare the same.
fn a_declaration_can_be_written_down(declaration: &Declaration) {
    let seconds = |value: Option<Seconds>| value.map(|value| value.to_string());
    let written: BTreeMap<&str, String> = [
        (DRAIN, seconds(declaration.drain)),
        (DEADLINE, seconds(declaration.deadline)),
        (TRAFFIC, declaration.traffic.map(|traffic| traffic.name.clone())),
        (RUNTIME, declaration.runtime.map(|runtime| runtime.name.clone())),
        (MARGIN, seconds(declaration.margin)),
        (READINESS, declaration.readiness.as_ref().map(Readiness::to_string)),
        (CONTAINERS, declaration.containers.as_ref().map(|names| names.join(","))),
        (MODE, Some("Enforce".to_owned())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect();
    let borrowed = written.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let again = read(&borrowed, &BTreeMap::new());
    assert_eq!(again.declared, Declared::Budget(declaration.clone()), "written as {written:?}");
    assert_eq!(again.findings, [], "written as {written:?}");
    let resolved = declaration.resolved(&Policy::default());
    assert_eq!(resolved.resolved(&Policy::default()), resolved, "resolved twice");
}
