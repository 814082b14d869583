//! Where the operator is looked for.

use serde_json::Value;

use super::operator::Operator;
use super::webhooks::Configurations;
use crate::cluster::lists::{Resource, Scope, Selection};
use crate::cluster::{Cluster, Error};

/// The label of the chart.
pub(super) const LABEL: &str = "app.kubernetes.io/name=winddown";

/// Where the operator is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    scope: Scope,
    /// The name of the webhooks' Service, which the Deployment of the chart has as well. Only an administrator can write the
    /// webhook configuration. Without it, there is only the label, which anyone can set.
    name: Option<String>,
}

impl Place {
    /// `service` is namespace and name of the webhooks' Service; `wanted` is the namespace that the user chose.
    fn of(service: Option<&(String, String)>, wanted: Option<&str>) -> Self {
        let at = service.filter(|(namespace, _)| wanted.is_none_or(|wanted| wanted == namespace));
        let namespace = at.map(|(namespace, _)| namespace.as_str()).or(wanted);
        let scope = namespace.map_or(Scope::All, |namespace| Scope::Namespace(namespace.to_owned()));
        Self { scope, name: at.map(|(_, name)| name.clone()) }
    }

    fn selection(&self) -> Selection {
        let labels = self.name.is_none().then(|| LABEL.to_owned());
        Selection { scope: self.scope.clone(), labels }
    }

    /// In the namespace of the Service, the Deployment with its name; without one, all that run the operator.
    fn chosen(&self, mut found: Vec<Operator>) -> Vec<Operator> {
        let is_named = |operator: &Operator| self.name.as_ref() == Some(&operator.name);
        if found.iter().any(is_named) {
            found.retain(is_named);
        }
        found
    }
}

/// Finds the operator by the Service of the webhooks; without a Service, by its label.
pub(super) async fn find(
    cluster: &Cluster,
    namespace: Option<&str>,
    configurations: &Configurations,
) -> Result<Vec<Operator>, Error> {
    let deployments = Resource::namespaced("apps/v1", "deployments");
    let place = Place::of(configurations.service(), namespace);
    let mut found = Vec::new();
    let each = |deployment: Value| found.extend(Operator::of(&deployment));
    cluster.list(deployments, &place.selection(), each).await?;
    Ok(place.chosen(found))
}

/// Whether a Deployment and its pods have the labels of the chart. With `nameOverride`, only `helm.sh/chart` has its name.
pub(super) fn has_labels_of_the_chart(deployment: &Value) -> bool {
    let label = |object: &str, key: &str| deployment.pointer(object)?.get(key)?.as_str().map(str::to_owned);
    let name = label("/metadata/labels", "app.kubernetes.io/name");
    let chart = label("/metadata/labels", "helm.sh/chart");
    let component = label("/spec/template/metadata/labels", "app.kubernetes.io/component");
    let is_chart = name.is_some_and(|name| name == "winddown") || chart.is_some_and(|it| it.starts_with("winddown-"));
    is_chart && component.is_some_and(|component| component == "operator")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_operator_is_looked_for_at_the_service_of_the_webhooks_and_only_without_one_by_its_label() {
        let service = ("ops".to_owned(), "wd".to_owned());
        let namespace = |name: &str| Scope::Namespace(name.to_owned());
        for (service, wanted, scope, labels) in [
            (Some(&service), None, namespace("ops"), None),
            (Some(&service), Some("ops"), namespace("ops"), None),
            (Some(&service), Some("other"), namespace("other"), Some(LABEL)),
            (None, None, Scope::All, Some(LABEL)),
            (None, Some("ops"), namespace("ops"), Some(LABEL)),
        ] {
            let selection = Place::of(service, wanted).selection();
            assert_eq!((&selection.scope, selection.labels.as_deref()), (&scope, labels), "{service:?} {wanted:?}");
        }
        let place = Place::of(Some(&service), None);
        let named = |name: &str| {
            let spec = json!({"template": {"spec": {"containers": [{"args": ["--lease-name=wd"]}]}}});
            Operator::of(&json!({"metadata": {"namespace": "ops", "name": name}, "spec": spec})).unwrap()
        };
        let (own, other) = (named("wd"), named("other"));
        assert_eq!(place.chosen(vec![other.clone(), own.clone()]), [own]);
        assert_eq!(place.chosen(vec![other.clone()]), [other]);
    }

    #[test]
    fn the_labels_of_the_chart_are_on_the_deployment_and_on_its_pods() {
        let labelled = |key: &str, value: &str, component: &str| {
            has_labels_of_the_chart(&json!({
                "metadata": {"labels": {key: value}},
                "spec": {"template": {"metadata": {"labels": {"app.kubernetes.io/component": component}}}},
            }))
        };
        assert!(labelled("app.kubernetes.io/name", "winddown", "operator"));
        assert!(labelled("helm.sh/chart", "winddown-1.2.3", "operator"));
        for (key, value, component) in [
            ("app.kubernetes.io/name", "winddown", "web"),
            ("app.kubernetes.io/name", "shop", "operator"),
            ("helm.sh/chart", "shop-1.2.3", "operator"),
        ] {
            assert!(!labelled(key, value, component), "{key} {value} {component}");
        }
        assert!(!has_labels_of_the_chart(&json!({})));
    }
}
