//! The question before a pod is evicted.

use crate::cluster::Error;
use crate::cluster::workloads::WorkloadName;
use crate::message::message;
use crate::question::{Answer, ask};

/// Asks on standard error. Without a terminal there is no answer, which means no.
pub(super) async fn asked(target: WorkloadName, pods: u16) -> Result<bool, Error> {
    let what = if pods == 1 { "this pod".to_owned() } else { format!("{pods} pods, one after the other") };
    let question = format!("Evict {what} of {target}?");
    let answer = ask(format!("{question} Another pod is started in its place. [y/N] ")).await?;
    if answer == Answer::NoTerminal {
        message!("{question} Standard input is not a terminal; --yes evicts without confirmation.");
    }
    Ok(answer == Answer::Yes)
}
