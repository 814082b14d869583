//! Information from the name of an image.

use crate::catalog::minimal_images::MinimalImage;

/// The last part of the name, without tag and digest.
pub(crate) fn repository(image: &str) -> &str {
    let image = without_digest(image);
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split(':').next().unwrap_or(last)
}

/// The last two parts of the name, with the tag and without the digest.
pub(crate) fn short_name(image: &str) -> &str {
    let image = without_digest(image);
    let start = image.rmatch_indices('/').nth(1).map_or(0, |(slash, _)| slash + 1);
    image.get(start..).unwrap_or(image)
}

/// Whether an image has a shell and basic programs such as `sleep`, as far as its name shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    /// The name shows nothing.
    Possible,
    /// The name ends with `static` or `scratch`.
    Unlikely,
    /// Distroless, Chainguard, the chiseled ones of Ubuntu, and the images of `data/minimal_images.yaml`. Their debug
    /// variants have a shell.
    Absent,
}

pub(crate) fn shell(image: &str) -> Shell {
    let words: Vec<_> = image.split(['/', ':', '@', '-', '_']).collect();
    let contains = |names: &[&str]| words.iter().any(|word| names.contains(word));
    let name = without_digest(image);
    let ends_with = |word: &str| name.strip_suffix(word).is_some_and(|rest| rest.ends_with(['-', ':']));
    if contains(&["debug", "dev", "busybox", "bash", "wolfi"]) {
        Shell::Possible
    } else if contains(&["distroless", "chainguard", "cgr.dev", "chiseled"]) || MinimalImage::is_known(name) {
        Shell::Absent
    } else if ends_with("static") || ends_with("scratch") {
        Shell::Unlikely
    } else {
        Shell::Possible
    }
}

/// Whether the image probably has the programs of `BusyBox`, such as its shell and its `su`: Alpine and `BusyBox` itself.
pub(crate) fn has_busybox(image: &str) -> bool {
    let name = without_digest(image);
    name.split(['/', ':', '-', '_', '.']).any(|word| word.starts_with("alpine") || word == "busybox")
}

/// Whether an image has a shell and no bash: the official ones on Alpine, as far as they do not install it.
pub(crate) fn has_no_bash(image: &str) -> bool {
    const ON_ALPINE: [&str; 9] = ["golang", "haproxy", "httpd", "memcached", "nginx", "node", "php", "python", "redis"];
    let name = without_digest(image);
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let (repository, tag) = name.split_once(':').unwrap_or((name, ""));
    let is_on_alpine = tag.split(['-', '.']).any(|word| word.starts_with("alpine"));
    matches!(repository, "alpine" | "busybox") || (is_on_alpine && ON_ALPINE.contains(&repository))
}

/// Whether the name of an image shows that it is for Windows: `windows/servercore`, `windowsservercore-ltsc2022`.
pub(crate) fn is_of_windows(image: &str) -> bool {
    let name = without_digest(image);
    name.contains("windows/servercore") || name.contains("windowsservercore") || name.contains("nanoserver")
}

fn without_digest(image: &str) -> &str {
    image.split('@').next().unwrap_or(image)
}

#[cfg(test)]
mod tests {
    use super::{Shell, has_no_bash, repository, shell, short_name};

    #[test]
    fn the_repository_is_the_last_part_of_the_name() {
        for (image, expected) in [
            ("envoy", "envoy"),
            ("envoyproxy/envoy:v1.30", "envoy"),
            ("registry:5000/a/cloud-sql-proxy:2.11@sha256:ab", "cloud-sql-proxy"),
            ("registry:5000/envoy", "envoy"),
            ("", ""),
        ] {
            assert_eq!(repository(image), expected, "{image}");
        }
    }

    #[test]
    fn the_short_name_is_the_last_two_parts_with_the_tag() {
        for (image, expected) in [
            ("gcr.io/distroless/java21:nonroot", "distroless/java21:nonroot"),
            ("registry:5000/shop/distroless-base@sha256:ab", "shop/distroless-base"),
            ("shop:1", "shop:1"),
            ("", ""),
        ] {
            assert_eq!(short_name(image), expected, "{image}");
        }
    }

    #[test]
    fn official_images_on_alpine_have_no_bash() {
        for (image, expected) in [
            ("nginx:1.27-alpine", true),
            ("docker.io/library/node:22-alpine3.20@sha256:ab", true),
            ("php:8.3-fpm-alpine", true),
            ("alpine:3.20", true),
            ("nginx:1.27", false),
            ("postgres:17-alpine", false),
            ("shop/nginx:1.27-alpine", false),
            ("", false),
        ] {
            assert_eq!(has_no_bash(image), expected, "{image}");
        }
    }

    #[test]
    fn minimal_images_have_no_shell() {
        for (image, expected) in [
            ("gcr.io/distroless/static-debian12:nonroot", Shell::Absent),
            ("registry:5000/shop/distroless-base@sha256:ab", Shell::Absent),
            ("cgr.dev/acme/node:22", Shell::Absent),
            ("cgr.dev/chainguard/static", Shell::Absent),
            ("gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.14.0", Shell::Absent),
            ("registry.k8s.io/kube-apiserver:v1.37.0@sha256:ab", Shell::Absent),
            ("envoyproxy/envoy:distroless-v1.30", Shell::Absent),
            ("mcr.microsoft.com/dotnet/aspnet:8.0-noble-chiseled-extra", Shell::Absent),
            ("quay.io/oauth2-proxy/oauth2-proxy:v7.6.0", Shell::Absent),
            ("quay.io/oauth2-proxy/oauth2-proxy:v7.6.0-alpine", Shell::Possible),
            ("registry.k8s.io/sig-storage/csi-node-driver-registrar:v2.10.0", Shell::Absent),
            ("shop:1.2-static", Shell::Unlikely),
            ("shop:scratch", Shell::Unlikely),
            ("gcr.io/distroless/java21:debug", Shell::Possible),
            ("cgr.dev/chainguard/node:latest-dev", Shell::Possible),
            ("cgr.dev/chainguard/wolfi-base", Shell::Possible),
            ("gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.14.0-alpine", Shell::Possible),
            ("fluent/fluent-bit:3.1-debug", Shell::Possible),
            ("shop/static-pages:2", Shell::Possible),
            ("nginx:1.27", Shell::Possible),
            ("", Shell::Possible),
        ] {
            assert_eq!(shell(image), expected, "{image}");
        }
    }
}
