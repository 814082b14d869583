//! Splits a YAML stream into documents.
//!
//! The parser does not do this, because an invalid document must not affect the others, each error must name its document,
//! and a `helm template` stream can contain thousands of documents.

/// A document with content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Document<'a> {
    /// The number of the document, from 1; empty documents are not counted.
    pub(crate) number: usize,
    /// The line where it starts, from 1.
    pub(crate) line: usize,
    pub(crate) text: &'a str,
}

/// The documents of a stream, without the empty ones.
///
/// `---` and `...` at the start of a line always separate documents: within a scalar they must be indented (YAML 1.2.2,
/// 9.1.2). Directives (`%YAML 1.1`) belong to the document after them.
pub(crate) fn documents(text: &str) -> Vec<Document<'_>> {
    let mut pieces = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    let mut so_far = SoFar::Nothing;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let begins = is_marker(line, "---");
        if begins && at > start && so_far != SoFar::Directives {
            pieces.push((start_line, &text[start..at]));
            (start, start_line) = (at, number + 1);
        }
        at += line.len();
        so_far = match so_far {
            _ if begins => SoFar::Content,
            SoFar::Nothing | SoFar::Directives if line.starts_with('%') => SoFar::Directives,
            so_far if is_blank(line) => so_far,
            _ => SoFar::Content,
        };
        if is_marker(line, "...") {
            pieces.push((start_line, &text[start..at]));
            (start, start_line, so_far) = (at, number + 2, SoFar::Nothing);
        }
    }
    pieces.push((start_line, &text[start..]));
    let with_content = pieces.into_iter().filter(|(_, text)| !text.lines().all(is_blank));
    with_content.enumerate().map(|(at, (line, text))| Document { number: at + 1, line, text }).collect()
}

/// The content of a document before the current line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SoFar {
    Nothing,
    Directives,
    Content,
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with([' ', '\t']))
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line == "---" || line == "..."
}

#[cfg(test)]
mod tests {
    use super::documents;

    #[test]
    fn markers_at_the_start_of_a_line_separate_documents() {
        for (text, expected) in [
            ("", vec![]),
            ("# a comment\n---\n# another\n...\n", vec![]),
            ("a\n", vec![(1, "a\n")]),
            ("---\na\n---\n\n---\nb", vec![(1, "---\na\n"), (5, "---\nb")]),
            ("a\n--- # a comment\nb\n", vec![(1, "a\n"), (2, "--- # a comment\nb\n")]),
            ("a\n...\nb\n", vec![(1, "a\n...\n"), (3, "b\n")]),
            ("a\r\n---\r\nb\r\n", vec![(1, "a\r\n"), (2, "---\r\nb\r\n")]),
            ("%YAML 1.1\n---\na\n---\nb\n", vec![(1, "%YAML 1.1\n---\na\n"), (4, "---\nb\n")]),
            ("a: |\n  ---\n  ...\nb: ----\n", vec![(1, "a: |\n  ---\n  ...\nb: ----\n")]),
        ] {
            let found: Vec<_> = documents(text).into_iter().map(|document| (document.line, document.text)).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn many_directives_and_separators_take_linear_time() {
        assert_eq!(documents(&"%\n".repeat(1_000_000)).len(), 1);
        assert_eq!(documents(&format!("%\n{}", "---\n".repeat(1_000_000))).len(), 1);
    }
}
