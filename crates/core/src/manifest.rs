//! YAML or JSON text in, workloads out.

mod documents;
mod error;
pub mod kustomization;
mod lines;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;

pub use error::ManifestError;
pub use lines::Lines;

use crate::annotations;
use crate::kind::Kind;
use crate::policy::{Policy, resource};
use crate::related::Related;
use documents::{Document, documents};

/// The content of one text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// The workloads, in order.
    pub workloads: Vec<Manifest>,
    /// The documents without their workloads: each is null, at its [`Slot`]. Empty unless [`read_all`] keeps them.
    pub documents: Vec<Value>,
    /// The number of other objects by kind, for example `Service`. Lists do not count, only the objects in them.
    pub others: BTreeMap<String, usize>,
    /// The objects that say more about the workloads.
    pub related: Related,
    /// The policies.
    pub policies: Vec<Policy>,
    /// Skipped objects that may be a mistake.
    pub skipped: Vec<Skipped>,
    /// The errors. An invalid document does not affect the other documents.
    pub errors: Vec<ManifestError>,
    /// The annotations of skipped objects that have no pods, with their index in `skipped`.
    without_pods: Vec<(usize, Annotations)>,
}

/// Annotations of Winddown.
type Annotations = Vec<(String, Value)>;

/// A workload from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The number of its document, from 1.
    pub document: usize,
    /// The lines of its fields.
    pub lines: Lines,
    /// The kind of the workload.
    pub kind: Kind,
    /// The object with all its fields.
    pub object: Value,
    /// Its place among the documents.
    pub slot: Slot,
}

/// The place of a workload in [`Stream::documents`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// The index of its document.
    pub document: usize,
    /// The JSON Pointer of the workload in its document, for example `/items/3`.
    pub pointer: String,
}

impl Slot {
    /// Puts an object in this place.
    pub fn fill(&self, documents: &mut [Value], object: Value) {
        let document = documents.get_mut(self.document);
        if let Some(place) = document.and_then(|document| document.pointer_mut(&self.pointer)) {
            *place = object;
        }
    }
}

/// An object of a supported kind in another API group or version, or an object of another kind that has annotations of
/// Winddown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The line where it starts, from 1.
    pub line: usize,
    /// E.g. `extensions/v1beta1`.
    pub api_version: String,
    /// E.g. `Deployment`.
    pub kind: String,
    /// Its name, if it has one.
    pub name: String,
    /// Whether it has annotations of Winddown.
    pub has_annotations: bool,
}

/// Reads a text that may contain several documents and `List`s. Other kinds and empty documents are skipped: a chart
/// renders an empty document if a value disables its content. A text of only white space is an error.
#[must_use]
pub fn read(text: &str) -> Stream {
    read_documents(text, false)
}

/// The same, and keeps the documents with all their objects. Documents with an error are left out.
#[must_use]
pub fn read_all(text: &str) -> Stream {
    read_documents(text, true)
}

fn read_documents(text: &str, keep: bool) -> Stream {
    let mut stream = Stream::default();
    if text.trim().is_empty() {
        stream.errors.push(ManifestError::Empty);
    }
    for document in documents(text) {
        match parsed(document.text) {
            Ok(value) if value.is_null() => {}
            Ok(mut value) => {
                // Lines are computed only for workloads and lists.
                let of_interest = kind_of(&value).is_some_and(|kind| kind != Category::Other);
                let lines = if of_interest { Lines::of(document.text, document.line) } else { Lines::default() };
                let slot = Slot { document: stream.documents.len(), pointer: String::new() };
                let collected = stream.collect(&mut value, document, &lines, slot);
                match collected {
                    Ok(()) if keep => stream.documents.push(value),
                    Ok(()) => {}
                    Err(error) => stream.errors.push(error),
                }
            }
            Err(error) => stream.errors.push(syntax(&error, document)),
        }
    }
    stream.forget_copies();
    stream
}

/// Reads a document. A duplicate key is an error in workloads and lists. In other kinds the last one is used, as in
/// kubectl.
fn parsed(text: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, parser_options()).or_else(|error| {
        if !matches!(error.without_snippet(), serde_saphyr::Error::DuplicateMappingKey { .. }) {
            return Err(error);
        }
        let mut options = parser_options();
        options.duplicate_keys = DuplicateKeyPolicy::LastWins;
        let value: Value = serde_saphyr::from_str_with_options(text, options)?;
        if kind_of(&value) == Some(Category::Other) { Ok(value) } else { Err(error) }
    })
}

/// Numbers as in kubectl: those of YAML 1.1 (`defaultMode: 0400` is octal). The limits permit a List of all objects in a
/// cluster; the size of the text is limited before this point.
fn parser_options() -> serde_saphyr::Options {
    let mut options = serde_saphyr::Options::default();
    options.legacy_octal_numbers = true;
    if let Some(budget) = &mut options.budget {
        budget.max_events = 10_000_000;
        budget.max_nodes = 5_000_000;
    }
    // A few lines with nested aliases can expand to millions of nodes.
    options.alias_limits.max_total_replayed_events = 100_000;
    options
}

/// The handling of a kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Category {
    Workload(Kind),
    List,
    Other,
}

fn kind_of(value: &Value) -> Option<Category> {
    value.get("kind").and_then(Value::as_str).map(category)
}

fn category(kind: &str) -> Category {
    if let Some(kind) = Kind::named(kind) {
        return Category::Workload(kind);
    }
    let listed = kind.strip_suffix("List").unwrap_or("-");
    if listed.is_empty() || Kind::named(listed).is_some() { Category::List } else { Category::Other }
}

impl Stream {
    /// Takes the workloads out of an object. Errors of the items of a List are added to the errors.
    fn collect(
        &mut self,
        value: &mut Value,
        document: Document<'_>,
        lines: &Lines,
        slot: Slot,
    ) -> Result<(), ManifestError> {
        let not_an_object = |reason| {
            let line = if lines.first() == 0 { document.line } else { lines.first() };
            ManifestError::NotAnObject { document: document.number, line, reason }
        };
        let field = |name: &str| value.get(name).and_then(Value::as_str);
        let (api_version, kind) = match (field("apiVersion"), field("kind")) {
            (Some(api_version), Some(kind)) => (api_version, kind),
            (None, None) if value.is_object() => {
                return Err(ManifestError::Foreign { document: document.number, line: document.line });
            }
            (None, _) => return Err(not_an_object("it has no apiVersion")),
            (_, None) => return Err(not_an_object("it has no kind")),
        };
        match category(kind) {
            Category::Workload(kind) if api_version == Kind::API_VERSION => {
                let mut object = value.take();
                normalize_numbers(&mut object);
                self.related.add_workload(&object);
                self.workloads.push(Manifest { document: document.number, lines: lines.clone(), kind, object, slot });
            }
            Category::Workload(_) => {
                let line = lines.first();
                self.skipped.push(Skipped { line, ..Skipped::new(api_version, kind, value) });
                self.count(kind);
            }
            Category::List => match value.get_mut("items") {
                Some(Value::Array(items)) => {
                    for (at, item) in items.iter_mut().enumerate().filter(|(_, item)| !item.is_null()) {
                        let slot = Slot { pointer: format!("{}/items/{at}", slot.pointer), ..slot };
                        let collected = self.collect(item, document, lines.item("items", at).unwrap_or(lines), slot);
                        self.errors.extend(collected.err());
                    }
                }
                None | Some(Value::Null) => {}
                Some(_) => return Err(not_an_object("its items are not a list")),
            },
            Category::Other if is_policy(api_version, kind) => {
                let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
                let (document, line) = (document.number, document.line);
                let invalid = |problem| ManifestError::Policy { document, line, name, problem: Box::new(problem) };
                self.policies.push(Policy::read_strictly(value).map_err(invalid)?);
            }
            Category::Other => {
                self.related.add(value);
                let skipped = Skipped { line: document.line, ..Skipped::new(api_version, kind, value) };
                // The annotations of an owned object are copied from its owner.
                if skipped.has_annotations && value.pointer("/metadata/ownerReferences").is_none() {
                    if !HAVE_PODS.iter().any(|pods| value.pointer(pods).is_some()) {
                        self.without_pods.push((self.skipped.len(), annotations_of(value)));
                    }
                    self.skipped.push(skipped);
                }
                self.count(kind);
            }
        }
        Ok(())
    }

    fn count(&mut self, kind: &str) {
        match self.others.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.others.insert(kind.to_owned(), 1)),
        }
    }
}

fn is_policy(api_version: &str, kind: &str) -> bool {
    kind == resource::KIND && api_version.split('/').next() == Some(resource::GROUP)
}

/// Where other kinds have their pods: `Rollout`, `CronJob`, `Pod`.
const HAVE_PODS: [&str; 3] = ["/spec/template", "/spec/jobTemplate", "/spec/containers"];

impl Stream {
    /// Does not report an object without pods, for example a Service, whose annotations are all on workloads as well:
    /// Kustomize's `commonAnnotations` writes them to every object.
    fn forget_copies(&mut self) {
        let on_workloads: Vec<_> =
            self.workloads.iter().flat_map(|workload| annotations_of(&workload.object)).collect();
        let on_workloads: BTreeSet<_> =
            on_workloads.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let is_copy = |annotations: &Annotations| {
            annotations.iter().all(|(key, value)| on_workloads.contains(&(key.as_str(), value.as_str())))
        };
        let without_pods = std::mem::take(&mut self.without_pods);
        let copies = without_pods.iter().filter(|(_, annotations)| is_copy(annotations));
        let copies: BTreeSet<_> = copies.map(|(index, _)| *index).collect();
        let mut index = 0..;
        self.skipped.retain(|_| index.next().is_none_or(|index| !copies.contains(&index)));
    }
}

fn annotations_of(object: &Value) -> Annotations {
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    let ours = annotations.into_iter().flatten().filter(|(key, _)| key.starts_with(annotations::PREFIX));
    ours.map(|(key, value)| (key.clone(), value.clone())).collect()
}

impl Skipped {
    fn new(api_version: &str, kind: &str, object: &Value) -> Self {
        let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
        Self {
            line: 0,
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            has_annotations: annotations
                .is_some_and(|annotations| annotations.keys().any(|key| key.starts_with(annotations::PREFIX))),
        }
    }
}

fn syntax(error: &serde_saphyr::Error, document: Document<'_>) -> ManifestError {
    let message = describe(error.without_snippet());
    let (line, column) = error.location().map_or((1, 1), |location| (location.line(), location.column()));
    let line = line + document.line as u64 - 1;
    ManifestError::Syntax { document: document.number, line, column, message }
}

/// Describes common errors without terms of the parser.
fn describe(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error::{
        AliasError, AliasReplayLimitExceeded, Budget, DuplicateMappingKey, NonFiniteFloat, NullIntoString,
    };
    match error {
        DuplicateMappingKey { key: Some(key), .. } => format!("duplicate key {key}"),
        DuplicateMappingKey { key: None, .. } => "duplicate key".to_owned(),
        NullIntoString { .. } => "a key is null".to_owned(),
        NonFiniteFloat { value, .. } => format!("{value} is not a JSON number; quote it"),
        AliasReplayLimitExceeded { .. } => "alias expansion exceeds the limit".to_owned(),
        Budget { .. } => "exceeds the limits on size and depth".to_owned(),
        AliasError { error, .. } => describe(error),
        error => {
            // Only the first line: the parser also prints an excerpt of the text.
            let message = error.to_string();
            let message = message.lines().next().unwrap_or_default();
            // The parser counts lines from the start of the document, Winddown from the start of the file.
            message.rsplit_once(" at line ").map_or(message, |(message, _)| message).to_owned()
        }
    }
}

/// Converts numbers as kubectl does: `80.0` and Helm's `1.0007e+09` become integers.
fn normalize_numbers(value: &mut Value) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            let integer = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < EXACT);
            if let Some(integer) = integer {
                #[expect(clippy::cast_possible_truncation, reason = "it is an integer within the range")]
                let integer = integer as i64;
                *value = integer.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalize_numbers),
        Value::Object(fields) => fields.values_mut().for_each(normalize_numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
