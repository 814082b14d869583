//! The question before a pod is evicted.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::cluster::Error;
use crate::cluster::workloads::WorkloadName;

/// Asks on standard error. Without a terminal there is no answer, which means no. Waits on a thread of its own, so that
/// Ctrl-C is seen.
pub(super) async fn asked(target: WorkloadName, pods: u16) -> Result<bool, Error> {
    let answer = tokio::task::spawn_blocking(move || ask(&target, pods)).await;
    Ok(answer.map_err(io::Error::other)??)
}

fn ask(target: &WorkloadName, pods: u16) -> io::Result<bool> {
    let stdin = io::stdin();
    let what = if pods == 1 { "this pod".to_owned() } else { format!("{pods} pods, one after the other") };
    let mut err = io::stderr();
    if !stdin.is_terminal() {
        writeln!(err, "Evict {what} of {target}? Standard input is not a terminal; --yes evicts without a question.")?;
        return Ok(false);
    }
    write!(err, "Evict {what} of {target}? Another pod is started in its place. [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
