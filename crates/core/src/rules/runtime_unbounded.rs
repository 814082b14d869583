//! A runtime that by default does not enforce the deadline, and whose timeout is not in the manifest.

use crate::annotations::RUNTIME;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::RuntimeUnbounded,
    severity: Severity::Info,
    title: "The runtime does not enforce a deadline by default.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let deadline = subject.budget().deadline;
    // A timeout in the manifest enforces one, even if its value is not visible.
    if !subject.resolved.settings.is_empty() {
        return Vec::new();
    }
    let runtime = subject.resolved.declaration.runtime.filter(|runtime| runtime.deadline.is_none());
    let finding = runtime.map(|runtime| {
        let (name, by_default) = (runtime.name.as_str(), &runtime.by_default);
        let problem = format!("{name} {by_default}, so the deadline of {deadline} is not enforced");
        RULE.finding(FieldPath::annotation(RUNTIME), problem).fact(name).fact(deadline).hint(runtime.setting(deadline))
    });
    finding.into_iter().collect()
}

const PAGE: &str = r"## Why

Winddown reserves the deadline between SIGTERM and SIGKILL, but only the app can keep it. By default this runtime does not:

- A runtime that waits **without limit** hangs until SIGKILL because of a single slow request, or of an idle connection that
  a client keeps open. Its cleanup never runs, and everything else that was open is cut off with it.
- A runtime that **does not wait** drops every open request at SIGTERM, however long the deadline is.
- A runtime that **does not handle SIGTERM** exits immediately, too. Or, as process 1 of a container, it ignores the signal
  and continues until SIGKILL cuts off everything.

## What to do

Apply the setting in the message. It contains the declared deadline, so that both have the same value. For uvicorn, for
example:

```yaml
metadata:
  annotations:
    winddown.dev/runtime: uvicorn
    winddown.dev/deadline: 25s
spec:
  template:
    spec:
      containers:
      - name: app
        args: [uvicorn, app:api, --host=0.0.0.0, --timeout-graceful-shutdown=25]
```

Winddown reads the settings in `command`, `args` and `env` that [Presets](presets.md#settings) lists, and this finding ends. It
does not see the code and the files of the app: if the timeout is set there, this finding stays as a reminder while
`winddown.dev/runtime` names the runtime. If the deadline is set explicitly, you can remove that annotation.

## Source

- [Presets](presets.md#runtimes), with the behavior of each runtime and its sources
- [Termination of pods](https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination)
";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::RuntimeUnbounded;
    use crate::rules::tests::{deployment, fires, silent, with_runtime};

    #[test]
    fn a_runtime_that_waits_without_limit_is_reported() {
        for (deadline, seconds) in [(Some("45s"), "45"), (None, "25")] {
            let (field, message) = fires(&with_runtime("uvicorn", deadline), RuntimeUnbounded);
            assert_eq!(field, "metadata.annotations[winddown.dev/runtime]");
            let expected = format!(
                "uvicorn waits for open requests without limit, so the deadline of {seconds}s is not enforced; \
                 set --timeout-graceful-shutdown {seconds}"
            );
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn a_runtime_that_does_not_wait_is_reported() {
        for runtime in
            ["node", "go", "axum", "quarkus", "undertow", "wildfly", "daphne", "arq", "resque", "grpc-python"]
        {
            fires(&with_runtime(runtime, Some("20s")), RuntimeUnbounded);
        }
    }

    #[test]
    fn a_runtime_without_a_limit_is_reported_until_the_manifest_sets_one() {
        let limits = [
            ("celery", &["celery", "worker", "--time-limit=20"][..]),
            ("good_job", &["good_job", "start", "--shutdown-timeout=20"]),
            ("wildfly", &["standalone.sh", "-Dorg.wildfly.sigterm.suspend.timeout=20"]),
        ];
        for (runtime, args) in limits {
            let mut manifest = with_runtime(runtime, Some("20s"));
            fires(&manifest, RuntimeUnbounded);
            manifest["spec"]["template"]["spec"]["containers"][0]["args"] = json!(args);
            silent(&manifest, RuntimeUnbounded);
        }
        for runtime in ["rails", "passenger", "kafka-streams", "grpc-cpp", "grpc-node", "rabbitmq", "kong", "postgres"]
        {
            fires(&with_runtime(runtime, None), RuntimeUnbounded);
        }
    }

    #[test]
    fn a_runtime_with_a_limit_is_not_reported() {
        let mut configured = with_runtime("uvicorn", Some("25s"));
        configured["spec"]["template"]["spec"]["containers"][0]["args"] =
            json!(["uvicorn", "shop:api", "--timeout-graceful-shutdown=25"]);
        let mut elsewhere = with_runtime("quarkus", None);
        let from = json!({"configMapKeyRef": {"name": "shop", "key": "timeout"}});
        elsewhere["spec"]["template"]["spec"]["containers"][0]["env"] =
            json!([{"name": "QUARKUS_SHUTDOWN_TIMEOUT", "valueFrom": from}]);
        silent(&configured, RuntimeUnbounded);
        silent(&elsewhere, RuntimeUnbounded);
        for manifest in [with_runtime("gunicorn", Some("30s")), with_runtime("gunicorn", None), deployment(|_| ())] {
            silent(&manifest, RuntimeUnbounded);
        }
    }
}
