//! Adds variables to the `env` of a container, and removes them again.
//!
//! They come first: the kubelet replaces a reference `$(NAME)` in a value only if the variable is before it in the list.

use serde_json::{Map, Value, json};

use super::ownership::FieldOwner;
use crate::variables::Variables;

/// The list of variables in a container.
const ENV: &str = "env";

/// Adds the variables. Returns whether the list was created for them.
pub(super) fn add(container: &mut Map<String, Value>, variables: Variables) -> bool {
    let created = !container.get(ENV).is_some_and(Value::is_array);
    if created {
        container.insert(ENV.to_owned(), json!([]));
    }
    if let Some(list) = container.get_mut(ENV).and_then(Value::as_array_mut) {
        list.splice(0..0, variables.entries().map(|(name, seconds)| entry(name, seconds.as_i64())));
    }
    created
}

/// Removes those that have the injected value and that the owner did not write, and the list if it was created for them.
/// Returns whether all of them were there and came first.
pub(super) fn remove(
    container: &mut Map<String, Value>,
    variables: Variables,
    created: bool,
    owner: FieldOwner<'_>,
) -> bool {
    let owner = owner.field(ENV);
    let Some(list) = container.get_mut(ENV).and_then(Value::as_array_mut) else { return false };
    let mut intact = true;
    for (name, seconds) in variables.entries() {
        let injected = entry(name, seconds.as_i64());
        let found = list.iter().position(|variable| *variable == injected);
        match found.filter(|_| !owner.item(name).wrote(&injected)) {
            Some(at) => {
                list.remove(at);
                intact &= at == 0;
            }
            None => intact = false,
        }
    }
    if created && list.is_empty() && !owner.wrote(&json!([])) {
        // shift, not swap: the other fields keep their order.
        container.shift_remove(ENV);
    }
    intact
}

fn entry(name: &str, seconds: i64) -> Value {
    json!({"name": name, "value": seconds.to_string()})
}
