use serde_json::{Value, json};

use super::{FIVE, findings, mutations, planned};
use crate::finding::{Code, Severity};

/// The variables of the containers, with a drain of 5s: seconds of drain, deadline and grace period.
fn exposed(containers: &Value, grace_period: Option<u32>, annotations: &[(&str, &str)]) -> Vec<String> {
    let annotations: Vec<_> = [FIVE, ("expose", "env")].into_iter().chain(annotations.iter().copied()).collect();
    let mutations = mutations(&planned(containers, grace_period, &annotations)).into_iter();
    mutations.filter(|mutation| mutation.contains("exposes")).collect()
}

#[test]
fn the_containers_of_the_app_are_told_their_budget() {
    let with = |name: &str, hook: Value| json!({"name": name, "lifecycle": {"preStop": hook}});
    let sleep = |seconds: i64| with("app", json!({"sleep": {"seconds": seconds}}));
    let exec = |script: &str| with("app", json!({"exec": {"command": ["sh", "-c", script]}}));
    let app = || json!({"name": "app"});
    for (containers, grace_period, annotations, expected) in [
        (json!([app()]), None, &[][..], &["app exposes 5 25 35"][..]),
        (json!([app()]), Some(120), &[("deadline", "60s")], &["app exposes 5 60 120"]),
        (json!([app()]), None, &[("deadline", "0s")], &["app exposes 5 0 30"]),
        (json!([app(), {"name": "api"}]), None, &[], &["app exposes 5 25 35", "api exposes 5 25 35"]),
        // Each container has the wait of its own hook.
        (json!([sleep(9), {"name": "api"}]), None, &[], &["app exposes 9 25 39", "api exposes 5 25 39"]),
        (json!([sleep(0), {"name": "api"}]), None, &[], &["app exposes 0 25 35", "api exposes 5 25 35"]),
        (json!([exec("sleep 7.5")]), None, &[], &["app exposes 8 25 38"]),
        (json!([exec("sleep 6; kill 1")]), None, &[], &["app exposes 6 25 36"]),
        // An unknown hook: what the budget assumes.
        (json!([exec("sleep 2; /drain.sh")]), None, &[], &["app exposes 5 25 35"]),
        (json!([exec("sleep 7; /drain.sh")]), None, &[], &["app exposes 7 25 37"]),
        (json!([exec("timeout 3 /drain.sh")]), None, &[], &["app exposes 3 25 33"]),
        (
            json!([with("app", json!({"httpGet": {"path": "/quiesce", "port": 80}}))]),
            None,
            &[],
            &["app exposes 5 25 35"],
        ),
        // Each container has the deadline of its own runtime.
        (
            json!([{"name": "app", "args": ["gunicorn", "--graceful-timeout=40"]}, {"name": "api"}]),
            None,
            &[],
            &["app exposes 5 40 50", "api exposes 5 25 50"],
        ),
        // Only the app.
        (json!([app(), {"name": "envoy", "image": "envoyproxy/envoy:v1"}]), None, &[], &["app exposes 5 25 35"]),
        (json!([app(), {"name": "log"}]), None, &[("containers", "app")], &["app exposes 5 25 35"]),
    ] {
        assert_eq!(exposed(&containers, grace_period, annotations), expected, "{containers}");
    }
    assert_eq!(mutations(&planned(&json!([app()]), None, &[FIVE])), ["app sleeps 5", "grace 35"]);
}

#[test]
fn a_hook_can_refer_to_the_drain() {
    let hooked = |command: &[&str], env: &Value| json!([{"name": "app", "env": env, "lifecycle": {"preStop": {"exec": {"command": command}}}}]);
    let script = |script: &str| hooked(&["sh", "-c", script], &json!([]));
    let through = |value: &str, script: &str| hooked(&["sh", "-c", script], &json!([{"name": "A", "value": value}]));
    let drain = ("drain", "9s");
    for (containers, expected) in [
        (script("sleep $WINDDOWN_DRAIN_SECONDS"), "app exposes 9 25 39"),
        (script("sleep \"${WINDDOWN_DRAIN_SECONDS}\" && nginx -s quit"), "app exposes 9 25 39"),
        // It is still the number that the hook starts from.
        (script("sleep $((WINDDOWN_DRAIN_SECONDS + 2))"), "app exposes 9 25 41"),
        (script("sleep $((WINDDOWN_DRAIN_SECONDS * 3)); exit 1"), "app exposes 9 25 57"),
        (script("/drain.sh $WINDDOWN_DRAIN_SECONDS"), "app exposes 9 25 39"),
        // Its duration does not depend on the number.
        (script("echo $WINDDOWN_DRAIN_SECONDS; sleep 3"), "app exposes 3 25 33"),
        (script("WINDDOWN_DRAIN_SECONDS=2; sleep $WINDDOWN_DRAIN_SECONDS"), "app exposes 2 25 32"),
        (script("timeout 3 /drain.sh $WINDDOWN_DRAIN_SECONDS"), "app exposes 3 25 33"),
        (script("kill -TERM 1; sleep $WINDDOWN_DRAIN_SECONDS"), "app exposes 0 25 30"),
        // Through a variable of the owner.
        (through("$(WINDDOWN_DRAIN_SECONDS)", "sleep $A"), "app exposes 9 25 39"),
        (through("$(WINDDOWN_DRAIN_SECONDS)s", "sleep ${A:-5} && nginx -s quit"), "app exposes 9 25 39"),
        (through("$(WINDDOWN_DRAIN_SECONDS)", "sleep $((A + 1))"), "app exposes 9 25 40"),
        (through("$(WINDDOWN_DEADLINE_SECONDS)", "sleep $A"), "app exposes 25 25 55"),
        (script("sleep ${WINDDOWN_DEADLINE_SECONDS}"), "app exposes 25 25 55"),
        // The variable of the owner.
        (
            hooked(
                &["sh", "-c", "sleep $WINDDOWN_DRAIN_SECONDS"],
                &json!([{"name": "WINDDOWN_DRAIN_SECONDS", "value": "3"}]),
            ),
            "app exposes - 25 33",
        ),
        // No shell replaces it, so the hook fails.
        (hooked(&["sleep", "$WINDDOWN_DRAIN_SECONDS"], &json!([])), "app exposes 0 25 30"),
    ] {
        let plan = planned(&containers, None, &[drain, ("expose", "env")]);
        assert_eq!(mutations(&plan).last().map(String::as_str), Some(expected), "{containers}");
    }
    let exact = planned(&script("sleep $WINDDOWN_DRAIN_SECONDS"), None, &[drain, ("expose", "env")]);
    assert_eq!(findings(&exact), []);
    // Control: without the annotation, the variable is not set.
    let unset = planned(&script("sleep $WINDDOWN_DRAIN_SECONDS"), None, &[drain]);
    assert_eq!(findings(&unset), [(Severity::Warning, Code::PreStopUnknown)]);
}

#[test]
fn a_variable_of_the_container_stands() {
    let app = |variable: Value| json!([{"name": "app", "env": [{"name": "A", "value": "1"}, variable]}]);
    for (variable, expected) in [
        (json!({"name": "WINDDOWN_DEADLINE_SECONDS", "value": "20"}), &["app exposes 5 - 35"][..]),
        (
            json!({"name": "WINDDOWN_DRAIN_SECONDS", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}),
            &["app exposes - 25 35"],
        ),
        (json!({"name": "WINDDOWN_GRACE_PERIOD_SECONDS"}), &["app exposes 5 25 -"]),
        (json!({"name": "winddown_deadline_seconds", "value": "20"}), &["app exposes 5 25 35"]),
    ] {
        assert_eq!(exposed(&app(variable.clone()), None, &[]), expected, "{variable}");
    }
    let all = ["DRAIN", "DEADLINE", "GRACE_PERIOD"].map(|name| json!({"name": format!("WINDDOWN_{name}_SECONDS")}));
    assert_eq!(exposed(&json!([{"name": "app", "env": all}]), None, &[]), [""; 0]);
}

#[test]
fn a_timeout_that_refers_to_the_deadline_is_no_other_number() {
    for app in [
        json!({"name": "app", "args": ["gunicorn", "--graceful-timeout=$(WINDDOWN_DEADLINE_SECONDS)"]}),
        json!({"name": "app", "args": ["gunicorn", "--graceful-timeout", "$(WINDDOWN_DEADLINE_SECONDS)"]}),
        json!({"name": "app", "env": [{"name": "GUNICORN_CMD_ARGS", "value": "--graceful-timeout=$(WINDDOWN_DEADLINE_SECONDS)"}]}),
        json!({"name": "app", "env": [{"name": "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN", "value": "$(WINDDOWN_DEADLINE_SECONDS)"}]}),
    ] {
        let annotations = [FIVE, ("deadline", "40s"), ("expose", "env")];
        let plan = planned(&json!([app]), None, &annotations);
        assert_eq!(mutations(&plan), ["app sleeps 5", "grace 50", "app exposes 5 40 50"], "{app}");
        assert_eq!(findings(&plan), [], "{app}");
    }
}
