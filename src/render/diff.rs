//! The changes of the webhook as a unified diff.

use std::io::{self, Write};

use similar::{ChangeTag, TextDiff};

use super::structured::manifest;
use super::workload::Workload;
use crate::render::styles::Styles;

/// Formats both sides in the same way, so that the diff does not show the layout of the file.
pub(crate) fn diff(workloads: &[Workload], styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let changed = workloads.iter().filter(|workload| workload.changes());
    for workload in changed {
        let (given, desired) = (manifest(&workload.object)?, manifest(&workload.desired())?);
        let diff = TextDiff::from_lines(&given, &desired);
        let (bold, title) = (styles.heading, workload.title());
        writeln!(out, "{bold}--- {title} ({}){bold:#}", workload.location())?;
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
