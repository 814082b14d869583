//! A workload of a file or a cluster and its evaluation: what every format renders.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use serde_json::Value;

use super::sanitize::sanitize;
use winddown_core::annotations::Assumption;
use winddown_core::current_shutdown::{CurrentShutdown, Loss};
use winddown_core::evaluation::Evaluation;
use winddown_core::finding::{Finding, Severity};
use winddown_core::kind::Kind;
use winddown_core::manifest::{Lines, Slot};
use winddown_core::object::Object;

pub(crate) struct Workload {
    pub(crate) source: Source,
    pub(crate) kind: Kind,
    /// As it was read.
    pub(crate) object: Value,
    /// The annotations that it was assumed to have.
    pub(crate) assumed: Option<Rc<Assumption>>,
    pub(crate) evaluation: Evaluation,
    /// How its pods stop as it is; only known of a workload of a cluster.
    pub(crate) current: Option<CurrentShutdown>,
}

/// Where a workload was read.
pub(crate) enum Source {
    File {
        /// The file name as given with `-f`, or `standard input`.
        name: Rc<str>,
        lines: Lines,
        /// Its place among the documents.
        slot: Slot,
    },
    #[cfg_attr(not(feature = "cluster"), expect(dead_code, reason = "without clients, there are only files"))]
    Cluster,
}

impl Workload {
    /// `Deployment web/shop`.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.kind, qualified_name(&self.object))
    }

    /// `shop.yaml:17`, where the workload begins.
    pub(crate) fn location(&self) -> Location<'_> {
        self.location_at(Lines::first)
    }

    /// The line of the field that a finding is about.
    pub(crate) fn location_of(&self, finding: &Finding) -> Location<'_> {
        self.location_at(|lines| lines.of_field(&finding.field))
    }

    fn location_at(&self, line: impl FnOnce(&Lines) -> usize) -> Location<'_> {
        match &self.source {
            Source::File { name, lines, .. } => Location::Line { file: name, line: line(lines) },
            Source::Cluster => Location::Object,
        }
    }

    /// Its place among the documents of its file.
    pub(crate) fn slot(&self) -> Option<&Slot> {
        match &self.source {
            Source::File { slot, .. } => Some(slot),
            Source::Cluster => None,
        }
    }

    /// Whether it was read from a cluster, and not from a file.
    pub(crate) fn is_of_cluster(&self) -> bool {
        !matches!(self.source, Source::File { .. })
    }

    /// The object that controls it, such as `Etcd main`. Winddown does not change such a workload.
    pub(crate) fn owner(&self) -> Option<String> {
        let (kind, name) = Object::new(&self.object).controller()?;
        Some(sanitize(&format!("{kind} {name}")).into_owned())
    }

    /// Why a rollout can drop requests today; empty if nothing is known.
    #[cfg_attr(not(feature = "cluster"), expect(dead_code, reason = "nothing is known of files"))]
    pub(crate) fn losses(&self) -> &[Loss] {
        self.current.as_ref().map_or(&[], |current| &current.losses)
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

/// A place in a file, or an object of a cluster, whose name says where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location<'a> {
    Line { file: &'a str, line: usize },
    Object,
}

impl<'a> Location<'a> {
    /// The file and the line, if it is in one.
    pub(crate) fn in_file(self) -> Option<(&'a str, usize)> {
        match self {
            Self::Line { file, line } => Some((file, line)),
            Self::Object => None,
        }
    }

    /// ` (shop.yaml:17)`, to follow a name; nothing for an object of a cluster.
    pub(crate) fn in_parentheses(self) -> String {
        self.in_file().map_or_else(String::new, |_| format!(" ({self})"))
    }
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{}:{line}", sanitize(file)),
            Self::Object => f.write_str("cluster"),
        }
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
