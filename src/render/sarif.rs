//! The findings for code scanning: SARIF 2.1.0.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::{Component, Path};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::planned::{Place, Planned};
use winddown_core::finding::{Code, Finding, Severity, page};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(crate) fn sarif(planned: &[Planned], out: &mut impl Write) -> io::Result<()> {
    let findings =
        planned.iter().flat_map(|planned| planned.settlement.findings.iter().map(move |found| (planned, found)));
    // Those that occur; a `BTreeSet` has them in the order of `Code::ALL`.
    let codes: Vec<Code> =
        findings.clone().map(|(_, finding)| finding.code).collect::<BTreeSet<_>>().into_iter().collect();
    let mut fingerprints = Fingerprints::default();
    let results: Vec<_> =
        findings.map(|(planned, finding)| result(planned, finding, &codes, &mut fingerprints)).collect();
    let driver = json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "informationUri": env!("CARGO_PKG_REPOSITORY"),
        "rules": codes.iter().copied().map(rule).collect::<Vec<_>>(),
    });
    let run = json!({"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results});
    serde_json::to_writer_pretty(&mut *out, &json!({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}))?;
    writeln!(out)
}

fn rule(code: Code) -> Value {
    let page = page(code);
    json!({
        "id": code.as_str(),
        "name": code.as_str(),
        "shortDescription": {"text": code.title()},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": level(code.severity())},
    })
}

fn result(planned: &Planned, finding: &Finding, codes: &[Code], fingerprints: &mut Fingerprints) -> Value {
    let place = planned.place_of(finding);
    json!({
        "ruleId": finding.code.as_str(),
        "ruleIndex": codes.binary_search(&finding.code).ok(),
        "level": level(finding.severity),
        "message": {"text": format!("{}: {}", planned.title(), finding.message)},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {"uri": uri(place)},
                "region": {"startLine": place.line},
            },
            "logicalLocations": [{
                "name": planned.title(),
                "fullyQualifiedName": finding.field,
                "kind": "object",
            }],
        }],
        // The name that GitHub looks for; file and rule it adds by itself.
        "partialFingerprints": {"primaryLocationLineHash": fingerprints.of(planned, finding)},
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// What a finding is known by in the next run: whose it is and which field it is about, neither its line nor its numbers.
#[derive(Default)]
struct Fingerprints(HashMap<String, usize>);

impl Fingerprints {
    fn of(&mut self, planned: &Planned, finding: &Finding) -> String {
        let mut hash = Sha256::new();
        for part in [&planned.title(), finding.code.as_str(), &finding.field] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let hash = hash.finalize().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let key = format!("{}\n{hash}", planned.file);
        let times = self.0.entry(key).or_default();
        *times += 1;
        format!("{hash}:{times}")
    }
}

/// A file's path as a URI: relative to where the command runs, unless it was given from the root.
fn uri(place: Place<'_>) -> String {
    let path = Path::new(place.file);
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(part) => Some(encoded(&part.to_string_lossy())),
        Component::ParentDir => Some("..".to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    });
    let relative = parts.collect::<Vec<_>>().join("/");
    if path.is_absolute() { format!("file:///{relative}") } else { relative }
}

/// Everything but what RFC 3986 calls unreserved, as `%XX`.
fn encoded(text: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().fold(String::new(), |text, byte| {
        if unreserved(byte) { text + &char::from(byte).to_string() } else { text + &format!("%{byte:02X}") }
    })
}

#[cfg(test)]
mod tests {
    use super::{Place, uri};

    #[test]
    fn a_path_becomes_a_uri() {
        for (file, expected) in [
            ("shop.yaml", "shop.yaml"),
            ("./deploy/shop.yaml", "deploy/shop.yaml"),
            ("../a b/100%#größe.yaml", "../a%20b/100%25%23gr%C3%B6%C3%9Fe.yaml"),
            ("/srv/shop.yaml", "file:///srv/shop.yaml"),
            ("standard input", "standard%20input"),
        ] {
            assert_eq!(uri(Place { file, line: 1 }), expected);
        }
    }
}
