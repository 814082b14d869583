//! Suggests a known word for a typo.

/// The nearest known word with at most two edits. Swapping two adjacent characters is one edit.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer text is not a typo, and computing the distance takes quadratic time.
    const LONGEST: usize = 40;
    if written.len() > LONGEST {
        return None;
    }
    let distances = known.into_iter().map(|word| (strsim::osa_distance(written, word), word));
    distances.filter(|(edits, _)| *edits <= 2).min().map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_is_at_most_two_edits_away() {
        for (written, expected) in
            [("drian", Some("drain")), ("dran", Some("drain")), ("nonsense", None), (&"x".repeat(1_000_000), None)]
        {
            assert_eq!(nearest(written, ["deadline", "drain"]), expected, "{written:.20}");
        }
    }
}
