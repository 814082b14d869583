//! A hook that runs a shell or `sleep` in an image without them fails immediately, so the container has no drain.

use k8s_openapi::api::core::v1::Container;

use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::pod::command::{is_shell, program};
use crate::pod::image::{has_no_shell, short_name};
use crate::rule::{Check, Rule, Subject};
use crate::sanitize::quoted;

pub(crate) const RULE: Rule = Rule {
    code: Code::HookNeedsShell,
    severity: Severity::Info,
    title: "A hook runs a shell or `sleep`, but the image does not seem to have it.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    subject.containers().iter().filter_map(finding).collect()
}

fn finding(container: &Container) -> Option<Finding> {
    let hook = container.lifecycle.as_ref()?.pre_stop.as_ref()?;
    let needed = program(hook.exec.as_ref()?.command.as_ref()?.first()?);
    let image = container.image.as_deref()?;
    if !(is_shell(needed) || needed == "sleep") || !has_no_shell(image) {
        return None;
    }
    let image = short_name(image);
    let field = FieldPath::container(&container.name, "lifecycle.preStop.exec");
    let problem = format!("runs {needed}, which the image {} does not seem to have", quoted(image));
    Some(RULE.finding(field, problem).fact(needed).fact(image).hint("use preStop.sleep"))
}

const PAGE: &str = r"## Why

An exec hook runs a program of the container's image. Images such as Distroless, Chainguard's and those built from
`scratch` have neither a shell nor `sleep`. The hook then fails immediately: the pod gets a `FailedPreStopHook` Event, the
kubelet sends SIGTERM without a drain, and the connections of clients that still have the pod on their list are refused.

Winddown looks only at the name of the image, so it may be wrong about yours. If the image has a shell, there is nothing
to do.

## What to do

Use the sleep of the kubelet. It needs no program in the image (Kubernetes 1.30 and later):

```yaml
lifecycle:
  preStop:
    sleep: {seconds: 15}
```

Or remove the hook: Winddown then injects a sleep as long as the declared drain.

## Source

- [Container hooks](https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/#hook-handler-implementations)
- [KEP-3960](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/3960-pod-lifecycle-sleep-action),
  for which such images were the reason
- [kubernetes/kubernetes#114465](https://github.com/kubernetes/kubernetes/issues/114465)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::HookNeedsShell;
    use crate::rules::tests::{container, fires, silent};

    fn hook(image: &str, command: &[&str]) -> Value {
        container(|app| {
            app["image"] = json!(image);
            app["lifecycle"] = json!({"preStop": {"exec": {"command": command}}});
        })
    }

    #[test]
    fn a_shell_or_sleep_in_an_image_without_them_is_reported() {
        for (command, needed) in [(&["sh", "-c", "sleep 15"][..], "sh"), (&["/bin/sleep", "15"], "sleep")] {
            let (field, message) = fires(&hook("gcr.io/distroless/java21:nonroot", command), HookNeedsShell);
            assert_eq!(field, "spec.template.spec.containers[app].lifecycle.preStop.exec");
            let image = "\"distroless/java21:nonroot\"";
            let expected = format!("runs {needed}, which the image {image} does not seem to have; use preStop.sleep");
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn a_program_of_the_image_needs_no_shell() {
        silent(&hook("gcr.io/distroless/java21", &["/app/drain"]), HookNeedsShell);
        silent(&hook("shop:1", &["sh", "-c", "sleep 15"]), HookNeedsShell);
    }
}
