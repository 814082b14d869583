//! The JSON Patch from a workload as received to the workload as it should be.

use json_patch::{Patch, PatchOperation, TestOperation, jsonptr::PointerBuf};
use serde_json::Value;

/// The operations that turn `received` into `desired`; none where they are equal.
///
/// `desired` was made from `received` by changing single fields, so fields that no type of ours knows are in neither the
/// operations nor in danger.
#[must_use]
pub fn between(received: &Value, desired: &Value) -> Patch {
    json_patch::diff(received, desired)
}

/// The same, but refused by the API server (422) where somebody changed the object meanwhile. The generation counts every
/// change of the spec and none of the status (measured on 1.37); it counts annotations on a Deployment only, so they are
/// looked at by themselves.
#[must_use]
pub fn guarded(received: &Value, patch: &Patch) -> Patch {
    let guards = ["generation", "annotations"].into_iter().filter_map(|field| {
        let value = received.get("metadata")?.get(field)?.clone();
        Some(PatchOperation::Test(TestOperation { path: PointerBuf::from_tokens(["metadata", field]), value }))
    });
    Patch(guards.chain(patch.0.iter().cloned()).collect())
}

#[cfg(test)]
mod tests {
    use json_patch::{Patch, patch};
    use serde_json::json;

    use super::guarded;

    #[test]
    fn a_guarded_patch_fails_where_spec_or_annotations_changed_meanwhile() {
        let received = json!({"metadata": {"generation": 1, "annotations": {"winddown.dev/drain": "5s"}}, "status": 1});
        let nothing = guarded(&received, &Patch::default());
        for (pointer, value, passes) in [
            ("/status", json!(2), true),
            ("/metadata/generation", json!(2), false),
            ("/metadata/annotations/winddown.dev~1drain", json!("6s"), false),
        ] {
            let mut now = received.clone();
            *now.pointer_mut(pointer).unwrap() = value;
            assert_eq!(patch(&mut now, &nothing).is_ok(), passes, "{pointer}");
        }
        assert!(patch(&mut json!({"metadata": {}}), &guarded(&json!({"metadata": {}}), &Patch::default())).is_ok());
    }
}
