//! Leader election: the replica that holds the Lease leads.
//!
//! This module adds to `kube-lease-manager`: leadership ends as soon as a renewal fails, not when the API server is back;
//! shutdown releases the Lease; and a follower notices a free Lease within two seconds instead of waiting for its expiry.
//!
//! A Lease does not exclude two leaders for a moment. The leader's writes must tolerate that.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::{LeaseCreateMode, LeaseManager, LeaseManagerError, LeaseParams};
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::kubernetes::{self, within};
use crate::telemetry::FailureLog;

/// Lease duration in seconds: how long followers wait for a leader that stopped renewing.
pub(crate) const DURATION: u64 = 15;
/// A leader renews this many seconds before the Lease expires. A renewal takes at most five seconds, so a leader that
/// cannot renew knows it before another replica takes over.
const GRACE: u64 = 5;
/// How often the Lease is read between renewals.
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// First delay after a failure; doubles up to [`LAST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(15);
/// Timeout of the release at shutdown.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum length of a field manager's name, in bytes (API server).
const FIELD_MANAGER_LIMIT: usize = 128;

/// A replica that takes part in the election.
#[derive(Clone)]
pub(crate) struct Candidate {
    /// A client with short timeouts.
    pub client: Client,
    pub namespace: String,
    /// Name of the Lease.
    pub lease: String,
    /// Unique per replica.
    pub identity: String,
}

/// Why this replica cannot take part in the election.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Call(kubernetes::Error),
    #[error("cannot get or renew the Lease")]
    Lease(#[source] LeaseManagerError),
    #[error("cannot release the Lease: no answer within {} s", RELEASE_TIMEOUT.as_secs())]
    TimedOut,
    #[error("the election task ended")]
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
    /// Takes part in the election until shutdown and publishes through the channel whether this replica leads. When it
    /// returns, the replica does not lead, and its Lease is released.
    pub(crate) async fn run(self, leading: watch::Sender<bool>, shutdown: CancellationToken) {
        let mut failures = FailureLog::new("leader election failed");
        let mut retry = FIRST_RETRY;
        while !shutdown.is_cancelled() {
            // A separate task turns a panic in the library into an error.
            let attempt = tokio::spawn(self.clone().take_part(leading.clone(), shutdown.clone()));
            let result = attempt.await.map_err(Error::from).flatten();
            if set_leading(&leading, false) {
                retry = FIRST_RETRY;
            }
            failures.record(result.as_ref().err());
            if result.is_err() {
                let _ = tokio::time::timeout(retry, shutdown.cancelled()).await;
                retry = (retry * 2).min(LAST_RETRY);
            }
        }
    }

    /// Acquires and renews the Lease until a failure or shutdown.
    async fn take_part(self, leading: watch::Sender<bool>, shutdown: CancellationToken) -> Result<(), Error> {
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
                state = manager.changed() => set_leading(&leading, state?),
                () = wait_for_mismatch(&leases, &lease, &identity, leads) => return Ok(()),
            };
        }
        // Before the release: another replica may lead as soon as the Lease is free.
        set_leading(&leading, false);
        tokio::time::timeout(RELEASE_TIMEOUT, manager.release()).await.map_err(|_| Error::TimedOut)??;
        Ok(())
    }
}

/// Returns when the Lease does not match this replica's state: a leader is not its holder, or a follower finds it without
/// a holder. The library itself sleeps until the next renewal or until the Lease it read expires.
async fn wait_for_mismatch(leases: &Api<Lease>, name: &str, identity: &str, leads: bool) {
    loop {
        tokio::time::sleep(READ_INTERVAL).await;
        let holder = match within(format!("read Lease {name}"), leases.get(name)).await {
            Ok(lease) => lease.spec.and_then(|spec| spec.holder_identity),
            Err(error) if error.is_not_found() => None,
            // The next renewal reports the failure.
            Err(_) => continue,
        };
        let mismatch = if leads { holder.as_deref() != Some(identity) } else { holder.is_none() };
        if mismatch {
            return;
        }
    }
}

/// Publishes whether this replica leads; returns whether that changed.
fn set_leading(leading: &watch::Sender<bool>, leads: bool) -> bool {
    leading.send_if_modified(|before| {
        let changed = *before != leads;
        if changed {
            tracing::info!(leading = leads, "leadership changed");
        }
        *before = leads;
        changed
    })
}

/// The field manager of this replica. It must differ between replicas, otherwise their applies would not conflict. A long
/// name is cut at the start, because pods of a Deployment differ in the end of their names.
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
