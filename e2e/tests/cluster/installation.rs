//! Install, test, upgrade and uninstall, in a namespace with the Pod Security level `restricted`.

use anyhow::Result;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::Resource;
use kube::api::{Api, ListParams};
use serde::de::DeserializeOwned;
use winddown_e2e::release::{self, Helm};

use crate::example::{Example, has_no_injection, is_injected};
use winddown_e2e::environment::{Environment, names};
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

pub(crate) fn tests() -> Vec<Test> {
    tests![helm_3_installs_tests_upgrades_and_uninstalls, helm_4_installs_tests_upgrades_and_uninstalls]
}

const RESTRICTED: [(&str, &str); 1] = [("pod-security.kubernetes.io/enforce", "restricted")];

async fn helm_3_installs_tests_upgrades_and_uninstalls(environment: Environment) -> Result<()> {
    install_upgrade_uninstall(&environment, Helm::V3).await
}

async fn helm_4_installs_tests_upgrades_and_uninstalls(environment: Environment) -> Result<()> {
    install_upgrade_uninstall(&environment, Helm::V4).await
}

async fn install_upgrade_uninstall(environment: &Environment, helm: Helm) -> Result<()> {
    let create = async |name: &str| Example::new(name).annotated().without_pods().create(environment).await;
    environment.set_up_without_winddown(&RESTRICTED).await?;
    assert!(has_no_injection(&create("before").await?));

    helm.install("").run().await?;
    let operator = environment.operator();
    let status = operator.deployment().await?.status.unwrap_or_default();
    assert_eq!((status.ready_replicas, status.unavailable_replicas), (Some(2), None));
    helm.test().run().await?;
    assert!(is_injected(&create("installed").await?));

    let upgrade = operator.before_rollout().await?;
    helm.install("podAnnotations.revision=two").run().await?;
    upgrade.complete().await?;
    helm.test().run().await?;
    assert!(is_injected(&create("upgraded").await?));

    helm.uninstall().run().await?;
    let remaining = [
        remaining::<MutatingWebhookConfiguration>(environment).await?,
        remaining::<ValidatingWebhookConfiguration>(environment).await?,
        remaining::<ClusterRole>(environment).await?,
        remaining::<ClusterRoleBinding>(environment).await?,
    ];
    assert_eq!(remaining.concat(), Vec::<String>::new());
    // The control: without webhooks nothing is injected.
    assert!(has_no_injection(&create("after").await?));
    environment.clean_up().await
}

/// The cluster-scoped objects of one kind that have Winddown's name.
async fn remaining<K>(environment: &Environment) -> Result<Vec<String>>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let all = Api::<K>::all(environment.client.clone()).list(&ListParams::default()).await?;
    Ok(names(&all.items).into_iter().filter(|name| name.contains(release::NAME)).collect())
}
