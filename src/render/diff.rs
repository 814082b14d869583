//! What the webhook would change, as a unified diff.

use std::io::{self, Write};

use similar::{ChangeTag, TextDiff};

use super::planned::Planned;
use super::structured::manifest;
use crate::render::styles::Styles;

/// Both sides are written anew, so that the layout of the file is no difference.
pub(crate) fn diff(planned: &[Planned], styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let changed = planned.iter().filter(|planned| planned.object != planned.settlement.desired);
    for planned in changed {
        let (given, desired) = (manifest(&planned.object)?, manifest(&planned.settlement.desired)?);
        let diff = TextDiff::from_lines(&given, &desired);
        let (bold, title) = (styles.heading, planned.title());
        writeln!(out, "{bold}--- {title} ({}){bold:#}", planned.place())?;
        writeln!(out, "{bold}+++ {title} (planned){bold:#}")?;
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
    }
    Ok(())
}
