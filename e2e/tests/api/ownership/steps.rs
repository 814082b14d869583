//! What the owner of a workload writes, one step after another, and what the workload is then.

use serde_json::{Value, json};

use crate::manifest::{GRACE_PERIOD, Manifest, deployment};

pub(super) const CONTAINER: &str = "/spec/template/spec/containers/0";

/// What the owner writes, and what the workload is then.
pub(super) struct Step {
    pub(super) name: &'static str,
    hook: Value,
    pub(super) probe: Value,
    env: Value,
    grace_period: Option<i64>,
    expected_hook: Value,
    expected_probe: Value,
    budget: &'static str,
    /// Whether the API server accepts it only beside injected fields.
    pub(super) is_part: bool,
}

impl Step {
    pub(super) fn bare(&self) -> Manifest {
        let mut manifest = deployment("web");
        for (field, value) in [("lifecycle", &self.hook), ("readinessProbe", &self.probe), ("env", &self.env)] {
            if !value.is_null() {
                manifest = manifest.with(&format!("{CONTAINER}/{field}"), value.clone());
            }
        }
        match self.grace_period {
            Some(seconds) => manifest.grace_period(seconds),
            None => manifest,
        }
    }

    pub(super) fn declared(&self) -> Manifest {
        self.bare().with_budget().annotated("readiness", "http:8080/health").annotated("expose", "env")
    }

    /// The injected variables of which the owner has none, then those of the owner.
    fn expected_env(&self, grace_period: i64) -> Value {
        let own = self.env.as_array().cloned().unwrap_or_default();
        // Of another hook, the manifest does not show how long it takes.
        let drain = self.expected_hook["sleep"]["seconds"].as_i64().unwrap_or(5);
        let injected = [("DRAIN", drain), ("DEADLINE", 25), ("GRACE_PERIOD", grace_period)]
            .map(|(name, seconds)| variable(&format!("WINDDOWN_{name}_SECONDS"), &seconds.to_string()));
        let missing = injected.into_iter().filter(|injected| !own.iter().any(|own| own["name"] == injected["name"]));
        missing.chain(own.iter().cloned()).collect()
    }

    pub(super) fn check(&self, live: &Value) {
        let container = live.pointer(CONTAINER).unwrap_or(&Value::Null);
        let (hook, probe) = (&container["lifecycle"]["preStop"], &container["readinessProbe"]);
        assert_eq!(hook, &self.expected_hook, "{}", self.name);
        let number =
            |field: &str, default: i64| self.expected_probe.get(field).cloned().unwrap_or_else(|| json!(default));
        let mut expected = self.expected_probe.clone();
        expected["periodSeconds"] = number("periodSeconds", 10);
        expected["failureThreshold"] = number("failureThreshold", 3);
        (expected["successThreshold"], expected["timeoutSeconds"]) = (json!(1), json!(1));
        assert_eq!(probe, &expected, "{}", self.name);
        let budget = live["metadata"]["annotations"]["winddown.dev/budget"].as_str().unwrap_or_default();
        assert!(budget.ends_with(self.budget), "{}: {budget}", self.name);
        let grace_period = live.pointer(GRACE_PERIOD).and_then(Value::as_i64).unwrap_or_default();
        assert!(budget.ends_with(&format!(" of {grace_period}s")), "{}: {grace_period}, {budget}", self.name);
        assert_eq!(container["env"], self.expected_env(grace_period), "{}", self.name);
    }
}

fn variable(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

pub(super) fn nothing() -> Step {
    Step {
        name: "nothing",
        hook: Value::Null,
        probe: Value::Null,
        env: Value::Null,
        grace_period: None,
        expected_hook: json!({"sleep": {"seconds": 5}}),
        expected_probe: json!({
            "httpGet": {"path": "/health", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 5, "failureThreshold": 1,
        }),
        budget: "drain 5s + deadline 25s + margin 5s = 35s of 35s",
        is_part: false,
    }
}

pub(super) fn steps() -> Vec<Step> {
    let exec = json!({"exec": {"command": ["/bin/quiesce"]}});
    let http = json!({"httpGet": {"path": "/quiesce", "port": 8080, "scheme": "HTTP"}});
    vec![
        nothing(),
        Step {
            name: "a number of the probe",
            probe: json!({"periodSeconds": 3}),
            expected_probe: json!({
                "httpGet": {"path": "/health", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 3, "failureThreshold": 1,
            }),
            is_part: true,
            ..nothing()
        },
        Step {
            name: "the path of the probe",
            probe: json!({"httpGet": {"path": "/ready"}}),
            env: json!([variable("A", "$(WINDDOWN_DEADLINE_SECONDS)")]),
            expected_probe: json!({"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}}),
            is_part: true,
            ..nothing()
        },
        nothing(),
        Step {
            name: "an exec hook and a grace period",
            hook: json!({"preStop": exec}),
            env: json!([variable("B", "1"), variable("WINDDOWN_DEADLINE_SECONDS", "20"), variable("A", "2")]),
            grace_period: Some(60),
            expected_hook: exec.clone(),
            budget: " of 60s",
            ..nothing()
        },
        Step {
            name: "another hook and a probe, no grace period",
            hook: json!({"preStop": {"httpGet": {"path": "/quiesce", "port": 8080}}}),
            probe: json!({"tcpSocket": {"port": 8080}}),
            env: json!([variable("A", "2"), variable("WINDDOWN_GRACE_PERIOD_SECONDS", "35")]),
            expected_hook: http,
            expected_probe: json!({"tcpSocket": {"port": 8080}}),
            budget: " of 35s",
            ..nothing()
        },
        Step {
            name: "a sleep, and a probe of the injected kind",
            hook: json!({"preStop": {"sleep": {"seconds": 9}}}),
            probe: json!({"httpGet": {"path": "/ready", "port": 8080}, "failureThreshold": 2}),
            expected_hook: json!({"sleep": {"seconds": 9}}),
            expected_probe: json!({
                "httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "failureThreshold": 2,
            }),
            budget: "drain 9s (preStop of app) + deadline 25s + margin 5s = 39s of 39s",
            ..nothing()
        },
        nothing(),
        last(),
    ]
}

pub(super) fn last() -> Step {
    Step {
        name: "all four",
        hook: json!({"preStop": {"exec": {"command": ["/bin/quiesce"]}}}),
        probe: json!({"grpc": {"port": 8080}}),
        env: json!([variable("A", "1"), variable("WINDDOWN_DRAIN_SECONDS", "7")]),
        grace_period: Some(60),
        expected_hook: json!({"exec": {"command": ["/bin/quiesce"]}}),
        expected_probe: json!({"grpc": {"port": 8080, "service": ""}}),
        budget: " of 60s",
        ..nothing()
    }
}
