//! The fields that a word becomes.

use super::{Part, Word};

/// The fields of a word whose expansions have these values; `None` if `value` does not know one.
pub(super) fn fields<'w>(word: &'w Word, value: impl Fn(&'w Part) -> Option<&'w str>) -> Option<Vec<String>> {
    let (mut fields, mut current) = (Vec::new(), None::<String>);
    for part in word {
        match part {
            Part::Plain(text) | Part::Quoted(text) => current.get_or_insert_default().push_str(text),
            Part::Variable { quoted: true, .. } | Part::Substitution { quoted: true, .. } => {
                current.get_or_insert_default().push_str(value(part)?);
            }
            Part::Variable { .. } | Part::Substitution { .. } | Part::Arithmetic(_) | Part::Other => {
                split(value(part)?, &mut fields, &mut current);
            }
        }
    }
    fields.extend(current);
    Some(fields)
}

/// Splits a value without quotes at its blanks.
fn split(value: &str, fields: &mut Vec<String>, current: &mut Option<String>) {
    if value.starts_with(char::is_whitespace) {
        fields.extend(current.take());
    }
    for (at, field) in value.split_whitespace().enumerate() {
        if at > 0 {
            fields.extend(current.take());
        }
        current.get_or_insert_default().push_str(field);
    }
    if value.ends_with(char::is_whitespace) {
        fields.extend(current.take());
    }
}
