//! The webhook configurations.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::de::DeserializeOwned;

use super::certificates;
use super::report::{Check, Page};
use crate::cluster::lists::{Resource, Scope, Selection};
use crate::cluster::{Cluster, Error};
use winddown_core::observation::Timestamp;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Mutating,
    Validating,
}

/// A webhook configuration of Winddown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Configuration {
    pub(super) name: String,
    pub(super) hooks: Vec<Hook>,
}

/// One of its webhooks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hook {
    pub(super) name: String,
    pub(super) bundle: Option<Vec<u8>>,
    /// Namespace and name of the Service.
    pub(super) service: Option<(String, String)>,
    pub(super) namespaces: Option<LabelSelector>,
    pub(super) objects: Option<LabelSelector>,
}

/// Both configurations, as far as they could be read.
pub(super) struct Configurations {
    pub(super) mutating: Result<Option<Configuration>, Error>,
    pub(super) validating: Result<Option<Configuration>, Error>,
}

impl Side {
    /// The webhook for annotated workloads, which is in every version of the chart.
    const fn main_hook(self) -> &'static str {
        match self {
            Self::Mutating => "mutate.winddown.dev",
            Self::Validating => "validate.winddown.dev",
        }
    }

    const fn resource(self) -> Resource {
        let plural = match self {
            Self::Mutating => "mutatingwebhookconfigurations",
            Self::Validating => "validatingwebhookconfigurations",
        };
        Resource::cluster_scoped("admissionregistration.k8s.io/v1", plural)
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Mutating => "the mutating webhook configuration is there",
            Self::Validating => "the validating webhook configuration is there",
        }
    }
}

impl Configurations {
    pub(super) async fn read(cluster: &Cluster) -> Self {
        let mutating = find(cluster, Side::Mutating, |found: MutatingWebhookConfiguration| {
            let hooks = found.webhooks.unwrap_or_default().into_iter();
            let hook = |hook: k8s_openapi::api::admissionregistration::v1::MutatingWebhook| {
                Hook::new(hook.name, hook.client_config, hook.namespace_selector, hook.object_selector)
            };
            Configuration::new(found.metadata, hooks.map(hook).collect())
        });
        let validating = find(cluster, Side::Validating, |found: ValidatingWebhookConfiguration| {
            let hooks = found.webhooks.unwrap_or_default().into_iter();
            let hook = |hook: k8s_openapi::api::admissionregistration::v1::ValidatingWebhook| {
                Hook::new(hook.name, hook.client_config, hook.namespace_selector, hook.object_selector)
            };
            Configuration::new(found.metadata, hooks.map(hook).collect())
        });
        let (mutating, validating) = futures::join!(mutating, validating);
        Self { mutating, validating }
    }

    /// The webhook that mutates annotated workloads.
    pub(super) fn main(&self) -> Option<&Hook> {
        let configuration = self.mutating.as_ref().ok()?.as_ref()?;
        configuration.hooks.iter().find(|hook| hook.name == Side::Mutating.main_hook())
    }

    /// Namespace and name of its Service.
    pub(super) fn service(&self) -> Option<&(String, String)> {
        self.main()?.service.as_ref()
    }

    /// What the API server trusts; empty if it is not known.
    pub(super) fn bundle(&self) -> Option<&[u8]> {
        self.main()?.bundle.as_deref()
    }

    pub(super) fn checks(&self, now: Timestamp) -> Vec<Check> {
        let sides = [(Side::Mutating, &self.mutating), (Side::Validating, &self.validating)];
        sides.into_iter().flat_map(|(side, found)| judged(side, found, now)).collect()
    }
}

impl Configuration {
    fn new(metadata: ObjectMeta, hooks: Vec<Hook>) -> Self {
        Self { name: metadata.name.unwrap_or_default(), hooks }
    }
}

impl Hook {
    fn new(
        name: String,
        client: WebhookClientConfig,
        namespaces: Option<LabelSelector>,
        objects: Option<LabelSelector>,
    ) -> Self {
        Self {
            name,
            bundle: client.ca_bundle.map(|ByteString(bundle)| bundle),
            service: client.service.map(|service| (service.namespace, service.name)),
            namespaces,
            objects,
        }
    }
}

impl Hook {
    /// The command that shows the log of the operator. In the chart, its Deployment has the name of the Service.
    fn log(&self) -> String {
        match &self.service {
            Some((namespace, name)) => format!("kubectl logs deployment/{name} -n {namespace}"),
            None => "kubectl logs deployment/winddown -n winddown".to_owned(),
        }
    }
}

/// The first configuration that has a webhook of Winddown.
async fn find<T: DeserializeOwned>(
    cluster: &Cluster,
    side: Side,
    read: impl Fn(T) -> Configuration,
) -> Result<Option<Configuration>, Error> {
    let mut found = None;
    let all = Selection { scope: Scope::All, labels: None };
    let each = |configuration: T| {
        let configuration = read(configuration);
        if configuration.hooks.iter().any(|hook| hook.name == side.main_hook()) {
            found.get_or_insert(configuration);
        }
    };
    cluster.list(side.resource(), &all, each).await?;
    Ok(found)
}

fn judged(side: Side, found: &Result<Option<Configuration>, Error>, now: Timestamp) -> Vec<Check> {
    let configuration = match found {
        Ok(Some(configuration)) => configuration,
        Ok(None) => {
            let message = format!("no configuration has the webhook {}", side.main_hook());
            let hint = "install the chart again, with the command that installed it";
            return vec![Check::failed(side.title(), message, hint).see(Page::Install)];
        }
        Err(error) => return vec![Check::unreadable(side.title(), error)],
    };
    let mut checks = vec![Check::ok(format!("{}: {}", side.title(), configuration.name))];
    let mut bundles: Vec<_> = configuration.hooks.iter().map(|hook| (hook, hook.bundle.as_deref())).collect();
    // Usually, all of them trust the same.
    let all_same = bundles.windows(2).all(|pair| pair[0].1 == pair[1].1);
    bundles.truncate(if all_same { 1 } else { bundles.len() });
    for (hook, bundle) in bundles {
        let whose = if all_same { configuration.name.as_str() } else { hook.name.as_str() };
        let kind = if side == Side::Mutating { "mutating" } else { "validating" };
        let log = hook.log();
        checks.push(certificates::bundle(trust(whose, kind), bundle, &log, now));
    }
    checks
}

/// The title of the check of a `caBundle`.
fn trust(whose: &str, kind: &str) -> String {
    format!("the caBundle of {whose} ({kind}) is valid")
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome;
    use super::*;

    #[test]
    fn a_configuration_without_the_webhook_is_a_failure_and_each_bundle_is_judged_if_they_differ() {
        let now = Timestamp::from_second(0);
        let outcomes =
            |found| judged(Side::Mutating, &found, now).iter().map(|check| check.outcome).collect::<Vec<_>>();
        assert_eq!(outcomes(Ok(None)), [Outcome::Failed]);
        let hook = |bundle: &str| Hook { bundle: Some(bundle.into()), ..Hook::default() };
        let with = |hooks| Ok(Some(Configuration { name: "winddown".to_owned(), hooks }));
        assert_eq!(outcomes(with(vec![hook("x"), hook("x")])), [Outcome::Ok, Outcome::Failed]);
        assert_eq!(outcomes(with(vec![hook("x"), hook("y")])), [Outcome::Ok, Outcome::Failed, Outcome::Failed]);
    }
}
