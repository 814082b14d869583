//! The findings as SARIF 2.1.0, for code scanning.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::{Component, Path};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::workload::Workload;
use winddown_core::finding::{Code, Finding, Severity};
use winddown_core::fingerprint;
use winddown_core::object::Object;

/// All characters but those that RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(crate) fn sarif(workloads: &[Workload], out: &mut impl Write) -> io::Result<()> {
    write_run(&run(workloads), out)
}

/// A document with one run.
pub(crate) fn write_run(run: &Value, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &json!({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}))?;
    writeln!(out)
}

/// The tool with the rules, and the findings.
pub(crate) fn run(workloads: &[Workload]) -> Value {
    let findings = workloads
        .iter()
        .flat_map(|workload| workload.evaluation.findings.iter().map(move |finding| (workload, finding)));
    // Only the codes that occur; a `BTreeSet` keeps the order of `Code::ALL`.
    let codes: Vec<Code> =
        findings.clone().map(|(_, finding)| finding.code).collect::<BTreeSet<_>>().into_iter().collect();
    let mut fingerprints = Fingerprints::default();
    let results: Vec<_> =
        findings.map(|(workload, finding)| result(workload, finding, &codes, &mut fingerprints)).collect();
    let driver = json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "informationUri": env!("CARGO_PKG_REPOSITORY"),
        "rules": codes.iter().copied().map(rule).collect::<Vec<_>>(),
    });
    json!({"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results})
}

fn rule(code: Code) -> Value {
    let page = code.page();
    json!({
        "id": code.as_str(),
        "name": code.as_str(),
        "shortDescription": {"text": code.title()},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": level(code.severity())},
    })
}

fn result(workload: &Workload, finding: &Finding, codes: &[Code], fingerprints: &mut Fingerprints) -> Value {
    let mut result = json!({
        "ruleId": finding.code.as_str(),
        "ruleIndex": codes.binary_search(&finding.code).ok(),
        "level": level(finding.severity),
        "message": {"text": format!("{}: {}", workload.title(), finding.message())},
        "locations": [location(workload, finding)],
        // GitHub reads this key, and adds the file and the rule to it.
        "partialFingerprints": {"primaryLocationLineHash": fingerprints.of(workload, finding)},
    });
    if let Some(assumption) = &workload.assumed {
        result["properties"] = json!({"assumed": assumption.to_string()});
    }
    result
}

/// The line of a file, or the object in a cluster.
fn location(workload: &Workload, finding: &Finding) -> Value {
    let field = finding.field.to_string();
    if let Some((file, line)) = workload.location_of(finding).in_file() {
        return json!({
            "physicalLocation": {"artifactLocation": {"uri": uri(file)}, "region": {"startLine": line}},
            "logicalLocations": [{"name": workload.title(), "fullyQualifiedName": field, "kind": "object"}],
        });
    }
    let object = Object::new(&workload.object);
    let name = object.name().unwrap_or_default();
    let path = format!("{}/{}/{name}", object.namespace(), workload.kind);
    json!({
        "logicalLocations": [{"name": name, "fullyQualifiedName": path, "kind": "resource"}],
        "message": {"text": field},
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// The identity of a finding across runs: workload, code and field, but neither line nor numbers.
#[derive(Default)]
struct Fingerprints(HashMap<String, usize>);

impl Fingerprints {
    fn of(&mut self, workload: &Workload, finding: &Finding) -> String {
        let hash = fingerprint::of_texts(&[&workload.title(), finding.code.as_str(), &finding.field.to_string()]);
        let file = workload.location().in_file().map_or("", |(file, _)| file);
        let key = format!("{file}\n{hash}");
        let times = self.0.entry(key).or_default();
        *times += 1;
        format!("{hash}:{times}")
    }
}

/// The path of a file as a URI, relative unless the path is absolute.
fn uri(file: &str) -> String {
    let path = Path::new(file);
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(part) => Some(utf8_percent_encode(&part.to_string_lossy(), RESERVED).to_string()),
        Component::ParentDir => Some("..".to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    });
    let relative = parts.collect::<Vec<_>>().join("/");
    if path.is_absolute() { format!("file:///{relative}") } else { relative }
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn a_path_becomes_a_uri() {
        for (file, expected) in [
            ("shop.yaml", "shop.yaml"),
            ("./deploy/shop.yaml", "deploy/shop.yaml"),
            ("../a b/100%#größe.yaml", "../a%20b/100%25%23gr%C3%B6%C3%9Fe.yaml"),
            ("/srv/shop.yaml", "file:///srv/shop.yaml"),
            ("standard input", "standard%20input"),
        ] {
            assert_eq!(uri(file), expected);
        }
    }
}
