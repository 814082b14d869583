//! The `caBundle` of the mutating and the validating webhook configuration, which API servers trust.

use std::fmt::Debug;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::bundle::Bundle;
use super::certificate::Certificate;
use crate::kubernetes::{Error, within};
use winddown_core::error_chain::ErrorChain;

/// Retries of a patch that conflicts with other writers.
const ATTEMPTS: usize = 4;

/// Both configurations; they have the same name.
#[derive(Clone)]
pub(crate) struct Configurations {
    mutating: Api<MutatingWebhookConfiguration>,
    validating: Api<ValidatingWebhookConfiguration>,
    name: String,
}

/// What a `caBundle` must contain.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// The bundle in the Secret.
    Exactly(&'a Bundle),
    /// The Secret does not contain the bundle, so other replicas may need other authorities: none is removed.
    AtLeast(&'a Bundle, Timestamp),
}

impl Wanted<'_> {
    /// The content to write; `None` if `existing` is as wanted.
    fn replacement(self, existing: &[u8]) -> Option<ByteString> {
        let pem = match self {
            Self::Exactly(bundle) => Some(bundle.to_pem()).filter(|pem| pem.as_bytes() != existing),
            Self::AtLeast(bundle, now) => bundle.added_to(existing, now),
        };
        pem.map(|pem| ByteString(pem.into_bytes()))
    }
}

/// The result of a check, for each configuration.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub mutating: Result<bool, Error>,
    pub validating: Result<bool, Error>,
}

impl Outcome {
    /// Whether the check succeeded for both.
    pub(crate) fn both_ok(&self) -> bool {
        matches!(self, Self { mutating: Ok(true), validating: Ok(true) })
    }

    /// Why this replica is not ready, for `/readyz`.
    pub(crate) fn pending(&self) -> Vec<String> {
        let reason = |kind: &str, result: &Result<bool, Error>| match result {
            Ok(true) => None,
            Ok(false) => {
                Some(format!("the {kind} webhook configuration does not contain the certificate authority yet"))
            }
            Err(error) => Some(format!("the {kind} webhook configuration: {}", ErrorChain(error))),
        };
        [reason("mutating", &self.mutating), reason("validating", &self.validating)].into_iter().flatten().collect()
    }
}

impl Configurations {
    pub(crate) fn new(client: &Client, name: impl Into<String>) -> Self {
        Self { mutating: Api::all(client.clone()), validating: Api::all(client.clone()), name: name.into() }
    }

    /// Writes the bundle where the `caBundle` is not as wanted. Returns for each whether it contained `issuer` before, because a
    /// bundle that was just written has not reached every API server yet.
    pub(crate) async fn write_bundle(&self, wanted: Wanted<'_>, issuer: &Certificate) -> Outcome {
        let (mutating, validating) = futures::join!(
            write_bundle(&self.mutating, &self.name, wanted, issuer),
            write_bundle(&self.validating, &self.name, wanted, issuer)
        );
        Outcome { mutating, validating }
    }

    /// Returns for each whether every webhook in it has a `caBundle`.
    pub(crate) async fn have_bundle(&self) -> Outcome {
        let (mutating, validating) =
            futures::join!(read(&self.mutating, &self.name), read(&self.validating, &self.name));
        let filled =
            |client_configs: &[&WebhookClientConfig]| client_configs.iter().all(|each| !ca_bundle(each).is_empty());
        Outcome {
            mutating: mutating.map(|object| filled(&object.client_configs())),
            validating: validating.map(|object| filled(&object.client_configs())),
        }
    }
}

/// The fields that both kinds share.
trait WebhookConfiguration: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned {
    fn client_configs(&self) -> Vec<&WebhookClientConfig>;
}

impl WebhookConfiguration for MutatingWebhookConfiguration {
    fn client_configs(&self) -> Vec<&WebhookClientConfig> {
        self.webhooks.iter().flatten().map(|webhook| &webhook.client_config).collect()
    }
}

impl WebhookConfiguration for ValidatingWebhookConfiguration {
    fn client_configs(&self) -> Vec<&WebhookClientConfig> {
        self.webhooks.iter().flatten().map(|webhook| &webhook.client_config).collect()
    }
}

fn ca_bundle(client_config: &WebhookClientConfig) -> &[u8] {
    client_config.ca_bundle.as_ref().map_or(&[], |bundle| &bundle.0)
}

async fn read<K: WebhookConfiguration>(api: &Api<K>, name: &str) -> Result<K, Error> {
    within(format!("read {} {name}", K::kind(&())), api.get(name)).await
}

async fn write_bundle<K: WebhookConfiguration>(
    api: &Api<K>,
    name: &str,
    wanted: Wanted<'_>,
    issuer: &Certificate,
) -> Result<bool, Error> {
    let kind = K::kind(&());
    let mut attempts = 0;
    loop {
        let object = read(api, name).await?;
        let client_configs = object.client_configs();
        let trusted = client_configs.iter().all(|each| Certificate::all_from_pem(ca_bundle(each)).contains(issuer));
        let replace =
            |(index, config): (usize, &WebhookClientConfig)| Some((index, wanted.replacement(ca_bundle(config))?));
        let outdated: Vec<(usize, ByteString)> = client_configs.into_iter().enumerate().filter_map(replace).collect();
        if outdated.is_empty() {
            return Ok(trusted);
        }

        // Fails if the configuration changed since it was read, because the webhooks may have been reordered.
        let test = json!({"op": "test", "path": "/metadata/resourceVersion", "value": object.resource_version()});
        let writes = outdated.iter().map(|(index, bundle)| {
            let path = format!("/webhooks/{index}/clientConfig/caBundle");
            json!({"op": "add", "path": path, "value": bundle})
        });
        let operations = serde_json::Value::Array(std::iter::once(test).chain(writes).collect());
        let patch = serde_json::from_value::<json_patch::Patch>(operations).unwrap_or_default();
        let call = format!("write the caBundle of {kind} {name}");
        match within(call, api.patch(name, &PatchParams::default(), &Patch::Json::<()>(patch))).await {
            Ok(_) => {
                tracing::info!(%kind, name, webhooks = outdated.len(), "wrote the caBundle");
                return Ok(trusted);
            }
            Err(error) if (error.is_conflict() || error.is_unprocessable()) && attempts < ATTEMPTS => attempts += 1,
            Err(error) => return Err(error),
        }
    }
}
