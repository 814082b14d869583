//! What the API server knows the webhooks by.

use std::time::{Duration, Instant};

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use winddown_e2e::release;
use winddown_e2e::until::until;

use crate::example::{Example, is_injected};
use crate::suite::{Result, Test, tests};
use crate::world::{Failure, World};

pub(crate) fn tests() -> Vec<Test> {
    tests![ca_bundles_that_were_wiped_are_back_within_ten_seconds]
}

const LIMIT: Duration = Duration::from_secs(10);

async fn ca_bundles_that_were_wiped_are_back_within_ten_seconds(world: World) -> Result {
    world.ready().await?;
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(world.client.clone());
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(world.client.clone());
    let bundles = async || {
        let configurations = [
            serde_json::to_value(mutating.get(release::NAME).await?),
            serde_json::to_value(validating.get(release::NAME).await?),
        ];
        Ok::<_, Failure>(configurations.map(|configuration| bundle(&configuration.unwrap_or_default())))
    };
    let before = bundles().await?;
    assert!(before.iter().all(Value::is_string), "{before:?}");

    let wipe = json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]);
    let wipe: Patch<()> = Patch::Json(serde_json::from_value(wipe)?);
    let start = Instant::now();
    let wiped = [
        serde_json::to_value(mutating.patch(release::NAME, &PatchParams::default(), &wipe).await?)?,
        serde_json::to_value(validating.patch(release::NAME, &PatchParams::default(), &wipe).await?)?,
    ];
    assert_eq!(wiped.map(|configuration| bundle(&configuration)), [Value::Null, Value::Null]);

    let back = async || Ok::<_, Failure>((bundles().await? == before).then_some(()));
    until("both caBundles are back", LIMIT, back).await?;
    eprintln!("  both caBundles were back after {:.1} s", start.elapsed().as_secs_f32());

    // The API server hears of it a moment later.
    let mut attempt = 0;
    loop {
        attempt += 1;
        if is_injected(&Example::new(&format!("app-{attempt}")).annotated().without_pods().create(&world).await?) {
            break;
        }
        assert!(start.elapsed() < LIMIT, "the webhook is not called");
    }
    world.clear().await
}

fn bundle(configuration: &Value) -> Value {
    configuration["webhooks"][0]["clientConfig"]["caBundle"].clone()
}
