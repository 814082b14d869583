//! The `caBundle`s of the two webhook configurations: how API servers know whom to trust.

use std::fmt::Debug;

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

/// How often a patch is tried against a configuration that others change at the same time.
const ATTEMPTS: usize = 4;

/// The mutating and the validating configuration, of the same name.
#[derive(Clone)]
pub(crate) struct Configurations {
    mutating: Api<MutatingWebhookConfiguration>,
    validating: Api<ValidatingWebhookConfiguration>,
    name: String,
}

/// Which configurations are as they should be.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The mutating one.
    pub mutating: Result<bool, Error>,
    /// The validating one.
    pub validating: Result<bool, Error>,
}

impl Outcome {
    /// Whether both are as they should be.
    #[must_use]
    pub(crate) fn is_both(&self) -> bool {
        matches!(self, Self { mutating: Ok(true), validating: Ok(true) })
    }
}

impl Configurations {
    /// Both configurations called `name`.
    #[must_use]
    pub(crate) fn new(client: &Client, name: impl Into<String>) -> Self {
        Self { mutating: Api::all(client.clone()), validating: Api::all(client.clone()), name: name.into() }
    }

    /// Writes the bundle where anything else stands. Says, for each, whether it already trusted `issuer` before: one that
    /// was only just written has not reached every API server yet.
    pub(crate) async fn repair(&self, bundle: &Bundle, issuer: &Certificate) -> Outcome {
        let (mutating, validating) = futures::join!(
            repair(&self.mutating, &self.name, bundle, issuer),
            repair(&self.validating, &self.name, bundle, issuer)
        );
        Outcome { mutating, validating }
    }

    /// Says, for each, whether every webhook in it has some `caBundle`, whoever wrote it.
    pub(crate) async fn are_filled(&self) -> Outcome {
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

/// What the two kinds have in common.
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

async fn repair<K: WebhookConfiguration>(
    api: &Api<K>,
    name: &str,
    bundle: &Bundle,
    issuer: &Certificate,
) -> Result<bool, Error> {
    let kind = K::kind(&());
    let wanted = bundle.to_pem().into_bytes();
    let mut attempts = 0;
    loop {
        let object = read(api, name).await?;
        let client_configs = object.client_configs();
        let trusted = client_configs.iter().all(|each| Certificate::all_from_pem(ca_bundle(each)).contains(issuer));
        let wrong: Vec<usize> =
            (0..client_configs.len()).filter(|&index| ca_bundle(client_configs[index]) != wanted).collect();
        if wrong.is_empty() {
            return Ok(trusted);
        }

        // Only the one field, and only in the version that was read: the webhooks may have been reordered since.
        let test = json!({"op": "test", "path": "/metadata/resourceVersion", "value": object.resource_version()});
        let writes = wrong.iter().map(|index| {
            let path = format!("/webhooks/{index}/clientConfig/caBundle");
            json!({"op": "add", "path": path, "value": ByteString(wanted.clone())})
        });
        let operations = serde_json::Value::Array(std::iter::once(test).chain(writes).collect());
        let patch = serde_json::from_value::<json_patch::Patch>(operations).unwrap_or_default();
        let call = format!("write the caBundle of {kind} {name}");
        match within(call, api.patch(name, &PatchParams::default(), &Patch::Json::<()>(patch))).await {
            Ok(_) => {
                tracing::info!(%kind, name, webhooks = wrong.len(), "wrote the caBundle");
                return Ok(trusted);
            }
            Err(error) if (error.is_conflict() || error.is_misfit()) && attempts < ATTEMPTS => attempts += 1,
            Err(error) => return Err(error),
        }
    }
}
