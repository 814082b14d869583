//! Keeps Secret, serving certificate and both `caBundle`s as they should be, for as long as the operator runs.
//!
//! It looks every few seconds instead of watching: three small reads on a kept connection cost the API server next to
//! nothing, notice every change, whoever made it, and also that time has passed, and cannot miss an event. Every replica
//! does this. What they write is the same, so there is nothing to elect a leader for.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::bundle::Bundle;
use super::configurations::{Configurations, Outcome};
use super::resolver::Serving;
use super::secret::{self, Settled};
use super::serving_certificate::{Leaf, Trust, successor};
use crate::error_chain::ErrorChain;
use crate::health::Readiness;
use crate::kubernetes::{self, within};
use crate::telemetry::OnChange;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// Time to the next look after one that failed; doubles up to [`INTERVAL`].
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// How often a Secret is read again because another replica wrote it first.
const ATTEMPTS: usize = 4;

/// What the keeper looks after.
pub(crate) struct Target {
    /// Where the Secret is.
    pub namespace: String,
    /// The Secret with the authority.
    pub secret: String,
    /// Both webhook configurations.
    pub configurations: String,
    /// DNS names and IP addresses of the serving certificate.
    pub names: Vec<String>,
}

/// The task that keeps the certificates.
pub(crate) struct Keeper {
    secrets: Api<Secret>,
    configurations: Configurations,
    target: Target,
    serving: Serving,
    readiness: Readiness,
    known: Bundle,
    leaf: Option<Leaf>,
    trust: Trust,
    trouble: OnChange,
}

/// Why a look did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A call to the API server failed.
    #[error(transparent)]
    Call(#[from] kubernetes::Error),
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] super::Error),
    /// Other replicas wrote the Secret each time that this one tried to.
    #[error("the Secret was written by others {ATTEMPTS} times in a row")]
    Contended,
}

impl Keeper {
    /// Prepares; nothing is called yet.
    #[must_use]
    pub(crate) fn new(client: &Client, target: Target, serving: Serving, readiness: Readiness) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), &target.namespace),
            configurations: Configurations::new(client, &target.configurations),
            target,
            serving,
            readiness,
            known: Bundle::default(),
            leaf: None,
            trust: Trust::default(),
            trouble: OnChange::new("the certificates are not as they should be"),
        }
    }

    /// Looks every five seconds, sooner after trouble; never ends.
    pub(crate) async fn run(mut self) {
        let mut retry = FIRST_RETRY;
        loop {
            let result = self.look(Timestamp::now()).await;
            self.trouble.note(result.as_ref().err());
            if let (Err(error), None) = (&result, &self.leaf) {
                self.readiness.publish(vec![format!("no certificate is loaded yet: {}", ErrorChain(error))]);
            }
            // A bundle that was just written is looked at again soon: only then is this replica ready.
            let settled = result.is_ok() && self.readiness.is_ready();
            let pause = if settled { INTERVAL } else { retry };
            retry = if settled { FIRST_RETRY } else { (retry * 2).min(INTERVAL) };
            tokio::time::sleep(pause).await;
        }
    }

    /// One look: Secret, caBundles, serving certificate, readiness.
    pub(crate) async fn look(&mut self, now: Timestamp) -> Result<(), Error> {
        let Settled { authority, bundle, .. } = self.settle_secret(now).await?;
        self.known = bundle;

        let outcome = self.configurations.repair(&self.known, authority.certificate()).await;
        let trusted = self.trust.note(authority.certificate(), outcome.is_both(), now);

        if let Some(leaf) = successor(self.leaf.as_ref(), &authority, trusted, &self.target.names, now)? {
            let until = leaf.validity().not_after;
            tracing::info!(%until, "serving a new certificate");
            self.serving.send_replace(Some(leaf.certified_key()));
            self.leaf = Some(leaf);
        }
        self.readiness.publish(waiting_for(&outcome));
        outcome.mutating.and(outcome.validating)?;
        Ok(())
    }

    /// Reads the Secret and, where need be, writes it, in step with the other replicas: the first to write wins, and the
    /// others read again what it wrote.
    async fn settle_secret(&self, now: Timestamp) -> Result<Settled, Error> {
        let Target { namespace, secret: name, .. } = &self.target;
        for _ in 0..ATTEMPTS {
            let found = match within(format!("read Secret {namespace}/{name}"), self.secrets.get(name)).await {
                Ok(found) => Some(found),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(error.into()),
            };
            let data = found.as_ref().and_then(|found| found.data.clone()).unwrap_or_default();
            let settled = secret::settle(&data, &self.known, now)?;
            let Some(change) = &settled.change else { return Ok(settled) };

            let written = if let Some(mut secret) = found {
                // The resourceVersion is still in it: the API server refuses if somebody else wrote meanwhile.
                secret.data.get_or_insert_default().extend(settled.data());
                let call = format!("write Secret {namespace}/{name}");
                within(call, self.secrets.replace(name, &PostParams::default(), &secret)).await
            } else {
                let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
                let type_ = Some("Opaque".to_owned());
                let secret = Secret { metadata, data: Some(settled.data()), type_, ..Secret::default() };
                let call = format!("create Secret {namespace}/{name}");
                within(call, self.secrets.create(&PostParams::default(), &secret)).await
            };
            match written {
                Ok(_) if change.is_alarming() => tracing::warn!(secret = %name, "{change}"),
                Ok(_) => tracing::info!(secret = %name, "{change}"),
                Err(error) if error.is_conflict() || error.is_not_found() => continue,
                Err(error) => return Err(error.into()),
            }
            return Ok(settled);
        }
        Err(Error::Contended)
    }
}

/// What stands between this replica and being ready, now that a certificate is loaded.
pub(super) fn waiting_for(outcome: &Outcome) -> Vec<String> {
    let reason = |kind: &str, result: &Result<bool, kubernetes::Error>| match result {
        Ok(true) => None,
        Ok(false) => Some(format!("the {kind} webhook configuration does not carry our certificate authority yet")),
        Err(error) => Some(format!("the {kind} webhook configuration: {}", ErrorChain(error))),
    };
    [reason("mutating", &outcome.mutating), reason("validating", &outcome.validating)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
