//! Makes untrusted text safe to print.

use std::borrow::Cow;

use winddown_core::sanitize::is_control;

/// Replaces control characters: a name must not change the colours of a terminal, start a new line, or be shown in another
/// order.
pub(crate) fn sanitize(text: &str) -> Cow<'_, str> {
    if text.contains(is_control) {
        Cow::Owned(text.chars().map(|char| if is_control(char) { char::REPLACEMENT_CHARACTER } else { char }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::sanitize;

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(sanitize("a\u{1b}[31mb\nc\u{9b}"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}");
        assert_eq!(sanitize("web\u{202e}gpj.exe\u{2028}"), "web\u{fffd}gpj.exe\u{fffd}");
        assert_eq!(sanitize("größe"), "größe");
    }
}
