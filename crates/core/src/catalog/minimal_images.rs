//! Images without a shell: `data/minimal_images.yaml`.

use std::sync::LazyLock;

use serde::Deserialize;

/// Images that contain only an app.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinimalImage {
    /// The ends of their repositories.
    pub names: Vec<String>,
    /// Words in the tag of variants that have a shell.
    #[serde(default)]
    pub with_shell: Vec<String>,
    /// The sources.
    pub sources: Vec<String>,
}

// A test checks that it can be read.
static IMAGES: LazyLock<Vec<MinimalImage>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/minimal_images.yaml")).unwrap_or_default());

impl MinimalImage {
    /// Every entry.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &IMAGES
    }

    /// Whether an image, given without its digest, is one of these.
    pub(crate) fn is_known(image: &str) -> bool {
        let (_, tag) = parts(image);
        let has_shell =
            |entry: &Self| tag.split([':', '-', '.']).any(|word| entry.with_shell.iter().any(|it| it == word));
        let is_named = |name: &String| is_repository(image, name);
        Self::all().iter().any(|entry| entry.names.iter().any(is_named) && !has_shell(entry))
    }
}

/// Whether the repository of an image ends with this name, from a slash or the beginning on.
pub(super) fn is_repository(image: &str, name: &str) -> bool {
    parts(image).0.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// The repository, and the rest: the tag with its colon, or the digest.
fn parts(image: &str) -> (&str, &str) {
    let start = image.rfind('/').map_or(0, |slash| slash + 1);
    image.split_at(image[start..].find([':', '@']).map_or(image.len(), |end| start + end))
}

#[cfg(test)]
mod tests {
    use super::MinimalImage;
    use crate::catalog::tests::assert_documented;

    #[test]
    fn every_image_is_documented() {
        let images = MinimalImage::all().iter();
        assert_documented(images.map(|it| (it.names[0].as_str(), it.names[0].as_str(), it.sources.as_slice())));
    }

    #[test]
    fn an_image_is_known_by_its_repository_in_any_registry() {
        for (image, known) in [
            ("gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.14.0", true),
            ("mirror:5000/cloud-sql-proxy:2", true),
            ("gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.14.0-bookworm", false),
            ("europe-docker.pkg.dev/gardener-project/releases/gardener/apiserver:v1.57", true),
            ("registry.k8s.io/coredns/coredns", true),
            ("hashicorp/consul-dataplane:1.6.0", true),
            ("hashicorp/consul-dataplane:1.6.0-ubi", false),
            ("envoyproxy/gateway:v1.5.0", true),
            ("envoyproxy/envoy:v1.30", false),
            ("ghcr.io/llm-d/llm-d-router-endpoint-picker:v0.11.0", true),
            ("my-cloud-sql-proxy:2", false),
            ("shop/apiserver:1", false),
            ("", false),
        ] {
            assert_eq!(MinimalImage::is_known(image), known, "{image}");
        }
    }
}
