//! A number with a unit, as in `1m30s`: the common part of all formats of durations.

/// The number at the start of a text (digits and dots, perhaps none), the unit after it (everything up to the next number),
/// and the rest.
pub(crate) fn split_quantity(text: &str) -> (&str, &str, &str) {
    let is_numeric = |char: char| char.is_ascii_digit() || char == '.';
    let (number, tail) = text.split_at(text.find(|char| !is_numeric(char)).unwrap_or(text.len()));
    let (unit, rest) = tail.split_at(tail.find(is_numeric).unwrap_or(tail.len()));
    (number, unit, rest)
}

#[cfg(test)]
mod tests {
    use super::split_quantity;

    #[test]
    fn a_text_is_split_into_number_unit_and_rest() {
        for (text, expected) in [
            ("1m30s", ("1", "m", "30s")),
            ("1.5h", ("1.5", "h", "")),
            ("15", ("15", "", "")),
            ("s5", ("", "s", "5")),
            ("-5s", ("", "-", "5s")),
            ("5µs1", ("5", "µs", "1")),
            ("٣s", ("", "٣s", "")),
            ("", ("", "", "")),
        ] {
            assert_eq!(split_quantity(text), expected, "{text}");
        }
    }
}
