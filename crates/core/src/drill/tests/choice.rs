//! Which pod is evicted, and what is known of it.

use serde_json::{Value, json};

use super::super::{Candidate, Choice, Promised, Refusal, choose};
use crate::duration::Seconds;

/// A record with a drain of 5 s and a deadline of 25 s.
const RECORD: &str = r#"{"v":2,"template":"4d3875ae84dc27e1","declared":"","resolved":"drain=5s deadline=25s margin=5s","preStop":{"app":5}}"#;
const OTHER: &str = r#"{"v":2,"template":"4d3875ae84dc27e1","declared":"","resolved":"drain=5s deadline=40s margin=5s","preStop":{"app":5}}"#;

/// An object with fields of another one.
fn with(mut object: Value, fields: &Value) -> Value {
    json_patch::merge(&mut object, fields);
    object
}

/// A Deployment of two pods whose rollout is complete.
fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "generation": 3},
        "spec": {
            "replicas": 2,
            "template": {
                "metadata": {"labels": {"app": "web"}, "annotations": {"winddown.dev/injected": RECORD}},
                "spec": {"containers": [{"name": "app"}]},
            },
        },
        "status": {
            "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2,
            "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}],
        },
    })
}

/// A ready pod of it.
fn pod(name: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid of {name}"),
            "labels": {"app": "web", "pod-template-hash": "7d9f"},
            "annotations": {"winddown.dev/injected": RECORD},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9f", "uid": "1", "controller": true},
            ],
        },
        "spec": {
            "nodeName": "node-1",
            "terminationGracePeriodSeconds": 35,
            "containers": [{"name": "app", "lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}],
        },
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "hostIP": "10.0.0.1",
            "hostIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
        },
    })
}

fn owned_by(kind: &str, name: &str) -> Value {
    let owner = json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "1", "controller": true});
    json!({"metadata": {"ownerReferences": [owner]}})
}

fn chosen(pods: &[Value]) -> Result<Candidate, Refusal> {
    choose(&deployment(), pods, Choice::default())
}

/// The only pod, with these fields.
fn candidate(fields: &Value) -> Candidate {
    chosen(&[with(pod("web-a"), fields), pod("web-b")]).unwrap()
}

#[test]
fn the_first_ready_pod_by_name_is_chosen() {
    let found = chosen(&[pod("web-b"), pod("web-c"), pod("web-a")]).unwrap();
    assert_eq!((found.name.as_str(), found.uid.as_str(), found.node.as_str()), ("web-a", "uid of web-a", "node-1"));
    assert_eq!(found.ready.len(), 3);
    let promised =
        Promised { hook: Some(Seconds::new(5)), deadline: Some(Seconds::new(25)), grace_period: Seconds::new(35) };
    assert_eq!(found.promised, promised);
    assert_eq!(found.unmeasurable, None);
}

#[test]
fn the_pod_that_the_user_named_is_chosen() {
    let choice = Choice { pod: Some("web-b"), ..Choice::default() };
    assert_eq!(choose(&deployment(), &[pod("web-a"), pod("web-b")], choice).unwrap().name, "web-b");
}

#[test]
fn pods_that_are_not_ready_stopping_or_of_another_workload_are_not_chosen() {
    let other_namespace = json!({"metadata": {"namespace": "other"}});
    for (name, fields) in [
        ("not ready", json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}})),
        ("no conditions", json!({"status": {"conditions": null}})),
        ("stopping", json!({"metadata": {"deletionTimestamp": "2026-01-31T21:00:03Z"}})),
        ("without a UID", json!({"metadata": {"uid": ""}})),
        ("another Deployment", owned_by("ReplicaSet", "website-7d9f")),
        ("a StatefulSet of the same name", owned_by("StatefulSet", "web")),
        ("another namespace", other_namespace),
        ("without an owner", json!({"metadata": {"ownerReferences": null}})),
    ] {
        let pods = [with(pod("web-a"), &fields), pod("web-b"), pod("web-c")];
        let found = chosen(&pods).unwrap();
        assert_eq!((found.name.as_str(), found.ready.len()), ("web-b", 2), "{name}");
        let choice = Choice { pod: Some("web-a"), allow_single: true, ..Choice::default() };
        let refused = choose(&deployment(), &pods, choice).unwrap_err();
        assert_eq!(refused, Refusal::NoPod("web-a".to_owned()), "{name}");
    }
}

#[test]
fn objects_that_are_no_pods_are_left_out() {
    for damaged in [json!(null), json!([]), json!({"metadata": 1}), json!({"metadata": {}, "spec": {"containers": 7}})]
    {
        assert_eq!(chosen(&[damaged.clone(), pod("web-b"), pod("web-c")]).unwrap().name, "web-b", "{damaged}");
    }
}

#[test]
fn the_pods_of_a_cluster_are_not_evicted() {
    for namespace in ["kube-system", "kube-public", "kube-node-lease"] {
        let workload = with(deployment(), &json!({"metadata": {"namespace": namespace}}));
        let refused = choose(&workload, &[pod("web-a")], Choice::default()).unwrap_err();
        assert_eq!(refused, Refusal::System(namespace.to_owned()));
    }
}

#[test]
fn a_workload_that_is_deleted_or_rolled_out_is_not_rehearsed() {
    for (fields, expected) in [
        (json!({"metadata": {"deletionTimestamp": "2026-01-31T21:00:03Z"}}), Refusal::Deleted),
        (json!({"metadata": {"generation": 4}}), Refusal::Rollout("deployment/web -n shop --context=prod".to_owned())),
        (
            json!({"status": {"updatedReplicas": 1}}),
            Refusal::Rollout("deployment/web -n shop --context=prod".to_owned()),
        ),
    ] {
        let workload = with(deployment(), &fields);
        let choice = Choice { cluster: " --context=prod", ..Choice::default() };
        let refused = choose(&workload, &[pod("web-a"), pod("web-b")], choice).unwrap_err();
        assert_eq!(refused, expected, "{fields}");
    }
}

#[test]
fn the_only_ready_pod_needs_a_permission() {
    let only = with(deployment(), &json!({"spec": {"replicas": 1}}));
    let stopping = with(pod("web-b"), &json!({"metadata": {"deletionTimestamp": "2026-01-31T21:00:03Z"}}));
    let pods = [pod("web-a"), stopping];
    assert_eq!(choose(&only, &pods, Choice::default()).unwrap_err(), Refusal::OnlyOne);
    let choice = Choice { pod: Some("web-a"), ..Choice::default() };
    assert_eq!(choose(&only, &pods, choice).unwrap_err(), Refusal::OnlyOne);
    let choice = Choice { allow_single: true, ..Choice::default() };
    assert_eq!(choose(&only, &pods, choice).unwrap().name, "web-a");
    assert_eq!(choose(&only, &pods[1..], choice).unwrap_err(), Refusal::NothingReady);
    assert_eq!(chosen(&[]).unwrap_err(), Refusal::NothingReady);
    // Of two, the other one is missing: a permission for the only one is none for this.
    let incomplete = Refusal::Incomplete { namespace: "shop".to_owned(), ready: 1, wanted: 2 };
    assert_eq!(choose(&deployment(), &pods, choice).unwrap_err(), incomplete);
}

#[test]
fn of_several_pods_each_is_chosen_at_most_once() {
    let pods = [pod("web-a"), pod("web-b")];
    let first = chosen(&pods).unwrap();
    let left: Vec<_> = first.ready.iter().filter(|uid| **uid != first.uid).cloned().collect();
    let next = |pods: &[Value], left: &[String]| {
        choose(&deployment(), pods, Choice { among: Some(left), ..Choice::default() }).map(|found| found.name)
    };
    // The replacement has the same name, as in a StatefulSet.
    let replacement = with(pod("web-a"), &json!({"metadata": {"uid": "another"}}));
    assert_eq!(next(&[replacement.clone(), pod("web-b")], &left).unwrap(), "web-b");
    assert_eq!(next(&[replacement, pod("web-b")], &[]).unwrap_err(), Refusal::NothingLeft);
}

fn other_budget() -> Refusal {
    Refusal::OtherBudget { pod: "web-a".to_owned(), workload: "deployment/web -n shop".to_owned() }
}

#[test]
fn a_pod_with_another_budget_than_the_workload_is_refused() {
    let other = json!({"metadata": {"annotations": {"winddown.dev/injected": OTHER}}});
    let none = json!({"metadata": {"annotations": null}});
    for fields in [&other, &none] {
        let refused = chosen(&[with(pod("web-a"), fields), pod("web-b")]).unwrap_err();
        assert_eq!(refused, other_budget());
    }
    let bare = with(deployment(), &json!({"spec": {"template": {"metadata": {"annotations": null}}}}));
    let refused = choose(&bare, &[pod("web-a"), pod("web-b")], Choice::default()).unwrap_err();
    assert_eq!(refused, other_budget());
    // Without Winddown there is nothing to compare.
    let pods = [with(pod("web-a"), &none), with(pod("web-b"), &none)];
    let found = choose(&bare, &pods, Choice::default()).unwrap();
    assert_eq!((found.promised.hook, found.promised.deadline), (Some(Seconds::new(5)), None));
}

#[test]
fn a_stateful_set_and_a_daemon_set_are_rehearsed_too() {
    for (kind, spec, status) in [
        (
            "StatefulSet",
            json!({"replicas": 2}),
            json!({"observedGeneration": 3, "updatedReplicas": 2, "availableReplicas": 2, "replicas": 2}),
        ),
        (
            "DaemonSet",
            json!({}),
            json!({
                "observedGeneration": 3, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2,
            }),
        ),
    ] {
        let mut workload = with(deployment(), &json!({"kind": kind}));
        (workload["status"], workload["spec"]) = (status, with(workload["spec"].take(), &spec));
        let owner = owned_by(kind, "web");
        let pods = [with(pod("web-1"), &owner), with(pod("web-0"), &owner), pod("web-00")];
        let found = choose(&workload, &pods, Choice::default()).unwrap();
        assert_eq!((found.name.as_str(), found.ready.len()), ("web-0", 2), "{kind}");
    }
}

#[test]
fn every_refusal_says_what_to_do_or_what_is_the_case() {
    for (refusal, text) in [
        (
            Refusal::System("kube-system".to_owned()),
            "the namespace kube-system belongs to the cluster itself; its pods are not evicted for a rehearsal",
        ),
        (Refusal::Deleted, "the workload is being deleted"),
        (
            Refusal::Rollout("deployment/web -n shop".to_owned()),
            "a rollout is in progress; wait until it is complete: kubectl rollout status deployment/web -n shop",
        ),
        (
            Refusal::Incomplete { namespace: "shop".to_owned(), ready: 1, wanted: 2 },
            "only 1 of 2 pods are ready; wait until all are, or find out why not: kubectl get pods -n shop",
        ),
        (Refusal::NothingReady, "no pod of the workload is ready"),
        (
            Refusal::OnlyOne,
            "only one pod is ready: without it nothing answers until another one is ready; --allow-single evicts it all the same",
        ),
        (Refusal::NoPod("web-a".to_owned()), "the workload has no ready pod web-a"),
        (
            other_budget(),
            "the pod web-a carries another budget than the workload; restart it first: kubectl rollout restart \
             deployment/web -n shop",
        ),
    ] {
        assert_eq!(refusal.to_string(), text);
    }
}

#[test]
fn the_hook_of_the_app_is_promised() {
    let sleep = |seconds: i64| json!({"preStop": {"sleep": {"seconds": seconds}}});
    let hook = |containers: Value| candidate(&json!({"spec": {"containers": containers}})).promised.hook;
    let app = |hook: Value| json!({"name": "app", "ports": [{"containerPort": 80}], "lifecycle": hook});
    let proxy = |hook: Value| json!({"name": "istio-proxy", "image": "istio/proxyv2", "lifecycle": hook});
    assert_eq!(hook(json!([app(sleep(5)), proxy(sleep(30))])), Some(Seconds::new(5)));
    assert_eq!(hook(json!([app(json!(null))])), Some(Seconds::ZERO));
    assert_eq!(hook(json!([app(json!({"preStop": {"exec": {"command": ["sleep", "3"]}}})), proxy(sleep(5))])), None);
}

#[test]
fn a_pod_without_a_grace_period_has_that_of_kubernetes() {
    let found = candidate(&json!({"spec": {"terminationGracePeriodSeconds": null}}));
    assert_eq!(found.promised.grace_period, Seconds::new(30));
    let record = json!({"metadata": {"annotations": {"winddown.dev/injected": "no record"}}});
    let workload = with(deployment(), &json!({"spec": {"template": record}}));
    let pods = [with(pod("web-a"), &record), pod("web-b")];
    assert_eq!(choose(&workload, &pods, Choice::default()).unwrap().promised.deadline, None);
}

#[test]
fn the_probes_that_open_a_connection_are_those_that_run_while_the_pod_is_ready() {
    let get = json!({"path": "/", "port": 8080});
    let found = candidate(&json!({"spec": {
        "containers": [
            {
                "name": "app",
                "readinessProbe": {"httpGet": get, "periodSeconds": 2},
                "livenessProbe": {"tcpSocket": {"port": 8080}},
                "startupProbe": {"httpGet": get, "periodSeconds": 1},
            },
            {
                "name": "helper",
                "readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 3},
                "livenessProbe": {"httpGet": get, "periodSeconds": 0},
            },
        ],
        "initContainers": [
            {"name": "sidecar", "restartPolicy": "Always", "readinessProbe": {"grpc": {"port": 9090}, "periodSeconds": 4}},
        ],
    }}));
    let seconds = |periods: &[Seconds]| periods.iter().map(|period| period.as_i64()).collect::<Vec<_>>();
    assert_eq!(seconds(&found.subject.readiness), [2, 4]);
    assert_eq!(seconds(&found.subject.liveness), [10, 10]);
    assert_eq!(found.subject.hook, found.promised.hook);
}

#[test]
fn the_ports_for_monitoring_are_those_of_the_pod_and_of_its_annotation() {
    let ports = json!([{"name": "http", "containerPort": 80}, {"name": "metrics", "containerPort": 9090}]);
    let annotations = json!({"winddown.dev/injected": RECORD, "prometheus.io/port": "9102"});
    let fields =
        json!({"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "app", "ports": ports}]}});
    assert_eq!(candidate(&fields).subject.monitoring.into_iter().collect::<Vec<_>>(), [9_090, 9_102]);
    assert!(candidate(&json!({})).subject.monitoring.is_empty());
}

#[test]
fn a_pod_whose_traffic_cannot_be_seen_says_why() {
    let windows = Some("it runs on Windows");
    let host = Some("it uses the network of its node (hostNetwork), where the connections of all processes are");
    for (spec, expected) in [
        (json!({"hostNetwork": true}), host),
        (json!({"hostNetwork": true, "os": {"name": "windows"}}), host),
        (json!({"hostNetwork": false}), None),
        (json!({"os": {"name": "windows"}}), windows),
        (json!({"nodeSelector": {"kubernetes.io/os": "windows"}}), windows),
        (json!({"os": {"name": "linux"}, "nodeSelector": {"kubernetes.io/os": "linux"}}), None),
    ] {
        assert_eq!(candidate(&json!({"spec": spec})).unmeasurable, expected, "{spec}");
    }
    for (value, is_measurable) in [("enabled", false), ("disabled", true)] {
        let pod = json!({"metadata": {"annotations": {"ambient.istio.io/redirection": value}}});
        assert_eq!(candidate(&pod).unmeasurable.is_none(), is_measurable, "{value}");
    }
}

#[test]
fn the_addresses_of_the_node_are_addresses_each_once() {
    for (status, expected) in [
        (json!({}), vec!["10.0.0.1", "fd00::1"]),
        (json!({"hostIPs": [{"ip": "fd00::1"}, {"ip": "10.0.0.1"}]}), vec!["10.0.0.1", "fd00::1"]),
        (json!({"hostIPs": null}), vec!["10.0.0.1"]),
        (json!({"hostIP": null, "hostIPs": null}), vec![]),
        (json!({"hostIP": "--wait=9", "hostIPs": [{"ip": "node"}, {"ip": 7}, 7, {}]}), vec![]),
    ] {
        assert_eq!(candidate(&json!({"status": status})).node_addresses, expected, "{status}");
    }
    let many: Vec<_> = (1..=200).map(|number| json!({"ip": format!("10.0.1.{number}")})).collect();
    assert_eq!(candidate(&json!({"status": {"hostIPs": many}})).node_addresses.len(), 8);
}
