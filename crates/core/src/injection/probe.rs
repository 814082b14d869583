//! Separates the injected fields of a readiness probe from the owner's, and puts them together.
//!
//! `kubectl apply`, Helm and server-side apply merge the owner's manifest into the current probe, so a probe may contain
//! fields of both.

use serde_json::{Map, Value, json};

use super::ownership::FieldOwner;

type Fields = Map<String, Value>;

/// The owner's fields of a probe that had injected ones.
#[derive(Debug, PartialEq)]
pub(super) struct OwnedProbe {
    /// The probe without the injected fields; empty if the owner wrote none.
    pub(super) fields: Fields,
    /// Whether all injected fields still were there.
    pub(super) intact: bool,
}

impl OwnedProbe {
    /// Removes the recorded fields that still have the recorded value and that the owner did not write. Where the owner
    /// wrote what to ask, the fields that only set how are the API's defaults again.
    pub(super) fn of(probe: &Fields, recorded: &Fields, owner: FieldOwner<'_>) -> Self {
        let mut fields = probe.clone();
        let mut intact = true;
        for (key, ours) in recorded {
            let owner = owner.field(key);
            let (removed, emptied) = match (fields.get_mut(key), ours) {
                (Some(Value::Object(found)), Value::Object(ours)) => {
                    (remove_from_handler(found, ours, owner), found.is_empty())
                }
                (Some(found), ours) => {
                    let removed = found == ours && !owner.wrote(found);
                    (removed, removed)
                }
                (None, _) => (false, false),
            };
            intact &= removed;
            if emptied {
                fields.shift_remove(key);
            }
        }
        let mut kept = Self { fields, intact };
        // The numbers of an incomplete probe must not depend on what was removed: the next review removes what completes it.
        if !kept.handlers().is_empty() && (kept.fields != *probe || !kept.is_complete()) {
            kept.add_defaults();
        }
        kept
    }

    /// Whether the API server accepts it as it is: it has a handler, with a port if it needs one.
    pub(super) fn is_complete(&self) -> bool {
        self.handlers().iter().any(|name| {
            let needs_port = ["httpGet", "tcpSocket", "grpc"].contains(name);
            // The API server adds a port of 0 where there is none.
            !needs_port || self.fields[*name].get("port").is_some_and(|port| !port.is_null() && *port != 0)
        })
    }

    /// The names of its handlers: only they are objects.
    fn handlers(&self) -> Vec<&str> {
        handlers(&self.fields)
    }

    fn add_defaults(&mut self) {
        add_missing(&mut self.fields, default_numbers());
        if self.is_complete() {
            for (handler, defaults) in
                [("httpGet", json!({"path": "/", "scheme": "HTTP"})), ("grpc", json!({"service": ""}))]
            {
                if let (Some(Value::Object(fields)), Value::Object(defaults)) = (self.fields.get_mut(handler), defaults)
                {
                    add_missing(fields, defaults);
                }
            }
        }
    }
}

/// Removes the injected fields of a handler, and returns whether all were there. Without a field that an apply wrote, a
/// handler in which one of them changed was edited as a whole: then it is the owner's as it is.
fn remove_from_handler(found: &mut Fields, ours: &Fields, owner: FieldOwner<'_>) -> bool {
    if !owner.wrote_any() && ours.iter().any(|(key, value)| found.get(key) != Some(value)) {
        return false;
    }
    let before = found.len();
    found.retain(|key, value| ours.get(key) != Some(value) || owner.field(key).wrote(value));
    before - found.len() == ours.len()
}

/// Adds the fields that a probe lacks to it, and returns them. A probe has one handler, so where the owner wrote a part of
/// another one, nothing is added.
pub(super) fn complete(probe: &mut Fields, missing: &Fields) -> Option<Fields> {
    let wanted = handlers(missing);
    if !handlers(probe).iter().all(|handler| wanted.contains(handler)) {
        return None;
    }
    let mut added = Fields::new();
    for (key, value) in missing {
        match (probe.get_mut(key), value) {
            (None, _) => {
                probe.insert(key.clone(), value.clone());
                added.insert(key.clone(), value.clone());
            }
            (Some(Value::Object(handler)), Value::Object(missing)) => {
                let missing: Fields =
                    missing.iter().filter(|(key, _)| !handler.contains_key(*key)).map(owned).collect();
                if !missing.is_empty() {
                    handler.extend(missing.clone());
                    added.insert(key.clone(), Value::Object(missing));
                }
            }
            (Some(_), _) => {}
        }
    }
    Some(added)
}

/// What a part of a probe needs to be valid: the recorded handler, with the API's numbers.
pub(super) fn completion(recorded: &Fields) -> Fields {
    let mut missing: Fields = recorded.iter().filter(|(_, value)| value.is_object()).map(owned).collect();
    add_missing(&mut missing, default_numbers());
    missing
}

fn handlers(probe: &Fields) -> Vec<&str> {
    probe.iter().filter(|(_, value)| value.is_object()).map(|(name, _)| name.as_str()).collect()
}

/// The defaults of the API (reference of `Probe`).
fn default_numbers() -> Fields {
    [("failureThreshold", 3), ("periodSeconds", 10), ("successThreshold", 1), ("timeoutSeconds", 1)]
        .map(|(name, number)| (name.to_owned(), json!(number)))
        .into_iter()
        .collect()
}

fn add_missing(fields: &mut Fields, defaults: Fields) {
    for (key, value) in defaults {
        fields.entry(key).or_insert(value);
    }
}

fn owned((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}
