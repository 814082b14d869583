//! The difference of two texts.

use std::io::{self, Write};

use similar::{ChangeTag, TextDiff};

use super::styles::Styles;

/// The hunks of a unified diff of two texts.
pub(crate) fn hunks(given: &str, desired: &str, styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let diff = TextDiff::from_lines(given, desired);
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        writeln!(out, "{}{}{:#}", styles.dim, hunk.header(), styles.dim)?;
        for change in hunk.iter_changes() {
            let (sign, style) = match change.tag() {
                ChangeTag::Equal => (' ', anstyle::Style::new()),
                ChangeTag::Insert => ('+', styles.added),
                ChangeTag::Delete => ('-', styles.removed),
            };
            writeln!(out, "{style}{sign}{}{style:#}", change.value().trim_end_matches('\n'))?;
        }
    }
    Ok(())
}
