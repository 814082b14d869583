//! `lifecycle.stopSignal` replaces SIGTERM (KEP-4960). With SIGKILL the app has no time to stop.

use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::plan::lanes::Role;
use crate::pod::signals::stop_signal;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::StopSignalKills,
    severity: Severity::Warning,
    title: "The stop signal is SIGKILL, so the deadline has no effect.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let pod = &subject.workload.pod;
    let killed = subject.lanes(Role::App).filter(|(container, _)| stop_signal(pod, container) == "SIGKILL");
    let findings = killed.filter_map(|(container, lane)| {
        // An app that has nothing to finish can be killed.
        let deadline = lane.stop.filter(|deadline| *deadline != Seconds::ZERO)?;
        let field = FieldPath::container(&container.name, "lifecycle.stopSignal");
        let problem = format!("SIGKILL stops the app immediately, without the deadline of {deadline}");
        Some(RULE.finding(field, problem).fact(deadline).hint("use a signal that the app can handle"))
    });
    findings.collect()
}

const PAGE: &str = r"## Why

`lifecycle.stopSignal` sets the signal that the container gets instead of SIGTERM. SIGKILL cannot be handled: the process
ends immediately. The preStop sleep still runs first, so no new requests arrive. But requests that are open at the end of
the sleep are cut off, however long the declared deadline is.

In Kubernetes 1.37 the field is alpha: without the feature gate `ContainerStopSignals` the API server drops it, and the
container gets the stop signal of its image.

## What to do

Remove the field, or set a signal on which the app finishes its work. For nginx that is SIGQUIT, for Apache httpd SIGWINCH;
most others handle SIGTERM, the default:

```yaml
spec:
  template:
    spec:
      os: {name: linux}
      containers:
      - name: web
        lifecycle: {stopSignal: SIGQUIT}
```

If the app has nothing to finish, declare `winddown.dev/deadline: 0s`; then this finding is not reported.

## Source

- [KEP-4960](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/4960-container-stop-signals)
- [Container stop signals](https://kubernetes.io/blog/2025/05/14/kubernetes-v1-33-updates-to-container-lifecycle/)
- [nginx: controlling nginx](https://nginx.org/en/docs/control.html), [httpd:
  stopping](https://httpd.apache.org/docs/2.4/stopping.html)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::StopSignalKills;
    use crate::rules::tests::{container, fires, pod, silent};

    fn stopped_by(signal: &str) -> Value {
        pod(|pod| {
            pod["os"] = json!({"name": "linux"});
            pod["containers"][0]["lifecycle"] = json!({"stopSignal": signal});
        })
    }

    #[test]
    fn sigkill_is_reported() {
        let (field, message) = fires(&stopped_by("SIGKILL"), StopSignalKills);
        assert_eq!(field, "spec.template.spec.containers[app].lifecycle.stopSignal");
        assert_eq!(
            message,
            "SIGKILL stops the app immediately, without the deadline of 20s; use a signal that the app can handle"
        );
    }

    #[test]
    fn any_other_signal_can_be_handled() {
        for signal in ["SIGTERM", "SIGQUIT", "SIGUSR1"] {
            silent(&stopped_by(signal), StopSignalKills);
        }
        silent(&container(|_| {}), StopSignalKills);
    }

    #[test]
    fn a_signal_without_the_operating_system_is_never_sent() {
        silent(&container(|app| app["lifecycle"] = json!({"stopSignal": "SIGKILL"})), StopSignalKills);
    }

    #[test]
    fn a_helper_can_be_killed() {
        let manifest = pod(|pod| {
            pod["os"] = json!({"name": "linux"});
            pod["containers"][0]["ports"] = json!([{"containerPort": 80}]);
            let agent = json!({"name": "agent", "lifecycle": {"stopSignal": "SIGKILL"}});
            pod["containers"].as_array_mut().unwrap().push(agent);
        });
        silent(&manifest, StopSignalKills);
    }

    #[test]
    fn an_app_without_a_deadline_can_be_killed() {
        let mut manifest = stopped_by("SIGKILL");
        manifest["metadata"]["annotations"]["winddown.dev/deadline"] = json!("0s");
        silent(&manifest, StopSignalKills);
    }
}
