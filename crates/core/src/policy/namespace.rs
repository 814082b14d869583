//! A namespace, as far as policies and opt-in depend on it.

use std::collections::BTreeMap;

/// The label of a namespace that opts in all its workloads, if its value is `enabled`.
pub const INJECT: &str = "winddown.dev/inject";

/// A namespace with its labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Its name; empty if it is not known, as for an object of a file.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Namespace {
    /// A namespace of which only the name is known.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), labels: BTreeMap::new() }
    }

    /// Whether its workloads need no annotation.
    #[must_use]
    pub fn opted_in(&self) -> bool {
        self.labels.get(INJECT).is_some_and(|value| value == "enabled")
    }
}
