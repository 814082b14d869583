//! What the name of an image says.

/// The last part of an image's name, without tag and digest.
pub(crate) fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split(':').next().unwrap_or(last)
}

/// The last two parts of an image's name, with the tag and without the digest.
pub(crate) fn short_name(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let start = image.rmatch_indices('/').nth(1).map_or(0, |(slash, _)| slash + 1);
    image.get(start..).unwrap_or(image)
}

/// As far as an image's name tells: the images of Distroless and Chainguard, and those that call themselves static or
/// scratch. Their variants for debugging do have a shell.
pub(crate) fn has_no_shell(image: &str) -> bool {
    let words: Vec<_> = image.split(['/', ':', '@', '-', '_']).collect();
    let has = |names: &[&str]| words.iter().any(|word| names.contains(word));
    let name = image.split('@').next().unwrap_or(image);
    let ends = |word: &str| name.ends_with(&format!("-{word}")) || name.ends_with(&format!(":{word}"));
    let bare = has(&["distroless", "chainguard", "cgr.dev"]) || ends("static") || ends("scratch");
    bare && !has(&["debug", "dev", "busybox", "bash", "wolfi"])
}

#[cfg(test)]
mod tests {
    use super::{has_no_shell, repository};

    #[test]
    fn an_image_is_known_by_the_last_part_of_its_name() {
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
}
