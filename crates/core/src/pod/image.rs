//! Information from the name of an image.

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

/// Whether the image probably has neither a shell nor `sleep`: Distroless, Chainguard, and those with `static` or `scratch`
/// at the end of the name. Their debug variants have a shell.
pub(crate) fn has_no_shell(image: &str) -> bool {
    let words: Vec<_> = image.split(['/', ':', '@', '-', '_']).collect();
    let contains = |names: &[&str]| words.iter().any(|word| names.contains(word));
    let name = without_digest(image);
    let ends_with = |word: &str| name.strip_suffix(word).is_some_and(|rest| rest.ends_with(['-', ':']));
    let is_minimal = contains(&["distroless", "chainguard", "cgr.dev"]) || ends_with("static") || ends_with("scratch");
    is_minimal && !contains(&["debug", "dev", "busybox", "bash", "wolfi"])
}

fn without_digest(image: &str) -> &str {
    image.split('@').next().unwrap_or(image)
}

#[cfg(test)]
mod tests {
    use super::{has_no_shell, repository, short_name};

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
    fn minimal_images_have_no_shell() {
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
