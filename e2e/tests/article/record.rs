//! What the tests of this process measured, for docs/article.md.

use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use serde_json::Value;
use winddown_e2e::article::{Arm, Facts, Figures};
use winddown_e2e::command::CommandLine;
use winddown_e2e::rollouts::rollouts;

/// The usual name of an arm without a mistake.
pub(crate) const RIGHT: &str = "as it should be";

static RECORDED: Mutex<Vec<Arm>> = Mutex::new(Vec::new());

/// Keeps what an arm without a mistake showed.
pub(crate) fn right(row: &'static str, name: &'static str, facts: Facts) {
    keep(Arm { row: row.to_owned(), name: name.to_owned(), mistake: false, on: String::new(), facts });
}

/// Keeps what an arm with a mistake showed.
pub(crate) fn mistake(row: &'static str, name: &'static str, facts: Facts) {
    keep(Arm { row: row.to_owned(), name: name.to_owned(), mistake: true, on: String::new(), facts });
}

fn keep(arm: Arm) {
    RECORDED.lock().unwrap_or_else(PoisonError::into_inner).push(arm);
}

/// Writes the rows that were measured into the figures; returns whether there are any.
pub(crate) async fn write() -> Result<bool> {
    let mut recorded = std::mem::take(&mut *RECORDED.lock().unwrap_or_else(PoisonError::into_inner));
    if recorded.is_empty() {
        return Ok(false);
    }
    let version: Value = serde_json::from_str(&CommandLine::new("kubectl get --raw /version").run().await?)?;
    let version = version["gitVersion"].as_str().unwrap_or_default();
    let date = CommandLine::new("date --utc +%F").run().await?;
    let on = format!("{}, Kubernetes {}, {} rollouts", date.trim(), version, rollouts()?);
    for arm in &mut recorded {
        arm.on.clone_from(&on);
    }
    let mut figures = Figures::read()?;
    figures.replace(recorded);
    figures.write()?;
    Ok(true)
}
