//! What the tests of this process measured, for docs/article.md.

use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use serde_json::Value;
use winddown_e2e::article::{Arm, Facts, Figures};
use winddown_e2e::command::CommandLine;

pub(crate) use winddown_e2e::article::RIGHT;

static RECORDED: Mutex<Vec<Arm>> = Mutex::new(Vec::new());

/// Keeps what an arm without a mistake showed.
pub(crate) fn right(row: &str, name: &str, facts: Facts) -> Result<()> {
    keep(row, name, false, facts)
}

/// Keeps what an arm with a mistake showed.
pub(crate) fn mistake(row: &str, name: &str, facts: Facts) -> Result<()> {
    keep(row, name, true, facts)
}

fn keep(row: &str, name: &str, mistake: bool, facts: Facts) -> Result<()> {
    let arm = Arm { row: row.to_owned(), name: name.to_owned(), mistake, on: String::new(), facts };
    arm.check()?;
    RECORDED.lock().unwrap_or_else(PoisonError::into_inner).push(arm);
    Ok(())
}

/// Writes the rows that were measured, if there are any, into the figures.
pub(crate) async fn write() -> Result<()> {
    let mut recorded = std::mem::take(&mut *RECORDED.lock().unwrap_or_else(PoisonError::into_inner));
    if recorded.is_empty() {
        return Ok(());
    }
    let version: Value = serde_json::from_str(&CommandLine::new("kubectl get --raw /version").run().await?)?;
    let version = version["gitVersion"].as_str().unwrap_or_default();
    let date = CommandLine::new("date --utc +%F").run().await?;
    let mut on = format!("{}, Kubernetes {version}", date.trim());
    // An archive of the sources has no commit.
    if let Ok(commit) = CommandLine::new("git describe --always --dirty").run().await {
        on = format!("{on}, commit {}", commit.trim());
    }
    for arm in &mut recorded {
        arm.on.clone_from(&on);
    }
    let mut figures = Figures::read()?;
    figures.replace(recorded);
    figures.write()
}
