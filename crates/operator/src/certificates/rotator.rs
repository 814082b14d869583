//! Keeps the Secret, the serving certificate and both `caBundle`s up to date.
//!
//! It polls every few seconds instead of watching: three small reads on an open connection are cheap for the API server,
//! detect every change as well as due certificates, and cannot miss an event. Every replica does this without a leader,
//! because all replicas write the same content.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::bundle::Bundle;
use super::configurations::Configurations;
use super::resolver::CertificateSender;
use super::rotation::{Trust, successor};
use super::secret::{self, Desired};
use super::serving_certificate::ServingCertificate;
use crate::error_chain::ErrorChain;
use crate::health::Readiness;
use crate::kubernetes::{self, within};
use crate::telemetry::FailureLog;

/// How often everything is checked.
const INTERVAL: Duration = Duration::from_secs(5);
/// First delay after a failure; doubles up to [`INTERVAL`].
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// Attempts to write a Secret that other replicas write at the same time.
const ATTEMPTS: usize = 4;

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
    known: Bundle,
    serving: Option<ServingCertificate>,
    trust: Trust,
    failures: FailureLog,
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
            known: Bundle::default(),
            serving: None,
            trust: Trust::default(),
            failures: FailureLog::new("cannot update the certificates"),
        }
    }

    /// Never returns.
    pub(crate) async fn run(mut self) {
        let mut retry = FIRST_RETRY;
        loop {
            let result = self.sync(Timestamp::now()).await;
            self.failures.record(result.as_ref().err());
            if let (Err(error), None) = (&result, &self.serving) {
                self.readiness.publish(vec![format!("no certificate is loaded yet: {}", ErrorChain(error))]);
            }
            // After a bundle is written the next check is soon, because only that check makes this replica ready.
            let done = result.is_ok() && self.readiness.is_ready();
            let pause = if done { INTERVAL } else { retry };
            retry = if done { FIRST_RETRY } else { (retry * 2).min(INTERVAL) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Checks and updates Secret, `caBundle`s, serving certificate and readiness once.
    async fn sync(&mut self, now: Timestamp) -> Result<(), Error> {
        let Desired { authority, bundle, .. } = self.sync_secret(now).await?;
        self.known = bundle;

        let outcome = self.configurations.write_bundle(&self.known, authority.certificate()).await;
        let trusted = self.trust.record(authority.certificate(), outcome.both_ok(), now);

        if let Some(next) = successor(self.serving.as_ref(), &authority, trusted, &self.target.names, now)? {
            let not_after = next.validity().not_after;
            tracing::info!(%not_after, "serving a new certificate");
            self.certificates.send_replace(Some(next.certified_key()));
            self.serving = Some(next);
        }
        self.readiness.publish(outcome.pending());
        outcome.mutating.and(outcome.validating)?;
        Ok(())
    }

    /// Reads the Secret and writes it if necessary. If replicas write at the same time, the first one wins and the others
    /// read it again.
    async fn sync_secret(&self, now: Timestamp) -> Result<Desired, Error> {
        let Target { namespace, secret: name, .. } = &self.target;
        for _ in 0..ATTEMPTS {
            let found = match within(format!("read Secret {namespace}/{name}"), self.secrets.get(name)).await {
                Ok(found) => Some(found),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(error.into()),
            };
            let data = found.as_ref().and_then(|found| found.data.clone()).unwrap_or_default();
            let desired = secret::desired(&data, &self.known, now)?;
            let Some(change) = &desired.change else { return Ok(desired) };

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
                Err(error) => return Err(error.into()),
            }
            return Ok(desired);
        }
        Err(Error::Contended)
    }
}

#[cfg(test)]
mod tests;
