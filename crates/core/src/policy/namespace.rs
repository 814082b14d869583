//! A namespace, as far as policies and opt-in depend on it.

use std::collections::BTreeMap;

/// The label of a namespace that opts in all its workloads, if its value is `enabled`.
pub const INJECT: &str = "winddown.dev/inject";

/// The API server sets this label of a namespace to its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A namespace with its labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Its name; empty if it is not known, as for an object of a file.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Namespace {
    /// A namespace with these labels and that of its name, which a file does not have.
    #[must_use]
    pub fn labelled(name: &str, mut labels: BTreeMap<String, String>) -> Self {
        if !name.is_empty() {
            labels.entry(NAME_LABEL.to_owned()).or_insert_with(|| name.to_owned());
        }
        Self { name: name.to_owned(), labels }
    }

    /// A namespace of which only the name is known.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::labelled(name, BTreeMap::new())
    }

    /// Whether its workloads need no annotation.
    #[must_use]
    pub fn opted_in(&self) -> bool {
        self.labels.get(INJECT).is_some_and(|value| value == "enabled")
    }
}
