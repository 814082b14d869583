//! Install, test, upgrade, uninstall; in a namespace that lets nothing in but what Pod Security calls restricted.

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::Resource;
use kube::api::{Api, ListParams};
use serde::de::DeserializeOwned;
use winddown_e2e::release::{self, Helm};

use crate::example::{Example, is_bare, is_injected};
use crate::suite::{Result, Test, tests};
use crate::world::{World, names};

pub(crate) fn tests() -> Vec<Test> {
    tests![helm_3_installs_tests_upgrades_and_uninstalls, helm_4_installs_tests_upgrades_and_uninstalls]
}

const RESTRICTED: [(&str, &str); 1] = [("pod-security.kubernetes.io/enforce", "restricted")];

async fn helm_3_installs_tests_upgrades_and_uninstalls(world: World) -> Result {
    comes_and_goes(&world, Helm::V3).await
}

async fn helm_4_installs_tests_upgrades_and_uninstalls(world: World) -> Result {
    comes_and_goes(&world, Helm::V4).await
}

async fn comes_and_goes(world: &World, helm: Helm) -> Result {
    world.without_winddown(&RESTRICTED).await?;
    assert!(is_bare(&Example::new("before").annotated().without_pods().create(world).await?));

    helm.install("").run().await?;
    let operator = world.operator();
    let status = operator.deployment().await?.status.unwrap_or_default();
    assert_eq!((status.ready_replicas, status.unavailable_replicas), (Some(2), None));
    helm.test().run().await?;
    assert!(is_injected(&Example::new("installed").annotated().without_pods().create(world).await?));

    let upgrade = operator.before_rollout().await?;
    helm.install("podAnnotations.revision=two").run().await?;
    upgrade.over().await?;
    helm.test().run().await?;
    assert!(is_injected(&Example::new("upgraded").annotated().without_pods().create(world).await?));

    helm.uninstall().run().await?;
    let left = [
        left::<MutatingWebhookConfiguration>(world).await?,
        left::<ValidatingWebhookConfiguration>(world).await?,
        left::<ClusterRole>(world).await?,
        left::<ClusterRoleBinding>(world).await?,
    ];
    assert_eq!(left.concat(), Vec::<String>::new());
    // The control: what nobody looks at any more comes in as it is.
    assert!(is_bare(&Example::new("after").annotated().without_pods().create(world).await?));
    world.clear().await
}

/// What of one cluster-scoped kind still has Winddown's name.
async fn left<K>(world: &World) -> Result<Vec<String>>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let all = Api::<K>::all(world.client.clone()).list(&ListParams::default()).await?;
    Ok(names(&all.items).into_iter().filter(|name| name.contains(release::NAME)).collect())
}
