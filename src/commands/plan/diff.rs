//! What the webhook would change, as a unified diff.

use std::io::{self, Write};

use similar::{ChangeTag, TextDiff};

use super::machine::manifest;
use super::planned::Planned;
use crate::commands::palette::Palette;

/// Both sides are written anew, so that the layout of the file is no difference.
pub(super) fn diff(planned: &[Planned], palette: &Palette, out: &mut impl Write) -> io::Result<()> {
    let changed = planned.iter().filter(|planned| planned.object != planned.settlement.desired);
    for planned in changed {
        let (given, desired) = (manifest(&planned.object)?, manifest(&planned.settlement.desired)?);
        let diff = TextDiff::from_lines(&given, &desired);
        let (bold, title) = (palette.heading, planned.title());
        writeln!(out, "{bold}--- {title} ({}){bold:#}", planned.place())?;
        writeln!(out, "{bold}+++ {title} (planned){bold:#}")?;
        for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
            writeln!(out, "{}{}{:#}", palette.dim, hunk.header(), palette.dim)?;
            for change in hunk.iter_changes() {
                let (sign, style) = match change.tag() {
                    ChangeTag::Equal => (' ', anstyle::Style::new()),
                    ChangeTag::Insert => ('+', palette.added),
                    ChangeTag::Delete => ('-', palette.removed),
                };
                writeln!(out, "{style}{sign}{}{style:#}", change.value().trim_end_matches('\n'))?;
            }
        }
    }
    Ok(())
}
