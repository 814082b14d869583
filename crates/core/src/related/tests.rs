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
fn objects_without_a_namespace_may_belong_to_the_only_one_that_is_named() {
    for (objects, found) in [
        (&[autoscaler(Some("web"))][..], Some(3)),
        (&[autoscaler(None)], Some(3)),
        (&[autoscaler(None), namespace("web")], Some(3)),
        (&[autoscaler(Some("web")), namespace("web")], Some(3)),
        (&[autoscaler(Some("web")), namespace("shop")], None),
    ] {
        let mut related = related(objects);
        related.place_unnamed();
        assert_eq!(least(&related, "", Kind::Deployment, "shop"), found, "{objects:?}");
    }
    let mut related = related(&[autoscaler(None), namespace("web")]);
    related.place_unnamed();
    assert_eq!(least(&related, "web", Kind::Deployment, "shop"), Some(3));
    assert_eq!(least(&related, "other", Kind::Deployment, "shop"), None);
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

#[test]
fn the_version_of_the_scaled_object_does_not_count() {
    for (version, found) in [("apps/v1beta2", Some(3)), ("apps/v1", Some(3)), ("extensions/v1beta1", None)] {
        let mut object = autoscaler(None);
        object["spec"]["scaleTargetRef"]["apiVersion"] = json!(version);
        assert_eq!(least(&related(&[object]), "", Kind::Deployment, "shop"), found, "{version}");
    }
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

/// The load balancers that send to the pods: the kind of the object, and the preset.
fn targets(objects: &[Value]) -> Vec<(&'static str, &'static str)> {
    let related = related(objects);
    let neighbours = related.of("", Kind::Deployment, "shop", &labels());
    let preset = |target: Target<'_>| target.preset().map_or("", |traffic| traffic.name.as_str());
    neighbours.exposures.iter().map(|exposure| (exposure.kind, preset(exposure.target))).collect()
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
    let default_backend = json!({"rules": [], "defaultBackend": {"service": {"name": "shop"}}});
    for (objects, expected) in [
        (vec![service(&json!({})), ingress(&ip, &json!({}))], true),
        (vec![service(&json!({})), ingress(&ip, &default_backend)], true),
        (vec![service(&json!({})), ingress(&json!({}), &json!({}))], false),
        (vec![service(&json!({"selector": {"app": "other"}})), ingress(&ip, &json!({}))], false),
        (vec![service(&json!({"selector": null})), ingress(&ip, &json!({}))], false),
        (vec![ingress(&ip, &json!({}))], false),
    ] {
        let expected = if expected { vec![("Ingress", "alb-ip")] } else { vec![] };
        assert_eq!(targets(&objects), expected, "{objects:?}");
    }
}

#[test]
fn the_class_of_an_ingress_shows_what_serves_it() {
    let target_type = json!({"alb.ingress.kubernetes.io/target-type": "ip"});
    for (class, controller, annotations, expected) in [
        ("internal", "", &target_type, "alb-ip"),
        ("internal", "ingress.k8s.aws/alb", &target_type, "alb-ip"),
        ("internal", "k8s.io/ingress-nginx", &target_type, "ingress-nginx"),
        ("nginx", "", &target_type, "ingress-nginx"),
        ("nginx", "", &Value::Null, "ingress-nginx"),
        ("nginx", "ingress.k8s.aws/alb", &target_type, "alb-ip"),
        ("nginx", "nginx.org/ingress-controller", &Value::Null, ""),
        ("traefik", "", &Value::Null, "traefik"),
        ("public", "traefik.io/ingress-controller", &Value::Null, "traefik"),
        ("haproxy", "", &Value::Null, "haproxy-ingress"),
        ("public", "haproxy-ingress.github.io/controller/staging", &Value::Null, "haproxy-ingress"),
        ("public", "haproxy-ingress.github.io/controllers", &Value::Null, ""),
        ("public", "haproxy.org/ingress-controller", &Value::Null, "haproxy-ingress"),
        ("openshift-default", "", &Value::Null, "openshift-route"),
        ("public", "openshift.io/ingress-to-route", &Value::Null, "openshift-route"),
        ("kong", "", &Value::Null, "kong"),
        ("public", "ingress-controllers.konghq.com/kong", &Value::Null, "kong"),
        ("contour", "", &Value::Null, "contour"),
        ("public", "projectcontour.io/projectcontour/contour", &Value::Null, "contour"),
        ("apisix", "", &Value::Null, "apisix"),
        ("public", "apisix.apache.org/apisix-ingress-controller", &Value::Null, "apisix"),
        ("azure-application-gateway", "", &Value::Null, "agic"),
        ("public", "azure/application-gateway", &Value::Null, "agic"),
        ("istio", "", &Value::Null, "istio"),
        ("public", "istio.io/ingress-controller", &Value::Null, "istio"),
        ("internal", "", &Value::Null, ""),
        ("gce", "", &target_type, ""),
    ] {
        let mut objects = vec![service(&json!({})), ingress(annotations, &json!({"ingressClassName": class}))];
        if !controller.is_empty() {
            let mut object = object("networking.k8s.io/v1", "IngressClass", None, &json!({"controller": controller}));
            object["metadata"]["name"] = json!(class);
            objects.push(object);
        }
        let expected = if expected.is_empty() { vec![] } else { vec![("Ingress", expected)] };
        assert_eq!(targets(&objects), expected, "{class} {controller}");
    }
    let annotated = ingress(&json!({"kubernetes.io/ingress.class": "nginx"}), &json!({}));
    assert_eq!(targets(&[service(&json!({})), annotated]), [("Ingress", "ingress-nginx")]);
}

#[test]
fn network_endpoint_groups_of_google_cloud_have_the_pods_as_targets() {
    let with = |neg: &str, class: &Value| {
        let mut service = service(&json!({}));
        service["metadata"]["annotations"] = json!({"cloud.google.com/neg": neg});
        targets(&[service, ingress(&json!({}), &json!({"ingressClassName": class}))])
    };
    let ingress = r#"{"ingress": true}"#;
    for class in [json!("gce"), json!("gce-internal"), json!(null)] {
        assert_eq!(with(ingress, &class), [("Ingress", "gce-neg")], "{class}");
        assert_eq!(with(r#"{"ingress": false}"#, &class), [], "{class}");
        assert_eq!(with("not JSON", &class), [], "{class}");
    }
    assert_eq!(with(ingress, &json!("nginx")), [("Ingress", "ingress-nginx")]);
    assert_eq!(with(r#"{"exposed_ports": {"80": {}}}"#, &json!("internal")), [("Service", "gce-neg")]);
}

#[test]
fn a_service_with_a_local_policy_sends_to_the_nodes_of_its_pods() {
    let local = |kind: &str| json!({"type": kind, "externalTrafficPolicy": "Local"});
    for (spec, expected) in [
        (local("LoadBalancer"), vec![("Service", "service-local")]),
        (local("NodePort"), vec![("Service", "service-local")]),
        (local("ClusterIP"), vec![]),
        (json!({"type": "LoadBalancer", "externalTrafficPolicy": "Cluster"}), vec![]),
    ] {
        assert_eq!(targets(&[service(&spec)]), expected, "{spec}");
    }
}

#[test]
fn annotations_of_a_service_with_a_local_policy_show_its_load_balancer() {
    for (annotation, expected) in [
        ("service.beta.kubernetes.io/azure-load-balancer-internal", "azure-lb"),
        ("service.beta.kubernetes.io/azure-pip-name", "azure-lb"),
        ("service.beta.kubernetes.io/do-loadbalancer-name", "do-lb"),
        ("kubernetes.digitalocean.com/load-balancer-id", "do-lb"),
        ("metallb.io/ip-allocated-from-pool", "metallb"),
        ("metallb.universe.tf/address-pool", "metallb"),
        ("example.com/azure-load-balancer-internal", "service-local"),
    ] {
        let mut local = service(&json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"}));
        local["metadata"]["annotations"] = json!({annotation: "x"});
        assert_eq!(targets(&[local.clone()]), [("Service", expected)], "{annotation}");
        local["spec"]["externalTrafficPolicy"] = json!("Cluster");
        assert_eq!(targets(&[local]), [], "{annotation}");
    }
    let nlb = json!({
        "type": "LoadBalancer", "externalTrafficPolicy": "Local", "loadBalancerClass": "service.k8s.aws/nlb",
    });
    assert_eq!(targets(&[service(&nlb)]), [("Service", "nlb-instance")]);
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
