mod variables;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Plan, plan};
use crate::annotations::{Declaration, Declared, Mode, read};
use crate::duration::Seconds;
use crate::finding::{Code, Finding, Severity};
use crate::kind::Kind;
use crate::mutation::Mutation;
use crate::plan::lanes;
use crate::policy::{Policy, Resolved};
use crate::rule::Subject;
use crate::rules;
use crate::workload::{GracePeriod, Rollout, Workload};

fn workload(pod: &Value, grace_period: GracePeriod) -> Workload {
    Workload {
        kind: Kind::Deployment,
        rollout: Rollout::read(Kind::Deployment, &json!({})).unwrap(),
        annotations: BTreeMap::new(),
        labels: BTreeMap::new(),
        pod: serde_json::from_value(pod.clone()).unwrap(),
        grace_period,
        misplaced: Vec::new(),
    }
}

fn declaration(annotations: &[(&str, &str)]) -> Declaration {
    let keys: Vec<_> = annotations.iter().map(|(key, value)| (format!("winddown.dev/{key}"), *value)).collect();
    let annotations = keys.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    match read(&annotations, &std::collections::BTreeMap::new()).declared {
        Declared::Budget(declaration) => declaration,
        other => panic!("{other:?}"),
    }
}

/// A plan and the findings of the rules about it.
struct Planned {
    plan: Plan,
    findings: Vec<Finding>,
}

fn evaluated(workload: &Workload, annotations: &[(&str, &str)]) -> Planned {
    let (declaration, policy) = (declaration(annotations), Policy::default());
    let resolved = Resolved::new(&declaration, Mode::Enforce, &policy, &lanes::apps(&workload.pod, &declaration));
    let plan = plan(workload, &resolved);
    let findings = rules::check_plan(&Subject { workload, resolved: &resolved, plan: &plan, related: None });
    Planned { plan, findings }
}

fn planned(containers: &Value, grace_period: Option<u32>, annotations: &[(&str, &str)]) -> Planned {
    let grace_period = grace_period.map_or(GracePeriod::Unset, |seconds| GracePeriod::Explicit(Seconds::new(seconds)));
    evaluated(&workload(&json!({"containers": containers}), grace_period), annotations)
}

fn findings(planned: &Planned) -> Vec<(Severity, Code)> {
    planned.findings.iter().map(|finding| (finding.severity, finding.code)).collect()
}

/// The mutations in short: `app sleeps 5`, `grace 35`, `app ready?`.
fn mutations(planned: &Planned) -> Vec<String> {
    planned
        .plan
        .mutations
        .iter()
        .map(|mutation| match mutation {
            Mutation::SetGracePeriod { to, .. } => format!("grace {}", to.as_i64()),
            Mutation::SetPreStopSleep { container, sleep } => format!("{container} sleeps {}", sleep.as_i64()),
            Mutation::SetReadinessProbe { container, .. } => format!("{container} ready?"),
            Mutation::SetVariables { container, variables } => {
                let values: Vec<_> = [variables.drain, variables.deadline, variables.grace_period]
                    .iter()
                    .map(|value| value.map_or_else(|| "-".to_owned(), |value| value.as_i64().to_string()))
                    .collect();
                format!("{container} exposes {}", values.join(" "))
            }
        })
        .collect()
}

const FIVE: (&str, &str) = ("drain", "5s");

#[test]
fn the_grace_period_is_raised_or_kept_but_not_lowered() {
    let misfit = vec![(Severity::Error, Code::BudgetDoesNotFit)];
    for (annotations, grace_period, mutated, found) in [
        (vec![FIVE], None, vec!["app sleeps 5", "grace 35"], vec![]),
        (vec![FIVE, ("deadline", "10s")], None, vec!["app sleeps 5"], vec![]),
        (vec![FIVE, ("deadline", "20s")], None, vec!["app sleeps 5"], vec![]),
        (vec![FIVE, ("deadline", "21s")], None, vec!["app sleeps 5", "grace 31"], vec![]),
        (vec![("deadline", "25s")], None, vec!["app sleeps 5", "grace 35"], vec![]),
        (vec![FIVE, ("margin", "0s")], None, vec!["app sleeps 5"], vec![]),
        (vec![FIVE], Some(35), vec!["app sleeps 5"], vec![]),
        (vec![FIVE], Some(3600), vec!["app sleeps 5"], vec![]),
        (vec![FIVE], Some(34), vec!["app sleeps 5"], misfit.clone()),
        (vec![FIVE], Some(0), vec!["app sleeps 5"], misfit),
        (vec![("drain", "0s"), ("deadline", "40s")], None, vec!["grace 45"], vec![]),
    ] {
        let plan = planned(&json!([{"name": "app"}]), grace_period, &annotations);
        assert_eq!(
            (mutations(&plan), findings(&plan)),
            (mutated.iter().map(ToString::to_string).collect(), found),
            "{annotations:?} {grace_period:?}"
        );
    }
}

#[test]
fn the_error_about_a_budget_contains_the_numbers_and_the_solutions() {
    let plan = planned(&json!([{"name": "app"}]), Some(30), &[("drain", "20s"), ("deadline", "25s")]);
    assert_eq!(plan.findings[0].field.to_string(), "spec.template.spec.terminationGracePeriodSeconds");
    assert_eq!(
        plan.findings[0].message(),
        "drain 20s + deadline 25s + margin 5s = 50s, 20s more than the grace period of 30s; set it to 50, remove \
         it, or lower winddown.dev/drain, winddown.dev/deadline or winddown.dev/margin"
    );
}

#[test]
fn existing_hooks_are_kept_and_the_longest_hook_is_the_drain() {
    let with = |hook: Value| json!({"name": "app", "lifecycle": {"preStop": hook}});
    let sleep = |seconds: i64| with(json!({"sleep": {"seconds": seconds}}));
    let exec = |script: &str| with(json!({"exec": {"command": ["sh", "-c", script]}}));
    let bare = json!({"name": "proxy"});
    let short = vec![(Severity::Warning, Code::PreStopShort)];
    let unknown = vec![(Severity::Warning, Code::PreStopUnknown)];
    let (ends, fails) = ((Severity::Info, Code::HookEndsDrain), (Severity::Warning, Code::HookFails));
    for (containers, drain, mutated, found) in [
        (json!([bare]), 5, vec!["proxy sleeps 5", "grace 35"], vec![]),
        (json!([bare, {"name": "log"}]), 5, vec!["proxy sleeps 5", "log sleeps 5", "grace 35"], vec![]),
        (json!([sleep(9)]), 9, vec!["grace 39"], vec![]),
        (json!([sleep(9), bare]), 9, vec!["proxy sleeps 5", "grace 39"], vec![]),
        (json!([sleep(3)]), 3, vec!["grace 33"], short.clone()),
        (json!([sleep(0)]), 0, vec![], vec![(Severity::Info, Code::DrainOptedOut)]),
        (json!([sleep(0), bare]), 5, vec!["proxy sleeps 5", "grace 35"], vec![(Severity::Info, Code::DrainOptedOut)]),
        (json!([exec("sleep 9")]), 9, vec!["grace 39"], vec![]),
        (json!([exec("sleep 3")]), 3, vec!["grace 33"], short.clone()),
        (json!([exec("sleep 0")]), 0, vec![], short.clone()),
        (json!([exec("sleep 9; ./drain")]), 9, vec!["grace 39"], unknown.clone()),
        (json!([exec("sleep 3; ./drain")]), 5, vec!["grace 35"], unknown.clone()),
        (json!([exec("sleep 0; ./drain")]), 5, vec!["grace 35"], unknown.clone()),
        (json!([exec("./drain")]), 5, vec!["grace 35"], unknown.clone()),
        (json!([exec("sleep 9; nginx -s quit")]), 9, vec!["grace 39"], vec![ends]),
        (json!([exec("nginx -s quit; sleep 9")]), 0, vec![], vec![short[0], ends]),
        (json!([exec("sleep 9 &&")]), 0, vec![], vec![fails]),
        (json!([with(json!({"httpGet": {"port": 80}}))]), 5, vec!["grace 35"], unknown),
        (json!([with(json!({"futureAction": {}}))]), 0, vec![], vec![fails]),
        (
            json!([{"name": "app", "lifecycle": {"postStart": {"exec": {}}, "stopSignal": "SIGUSR1"}}]),
            5,
            vec!["app sleeps 5", "grace 35"],
            vec![(Severity::Warning, Code::StopSignalWithoutOs)],
        ),
        (json!([sleep(-7)]), 0, vec![], vec![(Severity::Info, Code::DrainOptedOut)]),
    ] {
        let case = containers.to_string();
        let plan = planned(&containers, None, &[FIVE]);
        assert_eq!(plan.plan.budget.drain, Seconds::new(drain), "{case}");
        assert_eq!(
            (mutations(&plan), findings(&plan)),
            (mutated.iter().map(ToString::to_string).collect(), found),
            "{case}"
        );
    }
}

#[test]
fn a_hook_that_starts_with_a_sleep_has_a_minimum_duration() {
    let hook = json!({"exec": {"command": ["sh", "-c", "sleep 15; ./drain"]}});
    let plan = planned(&json!([{"name": "app", "lifecycle": {"preStop": hook}}]), None, &[FIVE]);
    assert_eq!(plan.findings[0].message(), "exec hook runs for at least 15s, duration unknown; assuming 15s");
}

#[test]
fn only_the_named_containers_get_the_sleep() {
    let containers = json!([{"name": "app"}, {"name": "proxy"}, {"name": "log"}]);
    let plan = planned(&containers, None, &[FIVE, ("containers", "proxy,app")]);
    assert_eq!(mutations(&plan), ["app sleeps 5", "proxy sleeps 5", "grace 35"]);
    let plan = planned(&containers, None, &[FIVE, ("containers", "app,prxy")]);
    assert_eq!(findings(&plan), vec![(Severity::Error, Code::ContainerNotFound)]);
    assert!(plan.findings[0].message().contains("containers: app, proxy, log"), "{}", plan.findings[0].message());
}

#[test]
fn native_sidecars_and_init_containers_are_not_changed() {
    let init = json!([{"name": "mesh", "restartPolicy": "Always"}, {"name": "init"}]);
    let workload = workload(&json!({"containers": [{"name": "app"}], "initContainers": init}), GracePeriod::Unset);
    let planned = |annotations: &[(&str, &str)]| evaluated(&workload, annotations);
    assert_eq!(mutations(&planned(&[FIVE])), ["app sleeps 5", "grace 35"]);
    let plan = planned(&[FIVE, ("containers", "mesh")]);
    assert_eq!(findings(&plan)[0], (Severity::Error, Code::ContainerNotFound));
    assert!(plan.findings[0].message().contains("is an init container"), "{}", plan.findings[0].message());
}

#[test]
fn the_probe_is_injected_into_the_right_container() {
    let app = json!({"name": "app", "ports": [{"containerPort": 3000, "name": "web"}]});
    let proxy = json!({"name": "proxy", "ports": [{"containerPort": 8080, "name": "mesh"}]});
    let probed =
        json!({"name": "app", "ports": [{"containerPort": 3000}], "readinessProbe": {"tcpSocket": {"port": 3000}}});
    let bare = json!({"name": "bare"});
    let error = |code| vec![(Severity::Error, code)];
    for (containers, readiness, names, target, found) in [
        (json!([proxy, app]), "http:3000/health", None, Some("app"), vec![]),
        (json!([proxy, app]), "http:web/health", None, Some("app"), vec![]),
        (json!([proxy, app]), "tcp:mesh", None, Some("proxy"), vec![]),
        (json!([bare]), "http:3000/health", None, Some("bare"), vec![]),
        (json!([bare, app]), "http:9000/", Some("bare"), Some("bare"), vec![]),
        (json!([app, proxy]), "http:3000/", Some("proxy,app"), Some("proxy"), vec![]),
        (json!([bare, app]), "http:9000/", None, None, error(Code::ReadinessContainerUnclear)),
        (json!([app, proxy]), "http:wbe/", None, None, error(Code::PortNotFound)),
        (json!([app, proxy]), "http:web/", Some("proxy"), None, error(Code::PortNotFound)),
        (json!([bare]), "grpc:web/", None, None, error(Code::PortNotFound)),
        (json!([probed, proxy]), "http:3000/health", None, None, vec![(Severity::Info, Code::ReadinessKept)]),
    ] {
        let mut annotations = vec![("drain", "0s"), ("deadline", "5s"), ("readiness", readiness)];
        annotations.extend(names.map(|names| ("containers", names)));
        let case = format!("{readiness} {names:?} on {containers}");
        let plan = planned(&containers, None, &annotations);
        let mutated: Vec<_> = target.map(|name| format!("{name} ready?")).into_iter().collect();
        assert_eq!((mutations(&plan), findings(&plan)), (mutated, found), "{case}");
    }
}

#[test]
fn a_probe_has_every_default_set() {
    let app = json!([{"name": "app", "ports": [{"containerPort": 9090, "name": "rpc"}]}]);
    let common = json!({"periodSeconds": 5, "failureThreshold": 1, "successThreshold": 1, "timeoutSeconds": 1});
    for (readiness, action) in [
        ("http:3000/health", json!({"httpGet": {"path": "/health", "port": 3000, "scheme": "HTTP"}})),
        ("https:rpc", json!({"httpGet": {"path": "/", "port": "rpc", "scheme": "HTTPS"}})),
        ("tcp:rpc", json!({"tcpSocket": {"port": "rpc"}})),
        ("grpc:rpc/my.Service", json!({"grpc": {"port": 9090, "service": "my.Service"}})),
        ("grpc:9090", json!({"grpc": {"port": 9090, "service": ""}})),
    ] {
        let plan = planned(&app, None, &[("drain", "0s"), ("deadline", "5s"), ("readiness", readiness)]);
        let [Mutation::SetReadinessProbe { probe, .. }] = plan.plan.mutations.as_slice() else { panic!("{readiness}") };
        let mut expected = common.clone();
        expected.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
        assert_eq!(serde_json::to_value(probe).unwrap(), expected, "{readiness}");
    }
}

#[test]
fn messages_about_hundreds_of_containers_are_short() {
    let containers: Vec<_> = (0..500).map(|number| json!({"name": format!("c{number}")})).collect();
    let plan = planned(&json!(containers), None, &[FIVE]);
    assert_eq!(plan.plan.mutations.len(), 501);
    let plan = planned(&json!(containers), None, &[FIVE, ("containers", "x")]);
    assert!(plan.findings[0].message().len() < 200, "{}", plan.findings[0].message());
}

#[test]
fn a_drain_from_an_existing_hook_names_its_container() {
    let own = |seconds: u32| json!({"name": "slow", "lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}});
    let with_app = |own: Value| json!([{"name": "app"}, own]);
    for (containers, sum) in [
        (with_app(own(9)), "drain 9s (preStop of slow) + "),
        (with_app(own(3)), "drain 5s + "),
        (json!([own(3)]), "drain 3s (preStop of slow) + "),
        (json!([own(0)]), "drain 0s (preStop of slow) + "),
        (json!([own(5)]), "drain 5s + "),
    ] {
        let plan = planned(&containers, None, &[FIVE]);
        assert!(plan.plan.budget.to_string().starts_with(sum), "{}", plan.plan.budget);
    }
}

#[test]
fn a_timeout_in_the_manifest_is_the_deadline_of_its_container() {
    let app = |name: &str, timeout: &str| {
        json!({
            "name": name,
            "ports": [{"containerPort": 80}],
            "args": ["gunicorn", format!("--graceful-timeout={timeout}")],
        })
    };
    let mut slow = app("slow", "50");
    slow["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 30}}});
    let agent = json!({"name": "agent", "args": ["gunicorn", "--graceful-timeout=500"]});
    for (containers, deadline, expected) in [
        (
            json!([app("a", "120"), agent]),
            None,
            "drain 5s + deadline 120s (gunicorn --graceful-timeout) + margin 5s = 130s",
        ),
        (json!([app("a", "10")]), None, "drain 5s + deadline 10s (gunicorn --graceful-timeout) + margin 5s = 20s"),
        (json!([app("a", "soon")]), None, "drain 5s + deadline 25s (default) + margin 5s = 35s"),
        // The longest sum counts, not the longest of each term.
        (
            json!([app("a", "60"), slow]),
            None,
            "drain 30s (preStop of slow) + deadline 50s (gunicorn --graceful-timeout)",
        ),
        (
            json!([app("a", "90"), slow]),
            None,
            "drain 5s + deadline 90s (gunicorn --graceful-timeout) + margin 5s = 100s",
        ),
        (
            json!([app("a", "10"), {"name": "b", "ports": [{"containerPort": 81}]}]),
            None,
            "drain 5s + deadline 25s (default)",
        ),
        (json!([app("a", "120"), slow]), Some("40s"), "drain 30s (preStop of slow) + deadline 40s + margin 5s = 75s"),
    ] {
        let mut annotations = vec![("drain", "5s")];
        annotations.extend(deadline.map(|deadline| ("deadline", deadline)));
        let budget = planned(&containers, None, &annotations).plan.budget.to_string();
        assert!(budget.starts_with(expected), "{budget}");
    }
}
