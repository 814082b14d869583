//! A shutdown timeout in a container's command, args or env that differs from the deadline.

use crate::annotations::DEADLINE;
use crate::catalog::runtimes::Runtime;
use crate::duration::Seconds;
use crate::finding::{Code, Finding, Severity};
use crate::pod::settings::Setting;
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::RuntimeTimeoutDiffers,
    severity: Severity::Warning,
    title: "A shutdown timeout in the manifest differs from the deadline.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let budget = subject.budget();
    let finding = |(container, setting): &(String, Setting)| {
        let (deadline, _) = subject.resolved.deadline_of(container);
        let time = setting.time.filter(|time| *time != deadline)?;
        let Setting { runtime, label, field, .. } = setting;
        let effect = if time < deadline {
            format!("so it gives up {} before the deadline", deadline.minus(time))
        } else if budget.drain.plus(time) > budget.grace_period {
            format!("so SIGKILL may come {} before it is done", budget.drain.plus(time).minus(budget.grace_period))
        } else {
            format!("so the budget is {} too small", time.minus(deadline))
        };
        let problem = format!("{label} lets {runtime} take {time}, but the deadline is {deadline}, {effect}");
        let finding = RULE.finding(field.clone(), problem).fact(*runtime).fact(time).fact(deadline);
        let preset = runtime.parse::<&Runtime>().ok().map(|runtime| runtime.setting(deadline));
        // A longer one cannot be declared.
        let declare = (time <= Seconds::MAX).then(|| format!("set {DEADLINE} to {time}"));
        let ways: Vec<_> = preset.into_iter().chain(declare).collect();
        Some(finding.hint(ways.join(", or ")))
    };
    subject.resolved.settings.iter().filter_map(finding).collect()
}

const PAGE: &str = r#"## Why

The shutdown timeout of the runtime is in the manifest: as a flag in `command` or `args`, or in `env`. It is the time that
the app takes, whatever the annotation says.

- If it is **longer** than the deadline, the app still works when the budget assumes that it has exited. The grace period is
  too short for it, or has less slack than the budget shows.
- If it is **shorter**, the app gives up earlier than declared: requests are cut off for which there is time left.

Some runtimes have several settings that add up. Traefik for example accepts requests for `requestAcceptGraceTimeout` after
SIGTERM, and then waits for open ones for `graceTimeOut`: it needs the sum.

## What to do

Give both the same value:

```yaml
metadata:
  annotations:
    winddown.dev/deadline: 60s
spec:
  template:
    spec:
      containers:
      - name: app
        args: [gunicorn, --graceful-timeout=60, "shop:app"]
```

Or remove `winddown.dev/deadline`: the setting is then the deadline.

## Source

- [Presets](presets.md#settings), with the settings that Winddown reads and their sources
- [Which number counts](how-it-works.md#which-deadline-counts)
"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::RuntimeTimeoutDiffers;
    use crate::rules::tests::{container, deployment, fires, silent};

    /// A deadline of 20s, and a container with these arguments.
    fn runs(args: &[&str]) -> Value {
        container(|app| app["args"] = json!(args))
    }

    fn with_variable(name: &str, value: &Value) -> Value {
        container(|app| app["env"] = json!([{"name": name, "value": value}]))
    }

    #[test]
    fn a_longer_timeout_is_reported() {
        let (field, message) = fires(&runs(&["gunicorn", "--graceful-timeout=60", "shop:app"]), RuntimeTimeoutDiffers);
        assert_eq!(field, "spec.template.spec.containers[app].args");
        let expected = "--graceful-timeout lets gunicorn take 60s, but the deadline is 20s, so SIGKILL may come 35s before it \
                        is done; set --graceful-timeout 20, or set winddown.dev/deadline to 60s";
        assert_eq!(message, expected);
        let mut manifest = with_variable("UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN", &json!("25"));
        manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(300);
        let (field, message) = fires(&manifest, RuntimeTimeoutDiffers);
        assert_eq!(field, "spec.template.spec.containers[app].env[UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN]");
        assert!(message.contains("take 25s, but the deadline is 20s, so the budget is 5s too small"), "{message}");
    }

    #[test]
    fn the_settings_of_every_kind_of_runtime_contradict_the_deadline() {
        for (args, start) in [
            (&["celery", "-A", "shop", "worker", "--time-limit=60"][..], "--time-limit lets celery take 60s"),
            (
                &["dramatiq", "shop", "--worker-shutdown-timeout=600000"],
                "--worker-shutdown-timeout lets dramatiq take 600s",
            ),
            (&["good_job", "start", "--shutdown-timeout=60"], "--shutdown-timeout lets good_job take 60s"),
            (&["shoryuken", "-t", "60"], "-t lets shoryuken take 60s"),
            (&["php", "artisan", "queue:work", "--timeout=60"], "--timeout lets laravel-queue take 60s"),
            (&["fastify", "start", "-g", "60000", "app.js"], "-g lets fastify-cli take 60s"),
            (&["redis-server", "--shutdown-timeout", "60"], "--shutdown-timeout lets redis take 60s"),
            (
                &["standalone.sh", "-Dorg.wildfly.sigterm.suspend.timeout=60"],
                "org.wildfly.sigterm.suspend.timeout lets wildfly take 60s",
            ),
            (
                &["java", "-jar", "start.jar", "jetty.server.stopTimeout=60000"],
                "jetty.server.stopTimeout lets jetty take 60s",
            ),
        ] {
            let (_, message) = fires(&runs(args), RuntimeTimeoutDiffers);
            assert!(message.starts_with(&format!("{start}, but the deadline is 20s, ")), "{message}");
        }
        for (name, value, start) in [
            ("SANIC_GRACEFUL_SHUTDOWN_TIMEOUT", "60", "sanic"),
            ("GOOD_JOB_SHUTDOWN_TIMEOUT", "60", "good_job"),
            ("FASTIFY_CLOSE_GRACE_DELAY", "60000", "fastify-cli"),
            ("KONG_NGINX_MAIN_WORKER_SHUTDOWN_TIMEOUT", "60s", "kong"),
            ("CAMEL_MAIN_SHUTDOWNTIMEOUT", "60", "camel"),
        ] {
            let (field, message) = fires(&with_variable(name, &json!(value)), RuntimeTimeoutDiffers);
            assert_eq!(field, format!("spec.template.spec.containers[app].env[{name}]"));
            assert!(
                message.starts_with(&format!("{name} lets {start} take 60s, but the deadline is 20s, ")),
                "{message}"
            );
        }
    }

    #[test]
    fn a_shorter_timeout_is_reported() {
        let (_, message) =
            fires(&with_variable("SPRING_LIFECYCLE_TIMEOUT_PER_SHUTDOWN_PHASE", &json!("5s")), RuntimeTimeoutDiffers);
        assert!(
            message.contains("take 5s, but the deadline is 20s, so it gives up 15s before the deadline;"),
            "{message}"
        );
    }

    #[test]
    fn timeouts_that_are_added_are_reported_as_their_sum() {
        let prefix = "--entrypoints.web.transport.lifeCycle";
        let args = [format!("{prefix}.requestAcceptGraceTimeout=60s"), format!("{prefix}.graceTimeOut=120s")];
        let (_, message) = fires(&runs(&[&args[0], &args[1]]), RuntimeTimeoutDiffers);
        let expected = "requestAcceptGraceTimeout + graceTimeOut lets traefik take 180s, but the deadline is 20s";
        assert!(message.starts_with(expected), "{message}");
    }

    #[test]
    fn a_timeout_that_is_too_long_to_declare_is_reported() {
        let mut manifest = with_variable("UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN", &json!("31536000"));
        manifest["metadata"]["annotations"] = json!({"winddown.dev/drain": "5s"});
        let (_, message) = fires(&manifest, RuntimeTimeoutDiffers);
        assert!(message.ends_with("; set --timeout-graceful-shutdown 25"), "{message}");
    }

    #[test]
    fn the_same_timeout_and_unreadable_ones_are_not_reported() {
        for args in [
            &["gunicorn", "--graceful-timeout", "20", "shop:app"][..],
            &["gunicorn", "--graceful-timeout", "soon", "shop:app"],
            &["gunicorn", "shop:app"],
            &["server", "--graceful-timeout", "60"],
            &["celery", "worker", "--time-limit=20"],
            &["dramatiq", "shop", "--worker-shutdown-timeout=20000"],
            &["good_job", "start", "--shutdown-timeout=20"],
            &["shoryuken", "-t", "20"],
            &["php", "artisan", "queue:work", "--timeout=20"],
            &["fastify", "start", "-g", "20000", "app.js"],
            &["redis-server", "--shutdown-timeout", "20"],
            &["standalone.sh", "-Dorg.wildfly.sigterm.suspend.timeout=20"],
            &["java", "-jar", "start.jar", "jetty.server.stopTimeout=20000"],
        ] {
            silent(&runs(args), RuntimeTimeoutDiffers);
        }
        let from = json!({"configMapKeyRef": {"name": "a", "key": "b"}});
        let unknown = container(|app| app["env"] = json!([{"name": "QUARKUS_SHUTDOWN_TIMEOUT", "valueFrom": from}]));
        silent(&unknown, RuntimeTimeoutDiffers);
    }

    #[test]
    fn a_timeout_that_is_the_deadline_is_not_reported() {
        let mut manifest = runs(&["gunicorn", "--graceful-timeout=60", "shop:app"]);
        manifest["metadata"]["annotations"] = json!({"winddown.dev/drain": "5s"});
        silent(&manifest, RuntimeTimeoutDiffers);
        silent(&deployment(|_| ()), RuntimeTimeoutDiffers);
    }
}
