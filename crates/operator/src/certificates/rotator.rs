//! Keeps the Secret, the serving certificate and both `caBundle`s up to date.
//!
//! It polls every few seconds instead of watching: three small reads on an open connection are cheap for the API server,
//! detect every change as well as due certificates, and cannot miss an event. Every replica does this without a leader,
//! because all replicas write the same content.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::authority::Authority;
use super::bundle::Bundle;
use super::configurations::{Configurations, Wanted};
use super::known::Known;
use super::reminder::Reminder;
use super::resolver::CertificateSender;
use super::rotation::{Trust, successor};
use super::secret::{self, Desired};
use crate::health::Readiness;
use crate::kubernetes::{self, within};
use crate::telemetry::FailureLog;
use winddown_core::error_chain::ErrorChain;

/// How often everything is checked.
const INTERVAL: Duration = Duration::from_secs(5);
/// First delay after a failure; doubles up to [`INTERVAL`].
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// Attempts to write a Secret that other replicas write at the same time.
const ATTEMPTS: usize = 4;
/// A replica that cannot renew its certificate becomes unready this long before it expires, so that others are called. The
/// kubelet needs a few seconds for that. Until then the certificate is as good as any.
const UNREADY_BEFORE_EXPIRY: SignedDuration = SignedDuration::from_mins(1);

/// The objects and names that the rotator manages.
pub(crate) struct Target {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Secret that stores the authority.
    pub secret: String,
    /// Name of both webhook configurations.
    pub configurations: String,
    /// DNS names and IP addresses of the serving certificate.
    pub names: Vec<String>,
}

/// The task that rotates the certificates.
pub(crate) struct Rotator {
    secrets: Api<Secret>,
    configurations: Configurations,
    target: Target,
    certificates: CertificateSender,
    readiness: Readiness,
    known: Known,
    trust: Trust,
    /// Why this replica is not ready, as of the last check that reached the configurations.
    pending: Vec<String>,
    failures: FailureLog,
    reminder: Reminder,
}

/// The result of reading and, if necessary, writing the Secret.
enum Stored {
    /// The Secret contains this.
    UpToDate(Desired),
    /// It could not be read or written; the authority that it contains, if it could be read and is usable.
    Failed { found: Option<Arc<Authority>>, error: Error },
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A call to the API server failed.
    #[error(transparent)]
    Call(#[from] kubernetes::Error),
    /// A certificate cannot be created.
    #[error(transparent)]
    Certificate(#[from] super::Error),
    /// The Secret must change, and cannot.
    #[error("cannot write Secret {0}, which is immutable: delete it, and it is created again")]
    Immutable(String),
    /// The authority is still usable, but must be replaced before it expires.
    #[error("the certificate authority in use expires on {until:.0} and cannot be checked or replaced")]
    NotStored {
        /// End of its validity.
        until: Timestamp,
        /// Why the Secret cannot be read or written.
        source: Box<Error>,
    },
    /// Every attempt to write the Secret conflicted with another writer.
    #[error("cannot write the Secret: {ATTEMPTS} attempts conflicted with other writers")]
    Contended,
}

impl Rotator {
    pub(crate) fn new(client: &Client, target: Target, certificates: CertificateSender, readiness: Readiness) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), &target.namespace),
            configurations: Configurations::new(client, &target.configurations),
            target,
            certificates,
            readiness,
            known: Known::default(),
            trust: Trust::default(),
            pending: Vec::new(),
            failures: FailureLog::new("cannot update the certificates"),
            reminder: Reminder::default(),
        }
    }

    /// Never returns.
    pub(crate) async fn run(mut self) {
        let mut retry = FIRST_RETRY;
        loop {
            let result = self.check(Timestamp::now()).await;
            // After a bundle is written the next check is soon, because only that check makes this replica ready.
            let done = result.is_ok() && self.readiness.is_ready();
            let pause = if done { INTERVAL } else { retry };
            retry = if done { FIRST_RETRY } else { (retry * 2).min(INTERVAL) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Checks and updates everything once, and reports what failed in the log and on `/readyz`.
    async fn check(&mut self, now: Timestamp) -> Result<(), Error> {
        let result = self.sync(now).await;
        let error = result.as_ref().err();
        let logged = self.failures.record(error);
        let problem = error.map(|error| ErrorChain(error).to_string());
        let expiry = self.known.usable_authority(now).map_or(now, |authority| authority.validity().not_after);
        if self.reminder.record(problem.is_some(), expiry, now) && !logged {
            let error = problem.as_deref().unwrap_or_default();
            tracing::warn!(error, not_after = %expiry, "still cannot update the certificates");
        }
        let problems: Vec<String> = problem.into_iter().collect();
        match &self.known.serving {
            None => self
                .readiness
                .publish(problems.iter().map(|problem| format!("no certificate is loaded yet: {problem}")).collect()),
            Some(serving) if serving.validity().is_expired(now + UNREADY_BEFORE_EXPIRY) => {
                let expires = format!("the serving certificate expires on {:.0}", serving.validity().not_after);
                self.readiness.withdraw(std::iter::once(expires).chain(problems).collect());
            }
            Some(_) => {
                self.readiness.publish(self.pending.clone());
                self.readiness.report(problems);
            }
        }
        result
    }

    /// Checks and updates Secret, `caBundle`s and serving certificate once.
    async fn sync(&mut self, now: Timestamp) -> Result<(), Error> {
        let (authority, failure) = match self.sync_secret(now).await {
            Stored::UpToDate(Desired { authority, bundle, .. }) => {
                self.known.remember(authority.clone(), bundle, now);
                (authority, None)
            }
            Stored::Failed { found, error } => {
                let Some(authority) = found.or_else(|| self.known.usable_authority(now)) else { return Err(error) };
                self.known.remember(authority.clone(), self.known.bundle.clone(), now);
                let until = authority.validity().not_after;
                (authority, Some(Error::NotStored { until, source: Box::new(error) }))
            }
        };
        let needed = Bundle::new(authority.certificate(), self.known.issuer().cloned(), now);
        let wanted =
            if failure.is_none() { Wanted::Exactly(&self.known.bundle) } else { Wanted::AtLeast(&needed, now) };
        let outcome = self.configurations.write_bundle(wanted, authority.certificate()).await;
        let trusted = self.trust.record(authority.certificate(), outcome.both_ok(), now);

        if let Some(next) = successor(self.known.serving.as_ref(), &authority, trusted, &self.target.names, now)? {
            let not_after = next.validity().not_after;
            tracing::info!(%not_after, "serving a new certificate");
            self.certificates.send_replace(Some(next.certified_key()));
            self.known.serving = Some(next);
        }
        self.pending = outcome.pending();
        if !authority.validity().has_started(now) {
            let start = authority.validity().not_before;
            self.pending.push(format!("the certificate authority is not valid before {start:.0}: check the clocks"));
        }
        failure.map_or(Ok(()), Err)?;
        outcome.mutating.and(outcome.validating)?;
        Ok(())
    }

    /// Reads the Secret and writes it if necessary. If replicas write at the same time, the first one wins and the others
    /// read it again.
    async fn sync_secret(&self, now: Timestamp) -> Stored {
        let Target { namespace, secret: name, .. } = &self.target;
        let failed = |found, error| Stored::Failed { found, error };
        for _ in 0..ATTEMPTS {
            let found = match within(format!("read Secret {namespace}/{name}"), self.secrets.get(name)).await {
                Ok(found) => Some(found),
                Err(error) if error.is_not_found() => None,
                Err(error) => return failed(None, error.into()),
            };
            let data = found.as_ref().and_then(|found| found.data.clone()).unwrap_or_default();
            let desired = match secret::desired(&data, &self.known, now) {
                Ok(desired) => desired,
                Err(error) => return failed(None, error.into()),
            };
            let Some(change) = &desired.change else { return Stored::UpToDate(desired) };
            if found.as_ref().is_some_and(|found| found.immutable == Some(true)) {
                return failed(desired.found, Error::Immutable(format!("{namespace}/{name}")));
            }

            let written = if let Some(mut secret) = found {
                // It contains the resourceVersion: the API server rejects the write if the Secret changed since.
                secret.data.get_or_insert_default().extend(desired.data());
                let call = format!("write Secret {namespace}/{name}");
                within(call, self.secrets.replace(name, &PostParams::default(), &secret)).await
            } else {
                let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
                let type_ = Some("Opaque".to_owned());
                let secret = Secret { metadata, data: Some(desired.data()), type_, ..Secret::default() };
                let call = format!("create Secret {namespace}/{name}");
                within(call, self.secrets.create(&PostParams::default(), &secret)).await
            };
            match written {
                Ok(_) if change.is_warning() => tracing::warn!(secret = %name, "{change}"),
                Ok(_) => tracing::info!(secret = %name, "{change}"),
                Err(error) if error.is_conflict() || error.is_not_found() => continue,
                Err(error) => return failed(desired.found, error.into()),
            }
            return Stored::UpToDate(desired);
        }
        failed(None, Error::Contended)
    }
}

#[cfg(test)]
mod tests;
