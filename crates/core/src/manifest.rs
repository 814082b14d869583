//! YAML or JSON text in, workloads out.

mod documents;
mod lines;

use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;

pub use lines::Lines;

use crate::annotations;
use crate::kind::Kind;
use documents::{Document, documents};

/// Everything in a text that matters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// What is to be planned, in order.
    pub workloads: Vec<Manifest>,
    /// What looks as if it were to be planned, and is not.
    pub passed_over: Vec<PassedOver>,
    /// What cannot be read. A document that is broken hides none of the others.
    pub errors: Vec<ManifestError>,
}

/// A workload from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Which document of the file it stands in, counted from 1.
    pub document: usize,
    /// Where it stands.
    pub lines: Lines,
    /// What it is.
    pub kind: Kind,
    /// The whole object, with every field that stood there.
    pub object: Value,
}

/// An object of a kind that Winddown plans, but of another API group or version; or of another kind, but with Winddown's
/// annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Where it starts, counted from 1.
    pub line: usize,
    /// E.g. `extensions/v1beta1`.
    pub api_version: String,
    /// E.g. `Deployment`.
    pub kind: String,
    /// Its name, if it has one.
    pub name: String,
    /// Whether somebody declares something there.
    pub declares: bool,
}

/// Why a text is no manifest, or a document of it no object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not YAML, and so not JSON either; or YAML that means nothing in JSON.
    #[error("line {line}, column {column}: document {document} cannot be read: {message}")]
    Syntax {
        /// Counted from 1.
        document: usize,
        /// Counted from 1.
        line: u64,
        /// Counted from 1.
        column: u64,
        /// What is wrong.
        message: String,
    },
    /// Nothing but white space: whoever wrote it has failed.
    #[error("is empty")]
    Empty,
    /// YAML for something else than Kubernetes, such as the values of a chart.
    #[error("line {line}: document {document} is not a Kubernetes object: it has neither apiVersion nor kind")]
    Foreign {
        /// Counted from 1.
        document: usize,
        /// Where it starts, counted from 1.
        line: usize,
    },
    /// YAML, but not a Kubernetes object.
    #[error("line {line}: document {document} is not a Kubernetes object: {reason}")]
    NotAnObject {
        /// Counted from 1.
        document: usize,
        /// Where it starts, counted from 1.
        line: usize,
        /// What is missing.
        reason: &'static str,
    },
}

/// Reads a text: several documents, and `List`s among them. Other kinds are passed over, and so are empty documents, as a
/// chart leaves them where a value turns something off; a text with nothing in it at all is an error.
#[must_use]
pub fn read(text: &str) -> Stream {
    let mut stream = Stream::default();
    if text.trim().is_empty() {
        stream.errors.push(ManifestError::Empty);
    }
    for document in documents(text) {
        match parsed(document.text) {
            Ok(value) if value.is_null() => {}
            Ok(value) => {
                // Most of a stream is of other kinds, and nobody asks for their lines.
                let of_interest = kind_of(&value).is_some_and(|kind| kind != Sort::Other);
                let lines = if of_interest { Lines::of(document.text, document.line) } else { Lines::default() };
                stream.collect(value, document, &lines);
            }
            Err(error) => stream.errors.push(syntax(&error, document)),
        }
    }
    stream
}

/// Reads a document. A key that is there twice is an error where it matters; elsewhere the last one counts, as for kubectl.
fn parsed(text: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, as_kubectl()).or_else(|error| {
        if !matches!(error.without_snippet(), serde_saphyr::Error::DuplicateMappingKey { .. }) {
            return Err(error);
        }
        let mut options = as_kubectl();
        options.duplicate_keys = DuplicateKeyPolicy::LastWins;
        let value: Value = serde_saphyr::from_str_with_options(text, options)?;
        if kind_of(&value) == Some(Sort::Other) { Ok(value) } else { Err(error) }
    })
}

/// As kubectl reads it: numbers of YAML 1.1 (`defaultMode: 0400` is octal), and Lists of a whole cluster. What is large has
/// been refused before.
fn as_kubectl() -> serde_saphyr::Options {
    let mut options = serde_saphyr::Options::default();
    options.legacy_octal_numbers = true;
    if let Some(budget) = &mut options.budget {
        budget.max_events = 10_000_000;
        budget.max_nodes = 5_000_000;
    }
    // What is repeated by alias costs its author nothing: a few lines can stand for millions.
    options.alias_limits.max_total_replayed_events = 100_000;
    options
}

/// What a kind means here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Workload(Kind),
    List,
    Other,
}

fn kind_of(value: &Value) -> Option<Sort> {
    value.get("kind").and_then(Value::as_str).map(sort)
}

fn sort(kind: &str) -> Sort {
    if let Some(kind) = Kind::named(kind) {
        return Sort::Workload(kind);
    }
    let listed = kind.strip_suffix("List").unwrap_or("-");
    if listed.is_empty() || Kind::named(listed).is_some() { Sort::List } else { Sort::Other }
}

impl Stream {
    fn collect(&mut self, mut value: Value, document: Document<'_>, lines: &Lines) {
        let not_an_object = |reason| {
            let line = if lines.first() == 0 { document.line } else { lines.first() };
            ManifestError::NotAnObject { document: document.number, line, reason }
        };
        let field = |name: &str| value.get(name).and_then(Value::as_str);
        let (api_version, kind) = match (field("apiVersion"), field("kind")) {
            (Some(api_version), Some(kind)) => (api_version, kind),
            (None, None) if value.is_object() => {
                return self.errors.push(ManifestError::Foreign { document: document.number, line: document.line });
            }
            (None, _) => return self.errors.push(not_an_object("it has no apiVersion")),
            (_, None) => return self.errors.push(not_an_object("it has no kind")),
        };
        match sort(kind) {
            Sort::Workload(kind) if api_version == Kind::API_VERSION => {
                made_whole(&mut value);
                self.workloads.push(Manifest { document: document.number, lines: lines.clone(), kind, object: value });
            }
            Sort::Workload(_) => {
                let line = lines.first();
                self.passed_over.push(PassedOver { line, ..PassedOver::new(api_version, kind, &value) });
            }
            Sort::List => {
                let Value::Object(mut fields) = value else { return };
                match fields.remove("items") {
                    Some(Value::Array(items)) => {
                        for (at, item) in items.into_iter().enumerate().filter(|(_, item)| !item.is_null()) {
                            self.collect(item, document, lines.item("items", at).unwrap_or(lines));
                        }
                    }
                    None | Some(Value::Null) => {}
                    Some(_) => self.errors.push(not_an_object("its items are not a list")),
                }
            }
            Sort::Other => {
                let passed_over = PassedOver { line: document.line, ..PassedOver::new(api_version, kind, &value) };
                // What has an owner has the owner's annotations.
                if passed_over.declares && value.pointer("/metadata/ownerReferences").is_none() {
                    self.passed_over.push(passed_over);
                }
            }
        }
    }
}

impl PassedOver {
    fn new(api_version: &str, kind: &str, object: &Value) -> Self {
        let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
        Self {
            line: 0,
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            declares: annotations.is_some_and(|written| written.keys().any(|key| key.starts_with(annotations::PREFIX))),
        }
    }
}

fn syntax(error: &serde_saphyr::Error, document: Document<'_>) -> ManifestError {
    let message = in_words(error.without_snippet());
    let (line, column) = error.location().map_or((1, 1), |location| (location.line(), location.column()));
    let line = line + document.line as u64 - 1;
    ManifestError::Syntax { document: document.number, line, column, message }
}

/// What is wrong, without the parser's own terms where people meet them.
fn in_words(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error::{
        AliasError, AliasReplayLimitExceeded, Budget, DuplicateMappingKey, NonFiniteFloat, NullIntoString,
    };
    match error {
        DuplicateMappingKey { key: Some(key), .. } => format!("the key {key} is there twice"),
        DuplicateMappingKey { key: None, .. } => "a key is there twice".to_owned(),
        NullIntoString { .. } => "a key is null".to_owned(),
        NonFiniteFloat { value, .. } => format!("{value} is no number in JSON; quote it"),
        AliasReplayLimitExceeded { .. } => "its aliases stand for far too much".to_owned(),
        Budget { .. } => "it holds more than any manifest".to_owned(),
        AliasError { error, .. } => in_words(error),
        error => {
            // One line of it: the parser's own rendering goes on to draw the text.
            let message = error.to_string();
            let message = message.lines().next().unwrap_or_default();
            // It names the line of the document; ours is that of the file.
            message.rsplit_once(" at line ").map_or(message, |(message, _)| message).to_owned()
        }
    }
}

/// Numbers as kubectl sends them: `80.0` and Helm's `1.0007e+09` are whole.
fn made_whole(value: &mut Value) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < EXACT);
            if let Some(whole) = whole {
                #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the range")]
                let whole = whole as i64;
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(made_whole),
        Value::Object(fields) => fields.values_mut().for_each(made_whole),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
