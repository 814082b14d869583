//! A workload of a file and its evaluation: what every format renders.

use std::fmt;
use std::rc::Rc;

use serde_json::Value;

use super::sanitize::sanitize;
use winddown_core::evaluation::Evaluation;
use winddown_core::finding::{Finding, Severity};
use winddown_core::kind::Kind;
use winddown_core::manifest::Lines;
use winddown_core::object::Object;

pub(crate) struct Workload {
    /// The file name as given with `-f`, or `standard input`.
    pub(crate) file: Rc<str>,
    pub(crate) lines: Lines,
    pub(crate) kind: Kind,
    pub(crate) object: Value,
    pub(crate) evaluation: Evaluation,
}

impl Workload {
    /// `Deployment web/shop`.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.kind, qualified_name(&self.object))
    }

    /// `shop.yaml:17`, where the workload begins.
    pub(crate) fn location(&self) -> Location<'_> {
        Location { file: &self.file, line: self.lines.first() }
    }

    /// The line of the field that a finding is about.
    pub(crate) fn location_of(&self, finding: &Finding) -> Location<'_> {
        Location { file: &self.file, line: self.lines.of_field(&finding.field) }
    }

    /// The object in its desired state.
    pub(crate) fn desired(&self) -> Value {
        self.evaluation.changes.apply(&self.object)
    }
}

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location<'a> {
    pub(crate) file: &'a str,
    pub(crate) line: usize,
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", sanitize(self.file), self.line)
    }
}

/// `namespace/name`, or only the name where the file has no namespace.
pub(crate) fn qualified_name(object: &Value) -> String {
    let object = Object::new(object);
    let (namespace, name) = (object.namespace(), object.name().unwrap_or("without a name"));
    let name = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    sanitize(&name).into_owned()
}

/// The number of findings of a severity.
pub(crate) fn count(workloads: &[Workload], severity: Severity) -> usize {
    let findings = workloads.iter().flat_map(|workload| &workload.evaluation.findings);
    findings.filter(|finding| finding.severity == severity).count()
}
