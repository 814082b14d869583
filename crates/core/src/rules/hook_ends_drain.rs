//! A preStop hook that tells the app to stop: the drain ends at that time, not when the hook ends.

use crate::finding::{Code, Finding, Severity};
use crate::plan::lanes::Role;
use crate::pod::hooks::PreStop;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::HookEndsDrain,
    severity: Severity::Info,
    title: "A preStop hook tells the app to stop, which ends the drain.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let findings = subject.own_hooks().zip(&subject.plan.lanes).filter_map(|((running, own), lane)| {
        let PreStop::EndsDrain { after, exactly, .. } = own else { return None };
        let when = if exactly { format!("after {after}") } else { format!("after {after} or later") };
        let problem = match lane.role {
            Role::NativeSidecar => format!("tells the sidecar to stop {when}, while the app may still need it"),
            Role::Helper => format!("tells the helper to stop {when}, while the app may still need it"),
            Role::App => {
                format!("tells the app to stop {when}: that is the end of the drain, whatever the hook does then")
            }
        };
        let finding = RULE.finding(running.field("lifecycle.preStop.exec"), problem).fact(after);
        Some(
            finding
                .fact(u32::from(exactly))
                .hint("let the kubelet send the signal; if it must not be SIGTERM, set STOPSIGNAL in the image"),
        )
    });
    findings.collect()
}

const PAGE: &str = r"## Why

A command such as `nginx -s quit`, `kill -QUIT 1` or `kong quit` tells the app to stop. From then on it accepts no new
connections, so the drain is over, even if the hook continues with a `sleep`. Clients that still send requests to the pod
get connection errors. Winddown therefore counts the drain until that command, and the app's deadline from there.

`kill -0`, `kill -HUP`, `kill -USR1` and `pkill -10` stop nothing (except HAProxy, for which USR1 is the graceful stop).
Neither does `kill -QUIT` for Java, which prints its threads.

A native sidecar needs no such hook: the kubelet stops it after the main containers. The hook would stop it at the
beginning of the drain.

## What to do

Remove the command, and let the kubelet send the signal after the drain. If the app needs another signal than SIGTERM for
a graceful stop, set `STOPSIGNAL` in the image. The official image of nginx does that. Where the
[feature gate `ContainerStopSignals`](kubernetes-versions.md) is on, the template can name it:

```yaml
spec:
  template:
    spec:
      os: {name: linux}
      containers:
      - name: app
        lifecycle:
          stopSignal: SIGQUIT
          preStop:
            sleep: {seconds: 15}
```

If the command has to stay, sleep for the drain first: `sleep 15; nginx -s quit`. The finding stays as a reminder.

## Source

- [nginx: -s](https://nginx.org/en/docs/switches.html) and
  [its signals](https://nginx.org/en/docs/control.html)
- [KEP-4960, container stop signals](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/4960-container-stop-signals)
- [The commands that Winddown knows](https://github.com/winddown/winddown/blob/main/crates/core/data/stop_commands.yaml),
  each with its source
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::HookEndsDrain;
    use crate::rules::tests::{fires, pod, pre_stop, script, silent};

    fn command(line: &[&str]) -> Value {
        pre_stop(&json!({"exec": {"command": line}}))
    }

    #[test]
    fn a_hook_that_tells_the_app_to_stop_is_reported() {
        for (manifest, after) in [
            (command(&["/usr/sbin/nginx", "-s", "quit"]), 0),
            (command(&["/bin/sh", "-c", "/bin/sleep 1; kill -QUIT 1"]), 1),
            (command(&["bash", "-c", "/usr/sbin/nginx -s quit ; sleep 29"]), 0),
            (command(&["sh", "-c", "sleep 15 && kong quit --wait=15 --timeout=30"]), 30),
            (script("nginx -s quit; while pgrep -x nginx; do sleep 1; done"), 0),
            (script("sleep 5; pkill -TERM -f server"), 5),
            (script("kill -s QUIT $(cat /run/app.pid)"), 0),
            (script("pgrep app | xargs kill -15; sleep 10"), 0),
            (script("killall -q haproxy -USR1"), 0),
            (script("PID=`pidof java` && kill -SIGTERM $PID && while ps -p $PID > /dev/null; do sleep 1; done"), 0),
            (script("sleep $((2 + 3)); kill -s TERM $(pgrep -o ruby)"), 5),
            (script("sleep 3; curl -sf -X POST localhost:8080/actuator/shutdown"), 3),
            (script("su-exec app supervisorctl stop all"), 0),
            (script("supervisorctl shutdown; sleep 10"), 0),
            (command(&["/opt/kafka/bin/kafka-server-stop.sh"]), 0),
            (script("sleep 2; curl -X POST localhost:2019/stop"), 2),
        ] {
            let (field, message) = fires(&manifest, HookEndsDrain);
            assert_eq!(field, "spec.template.spec.containers[app].lifecycle.preStop.exec");
            let start = format!("tells the app to stop after {after}s: that is the end of the drain");
            assert!(message.starts_with(&start), "{message}");
        }
    }

    #[test]
    fn the_time_is_uncertain_after_a_command_of_unknown_duration_or_in_a_branch() {
        for text in ["./drain.sh; sleep 4; kill 1", "sleep 4; if [ -f /run/app.pid ]; then kill 1; fi"] {
            let message = fires(&script(text), HookEndsDrain).1;
            assert!(message.starts_with("tells the app to stop after 4s or later: "), "{message}");
        }
    }

    #[test]
    fn a_native_sidecar_stops_too_early() {
        let manifest = pod(|pod| {
            let hook = json!({"preStop": {"exec": {"command": ["nginx", "-s", "quit"]}}});
            pod["initContainers"] = json!([{"name": "edge", "restartPolicy": "Always", "lifecycle": hook}]);
        });
        let (field, message) = fires(&manifest, HookEndsDrain);
        assert_eq!(field, "spec.template.spec.initContainers[edge].lifecycle.preStop.exec");
        assert!(
            message.starts_with("tells the sidecar to stop after 0s, while the app may still need it"),
            "{message}"
        );
    }

    #[test]
    fn a_helper_is_not_the_app() {
        let manifest = pod(|pod| {
            let hook = json!({"preStop": {"exec": {"command": ["sh", "-c", "sleep 5 && pkill vault"]}}});
            pod["containers"][0]["ports"] = json!([{"containerPort": 80}]);
            pod["containers"].as_array_mut().unwrap().push(json!({"name": "vault-agent", "lifecycle": hook}));
        });
        let (field, message) = fires(&manifest, HookEndsDrain);
        assert_eq!(field, "spec.template.spec.containers[vault-agent].lifecycle.preStop.exec");
        assert!(message.starts_with("tells the helper to stop after 5s, while the app may still need it"), "{message}");
    }

    #[test]
    fn other_signals_and_commands_stop_nothing() {
        for text in [
            "kill -0 1",
            "kill -HUP 1",
            "kill -s USR1 $(cat /run/app.pid)",
            "kill -9 1",
            "kill -l",
            "/usr/bin/pkill -10 memcached; sleep 60s",
            "nginx -s reload",
            "supervisorctl restart app",
            "curl -X POST localhost:8080/stop",
            "sleep 20 & kill $!",
            "kill -3 $(pidof java); sleep 10",
            "pkill -QUIT java; sleep 10",
            "curl localhost:8080/actuator/shutdown",
            "echo kill 1",
            "# kill 1",
            "false && kill 1",
            "sleep 15",
        ] {
            silent(&script(text), HookEndsDrain);
        }
    }
}
