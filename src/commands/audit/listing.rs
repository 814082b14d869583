//! Lists the workloads and everything that says more about them, as far as the user may. No list waits for another.

use futures::future::{join, join_all};
use serde_json::Value;

use crate::cluster::lists::{Resource, Scope, Selection, identify};
use crate::cluster::{Cluster, Error};
use winddown_core::decode::InvalidField;
use winddown_core::error_chain::ErrorChain;
use winddown_core::kind::Kind;
use winddown_core::object::PartialObject;
use winddown_core::policy::Policy;
use winddown_core::policy::resource::KIND;
use winddown_core::related::Related;

/// What the cluster contains.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) workloads: Vec<(Kind, Value)>,
    pub(super) related: Related,
    /// Whether `related` has all Services.
    pub(super) knows_services: bool,
    pub(super) policies: Vec<Policy>,
    pub(super) missing: Missing,
}

/// What could not be read, one line each.
#[derive(Default)]
pub(super) struct Missing {
    pub(super) workloads: Vec<String>,
    pub(super) related: Vec<String>,
    pub(super) policies: Vec<String>,
    /// Whether the user may list no kind of workloads.
    pub(super) all_forbidden: bool,
}

/// A resource of related objects. The items of a list have neither version nor kind.
struct Relation {
    resource: Resource,
    kind: &'static str,
    /// Whether the resource may not be installed.
    optional: bool,
}

const RELATIONS: [Relation; 6] = [
    Relation::of(Resource::namespaced("autoscaling/v2", "horizontalpodautoscalers"), "HorizontalPodAutoscaler"),
    Relation::of(Resource::namespaced("policy/v1", "poddisruptionbudgets"), "PodDisruptionBudget"),
    Relation::of(Resource::namespaced("v1", "services"), "Service"),
    Relation::of(Resource::namespaced("networking.k8s.io/v1", "ingresses"), "Ingress"),
    Relation::of(Resource::cluster_scoped("networking.k8s.io/v1", "ingressclasses"), "IngressClass"),
    Relation {
        resource: Resource::namespaced("keda.sh/v1alpha1", "scaledobjects"),
        kind: "ScaledObject",
        optional: true,
    },
];

const NAMESPACES: Resource = Resource::cluster_scoped("v1", "namespaces");
const POLICIES: Resource = Resource::cluster_scoped("winddown.dev/v1alpha1", "shutdownpolicies");

impl Listed {
    /// Reads all lists at the same time. What fails is in `missing`; the other lists are kept.
    pub(super) async fn read(cluster: &Cluster, selection: &Selection) -> Self {
        let scope = &selection.scope;
        let everything = Selection { scope: scope.clone(), labels: None };
        let everything = &everything;
        let workloads = join_all(Kind::ALL.map(|kind| workloads(cluster, kind, selection)));
        // A disruption budget may select pods of workloads that the labels leave out.
        let others = selection.labels.iter().flat_map(|_| Kind::ALL);
        let others = join_all(others.map(|kind| workloads_of(cluster, kind, everything)));
        let related = join_all(RELATIONS.iter().map(|relation| related(cluster, relation, everything)));
        let ((workloads, others), (related, (namespaces, policies))) =
            join(join(workloads, others), join(related, join(namespaces(cluster, scope), policies(cluster)))).await;
        let knows_services = RELATIONS
            .iter()
            .zip(&related)
            .all(|(relation, list)| relation.kind != "Service" || list.problems.is_empty());
        let mut listed = Self { knows_services, ..Self::default() };
        let is_filtered = !others.is_empty();
        listed.missing.all_forbidden = workloads.iter().all(|list| list.forbidden);
        for List { items, problems, .. } in workloads {
            for (_, object) in items.iter().filter(|_| !is_filtered) {
                listed.related.add_workload(object);
            }
            listed.workloads.extend(items);
            listed.missing.workloads.extend(problems);
        }
        for List { items, problems, .. } in others {
            for pods in items {
                listed.related.extend(pods);
            }
            listed.missing.related.extend(problems);
        }
        for List { items, problems, .. } in related.into_iter().chain([namespaces]) {
            for objects in items {
                listed.related.extend(objects);
            }
            listed.missing.related.extend(problems);
        }
        listed.policies = policies.items;
        listed.missing.policies = policies.problems;
        listed
    }
}

impl Relation {
    const fn of(resource: Resource, kind: &'static str) -> Self {
        Self { resource, kind, optional: false }
    }
}

/// What was read, and what could not be.
struct List<T> {
    items: Vec<T>,
    problems: Vec<String>,
    /// Whether a right is missing.
    forbidden: bool,
}

impl<T> List<T> {
    fn new(items: Vec<T>, problems: Vec<String>, read: Result<(), Error>) -> Self {
        let forbidden = read.as_ref().is_err_and(Error::is_forbidden);
        let failed = read.err().map(|error| ErrorChain(&error).to_string());
        Self { items, problems: problems.into_iter().chain(failed).collect(), forbidden }
    }
}

async fn workloads(cluster: &Cluster, kind: Kind, selection: &Selection) -> List<(Kind, Value)> {
    let (mut items, mut problems) = (Vec::new(), Vec::new());
    let each = |object: PartialObject| match object {
        PartialObject::Read(mut object) => {
            identify(&mut object, Kind::API_VERSION, kind.as_str());
            items.push((kind, object));
        }
        PartialObject::TooLarge(error) => {
            problems.push(format!("cannot evaluate a {kind}: {}", InvalidField::from(error)));
        }
    };
    let read = cluster.list(Resource::namespaced(Kind::API_VERSION, kind.resource()), selection, each).await;
    List::new(items, problems, read)
}

/// Only what a disruption budget needs of the workloads.
async fn workloads_of(cluster: &Cluster, kind: Kind, selection: &Selection) -> List<Related> {
    let mut related = Related::default();
    let each = |object: PartialObject| {
        if let PartialObject::Read(mut object) = object {
            identify(&mut object, Kind::API_VERSION, kind.as_str());
            related.add_workload(&object);
        }
    };
    let read = cluster.list(Resource::namespaced(Kind::API_VERSION, kind.resource()), selection, each).await;
    List::new(vec![related], Vec::new(), read)
}

async fn related(cluster: &Cluster, relation: &Relation, selection: &Selection) -> List<Related> {
    let Relation { resource, kind, optional } = relation;
    let mut related = Related::default();
    let read = match optional {
        true if !is_served(cluster, *resource).await => Ok(()),
        _ => {
            let each = |mut object: Value| {
                identify(&mut object, resource.api_version, kind);
                related.add(&object);
            };
            cluster.list(*resource, selection, each).await
        }
    };
    List::new(vec![related], Vec::new(), read)
}

/// One namespace is read by its name: to list all of them is a right that few have.
async fn namespaces(cluster: &Cluster, scope: &Scope) -> List<Related> {
    let mut related = Related::default();
    let mut add = |mut object: Value| {
        identify(&mut object, NAMESPACES.api_version, "Namespace");
        related.add(&object);
    };
    let read = match scope {
        Scope::All => cluster.list(NAMESPACES, &Selection { scope: Scope::All, labels: None }, add).await,
        Scope::Namespace(name) => match cluster.namespace(name).await {
            Ok(namespace) => {
                add(namespace);
                Ok(())
            }
            // As for kubectl, a namespace that does not exist has no workloads.
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        },
    };
    List::new(vec![related], Vec::new(), read)
}

/// The policies that count; a cluster without Winddown has none.
async fn policies(cluster: &Cluster) -> List<Policy> {
    let (mut items, mut problems) = (Vec::new(), Vec::new());
    if !is_served(cluster, POLICIES).await {
        return List::new(items, problems, Ok(()));
    }
    let each = |mut object: Value| {
        identify(&mut object, POLICIES.api_version, KIND);
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        match Policy::read(&object) {
            Ok(policy) => items.push(policy),
            Err(error) => problems.push(format!("the {KIND} {name} is ignored: {error}")),
        }
    };
    let read = cluster.list(POLICIES, &Selection { scope: Scope::All, labels: None }, each).await;
    let failed = read.err().map(|error| format!("{}; all budgets are under the built-in policy", ErrorChain(&error)));
    problems.extend(failed);
    List::new(items, problems, Ok(()))
}

/// Whether the API server has a resource. A user without rights gets 403 from a list also where there is none, and may read
/// what there is. If that fails as well, the list says why.
async fn is_served(cluster: &Cluster, resource: Resource) -> bool {
    cluster.knows(resource).await.unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use winddown_core::policy::resource::{GROUP, VERSION};

    use super::*;

    #[test]
    fn the_resources_are_those_that_say_more_about_workloads() {
        for Relation { resource, kind, .. } in RELATIONS {
            let mut object = serde_json::json!({"metadata": {"name": "a"}});
            identify(&mut object, resource.api_version, kind);
            assert!(Related::is_related(&object), "{kind}");
        }
        assert_eq!(POLICIES.api_version, format!("{GROUP}/{VERSION}"));
    }
}
