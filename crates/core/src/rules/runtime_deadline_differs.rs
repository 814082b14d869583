//! A declared deadline that differs from the default of the runtime, whose timeout is not in the manifest.

use crate::annotations::DEADLINE;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule, Subject};

pub(crate) const RULE: Rule = Rule {
    code: Code::RuntimeDeadlineDiffers,
    severity: Severity::Info,
    title: "The declared deadline differs from the default of the runtime.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let declaration = subject.resolved.declaration;
    let (Some(runtime), Some(declared)) = (declaration.runtime, declaration.deadline) else { return Vec::new() };
    // The manifest contains the timeout: `RuntimeTimeoutDiffers` compares it.
    if !subject.resolved.settings.is_empty() {
        return Vec::new();
    }
    let own = runtime.deadline.filter(|own| *own != declared);
    let finding = own.map(|own| {
        let name = runtime.name.as_str();
        let problem = format!("by default {name} stops after {own}, but the deadline is {declared}");
        RULE.finding(FieldPath::annotation(DEADLINE), problem)
            .fact(name)
            .fact(own)
            .fact(declared)
            .hint(runtime.setting(declared))
    });
    finding.into_iter().collect()
}

const PAGE: &str = r"## Why

Two settings limit how long the app may take after SIGTERM: the declared deadline, and the shutdown timeout of the runtime.
The default of the runtime differs from the declared deadline.

- If the runtime stops **earlier**, requests are cut off that the declared deadline allows for, although there is time left.
- If it stops **later**, SIGKILL comes first: the process is killed during its cleanup.

Winddown cannot see the code and the files of the app. If the timeout is already set to the deadline there, nothing is
wrong.

## What to do

Set the timeout of the runtime to the declared deadline, as in the message. For Spring Boot:

```yaml
env:
- name: SPRING_LIFECYCLE_TIMEOUT_PER_SHUTDOWN_PHASE
  value: 45s
```

Winddown reads the settings in `command`, `args` and `env` that [Presets](presets.md#settings) lists, and this finding ends.

Or remove `winddown.dev/deadline`, so that the default of the runtime is the deadline. If both have the same value,
`winddown.dev/runtime` has no other effect than the explicit deadline, and you can remove it.

## Source

- [Presets](presets.md#runtimes), with the default of each runtime and its sources
";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::RuntimeDeadlineDiffers;
    use crate::rules::tests::{deployment, fires, silent, with_runtime};

    #[test]
    fn a_deadline_that_differs_from_the_default_is_reported() {
        for (deadline, seconds) in [("45s", "45"), ("10s", "10")] {
            let (field, message) = fires(&with_runtime("gunicorn", Some(deadline)), RuntimeDeadlineDiffers);
            assert_eq!(field, "metadata.annotations[winddown.dev/deadline]");
            let expected = format!(
                "by default gunicorn stops after 30s, but the deadline is {deadline}; set --graceful-timeout {seconds}"
            );
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn every_default_differs_from_another_deadline() {
        for (runtime, default) in [
            ("dropwizard", 30),
            ("helidon", 1),
            ("camel", 45),
            ("tomcat", 2),
            ("jetty", 5),
            ("sanic", 15),
            ("aiohttp", 60),
            ("solid_queue", 5),
            ("shoryuken", 8),
            ("fastify-cli", 1),
            ("dramatiq", 600),
            ("rq", 180),
            ("laravel-queue", 60),
            ("rocket", 5),
            ("redis", 10),
        ] {
            let (_, message) = fires(&with_runtime(runtime, Some("20s")), RuntimeDeadlineDiffers);
            let start = format!("by default {runtime} stops after {default}s, but the deadline is 20s; ");
            assert!(message.starts_with(&start), "{message}");
            silent(&with_runtime(runtime, Some(&format!("{default}s"))), RuntimeDeadlineDiffers);
        }
    }

    #[test]
    fn the_default_and_runtimes_without_a_limit_are_not_reported() {
        let mut configured = with_runtime("gunicorn", Some("60s"));
        configured["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--graceful-timeout=60", "shop:app"]);
        for manifest in [
            configured,
            with_runtime("gunicorn", Some("30s")),
            with_runtime("gunicorn", None),
            with_runtime("node", Some("20s")),
            deployment(|_| ()),
        ] {
            silent(&manifest, RuntimeDeadlineDiffers);
        }
    }
}
