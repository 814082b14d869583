//! Converts text from manifests for messages: one line, limited length, no control characters.

use std::borrow::Cow;

/// The maximum number of names in a message.
pub(crate) const MAX_LISTED: usize = 5;

/// The text with its control characters escaped, so that it stays on one line of a header, a log or a terminal, and reads
/// in the order in which it was written.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if is_control(char) { escaped.extend(char.escape_default()) } else { escaped.push(char) }
    }
    Cow::Owned(escaped)
}

/// Whether a character controls the output instead of being shown: also the separators of lines and paragraphs, and those
/// that change the direction of the text.
#[must_use]
pub fn is_control(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// A value in quotes: escaped, and cut at 40 characters.
#[must_use]
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    let shown: String = text.chars().take(LONGEST).collect();
    let cut = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{cut}")
}

/// The text, shortened with an ellipsis if it is too long.
#[must_use]
pub fn truncated(text: &str, longest: usize) -> Cow<'_, str> {
    if text.chars().nth(longest).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(longest.saturating_sub(1)).chain(['…']).collect())
}

/// Names joined with commas, at most five of them: `a, b, c, d, e and 2 more`.
#[must_use]
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let shown = names.by_ref().take(MAX_LISTED).collect::<Vec<_>>().join(", ");
    match names.count() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::{escaped, listed, quoted, truncated};

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escaped("a\u{1b}[31m\r\nü\u{85}"), "a\\u{1b}[31m\\r\\nü\\u{85}");
        assert_eq!(escaped("a\u{2028}b\u{202e}c"), "a\\u{2028}b\\u{202e}c");
        assert_eq!(escaped("größe"), "größe");
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(quoted("5"), "\"5\"");
        assert_eq!(quoted(&"9".repeat(50)), format!("\"{}\"…", "9".repeat(40)));
        assert_eq!((truncated("größer", 4), truncated("app", 3)), ("grö…".into(), "app".into()));
    }

    #[test]
    fn lists_are_short() {
        assert_eq!(listed(["a", "b"]), "a, b");
        assert_eq!(listed(["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
        assert_eq!(listed([]), "");
    }
}
