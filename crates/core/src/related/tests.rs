use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{MAX_OBJECTS, Related, Target};
use crate::kind::Kind;

fn related(objects: &[Value]) -> Related {
    let mut related = Related::default();
    for object in objects {
        related.add(object);
    }
    related
}

fn object(api_version: &str, kind: &str, namespace: Option<&str>, spec: &Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "shop", "namespace": namespace}, "spec": spec})
}

fn autoscaler(namespace: Option<&str>) -> Value {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"});
    let spec = json!({"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 9});
    object("autoscaling/v2", "HorizontalPodAutoscaler", namespace, &spec)
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("app".to_owned(), "shop".to_owned())])
}

/// The fewest pods that an autoscaler keeps.
fn least(related: &Related, namespace: &str, kind: Kind, name: &str) -> Option<u32> {
    related.of(namespace, kind, name, &labels()).autoscaler.map(|autoscaler| autoscaler.least)
}

#[test]
fn an_autoscaler_is_related_to_the_workload_of_its_kind_name_and_namespace() {
    let related = related(&[autoscaler(None)]);
    assert_eq!(least(&related, "", Kind::Deployment, "shop"), Some(3));
    for (namespace, kind, name) in
        [("web", Kind::Deployment, "shop"), ("", Kind::StatefulSet, "shop"), ("", Kind::Deployment, "cart")]
    {
        assert_eq!(least(&related, namespace, kind, name), None, "{namespace} {kind} {name}");
    }
    let other = self::related(&[autoscaler(Some("web"))]);
    assert_eq!(least(&other, "web", Kind::Deployment, "shop"), Some(3));
    assert_eq!(least(&other, "", Kind::Deployment, "shop"), None);
}

#[test]
fn objects_of_other_groups_and_unreadable_ones_are_left_out() {
    let mut unreadable = autoscaler(None);
    unreadable["spec"]["minReplicas"] = json!("three");
    let mut nameless = autoscaler(None);
    nameless["metadata"] = json!(5);
    let foreign = object("example.com/v1", "HorizontalPodAutoscaler", None, &autoscaler(None)["spec"]);
    for object in [
        unreadable,
        nameless,
        foreign,
        json!(5),
        json!({"kind": "Service"}),
        json!({"apiVersion": "v1", "kind": "Service"}),
    ] {
        let related = related(std::slice::from_ref(&object));
        assert!(related.of("", Kind::Deployment, "shop", &labels()).autoscaler.is_none(), "{object}");
    }
}

/// The load balancers that send to the pods.
fn targets(objects: &[Value]) -> Vec<(&'static str, Target)> {
    let related = related(objects);
    let neighbours = related.of("", Kind::Deployment, "shop", &labels());
    neighbours.exposures.iter().map(|exposure| (exposure.kind, exposure.target)).collect()
}

fn service(more: &Value) -> Value {
    let mut spec = json!({"selector": {"app": "shop"}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object("v1", "Service", None, &spec)
}

fn ingress(annotations: &Value, more: &Value) -> Value {
    let backend = json!({"service": {"name": "shop", "port": {"number": 80}}});
    let mut spec = json!({"rules": [{"http": {"paths": [{"path": "/", "backend": backend}]}}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut ingress = object("networking.k8s.io/v1", "Ingress", None, &spec);
    ingress["metadata"]["annotations"] = annotations.clone();
    ingress
}

#[test]
fn an_ingress_sends_to_the_pods_of_its_services() {
    let ip = json!({"alb.ingress.kubernetes.io/target-type": "ip"});
    let class = |controller: &str| {
        let mut class = object("networking.k8s.io/v1", "IngressClass", None, &json!({"controller": controller}));
        class["metadata"]["name"] = json!("internal");
        class
    };
    let internal = json!({"ingressClassName": "internal"});
    let default_backend = json!({"rules": [], "defaultBackend": {"service": {"name": "shop"}}});
    for (objects, expected) in [
        (vec![service(&json!({})), ingress(&ip, &json!({}))], true),
        (vec![service(&json!({})), ingress(&ip, &default_backend)], true),
        (vec![service(&json!({})), ingress(&ip, &internal)], true),
        (vec![service(&json!({})), ingress(&ip, &internal), class("ingress.k8s.aws/alb")], true),
        (vec![service(&json!({})), ingress(&ip, &internal), class("k8s.io/ingress-nginx")], false),
        (vec![service(&json!({})), ingress(&ip, &json!({"ingressClassName": "nginx"}))], false),
        (vec![service(&json!({})), ingress(&json!({}), &json!({}))], false),
        (vec![service(&json!({"selector": {"app": "other"}})), ingress(&ip, &json!({}))], false),
        (vec![service(&json!({"selector": null})), ingress(&ip, &json!({}))], false),
        (vec![ingress(&ip, &json!({}))], false),
    ] {
        let expected = if expected { vec![("Ingress", Target::AlbIp)] } else { vec![] };
        assert_eq!(targets(&objects), expected, "{objects:?}");
    }
}

#[test]
fn a_service_with_a_local_policy_sends_to_the_nodes_of_its_pods() {
    let local = |kind: &str| json!({"type": kind, "externalTrafficPolicy": "Local"});
    for (spec, expected) in [
        (local("LoadBalancer"), vec![("Service", Target::LocalNodes)]),
        (local("NodePort"), vec![("Service", Target::LocalNodes)]),
        (local("ClusterIP"), vec![]),
        (json!({"type": "LoadBalancer", "externalTrafficPolicy": "Cluster"}), vec![]),
    ] {
        assert_eq!(targets(&[service(&spec)]), expected, "{spec}");
    }
}

#[test]
fn many_objects_in_a_namespace_take_bounded_time() {
    let services: Vec<_> = (0..MAX_OBJECTS + 10)
        .map(|_| service(&json!({"type": "NodePort", "externalTrafficPolicy": "Local"})))
        .collect();
    let mut twice = related(&services);
    twice.extend(related(&services));
    assert_eq!(twice.namespaces[""].services.len(), MAX_OBJECTS);
}

#[test]
fn the_labels_of_a_namespace_are_those_of_its_object() {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web", "labels": {"a": "b"}}});
    let related = related(&[namespace]);
    let labels = |namespace: &str| related.of(namespace, Kind::Deployment, "shop", &labels()).namespace_labels.cloned();
    assert_eq!(labels("web"), Some(BTreeMap::from([("a".to_owned(), "b".to_owned())])));
    assert_eq!(labels(""), None);
}

#[test]
fn only_the_annotations_of_meshes_are_kept() {
    let annotations =
        json!({"linkerd.io/inject": "enabled", "config.linkerd.io/skip": "1", "linkerd.io": "x", "a/b": "c"});
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web", "annotations": annotations}});
    let related = related(&[namespace]);
    let neighbours = related.of("web", Kind::Deployment, "shop", &labels());
    let keys: Vec<_> = neighbours.namespace_annotations.unwrap().keys().collect();
    assert_eq!(keys, ["config.linkerd.io/skip", "linkerd.io/inject"]);
}
