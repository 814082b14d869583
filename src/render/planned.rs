//! A workload of a file, and what Winddown makes of it.

use std::fmt;
use std::rc::Rc;

use serde_json::Value;

use super::sanitize::plain;
use winddown_core::evaluation::{Before, Origin, Settlement, UnreadableWorkload, settle};
use winddown_core::finding::{Finding, Severity};
use winddown_core::kind::Kind;
use winddown_core::manifest::{Lines, Manifest};
use winddown_core::policy::Policy;

pub(crate) struct Planned {
    /// The file's name as it was given, or `standard input`.
    pub(crate) file: Rc<str>,
    pub(crate) lines: Lines,
    pub(crate) kind: Kind,
    pub(crate) object: Value,
    pub(crate) settlement: Settlement,
}

impl Planned {
    pub(crate) fn new(file: &Rc<str>, manifest: Manifest) -> Result<Self, Unplannable> {
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
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.kind, name(&self.object))
    }

    /// `shop.yaml:17`, where the workload begins.
    pub(crate) fn place(&self) -> Place<'_> {
        Place { file: &self.file, line: self.lines.first() }
    }

    /// Where a finding is to be mended.
    pub(crate) fn place_of(&self, finding: &Finding) -> Place<'_> {
        Place { file: &self.file, line: self.lines.of_field(&finding.field) }
    }

    pub(crate) fn metadata(&self, field: &str) -> &str {
        metadata(&self.object, field).unwrap_or("")
    }
}

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a str,
    pub(crate) line: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", plain(self.file), self.line)
    }
}

/// A workload of which nothing can be said.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {kind} {name} in document {document}: {error}")]
pub(crate) struct Unplannable {
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
pub(crate) fn count(planned: &[Planned], severity: Severity) -> usize {
    let findings = planned.iter().flat_map(|planned| &planned.settlement.findings);
    findings.filter(|finding| finding.severity == severity).count()
}
