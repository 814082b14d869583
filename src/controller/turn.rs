//! One rollout at a time, over all kinds: whose turn it is.

use std::time::Instant;

use tokio::sync::Mutex;

use super::workloads::{Name, Workloads};
use crate::kubernetes::Error;
use crate::rollout::{Wait, is_in_progress};
use crate::settlement::budget_annotation;
use crate::workload::Kind;

/// The workload that this controller last set rolling. A new leader knows of none and looks for one first.
#[derive(Default)]
pub(super) struct Turn(Mutex<Whose>);

#[derive(Default)]
enum Whose {
    #[default]
    Unknown,
    Nobodys,
    Of(Name, Wait),
}

impl Turn {
    /// Gives this workload the turn, where no rollout is under way that is waited for. In one step: the kinds are
    /// reconciled side by side.
    pub(super) async fn take(&self, workloads: &Workloads, name: &Name, now: Instant) -> Result<bool, Error> {
        let mut whose = self.0.lock().await;
        if let Whose::Unknown = *whose {
            *whose = match find_rolling(workloads).await? {
                Some(rolling) => Whose::Of(rolling, Wait::from(now)),
                None => Whose::Nobodys,
            };
        }
        if let Whose::Of(rolling, wait) = &mut *whose {
            let workload = workloads.read(rolling).await?;
            if workload.is_some_and(|workload| wait.goes_on(rolling.kind, &workload, now)) {
                return Ok(false);
            }
        }
        *whose = Whose::Of(name.clone(), Wait::from(now));
        Ok(true)
    }
}

/// One that we planned and that is rolling.
async fn find_rolling(workloads: &Workloads) -> Result<Option<Name>, Error> {
    for kind in Kind::ALL {
        let rolls = |workload: &_| budget_annotation(workload).is_some() && is_in_progress(kind, workload);
        if let Some(rolling) = workloads.find(kind, rolls).await? {
            return Ok(Some(rolling));
        }
    }
    Ok(None)
}
