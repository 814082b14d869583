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

/// The same, but refused by the API server (422) where somebody changed the object meanwhile. The generation tells: on a
/// Deployment it counts every change of spec and annotations (measured on 1.37), and none of the status.
#[must_use]
pub fn guarded(received: &Value, patch: &Patch) -> Patch {
    let pointer = PointerBuf::from_tokens(["metadata", "generation"]);
    let generation = received.pointer("/metadata/generation").cloned().unwrap_or(Value::Null);
    let guard = PatchOperation::Test(TestOperation { path: pointer, value: generation });
    Patch(std::iter::once(guard).chain(patch.0.iter().cloned()).collect())
}
