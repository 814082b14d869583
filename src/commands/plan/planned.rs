//! A workload of a file, and what Winddown makes of it.

use std::fmt;
use std::rc::Rc;

use serde_json::Value;

use super::plain::plain;
use crate::finding::{Finding, Severity};
use crate::manifest::{Lines, Manifest};
use crate::policy::Policy;
use crate::settlement::{Before, Origin, Settlement, UnreadableWorkload, settle};
use crate::workload::Kind;

pub(super) struct Planned {
    /// The file's name as it was given, or `standard input`.
    pub(super) file: Rc<str>,
    pub(super) lines: Lines,
    pub(super) kind: Kind,
    pub(super) object: Value,
    pub(super) settlement: Settlement,
}

impl Planned {
    pub(super) fn new(file: &Rc<str>, manifest: Manifest) -> Result<Self, Unplannable> {
        let Manifest { document, lines, kind, object } = manifest;
        // What has a UID was read from a cluster, with the API server's defaults in it.
        let from_cluster = object.pointer("/metadata/uid").is_some();
        let (before, origin) =
            if from_cluster { (Before::Itself, Origin::ApiServer) } else { (Before::Nothing, Origin::File) };
        match settle(&object, before, &Policy::default(), origin) {
            Ok(settlement) => Ok(Self { file: Rc::clone(file), lines, kind, object, settlement }),
            Err(error) => {
                let line = lines.of_field(error.field());
                Err(Unplannable { line, kind, name: name(&object), document, error })
            }
        }
    }

    /// `Deployment web/shop`.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.kind, name(&self.object))
    }

    /// `shop.yaml:17`, where the workload begins.
    pub(super) fn place(&self) -> Place<'_> {
        Place { file: &self.file, line: self.lines.first() }
    }

    /// Where a finding is to be mended.
    pub(super) fn place_of(&self, finding: &Finding) -> Place<'_> {
        Place { file: &self.file, line: self.lines.of_field(&finding.field) }
    }

    pub(super) fn metadata(&self, field: &str) -> &str {
        metadata(&self.object, field).unwrap_or("")
    }
}

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) line: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", plain(self.file), self.line)
    }
}

/// A workload of which nothing can be said.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {kind} {name} in document {document}: {error}")]
pub(super) struct Unplannable {
    line: usize,
    kind: Kind,
    name: String,
    document: usize,
    error: UnreadableWorkload,
}

/// `namespace/name`, or the name alone where the file leaves the namespace to kubectl.
fn name(object: &Value) -> String {
    let name = metadata(object, "name").unwrap_or("without a name");
    let name = metadata(object, "namespace").map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
    plain(&name).into_owned()
}

fn metadata<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get("metadata")?.get(field)?.as_str()
}

/// How many findings there are of a severity.
pub(super) fn count(planned: &[Planned], severity: Severity) -> usize {
    let findings = planned.iter().flat_map(|planned| &planned.settlement.findings);
    findings.filter(|finding| finding.severity == severity).count()
}
