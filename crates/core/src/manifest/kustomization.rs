//! The files of patches in a kustomization. Such a file describes a part of an object.

use serde_json::Value;

/// More than any real kustomization has.
const MOST: usize = 1_000;

/// The paths of the patches that a kustomization reads from files, relative to its directory. Patches in the kustomization
/// itself have none.
#[must_use]
pub fn patches(text: &str) -> Vec<String> {
    let Ok(kustomization) = super::parsed(text) else { return Vec::new() };
    let list = |field: &str| kustomization.get(field).and_then(Value::as_array).into_iter().flatten();
    let with_path = list("patches").chain(list("patchesJson6902")).filter_map(|patch| patch.get("path"));
    // An item of this one is a path or a patch.
    let paths = with_path.chain(list("patchesStrategicMerge")).filter_map(Value::as_str);
    paths.filter(|path| !path.contains('\n')).take(MOST).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::patches;

    #[test]
    fn the_files_of_all_kinds_of_patches_are_found() {
        let text = "resources: [shop.yaml]\n\
            patches:\n- path: ./grace.yaml\n- patch: |-\n    - op: remove\n      path: /spec\n- {path: ../hook.yaml, target: {kind: Deployment}}\n\
            patchesStrategicMerge:\n- replicas.yaml\n- |-\n  apiVersion: apps/v1\n  kind: Deployment\n\
            patchesJson6902:\n- {path: json.yaml, target: {}}\n";
        assert_eq!(patches(text), ["./grace.yaml", "../hook.yaml", "json.yaml", "replicas.yaml"]);
        for text in ["", "a: [", "- a", "patches: 5", "patches: [5, {path: 5}]"] {
            assert!(patches(text).is_empty(), "{text}");
        }
    }
}
