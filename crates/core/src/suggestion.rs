//! What somebody who mistyped a word most likely meant.

/// The known word that is at most two edits away from the one written.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 40;
    if written.len() > LONGEST {
        return None;
    }
    known
        .into_iter()
        .map(|word| (edits(written, word), word))
        .filter(|(edits, _)| *edits <= 2)
        .min()
        .map(|(_, word)| word)
}

/// Edit distance in which swapping two neighbours is one edit, as typing goes.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substitute = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = substitute.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{edits, nearest};

    #[test]
    fn swapping_two_letters_is_one_edit() {
        assert_eq!((edits("drian", "drain"), edits("", "abc"), edits("mode", "mode")), (1, 3, 0));
    }

    #[test]
    fn what_is_far_from_everything_was_no_typo() {
        assert_eq!(nearest("drian", ["deadline", "drain"]), Some("drain"));
        assert_eq!(nearest("nonsense", ["deadline", "drain"]), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), ["deadline"]), None);
    }
}
