//! The `caBundle` of the webhook configurations.

use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use winddown_e2e::release;
use winddown_e2e::wait::until;

use crate::example::{Example, is_injected};
use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

pub(crate) fn tests() -> Vec<Test> {
    tests![removed_ca_bundles_are_restored_within_ten_seconds]
}

const LIMIT: Duration = Duration::from_secs(10);

async fn removed_ca_bundles_are_restored_within_ten_seconds(environment: Environment) -> Result<()> {
    environment.set_up().await?;
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(environment.client.clone());
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(environment.client.clone());
    let ca_bundles = async || -> Result<[Value; 2]> {
        let configurations = [
            serde_json::to_value(mutating.get(release::NAME).await?)?,
            serde_json::to_value(validating.get(release::NAME).await?)?,
        ];
        Ok(configurations.map(|configuration| ca_bundle(&configuration)))
    };
    let before = ca_bundles().await?;
    assert!(before.iter().all(Value::is_string), "{before:?}");

    let patch = json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(patch)?);
    let start = Instant::now();
    let patched = [
        serde_json::to_value(mutating.patch(release::NAME, &PatchParams::default(), &patch).await?)?,
        serde_json::to_value(validating.patch(release::NAME, &PatchParams::default(), &patch).await?)?,
    ];
    assert_eq!(patched.map(|configuration| ca_bundle(&configuration)), [Value::Null, Value::Null]);

    let restored = async || Ok((ca_bundles().await? == before).then_some(()));
    until("both caBundles to be restored", LIMIT, restored).await?;
    eprintln!("  both caBundles were restored after {:.1} s", start.elapsed().as_secs_f32());

    // The API server observes the change a moment later.
    let mut attempt = 0;
    loop {
        attempt += 1;
        let example = Example::new(&format!("app-{attempt}")).annotated().without_pods();
        if is_injected(&example.create(&environment).await?) {
            break;
        }
        assert!(start.elapsed() < LIMIT, "the API server does not call the webhook");
    }
    environment.clean_up().await
}

fn ca_bundle(configuration: &Value) -> Value {
    configuration["webhooks"][0]["clientConfig"]["caBundle"].clone()
}
