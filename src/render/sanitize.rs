//! Makes untrusted text safe to print.

use std::borrow::Cow;

/// Replaces control characters: a name must not change the colours of a terminal or start a new line.
pub(crate) fn sanitize(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(
            text.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

/// Shortens text to `limit` characters; shortened text ends in `…`.
pub(crate) fn truncate(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::{sanitize, truncate};

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(sanitize("a\u{1b}[31mb\nc\u{9b}"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}");
        assert_eq!(sanitize("größe"), "größe");
    }

    #[test]
    fn truncated_text_ends_in_an_ellipsis() {
        assert_eq!((truncate("app", 3), truncate("größer", 4)), ("app".to_owned(), "grö…".to_owned()));
    }
}
