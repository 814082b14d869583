//! Windows Server Core ends the processes of a container 5s after it asked them to stop, whatever the grace period is.

use crate::duration::Seconds;
use crate::finding::{Code, Finding, Severity};
use crate::plan::lanes::Role;
use crate::pod::placement::windows;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::WindowsStopTimeout,
    severity: Severity::Info,
    title: "Windows may give the containers less time than the deadline.",
    page: PAGE,
    check: Check::Plan(check),
};

/// The default of `WaitToKillServiceTimeout` in the registry of the image.
const TIMEOUT: Seconds = Seconds::new(5);

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let Some(field) = windows(&subject.workload.pod) else { return Vec::new() };
    let affected = subject.lanes(Role::App).filter_map(|(container, lane)| {
        // Nano Server waits for the grace period.
        let is_nano = container.image.as_deref().is_some_and(|image| image.contains("nanoserver"));
        let mut words = container.command.iter().chain(&container.args).flatten();
        let is_configured = words.any(|word| word.contains("WaitToKillServiceTimeout"));
        lane.stop.filter(|_| !is_nano && !is_configured)
    });
    // One finding for the pod: the reason and the remedy are the same for all of its containers.
    let deadline = affected.filter(|deadline| *deadline > TIMEOUT).max();
    let finding = deadline.map(|deadline| {
        let problem = format!(
            "Windows Server Core may end containers {TIMEOUT} after CTRL_SHUTDOWN_EVENT, but the deadline is {deadline}"
        );
        RULE.finding(field, problem)
            .fact(TIMEOUT)
            .fact(deadline)
            .hint("raise WaitToKillServiceTimeout in the image, or run containerd 1.6.19 or later on the nodes")
    });
    finding.into_iter().collect()
}

const PAGE: &str = r"## Why

Windows has no SIGTERM. The first process of a container gets `CTRL_SHUTDOWN_EVENT` when its preStop hook ends. An image of
Windows Server Core then waits for `WaitToKillServiceTimeout` of its registry, by default 5s, and ends all processes,
whatever the grace period of the pod is. An image of Nano Server waits for the grace period.

Since containerd 1.6.19 the runtime raises this timeout itself. The manifest shows neither the base of an image nor the
version of containerd, so this is only an info. Winddown does not report it if the image has `nanoserver` in its name, or
if the command of the container sets the timeout. The findings about SIGTERM are not reported for Windows.

## What to do

Update containerd on the Windows nodes, or set the timeouts when the image is built, in seconds and in milliseconds:

```dockerfile
RUN reg add hklm\system\currentcontrolset\services\cexecsvc /v ProcessShutdownTimeoutSeconds /t REG_DWORD /d 30 && \
    reg add hklm\system\currentcontrolset\control /v WaitToKillServiceTimeout /t REG_SZ /d 30000 /f
```

## Source

- [Grace periods with Server Core and with Nano Server](https://github.com/microsoft/Windows-Containers/issues/164)
- [hcsshim: graceful termination of Server Core containers](https://github.com/microsoft/hcsshim/pull/1416), in
  [containerd 1.6.19](https://github.com/moby/moby/pull/45085)
- [The registry keys](https://github.com/moby/moby/issues/25982)
- [terminationGracePeriodSeconds on Windows](https://github.com/kubernetes/kubernetes/issues/73434)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{SignalLost, StopSignalKills, WindowsStopTimeout};
    use crate::rules::tests::{fires, pod, silent};

    /// With these fields in the pod spec.
    fn on_windows(fields: &Value) -> Value {
        pod(|pod| pod.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone()))
    }

    #[test]
    fn a_deadline_beyond_five_seconds_is_reported() {
        let term = json!({"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["windows"]}]});
        let affinity = json!({"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]},
        }});
        for (fields, expected) in [
            (json!({"nodeSelector": {"kubernetes.io/os": "windows"}}), "nodeSelector[kubernetes.io/os]"),
            (json!({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}), "nodeSelector[beta.kubernetes.io/os]"),
            (json!({"os": {"name": "windows"}}), "os.name"),
            (json!({"affinity": affinity}), "affinity.nodeAffinity"),
        ] {
            let (field, message) = fires(&on_windows(&fields), WindowsStopTimeout);
            assert_eq!(field, format!("spec.template.spec.{expected}"));
            assert_eq!(
                message,
                "Windows Server Core may end containers 5s after CTRL_SHUTDOWN_EVENT, but the deadline is 20s; raise \
                 WaitToKillServiceTimeout in the image, or run containerd 1.6.19 or later on the nodes"
            );
        }
    }

    #[test]
    fn an_image_of_windows_shows_where_it_runs() {
        for (image, fires_) in [
            ("mcr.microsoft.com/windows/servercore/iis:windowsservercore-ltsc2022", true),
            ("mcr.microsoft.com/dotnet/framework/aspnet:4.8-windowsservercore-ltsc2019", true),
            ("mcr.microsoft.com/dotnet/aspnet:8.0-nanoserver-ltsc2022", false),
            ("shop/windows:1", false),
        ] {
            let manifest = pod(|pod| pod["containers"][0]["image"] = json!(image));
            if fires_ {
                let field = fires(&manifest, WindowsStopTimeout).0;
                assert_eq!(field, "spec.template.spec.containers[app].image");
            } else {
                silent(&manifest, WindowsStopTimeout);
            }
        }
    }

    #[test]
    fn linux_nano_server_and_short_deadlines_are_not_reported() {
        let windows = || on_windows(&json!({"os": {"name": "windows"}}));
        let mut nano = windows();
        nano["spec"]["template"]["spec"]["containers"][0]["image"] = json!("dotnet/aspnet:8.0-nanoserver-ltsc2022");
        let mut short = windows();
        short["metadata"]["annotations"]["winddown.dev/deadline"] = json!("5s");
        let mut configured = windows();
        configured["spec"]["template"]["spec"]["containers"][0]["args"] =
            json!(["reg add HKLM\\SYSTEM\\CurrentControlSet\\Control /v WaitToKillServiceTimeout /d 30000 /f; app"]);
        let tolerated = on_windows(&json!({"tolerations": [{"key": "kubernetes.io/os", "operator": "Exists"}]}));
        let linux = on_windows(&json!({"nodeSelector": {"kubernetes.io/os": "linux"}}));
        for manifest in [nano, short, configured, tolerated, linux, pod(|_| {})] {
            silent(&manifest, WindowsStopTimeout);
        }
    }

    #[test]
    fn the_rules_about_signals_are_silent_on_windows() {
        let with = |fields: &Value| {
            let mut manifest = on_windows(fields);
            let app = &mut manifest["spec"]["template"]["spec"]["containers"][0];
            app["command"] = json!(["sh", "-c", "setup; app"]);
            app["lifecycle"] = json!({"stopSignal": "SIGKILL"});
            manifest
        };
        fires(&with(&json!({"os": {"name": "linux"}})), SignalLost);
        fires(&with(&json!({"os": {"name": "linux"}})), StopSignalKills);
        silent(&with(&json!({"os": {"name": "windows"}})), SignalLost);
        silent(&with(&json!({"os": {"name": "windows"}})), StopSignalKills);
    }
}
