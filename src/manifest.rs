//! YAML or JSON text in, workloads out.

use serde_json::Value;

use crate::workload::Kind;

/// A workload from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Which document of the file it stands in, counted from 1.
    pub document: usize,
    /// The line on which that document starts, counted from 1.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
    /// The whole object, with every field that stood there.
    pub object: Value,
}

/// Why a text is no manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not YAML, and so not JSON either.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Counted from 1.
        line: u64,
        /// Counted from 1.
        column: u64,
        /// What the parser expected.
        message: String,
    },
    /// Not YAML, and the parser could not say where.
    #[error("{0}")]
    Unreadable(String),
    /// Nothing but white space and comments.
    #[error("is empty")]
    Empty,
    /// YAML, but not a Kubernetes object.
    #[error("line {line}: document {document} is not a Kubernetes object: {reason}")]
    NotAnObject {
        /// Counted from 1.
        document: usize,
        /// Where the document starts, counted from 1.
        line: usize,
        /// What is missing.
        reason: &'static str,
    },
}

/// All workloads of a text: of several documents, and of `List`s among them. Other kinds are passed over,
/// and so are empty documents; a text with nothing in it at all is an error.
pub fn workloads(text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let mut found = Vec::new();
    let documents = documents(text);
    if documents.is_empty() {
        return Err(ManifestError::Empty);
    }
    for (at, (line, document)) in documents.into_iter().enumerate() {
        let number = at + 1;
        // The parser counts lines from the start of the document it is given.
        let value: Value =
            serde_saphyr::from_str_with_options(document, as_kubectl()).map_err(|error| syntax(&error, line))?;
        collect(value, &mut found, (number, line)).map_err(|reason| ManifestError::NotAnObject {
            document: number,
            line,
            reason,
        })?;
    }
    Ok(found)
}

/// YAML 1.1 numbers, as kubectl reads them: `defaultMode: 0400` is octal.
fn as_kubectl() -> serde_saphyr::Options {
    let mut options = serde_saphyr::Options::default();
    options.legacy_octal_numbers = true;
    options
}

fn collect(value: Value, found: &mut Vec<Manifest>, at: (usize, usize)) -> Result<(), &'static str> {
    if value.is_null() {
        return Ok(());
    }
    let field = |name: &str| value.get(name).and_then(Value::as_str);
    let api_version = field("apiVersion").ok_or("it has no apiVersion")?;
    let kind = field("kind").ok_or("it has no kind")?;
    match (api_version, kind) {
        (Kind::API_VERSION, kind) if let Some(kind) = Kind::named(kind) => {
            found.push(Manifest { document: at.0, line: at.1, kind, object: value });
        }
        (_, "List" | "DeploymentList" | "StatefulSetList" | "DaemonSetList") => {
            let Value::Object(mut fields) = value else { return Ok(()) };
            match fields.remove("items") {
                Some(Value::Array(items)) => items.into_iter().try_for_each(|item| collect(item, found, at))?,
                None | Some(Value::Null) => {}
                Some(_) => return Err("its items are not a list"),
            }
        }
        _ => {}
    }
    Ok(())
}

/// The documents of a YAML stream, each with the line it starts on, counted from 1.
///
/// Split here rather than by the parser, so that a `helm template` stream of thousands stays readable document by
/// document and every error can name its own. `---` at the start of a line always separates documents: within a block
/// scalar it would have to be indented (YAML 1.2.2, 9.1.2).
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let separator = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with([' ', '\t', '#']));
        // Directives (`%YAML 1.1`) belong to the document that begins after them.
        let before = &text[start..at];
        let directives = before.starts_with('%') && before.lines().all(|line| line.starts_with('%') || is_blank(line));
        if separator && at > start && !directives {
            documents.push((start_line, &text[start..at]));
            (start, start_line) = (at, number + 1);
        }
        at += line.len();
    }
    documents.push((start_line, &text[start..]));
    documents.retain(|(_, document)| document.lines().any(|line| !is_blank(line)));
    documents
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line == "---" || line == "..."
}

fn syntax(error: &serde_saphyr::Error, document_line: usize) -> ManifestError {
    // One line of it: the parser's own rendering goes on to draw the text.
    let message = error.without_snippet().to_string();
    let message = message.lines().next().unwrap_or_default();
    // It names the line of the document; ours is that of the file.
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message).to_owned();
    match error.location() {
        Some(location) => ManifestError::Syntax {
            line: location.line() + document_line as u64 - 1,
            column: location.column(),
            message,
        },
        None => ManifestError::Unreadable(message),
    }
}

#[cfg(test)]
mod tests {
    use super::{ManifestError, workloads};

    fn names(text: &str) -> Vec<(usize, String)> {
        let found = workloads(text).unwrap();
        found.into_iter().map(|found| (found.document, found.object["metadata"]["name"].to_string())).collect()
    }

    const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n";

    #[test]
    fn deployments_are_found_among_documents_lists_and_other_kinds() {
        let list = r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service"},{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"b"}}]}"#;
        let text = format!(
            "# a comment\n---\n{DEPLOYMENT}---\n---\n# empty\n---\n{list}\n---\napiVersion: x/v1\nkind: Custom\n"
        );
        assert_eq!(names(&text), [(1, "\"a\"".to_owned()), (2, "\"b\"".to_owned())]);
        assert_eq!(workloads(" \n# nothing\n---\n"), Err(ManifestError::Empty));
        assert_eq!(names(&DEPLOYMENT.replace('\n', "\r\n")).len(), 1);
        assert_eq!(names(&format!("%YAML 1.1\n---\n{DEPLOYMENT}---\n{DEPLOYMENT}")).len(), 2);
    }

    #[test]
    fn a_separator_inside_a_block_scalar_separates_nothing() {
        let text = format!("{DEPLOYMENT}spec:\n  text: |\n    ---\n    more\n");
        assert_eq!(names(&text).len(), 1);
    }

    #[test]
    fn an_error_names_the_line_of_the_file() {
        let error = workloads(&format!("{DEPLOYMENT}---\n{DEPLOYMENT}spec: [1, 2\nmore: 3\n")).unwrap_err();
        assert!(matches!(&error, ManifestError::Syntax { line: 8 | 9, .. }), "{error}");
        assert_eq!(error.to_string().matches("line").count(), 1, "{error}");
        let error = workloads(&format!("{DEPLOYMENT}---\njust text\n")).unwrap_err();
        assert_eq!(error.to_string(), "line 4: document 2 is not a Kubernetes object: it has no apiVersion");
    }

    #[test]
    fn hostile_text_is_an_error_and_never_a_panic() {
        let deep = "[".repeat(100_000);
        let laughs = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
        for text in
            [deep.as_str(), laughs, "\u{0}", "a: b: c", "%", "- - - !!x", "{\"a\": 1,}x", "kind: 5\napiVersion: 6"]
        {
            assert!(workloads(text).is_err(), "{:?}", text.chars().take(20).collect::<String>());
        }
    }
}
