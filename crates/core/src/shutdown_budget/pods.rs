//! Which budget the running pods carry.

use serde::{Deserialize, Serialize};

/// The number of running pods by the budget that they carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pods {
    /// Pods with the budget that the pod template has.
    #[cfg_attr(feature = "schema", schemars(with = "i64", range(min = 0)))]
    pub current: u32,
    /// Pods with another one.
    #[cfg_attr(feature = "schema", schemars(with = "i64", range(min = 0)))]
    pub old: u32,
    /// Pods without one.
    #[cfg_attr(feature = "schema", schemars(with = "i64", range(min = 0)))]
    pub none: u32,
}

impl Pods {
    /// All of them.
    #[must_use]
    pub fn all(self) -> u32 {
        self.current.saturating_add(self.old).saturating_add(self.none)
    }
}
