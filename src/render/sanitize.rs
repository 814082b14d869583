//! Text of strangers, fit for a terminal.

use std::borrow::Cow;

/// The text without control characters: a name must not colour the terminal, nor forge a line.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(
            text.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

/// The text, or as much of it as fits and `…`.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::{cut, plain};

    #[test]
    fn nothing_that_moves_the_cursor_gets_through() {
        assert_eq!(plain("a\u{1b}[31mb\nc\u{9b}"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}");
        assert_eq!(plain("größe"), "größe");
    }

    #[test]
    fn what_is_too_long_ends_in_an_ellipsis() {
        assert_eq!((cut("app", 3), cut("größer", 4)), ("app".to_owned(), "grö…".to_owned()));
    }
}
