//! Which replica leads: the one that holds the Lease.
//!
//! `kube-lease-manager` speaks to the Lease. What it leaves to its caller is here: leadership is given up in the moment
//! when renewing fails, not when the API server is back; the Lease is released at shutdown; and a follower sees within
//! two seconds that it is free, instead of waiting until it would have expired.
//!
//! A Lease is no fence: for a moment two replicas may both believe that they lead. What a leader does must bear that.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::{LeaseCreateMode, LeaseManager, LeaseManagerError, LeaseParams};
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::kubernetes::{self, within};
use crate::telemetry::OnChange;

/// How long a leader that fell silent is waited for, in seconds.
const DURATION: u64 = 15;
/// A leader renews this many seconds before the Lease expires. The client gives a renewal at most five seconds, so a
/// leader that cannot renew knows so before anybody else takes over.
const GRACE: u64 = 5;
/// How often the Lease is looked at in between.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Pause before a new attempt after trouble; doubles up to [`LAST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest pause.
const LAST_RETRY: Duration = Duration::from_secs(15);
/// How long the release at shutdown may take.
const RELEASE_LIMIT: Duration = Duration::from_secs(3);
/// What the API server takes for the name of a field manager, in bytes.
const FIELD_MANAGER_LIMIT: usize = 128;

/// The Lease and who wants it.
#[derive(Clone)]
pub(crate) struct Candidate {
    /// A client that gives up early.
    pub client: Client,
    /// Where the Lease is.
    pub namespace: String,
    /// The Lease.
    pub lease: String,
    /// Who wants it: a name that no other replica has.
    pub identity: String,
}

/// Why leadership is not to be had just now.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Call(kubernetes::Error),
    #[error("cannot get or renew the Lease")]
    Lease(#[source] LeaseManagerError),
    #[error("cannot release the Lease: no answer in time")]
    TimedOut,
    #[error("the election's task ended")]
    Task(#[from] JoinError),
}

impl From<LeaseManagerError> for Error {
    fn from(error: LeaseManagerError) -> Self {
        match error {
            LeaseManagerError::KubeError(error) => Self::Call(kubernetes::Error::new("get or renew the Lease", error)),
            error => Self::Lease(error),
        }
    }
}

impl Candidate {
    /// Stands for leadership until shutdown, telling through the channel whether this replica leads; at the end it does
    /// not, and the Lease is free.
    pub(crate) async fn stand(self, leading: watch::Sender<bool>, shutdown: CancellationToken) {
        let mut trouble = OnChange::new("cannot stand for leadership");
        let mut retry = FIRST_RETRY;
        while !shutdown.is_cancelled() {
            // In a task of its own, so that a panic in the library is trouble like any other.
            let term = tokio::spawn(self.clone().term(leading.clone(), shutdown.clone()));
            let result = term.await.map_err(Error::from).flatten();
            if lead(&leading, false) {
                retry = FIRST_RETRY;
            }
            trouble.note(result.as_ref().err());
            if result.is_err() {
                let _ = tokio::time::timeout(retry, shutdown.cancelled()).await;
                retry = (retry * 2).min(LAST_RETRY);
            }
        }
    }

    /// Waits for leadership and keeps it, until trouble or shutdown.
    async fn term(self, leading: watch::Sender<bool>, shutdown: CancellationToken) -> Result<(), Error> {
        let parameters =
            LeaseParams::new(&self.identity, DURATION, GRACE).with_field_manager(field_manager(&self.identity));
        let Self { client, namespace, lease, identity } = self;
        let leases = Api::namespaced(client.clone(), &namespace);
        let manager = LeaseManager::new(client, &lease, namespace, parameters, LeaseCreateMode::AutoCreate).await?;
        loop {
            let leads = *leading.borrow();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                state = manager.changed() => lead(&leading, state?),
                () = contradicted(&leases, &lease, &identity, leads) => return Ok(()),
            };
        }
        // Nobody else may lead before this one has stopped.
        lead(&leading, false);
        tokio::time::timeout(RELEASE_LIMIT, manager.release()).await.map_err(|_| Error::TimedOut)??;
        Ok(())
    }
}

/// Returns when the Lease says otherwise than this replica believes: a leader is not its holder, or a follower sees that
/// nobody holds it. The library sleeps until it would have to renew, or until the Lease it saw expires.
async fn contradicted(leases: &Api<Lease>, name: &str, identity: &str, leads: bool) {
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let holder = match within(format!("read Lease {name}"), leases.get(name)).await {
            Ok(lease) => lease.spec.and_then(|spec| spec.holder_identity),
            Err(error) if error.is_not_found() => None,
            // Whether that matters is seen when the Lease is to be renewed.
            Err(_) => continue,
        };
        let contradicts = if leads { holder.as_deref() != Some(identity) } else { holder.is_none() };
        if contradicts {
            return;
        }
    }
}

/// Publishes whether this replica leads; says whether that was news.
fn lead(leading: &watch::Sender<bool>, leads: bool) -> bool {
    leading.send_if_modified(|before| {
        let news = *before != leads;
        if news {
            tracing::info!(leads, "leadership changed");
        }
        *before = leads;
        news
    })
}

/// A field manager of our own for each replica: two of the same name would not be in each other's way. The end of a
/// pod's name is what tells it from others.
fn field_manager(identity: &str) -> String {
    let name = format!("winddown-{identity}");
    let mut start = name.len().saturating_sub(FIELD_MANAGER_LIMIT);
    while !name.is_char_boundary(start) {
        start += 1;
    }
    name[start..].to_owned()
}

#[cfg(test)]
mod tests;
