//! A variable with a number of the budget that the container sets itself, to another number.

use k8s_openapi::api::core::v1::Container;

use crate::annotations::{DEADLINE, DRAIN, EXPOSE, Expose};
use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::fingerprint;
use crate::plan::hooks::PlannedHook;
use crate::plan::lanes::Role;
use crate::plan::variables;
use crate::pod::environment::{Environment, UNKNOWN};
use crate::rule::{Check, Rule, Subject};
use crate::sanitize::quoted;
use crate::variables::NAMES;

pub(crate) const RULE: Rule = Rule {
    code: Code::VariableDiffers,
    severity: Severity::Warning,
    title: "A variable tells the app another number than the budget has.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let containers = subject.hooks().zip(&subject.plan.lanes);
    let apps = containers.filter(|((container, _), lane)| lane.role == Role::App && sets_one(container));
    apps.flat_map(|((container, hook), _)| findings(container, hook, subject)).collect()
}

fn sets_one(container: &Container) -> bool {
    container.env.iter().flatten().any(|variable| NAMES.contains(&variable.name.as_str()))
}

fn findings(container: &Container, hook: &PlannedHook, subject: &Subject<'_>) -> Vec<Finding> {
    let environment = Environment::of(container);
    let planned = variables::of(hook, subject.resolved, subject.budget().grace_period);
    let [drain, deadline, _] = NAMES;
    let finding = |(name, seconds): (&'static str, Seconds)| {
        // A value from elsewhere is not in the manifest, nor is the duration of some hooks.
        let known = |value: &&str| !value.contains(UNKNOWN) && !value.contains("$(");
        let value = environment.get(name).filter(known)?;
        if value == seconds.as_i64().to_string() || name == drain && hook.own.is_open_ended() {
            return None;
        }
        let other = value.parse().ok().map(Seconds::new).filter(|other| *other <= Seconds::MAX);
        let is_general = subject.resolved.settings.iter().all(|(app, _)| *app != container.name);
        let (what, declare) = match name {
            _ if name == drain => ("the wait of the preStop hook", hook.injected.then_some(DRAIN)),
            _ if name == deadline => ("the deadline", is_general.then_some(DEADLINE)),
            _ => ("the grace period", None),
        };
        let remove = match subject.resolved.declaration.expose {
            Some(Expose::Env) => format!("remove it: {EXPOSE} then sets it"),
            None => format!("remove it, and set {EXPOSE} to env"),
        };
        let declare = declare.zip(other).map(|(key, other)| format!("set {key} to {other}"));
        let ways: Vec<_> = [remove].into_iter().chain(declare).collect();
        let field = FieldPath::container(&container.name, "env").key(name);
        let finding = RULE.finding(field, format!("is {}, but {what} is {seconds}", quoted(value)));
        let finding = finding.fact(fingerprint::of_texts(&[value]).as_str()).fact(seconds);
        Some(finding.hint(ways.join(", or ")))
    };
    planned.entries().filter_map(finding).collect()
}

const PAGE: &str = r"## Why

With `winddown.dev/expose: env`, the containers of the app have the numbers of the budget as environment variables, and an
app can take its own limit from there:

| variable | seconds |
| --- | --- |
| `WINDDOWN_DRAIN_SECONDS` | That the preStop hook of this container waits before SIGTERM |
| `WINDDOWN_DEADLINE_SECONDS` | From SIGTERM until the app in this container must have exited |
| `WINDDOWN_GRACE_PERIOD_SECONDS` | `terminationGracePeriodSeconds` of the pod |

A variable that the container sets itself is kept. If it contains another number, the app works with a limit that is not
the one of the pod: with a longer deadline, SIGKILL ends it before it has closed its connections; with a shorter one, it
ends while there is time left.

## What to do

Remove the variable, so that the injected one counts:

```yaml
metadata:
  annotations:
    winddown.dev/deadline: 40s
    winddown.dev/expose: env
```

Or declare the number that the app needs. One from `valueFrom` is not compared. One that only
`envFrom` sets is overridden: write it into `env` to keep it.

## Source

- [What the app receives](how-it-works.md#what-the-app-receives)
- [Kubernetes, dependent variables](https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/):
  the order in `env` counts
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::VariableDiffers;
    use crate::rules::tests::{container, fires, found, pod, silent};

    /// A drain of 10s and a deadline of 20s.
    fn with_variable(name: &str, value: &str) -> Value {
        container(|app| app["env"] = json!([{"name": name, "value": value}]))
    }

    fn exposed(mut workload: Value) -> Value {
        workload["metadata"]["annotations"]["winddown.dev/expose"] = json!("env");
        workload
    }

    #[test]
    fn another_number_than_that_of_the_budget_is_reported() {
        for (name, value, message) in [
            (
                "WINDDOWN_DRAIN_SECONDS",
                "7",
                "is \"7\", but the wait of the preStop hook is 10s; remove it: winddown.dev/expose then sets it, or set winddown.dev/drain to 7s",
            ),
            (
                "WINDDOWN_DEADLINE_SECONDS",
                "40",
                "is \"40\", but the deadline is 20s; remove it: winddown.dev/expose then sets it, or set winddown.dev/deadline to 40s",
            ),
            (
                "WINDDOWN_DEADLINE_SECONDS",
                "20s",
                "is \"20s\", but the deadline is 20s; remove it: winddown.dev/expose then sets it",
            ),
            (
                "WINDDOWN_GRACE_PERIOD_SECONDS",
                "30",
                "is \"30\", but the grace period is 35s; remove it: winddown.dev/expose then sets it",
            ),
        ] {
            let found = fires(&exposed(with_variable(name, value)), VariableDiffers);
            let field = format!("spec.template.spec.containers[app].env[{name}]");
            assert_eq!(found, (field, message.to_owned()));
        }
        for (name, value) in [("DRAIN", "10"), ("DEADLINE", "20"), ("GRACE_PERIOD", "35")] {
            silent(&exposed(with_variable(&format!("WINDDOWN_{name}_SECONDS"), value)), VariableDiffers);
        }
        silent(&exposed(container(|_| {})), VariableDiffers);
        silent(&with_variable("DEADLINE_SECONDS", "40"), VariableDiffers);
    }

    #[test]
    fn the_app_is_told_another_number_also_without_the_annotation() {
        let (_, message) = fires(&with_variable("WINDDOWN_DEADLINE_SECONDS", "40"), VariableDiffers);
        let expected = "is \"40\", but the deadline is 20s; remove it, and set winddown.dev/expose to env, or ";
        assert!(message.starts_with(expected), "{message}");
    }

    #[test]
    fn what_the_manifest_does_not_contain_is_not_compared() {
        for variable in [
            json!({"valueFrom": {"configMapKeyRef": {"name": "shop", "key": "deadline"}}}),
            json!({"value": "$(FROM_A_CONFIG_MAP)"}),
        ] {
            let mut named = variable;
            named["name"] = json!("WINDDOWN_DEADLINE_SECONDS");
            silent(&container(|app| app["env"] = json!([named])), VariableDiffers);
        }
        let hook = |command: &str| {
            container(|app| {
                app["lifecycle"] = json!({"preStop": {"exec": {"command": ["sh", "-c", command]}}});
                app["env"] = json!([{"name": "WINDDOWN_DRAIN_SECONDS", "value": "8"}]);
            })
        };
        silent(&hook("/drain.sh"), VariableDiffers);
        let (_, message) = fires(&hook("sleep 9"), VariableDiffers);
        assert!(message.starts_with("is \"8\", but the wait of the preStop hook is 9s; "), "{message}");
        assert!(!message.contains("set winddown.dev/drain"), "{message}");
    }

    #[test]
    fn the_last_value_in_each_container_of_the_app_counts() {
        let list =
            |values: [&str; 2]| json!(values.map(|value| json!({"name": "WINDDOWN_DEADLINE_SECONDS", "value": value})));
        silent(&container(|app| app["env"] = list(["40", "20"])), VariableDiffers);
        fires(&container(|app| app["env"] = list(["20", "40"])), VariableDiffers);
        let both = pod(|pod| {
            let api = json!({"name": "api", "env": list(["40", "40"])});
            let proxy = json!({"name": "istio-proxy", "image": "istio/proxyv2:1", "env": list(["40", "40"])});
            pod["containers"].as_array_mut().unwrap().extend([api, proxy]);
            pod["containers"][0]["env"] = list(["50", "50"]);
        });
        assert_eq!(found(&both, VariableDiffers).len(), 2);
    }
}
