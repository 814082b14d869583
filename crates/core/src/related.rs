//! Objects that say more about a workload than its manifest: what scales it, exposes it, and limits its evictions.
//!
//! They refine findings, and cause some of their own. An object that cannot be read is left out, as if it were not there.

mod autoscaler;
mod disruption_budget;
mod exposure;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub(crate) use autoscaler::Autoscaler;
pub(crate) use disruption_budget::{DisruptionBudget, Limit, PodGroup};
pub(crate) use exposure::{Exposure, Target};

use crate::kind::Kind;
use crate::object::Object;
use crate::policy;
use exposure::{Ingress, Service};

/// The maximum number of objects of each kind that are considered in a namespace. Without a limit, the time would grow with
/// the square of the input.
const MAX_OBJECTS: usize = 1_000;

/// The maximum number of objects of each kind that are compared with one workload.
const MAX_MATCHES: usize = 10;

/// The labels of a namespace that findings depend on.
pub const NAMESPACE_LABELS: [&str; 5] = [
    "elbv2.k8s.aws/pod-readiness-gate-inject",
    "istio-injection",
    "istio.io/dataplane-mode",
    "istio.io/rev",
    "kuma.io/sidecar-injection",
];

/// The related objects of one text, of several, or of a namespace of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Related {
    /// By name. Objects without a namespace are in the one of the request, which has an empty name here.
    namespaces: BTreeMap<String, Namespace>,
    /// The namespace of objects without one, if it is known.
    unnamed: Option<String>,
    /// The controller of each `IngressClass`, for example `ingress.k8s.aws/alb`.
    ingress_classes: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Namespace {
    labels: BTreeMap<String, String>,
    /// Only those of meshes.
    annotations: BTreeMap<String, String>,
    autoscalers: Vec<Autoscaler>,
    disruption_budgets: Vec<DisruptionBudget>,
    services: Vec<Service>,
    /// By the name of the Service that they send to.
    ingresses: BTreeMap<String, Vec<Arc<Ingress>>>,
    pods: Vec<PodGroup>,
}

/// The objects that are related to one workload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Neighbours<'a> {
    pub(crate) autoscaler: Option<&'a Autoscaler>,
    pub(crate) disruption_budgets: Vec<&'a DisruptionBudget>,
    /// The Services and Ingresses that send to its pods.
    pub(crate) exposures: Vec<Exposure<'a>>,
    /// All groups of pods in the namespace.
    pub(crate) pods: &'a [PodGroup],
    /// The labels of its namespace; none if the Namespace is unknown.
    namespace_labels: Option<&'a BTreeMap<String, String>>,
    /// Its annotations that configure a mesh for all of its pods.
    pub(crate) namespace_annotations: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Neighbours<'a> {
    /// A label of the namespace that is not empty: one of [`NAMESPACE_LABELS`], because another one may change without a new
    /// evaluation.
    pub(crate) fn namespace_label(&self, key: &str) -> Option<&'a str> {
        let label = self.namespace_labels?.get(key).filter(|_| NAMESPACE_LABELS.contains(&key))?;
        Some(label.as_str()).filter(|text| !text.is_empty())
    }
}

impl Related {
    /// Whether objects of this kind say something about workloads.
    #[must_use]
    pub fn is_related(object: &Value) -> bool {
        Relation::of(object).is_some()
    }

    /// Adds an object. Others than those of [`is_related`](Self::is_related) are ignored.
    pub fn add(&mut self, object: &Value) {
        let Some(relation) = Relation::of(object) else { return };
        let metadata = Object::new(object);
        let Some(name) = metadata.name() else { return };
        let namespace = metadata.namespace();
        match relation {
            Relation::Autoscaler => push(&mut self.namespace(namespace).autoscalers, Autoscaler::read(object)),
            Relation::DisruptionBudget => {
                push(&mut self.namespace(namespace).disruption_budgets, DisruptionBudget::read(object));
            }
            Relation::Service => push(&mut self.namespace(namespace).services, Service::read(object)),
            Relation::Ingress => {
                let ingresses = &mut self.namespace(namespace).ingresses;
                for (service, ingress) in Ingress::read(object) {
                    push(ingresses.entry(service).or_default(), Some(ingress));
                }
            }
            Relation::IngressClass => {
                if let Some(controller) = object.pointer("/spec/controller").and_then(Value::as_str)
                    && self.ingress_classes.len() < MAX_OBJECTS
                {
                    self.ingress_classes.insert(name.to_owned(), controller.to_owned());
                }
            }
            Relation::Namespace => {
                let namespace = self.namespace(name);
                namespace.labels = labels(object.pointer("/metadata/labels"));
                namespace.annotations = labels(object.pointer("/metadata/annotations"));
                namespace.annotations.retain(|key, _| is_of_mesh(key));
            }
        }
    }

    /// Adds a workload: a disruption budget may select the pods of several.
    pub fn add_workload(&mut self, object: &Value) {
        let group = PodGroup::read(object);
        push(&mut self.namespace(Object::new(object).namespace()).pods, group);
    }

    /// Adds everything of the other one.
    pub fn extend(&mut self, other: Self) {
        for (name, mut from) in other.namespaces {
            let into = self.namespace(&name);
            into.labels.extend(from.labels);
            into.annotations.extend(from.annotations);
            append(&mut into.autoscalers, &mut from.autoscalers);
            append(&mut into.disruption_budgets, &mut from.disruption_budgets);
            append(&mut into.services, &mut from.services);
            for (service, mut ingresses) in from.ingresses {
                append(into.ingresses.entry(service).or_default(), &mut ingresses);
            }
            append(&mut into.pods, &mut from.pods);
        }
        self.ingress_classes.extend(other.ingress_classes);
    }

    /// Takes objects without a namespace for objects of the only namespace that is named. Many charts write the namespace
    /// into some of their objects only.
    pub fn place_unnamed(&mut self) {
        let mut named = self.namespaces.keys().filter(|name| !name.is_empty());
        let (Some(only), None) = (named.next().cloned(), named.next()) else { return };
        if let Some(unnamed) = self.namespaces.remove("") {
            self.extend(Self { namespaces: BTreeMap::from([(only.clone(), unnamed)]), ..Self::default() });
        }
        self.unnamed = Some(only);
    }

    /// The objects that are related to a workload with these labels on its pods.
    pub(crate) fn of<'a>(
        &'a self,
        namespace: &str,
        kind: Kind,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Neighbours<'a> {
        let namespace = self.unnamed.as_deref().filter(|_| namespace.is_empty()).unwrap_or(namespace);
        let Some(namespace) = self.namespaces.get(namespace) else { return Neighbours::default() };
        let budgets = namespace.disruption_budgets.iter().filter(|budget| budget.selector.matches(labels));
        Neighbours {
            autoscaler: namespace.autoscalers.iter().find(|autoscaler| autoscaler.scales(kind, name)),
            disruption_budgets: budgets.take(MAX_MATCHES).collect(),
            exposures: exposure::of(labels, &namespace.services, &namespace.ingresses, &self.ingress_classes),
            pods: &namespace.pods,
            namespace_labels: Some(&namespace.labels).filter(|labels| !labels.is_empty()),
            namespace_annotations: Some(&namespace.annotations).filter(|annotations| !annotations.is_empty()),
        }
    }

    /// Whether a Service selects the pods of a workload.
    #[must_use]
    pub fn has_service(&self, workload: Object<'_>) -> bool {
        let name = workload.namespace();
        let name = self.unnamed.as_deref().filter(|_| name.is_empty()).unwrap_or(name);
        let Some(namespace) = self.namespaces.get(name) else { return false };
        let labels = labels(workload.value().pointer("/spec/template/metadata/labels"));
        namespace.services.iter().any(|service| service.selects(&labels))
    }

    /// The namespace of a workload, with its labels if they are known.
    #[must_use]
    pub fn namespace_of(&self, workload: Object<'_>) -> policy::Namespace {
        let name = workload.namespace();
        let name = self.unnamed.as_deref().filter(|_| name.is_empty()).unwrap_or(name);
        let labels = self.namespaces.get(name).map(|namespace| namespace.labels.clone()).unwrap_or_default();
        policy::Namespace::labelled(name, labels)
    }

    /// Whether it has a Namespace with labels.
    #[must_use]
    pub fn has_labelled_namespace(&self) -> bool {
        self.namespaces.values().any(|namespace| !namespace.labels.is_empty())
    }

    fn namespace(&mut self, name: &str) -> &mut Namespace {
        self.namespaces.entry(name.to_owned()).or_default()
    }
}

/// The kinds of related objects.
enum Relation {
    Autoscaler,
    DisruptionBudget,
    Service,
    Ingress,
    IngressClass,
    Namespace,
}

impl Relation {
    fn of(object: &Value) -> Option<Self> {
        let field = |name: &str| object.get(name).and_then(Value::as_str);
        let (api_version, kind) = (field("apiVersion")?, field("kind")?);
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        Some(match (group, kind) {
            ("autoscaling", "HorizontalPodAutoscaler") | ("keda.sh", "ScaledObject") => Self::Autoscaler,
            ("policy", "PodDisruptionBudget") => Self::DisruptionBudget,
            ("", "Service") => Self::Service,
            ("networking.k8s.io" | "extensions", "Ingress") => Self::Ingress,
            ("networking.k8s.io", "IngressClass") => Self::IngressClass,
            ("", "Namespace") => Self::Namespace,
            _ => return None,
        })
    }
}

fn push<T>(list: &mut Vec<T>, object: Option<T>) {
    if list.len() < MAX_OBJECTS {
        list.extend(object);
    }
}

fn append<T>(list: &mut Vec<T>, more: &mut Vec<T>) {
    list.append(more);
    list.truncate(MAX_OBJECTS);
}

/// Whether a mesh reads this annotation of a namespace for the pods in it. Linkerd reads all of its own.
fn is_of_mesh(key: &str) -> bool {
    let (domain, name) = key.split_once('/').unwrap_or_default();
    domain == "linkerd.io" || domain.ends_with(".linkerd.io") || (domain, name) == ("kuma.io", "sidecar-injection")
}

/// The strings of a map; others are left out.
fn labels(map: Option<&Value>) -> BTreeMap<String, String> {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests;
