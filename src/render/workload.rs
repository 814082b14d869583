//! A workload of a file and its evaluation: what every format renders.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use serde_json::Value;

use super::sanitize::sanitize;
use winddown_core::annotations::Assumption;
use winddown_core::evaluation::Evaluation;
use winddown_core::finding::{Finding, Severity};
use winddown_core::kind::Kind;
use winddown_core::manifest::{Lines, Slot};
use winddown_core::object::Object;

pub(crate) struct Workload {
    /// The file name as given with `-f`, or `standard input`.
    pub(crate) file: Rc<str>,
    pub(crate) lines: Lines,
    pub(crate) kind: Kind,
    /// As it was read.
    pub(crate) object: Value,
    /// Its place among the documents.
    pub(crate) slot: Slot,
    /// The annotations that it was assumed to have.
    pub(crate) assumed: Option<Rc<Assumption>>,
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

    /// The object that was evaluated: with the assumed annotations.
    fn subject(&self) -> Cow<'_, Value> {
        let assumed = self.assumed.as_ref().and_then(|assumption| assumption.applied_to(&self.object));
        assumed.map_or(Cow::Borrowed(&self.object), Cow::Owned)
    }

    /// The object in its desired state.
    pub(crate) fn desired(&self) -> Value {
        self.evaluation.changes.apply(&self.subject())
    }

    /// Leads from the object as it was read to its desired state.
    pub(crate) fn patch(&self) -> json_patch::Patch {
        let subject = self.subject();
        let mut patch = match subject {
            Cow::Borrowed(_) => json_patch::Patch::default(),
            Cow::Owned(_) => json_patch::diff(&self.object, &subject),
        };
        patch.0.extend(self.evaluation.changes.patch(Object::new(&subject)).0);
        patch
    }

    /// Whether the manifest would change.
    pub(crate) fn changes(&self) -> bool {
        self.assumed.is_some() || !self.evaluation.changes.is_empty()
    }

    /// Whether it is from a cluster, and nothing in it says whether somebody set its grace period of 30 seconds: neither
    /// managedFields, which kubectl hides by default, nor an applied configuration.
    pub(crate) fn grace_period_owner_is_unknown(&self) -> bool {
        let object = Object::new(&self.object);
        self.evaluation.budget.is_some() && object.has_uid() && object.has_unowned_default_grace_period()
    }

    /// Whether it has a finding of at least this severity.
    pub(crate) fn has(&self, severity: Severity) -> bool {
        self.evaluation.findings.iter().any(|finding| finding.severity >= severity)
    }

    /// The number of findings of a severity.
    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.evaluation.findings.iter().filter(|finding| finding.severity == severity).count()
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
    workloads.iter().map(|workload| workload.count(severity)).sum()
}
