//! A hook that runs a shell or `sleep` in an image that has neither fails at once, and SIGTERM follows without a drain.

use k8s_openapi::api::core::v1::Container;

use super::Subject;
use crate::annotations::quoted;
use crate::finding::{Code, Finding};
use crate::plan::container_field;
use crate::pod::command::{is_shell, program};

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    subject.workload.pod.containers.iter().filter_map(finding).collect()
}

fn finding(container: &Container) -> Option<Finding> {
    let hook = container.lifecycle.as_ref()?.pre_stop.as_ref()?;
    let needed = program(hook.exec.as_ref()?.command.as_ref()?.first()?);
    let image = container.image.as_deref()?;
    if !(is_shell(needed) || needed == "sleep") || !has_no_shell(image) {
        return None;
    }
    let image = quoted(in_short(image));
    let message = format!("runs {needed}, which the image {image} seems not to have; preStop.sleep needs no command");
    Some(Finding::new(Code::HookNeedsShell, container_field(&container.name, "lifecycle.preStop.exec"), message))
}

/// The last two parts of an image's name, with the tag and without the digest.
fn in_short(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let start = image.rmatch_indices('/').nth(1).map_or(0, |(slash, _)| slash + 1);
    image.get(start..).unwrap_or(image)
}

/// As far as an image's name tells: the images of Distroless and Chainguard, and those that call themselves static or
/// scratch. Their variants for debugging do have a shell.
fn has_no_shell(image: &str) -> bool {
    let words: Vec<_> = image.split(['/', ':', '@', '-', '_']).collect();
    let has = |names: &[&str]| words.iter().any(|word| names.contains(word));
    let name = image.split('@').next().unwrap_or(image);
    let ends = |word: &str| name.ends_with(&format!("-{word}")) || name.ends_with(&format!(":{word}"));
    let bare = has(&["distroless", "chainguard", "cgr.dev"]) || ends("static") || ends("scratch");
    bare && !has(&["debug", "dev", "busybox", "bash", "wolfi"])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::has_no_shell;
    use crate::finding::Code::HookNeedsShell;
    use crate::rules::tests::{container, fires, silent};

    fn hook(image: &str, command: &[&str]) -> Value {
        container(|app| {
            app["image"] = json!(image);
            app["lifecycle"] = json!({"preStop": {"exec": {"command": command}}});
        })
    }

    #[test]
    fn there_is_no_shell_in_an_image_without_one() {
        for (command, needed) in [(&["sh", "-c", "sleep 15"][..], "sh"), (&["/bin/sleep", "15"], "sleep")] {
            let (field, message) = fires(&hook("gcr.io/distroless/java21:nonroot", command), HookNeedsShell);
            assert_eq!(field, "spec.template.spec.containers[app].lifecycle.preStop.exec");
            let expected = format!("runs {needed}, which the image \"distroless/java21:nonroot\" seems not to have; ");
            assert!(message.starts_with(&expected), "{message}");
        }
    }

    #[test]
    fn a_command_of_the_image_itself_needs_none() {
        silent(&hook("gcr.io/distroless/java21", &["/app/drain"]), HookNeedsShell);
        silent(&hook("shop:1", &["sh", "-c", "sleep 15"]), HookNeedsShell);
    }

    #[test]
    fn an_images_name_tells_whether_it_has_a_shell() {
        for image in [
            "gcr.io/distroless/static-debian12:nonroot",
            "registry:5000/shop/distroless-base@sha256:ab",
            "cgr.dev/acme/node:22",
            "cgr.dev/chainguard/static",
            "shop:1.2-static",
            "shop:scratch",
        ] {
            assert!(has_no_shell(image), "{image}");
        }
        for image in [
            "gcr.io/distroless/java21:debug",
            "cgr.dev/chainguard/node:latest-dev",
            "cgr.dev/chainguard/wolfi-base",
            "shop/static-pages:2",
            "nginx:1.27",
            "",
        ] {
            assert!(!has_no_shell(image), "{image}");
        }
    }
}
