//! A helper or native sidecar needs more than an explicit grace period.

use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::plan::lanes::{PlannedLane, Role};
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::HelperDoesNotFit,
    severity: Severity::Warning,
    title: "A container that supports the app needs more than the grace period.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let budget = subject.budget();
    let too_long = |lane: &PlannedLane| lane.needs > budget.grace_period;
    let helpers = subject.lanes(Role::Helper).filter(|(_, lane)| too_long(lane));
    // A native sidecar that only has to wait for the other containers is not the cause.
    let main = subject.main_exit();
    let native = subject.lanes(Role::NativeSidecar).filter(|(_, lane)| {
        too_long(lane) && (lane.hook > main || (main <= budget.grace_period && lane.exit() > lane.signal_at))
    });
    helpers.chain(native).map(|(_, lane)| finding(subject, lane)).collect()
}

fn finding(subject: &Subject<'_>, lane: &PlannedLane) -> Finding {
    let (PlannedLane { container, hook, signal_at, needs, .. }, budget) = (lane, subject.budget());
    let missing = needs.minus(budget.grace_period);
    let stop = match lane.stop {
        Some(stop) => format!("its own stop {stop}"),
        None => "its own stop (unknown, counts as 0s)".to_owned(),
    };
    let start = if lane.role == Role::NativeSidecar && signal_at > hook {
        format!("preStop {hook}, stop signal at {signal_at} after the other containers")
    } else {
        format!("preStop {hook}")
    };
    let problem = format!(
        "{container}: {start} + {stop} = {needs}, {missing} more than the grace period of {}",
        budget.grace_period
    );
    let finding = RULE.finding(FieldPath::pod("terminationGracePeriodSeconds"), problem);
    let finding = finding.fact(container.as_str()).fact(*hook).fact(*needs).fact(budget.grace_period);
    let needed = budget.needed().as_i64();
    finding.hint(format!("set it to {needed}, remove it, or shorten the hook or the stop of {container}"))
}

const PAGE: &str = r"## Why

The containers of a pod stop at the same time, each after its own preStop hook. So each one has its own sum: for an app drain
+ deadline + margin, for a container that supports it (a proxy, an agent, a log shipper) its own hook and its own stop. The
grace period has to be long enough for the longest of them. The container in the message needs more: it is killed before it
has finished, while the app itself has enough time. The last logs, metrics or connections of that container may be lost.

A native sidecar gets its stop signal only after all main containers have exited, so its own stop is added.

Winddown takes a container for a helper if

- it is a known proxy (Istio, Linkerd, Consul, Kuma, Dapr, Envoy, the Cloud SQL and AlloyDB proxies) beside an app, or
- `winddown.dev/containers` names other containers and not this one, or
- without that annotation, it is a known agent (Fluent Bit, the Datadog Agent, an exporter, …) beside an app, or
- without that annotation, it has neither a port nor a readiness probe, and another container has one. Ports with names such
  as `metrics` do not count.

Agents are known by the names of their images and containers:
[agents.yaml](https://github.com/winddown/winddown/blob/main/crates/core/data/agents.yaml).

How long a helper runs after its stop signal is known only for known proxies. Otherwise it counts as 0s.

## What to do

In order of preference:

1. Remove `terminationGracePeriodSeconds`. Winddown sets what the longest container needs.
2. Raise it to the number in the message:

   ```yaml
   spec:
     template:
       spec:
         terminationGracePeriodSeconds: 65
   ```

3. Shorten the hook of the helper. If it only waits until the app has exited, make the helper a native sidecar instead (an
   init container with `restartPolicy: Always`) and remove the hook.

If the container is an app whose requests must finish, name it: `winddown.dev/containers: web,api`.

## Source

- [Container lifecycle hooks](https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/#hook-handler-execution)
- [Termination of pods](https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination)
- [How it works](how-it-works.md#lanes)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{BudgetDoesNotFit, HelperDoesNotFit};
    use crate::rules::tests::{fires, found, pod, silent};

    fn sleep(seconds: u32) -> Value {
        json!({"preStop": {"sleep": {"seconds": seconds}}})
    }

    /// An app that needs 35s beside a container with these fields, under this grace period.
    fn beside(grace_period: u32, helper: &Value) -> Value {
        pod(|pod| {
            pod["terminationGracePeriodSeconds"] = json!(grace_period);
            pod["containers"][0]["ports"] = json!([{"containerPort": 8080}]);
            pod["containers"].as_array_mut().unwrap().push(helper.clone());
        })
    }

    #[test]
    fn a_helper_that_needs_longer_than_the_grace_period_is_a_warning_and_not_an_error() {
        let agent = json!({"name": "agent", "image": "agent:7", "lifecycle": sleep(60)});
        let proxy =
            json!({"name": "cloud-sql-proxy", "args": ["--max-sigterm-delay=50s"], "ports": [{"containerPort": 5432}]});
        for (helper, expected) in [
            (
                &agent,
                "agent: preStop 60s + its own stop (unknown, counts as 0s) = 60s, 20s more than the grace period of 40s; \
                 set it to 60, remove it, or shorten the hook or the stop of agent",
            ),
            (
                &proxy,
                "cloud-sql-proxy: preStop 10s + its own stop 50s = 60s, 20s more than the grace period of 40s; \
                 set it to 60, remove it, or shorten the hook or the stop of cloud-sql-proxy",
            ),
        ] {
            let manifest = beside(40, helper);
            let (field, message) = fires(&manifest, HelperDoesNotFit);
            assert_eq!(field, "spec.template.spec.terminationGracePeriodSeconds");
            assert_eq!(message, expected);
            silent(&manifest, BudgetDoesNotFit);
            silent(&beside(60, helper), HelperDoesNotFit);
            let mut unset = manifest;
            unset["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = Value::Null;
            silent(&unset, HelperDoesNotFit);
        }
    }

    #[test]
    fn the_app_and_its_helpers_are_reported_separately() {
        let agent = json!({"name": "agent", "lifecycle": sleep(60)});
        let manifest = beside(20, &agent);
        fires(&manifest, HelperDoesNotFit);
        let (_, message) = fires(&manifest, BudgetDoesNotFit);
        assert!(message.starts_with("drain 10s + deadline 20s + margin 5s = 35s, 15s more than "), "{message}");
        assert!(message.contains("; set it to 60, remove it, "), "{message}");
    }

    #[test]
    fn a_container_that_is_not_named_is_a_helper() {
        let mut manifest =
            beside(40, &json!({"name": "web", "ports": [{"containerPort": 80}], "lifecycle": sleep(60)}));
        fires(&manifest, BudgetDoesNotFit);
        silent(&manifest, HelperDoesNotFit);
        manifest["metadata"]["annotations"]["winddown.dev/containers"] = json!("app");
        fires(&manifest, HelperDoesNotFit);
        silent(&manifest, BudgetDoesNotFit);
    }

    #[test]
    fn an_agent_is_a_helper_whatever_ports_and_probes_it_has() {
        let ports = json!([{"containerPort": 8126, "name": "trace"}]);
        let probe = json!({"httpGet": {"path": "/ready", "port": 5555}});
        for (name, image, ports) in [
            ("agent", "datadog/agent:7", &ports),
            ("fluent-bit", "logs:1", &ports),
            ("metrics", "metrics:1", &json!([{"containerPort": 9113, "name": "metrics"}])),
        ] {
            let mut agent = json!({"name": name, "image": image, "ports": ports, "lifecycle": sleep(60)});
            if name == "agent" {
                agent["readinessProbe"] = probe.clone();
            }
            fires(&beside(40, &agent), HelperDoesNotFit);
            silent(&beside(40, &agent), BudgetDoesNotFit);
        }
    }

    #[test]
    fn a_native_sidecar_needs_time_after_the_app() {
        let native = |grace_period: u32, fields: Value| {
            let mut sidecar = json!({"name": "cloud-sql-proxy", "restartPolicy": "Always"});
            sidecar.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            pod(|pod| {
                pod["terminationGracePeriodSeconds"] = json!(grace_period);
                pod["initContainers"] = json!([sidecar]);
            })
        };
        let waiting = json!({"args": ["--min-sigterm-delay=15s"]});
        let (_, message) = fires(&native(40, waiting.clone()), HelperDoesNotFit);
        assert!(
            message.starts_with(
                "cloud-sql-proxy: preStop 0s, stop signal at 30s after the other containers + its own stop 15s = 45s, \
                 5s more than the grace period of 40s; set it to 45, "
            ),
            "{message}"
        );
        silent(&native(45, waiting), HelperDoesNotFit);
        let (_, message) = fires(&native(40, json!({"lifecycle": sleep(50)})), HelperDoesNotFit);
        assert!(message.starts_with("cloud-sql-proxy: preStop 50s + its own stop 0s = 50s, 10s more "), "{message}");
        // The app has closed its connections by then.
        silent(&native(35, json!({"args": ["--max-sigterm-delay=30s"]})), HelperDoesNotFit);
        assert_eq!(found(&native(20, json!({})), HelperDoesNotFit), []);
    }
}
