//! A preStop hook also runs when a liveness or startup probe fails and the container restarts. A long drain delays that
//! restart.

use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::pod::sidecars::running;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::RestartDelayed,
    severity: Severity::Info,
    title: "A long preStop hook delays the restart of a container that hangs.",
    page: PAGE,
    check: Check::Plan(check),
};

/// How long a probe takes to fail by default (`periodSeconds` 10 times `failureThreshold` 3). A shorter delay has
/// little effect.
const NOTICEABLE: Seconds = Seconds::new(30);

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let containers = running(&subject.workload.pod).zip(&subject.plan.lanes);
    let findings = containers.filter(|(_, lane)| lane.hook > NOTICEABLE).flat_map(|(running, lane)| {
        let container = running.container;
        let probes = [("livenessProbe", &container.liveness_probe), ("startupProbe", &container.startup_probe)];
        let present = probes.into_iter().filter_map(|(name, probe)| Some((name, probe.as_ref()?)));
        let waiting = present.filter(|(_, probe)| probe.termination_grace_period_seconds.is_none());
        waiting.map(move |(name, _)| finding(running.field(name), lane.hook))
    });
    findings.collect()
}

fn finding(field: FieldPath, hook: Seconds) -> Finding {
    let problem = format!("restart of a hanging container waits for the preStop hook of {hook}");
    RULE.finding(field, problem).fact(hook).hint("set terminationGracePeriodSeconds of this probe")
}

const PAGE: &str = r"## Why

The kubelet runs the preStop hook of a container before every stop, not only when a pod is deleted: also when a liveness or
startup probe fails and the container is restarted. A container that hangs then stays down for the whole drain longer,
although the requests that the drain waits for are lost anyway.

## What to do

Set a grace period for the probe. It replaces the grace period of the pod for this kind of stop, including the hook:

```yaml
livenessProbe:
  httpGet: {path: /live, port: 3000}
  terminationGracePeriodSeconds: 10
```

## Source

- [Probe-level terminationGracePeriodSeconds](https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#probe-level-terminationgraceperiodseconds)
- [KEP-2238](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/2238-liveness-probe-grace-period)
";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::RestartDelayed;
    use crate::rules::tests::{container, fires, pod, silent};

    #[test]
    fn native_sidecars_are_checked() {
        let sidecar = json!({
            "name": "proxy", "restartPolicy": "Always", "livenessProbe": {"tcpSocket": {"port": 80}},
            "lifecycle": {"preStop": {"sleep": {"seconds": 31}}},
        });
        let (field, _) = fires(&pod(|pod| pod["initContainers"] = json!([sidecar])), RestartDelayed);
        assert_eq!(field, "spec.template.spec.initContainers[proxy].livenessProbe");
    }

    #[test]
    fn a_long_hook_delays_the_restart() {
        for probe in ["livenessProbe", "startupProbe"] {
            let manifest = container(|app| {
                app[probe] = json!({"httpGet": {"path": "/", "port": 80}});
                app["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 60}}});
            });
            let (field, message) = fires(&manifest, RestartDelayed);
            assert_eq!(field, format!("spec.template.spec.containers[app].{probe}"));
            assert_eq!(
                message,
                "restart of a hanging container waits for the preStop hook of 60s; set terminationGracePeriodSeconds of \
                 this probe"
            );
        }
    }

    #[test]
    fn a_probe_with_its_own_grace_period_does_not_wait() {
        silent(
            &container(|app| {
                app["livenessProbe"] = json!({"terminationGracePeriodSeconds": 5, "tcpSocket": {"port": 80}});
                app["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 60}}});
            }),
            RestartDelayed,
        );
    }

    #[test]
    fn a_short_hook_is_not_reported() {
        silent(&container(|app| app["livenessProbe"] = json!({"tcpSocket": {"port": 80}})), RestartDelayed);
        silent(&container(|app| app["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 60}}})), RestartDelayed);
    }
}
