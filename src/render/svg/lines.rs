//! Text in lines of a limited width, counted in columns: a wide character, such as one of Chinese, takes two.

use std::borrow::Cow;

use textwrap::core::{Word, display_width};
use textwrap::{Options, WrapAlgorithm};

/// The columns by which the second and all further lines are indented.
pub(super) const INDENT: usize = 2;

/// All of a text in lines of at most this many columns; all but the first are [`INDENT`] columns shorter. Breaks lines at
/// spaces and after hyphens, and words that are longer than a line anywhere. Only the spaces where a line ends are left out.
///
/// The text has no control characters.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let indent = " ".repeat(INDENT);
    let options = Options::new(columns).subsequent_indent(&indent).wrap_algorithm(WrapAlgorithm::FirstFit);
    let lines = textwrap::wrap(text, options);
    lines.iter().enumerate().map(|(at, line)| line[if at == 0 { 0 } else { INDENT }..].to_owned()).collect()
}

/// A text of at most this many columns: shortened with an ellipsis if it is longer.
pub(super) fn shortened(text: &str, columns: usize) -> Cow<'_, str> {
    if display_width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let start = Word::from(text).break_apart(columns.saturating_sub(1)).next();
    Cow::Owned(format!("{}…", start.map_or("", |start| start.word)))
}

#[cfg(test)]
mod tests {
    use super::{INDENT, shortened, wrapped};
    use textwrap::core::display_width;

    const SENTENCE: &str =
        "spec.template.spec.containers[0].lifecycle.preStop: the command runs in a shell, and its time is unknown";

    fn widths(lines: &[String]) -> Vec<usize> {
        lines.iter().map(|line| display_width(line)).collect()
    }

    #[test]
    fn a_short_text_stays_one_line() {
        assert_eq!(wrapped("drain 5s + deadline 25s", 23), ["drain 5s + deadline 25s"]);
        assert_eq!(wrapped("", 23), [""]);
    }

    #[test]
    fn the_lines_of_a_long_text_contain_all_of_its_words() {
        for columns in [20, 30, 60, 100] {
            let lines = wrapped(SENTENCE, columns);
            let without_spaces = |text: &str| text.replace(' ', "");
            assert_eq!(without_spaces(&lines.concat()), without_spaces(SENTENCE), "{columns}");
            assert!(lines.len() > 1 && lines.iter().all(|line| !line.starts_with(' ')), "{lines:?}");
        }
    }

    #[test]
    fn further_lines_leave_room_for_their_indentation() {
        let lines = wrapped(&"abcdefghi ".repeat(20), 20);
        assert_eq!(lines[0], "abcdefghi abcdefghi");
        assert!(lines[1..].iter().all(|line| line == "abcdefghi"), "{lines:?}");
        assert!(widths(&lines[1..]).iter().all(|width| width + INDENT <= 20));
    }

    #[test]
    fn words_longer_than_a_line_are_broken() {
        assert_eq!(wrapped("abcdefghijklmnopqrstuvw", 10), ["abcdefgh", "ijklmnop", "qrstuvw"]);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(wrapped(&"停".repeat(12), 9), ["停停停"; 4]);
        assert_eq!(shortened("停停停停", 8), "停停停停");
        assert_eq!(shortened("停停停停停", 8), "停停停…");
        assert_eq!(wrapped(&"e\u{301}".repeat(8), 8).len(), 1, "a combining accent takes none");
    }

    #[test]
    fn names_are_shortened_only_if_they_are_too_long() {
        assert_eq!(shortened("app", 3), "app");
        assert_eq!(shortened("größer", 4), "grö…");
        assert_eq!(shortened("a b c d", 5), "a b …");
    }
}
