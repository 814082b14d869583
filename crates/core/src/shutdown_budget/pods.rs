//! Which budget the running pods carry.

use serde::{Deserialize, Serialize};

/// The number of running pods by the budget that they carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pods {
    /// The one that the pod template has.
    pub current: u32,
    /// Another one.
    pub old: u32,
    /// None.
    pub none: u32,
}

impl Pods {
    /// All of them.
    #[must_use]
    pub fn all(self) -> u32 {
        self.current.saturating_add(self.old).saturating_add(self.none)
    }
}
