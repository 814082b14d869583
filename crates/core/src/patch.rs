//! Patches that fail if the object has changed meanwhile.

use json_patch::{Patch, PatchOperation, TestOperation, jsonptr::PointerBuf};
use serde_json::Value;

/// The patch with a test: the API server rejects it (422) if the object has changed since it was received. The generation
/// changes with the spec and not with the status (measured on 1.37). Only on a Deployment it also changes with annotations,
/// so they are tested separately.
#[must_use]
pub fn guarded(received: &Value, patch: Patch) -> Patch {
    let guards = ["generation", "annotations"].into_iter().filter_map(|field| {
        let value = received.get("metadata")?.get(field)?.clone();
        Some(PatchOperation::Test(TestOperation { path: PointerBuf::from_tokens(["metadata", field]), value }))
    });
    Patch(guards.chain(patch.0).collect())
}

#[cfg(test)]
mod tests {
    use json_patch::{Patch, patch};
    use serde_json::json;

    use super::guarded;

    #[test]
    fn a_guarded_patch_fails_if_spec_or_annotations_changed() {
        let received = json!({"metadata": {"generation": 1, "annotations": {"winddown.dev/drain": "5s"}}, "status": 1});
        let empty = guarded(&received, Patch::default());
        for (pointer, value, passes) in [
            ("/status", json!(2), true),
            ("/metadata/generation", json!(2), false),
            ("/metadata/annotations/winddown.dev~1drain", json!("6s"), false),
        ] {
            let mut now = received.clone();
            *now.pointer_mut(pointer).unwrap() = value;
            assert_eq!(patch(&mut now, &empty).is_ok(), passes, "{pointer}");
        }
        assert!(patch(&mut json!({"metadata": {}}), &guarded(&json!({"metadata": {}}), Patch::default())).is_ok());
    }
}
