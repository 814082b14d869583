//! A hook that runs a shell or `sleep` in an image without them fails immediately, so the container has no drain.

use crate::finding::{Code, Finding, Severity};
use crate::pod::command::program;
use crate::pod::hooks::is_basic;
use crate::pod::image::{Shell, has_no_bash, shell, short_name};
use crate::pod::sidecars::Running;
use crate::rule::{Check, Rule};
use crate::sanitize::quoted;

pub(crate) const RULE: Rule = Rule {
    code: Code::HookNeedsShell,
    severity: Severity::Warning,
    title: "A hook runs a shell or `sleep`, but the image does not seem to have it.",
    page: PAGE,
    check: Check::Running(finding),
};

fn finding(running: Running<'_>) -> Option<Finding> {
    let container = running.container;
    let hook = container.lifecycle.as_ref()?.pre_stop.as_ref()?;
    let needed = program(hook.exec.as_ref()?.command.as_ref()?.first()?);
    let image = container.image.as_deref()?;
    let lacks_bash = needed == "bash" && has_no_bash(image);
    if !lacks_bash && (!is_basic(needed) || shell(image) == Shell::Possible) {
        return None;
    }
    let image = short_name(image);
    let problem = format!("runs {needed}, which the image {} does not seem to have", quoted(image));
    Some(
        RULE.finding(running.field("lifecycle.preStop.exec"), problem)
            .fact(needed)
            .fact(image)
            .hint("use preStop.sleep"),
    )
}

const PAGE: &str = r"## Why

An exec hook runs a program of the container's image. Images such as Distroless, Chainguard's and those built from
`scratch` have neither a shell nor `sleep`. The hook then fails immediately: the pod gets a `FailedPreStopHook` Event, the
kubelet sends SIGTERM without a drain, and the connections of clients that still have the pod on their list are refused.

Winddown looks only at the name of the image. It knows Distroless, Chainguard, chiseled images of Ubuntu and the ones in
[minimal_images.yaml](https://github.com/winddown/winddown/blob/main/crates/core/data/minimal_images.yaml), and their
variants with a shell: there, the hook counts as no drain. An image whose name ends with `static` or `scratch` may have a
shell; then there is nothing to do.

Official images on Alpine, such as `nginx:1.27-alpine`, have `sh` and no `bash`.

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
- [Official images on Alpine](https://github.com/docker-library/docs/blob/master/.template-helpers/variant-alpine.md)
- [kubernetes/kubernetes#114465](https://github.com/kubernetes/kubernetes/issues/114465)
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::evaluation::{Existing, Origin, evaluate};
    use crate::finding::Code::HookNeedsShell;
    use crate::policy::Policy;
    use crate::rules::tests::{container, fires, pod, silent};

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
    fn well_known_images_are_known_without_a_word_in_their_name() {
        for image in ["gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.14.0", "releases/gardener/apiserver:v1.57"] {
            fires(&hook(image, &["sleep", "30"]), HookNeedsShell);
        }
        silent(&hook("gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.14.0-alpine", &["sleep", "30"]), HookNeedsShell);
    }

    #[test]
    fn an_image_on_alpine_has_no_bash() {
        let message = fires(&hook("nginx:1.27-alpine", &["/bin/bash", "-c", "sleep 15"]), HookNeedsShell).1;
        assert!(message.starts_with("runs bash, which the image \"nginx:1.27-alpine\" does not seem"), "{message}");
        silent(&hook("nginx:1.27-alpine", &["/bin/sh", "-c", "sleep 15"]), HookNeedsShell);
        silent(&hook("nginx:1.27", &["/bin/bash", "-c", "sleep 15"]), HookNeedsShell);
    }

    #[test]
    fn a_hook_that_cannot_run_gives_no_drain() {
        for manifest in
            [hook("gcr.io/distroless/java21", &["sleep", "15"]), hook("redis:7-alpine", &["bash", "-c", "sleep 15"])]
        {
            let evaluation = evaluate(&manifest, Existing::None, &Policy::default(), Origin::File).unwrap();
            assert_eq!(evaluation.budget.unwrap().drain.as_i64(), 0);
        }
    }

    #[test]
    fn native_sidecars_are_checked() {
        let manifest = pod(|pod| {
            let hook = json!({"preStop": {"exec": {"command": ["sh", "-c", "sleep 15"]}}});
            let image = "gcr.io/distroless/static";
            pod["initContainers"] =
                json!([{"name": "proxy", "image": image, "restartPolicy": "Always", "lifecycle": hook}]);
        });
        let field = fires(&manifest, HookNeedsShell).0;
        assert_eq!(field, "spec.template.spec.initContainers[proxy].lifecycle.preStop.exec");
    }

    #[test]
    fn a_program_of_the_image_needs_no_shell() {
        silent(&hook("gcr.io/distroless/java21", &["/app/drain"]), HookNeedsShell);
        silent(&hook("shop:1", &["sh", "-c", "sleep 15"]), HookNeedsShell);
    }
}
