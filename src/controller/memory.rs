//! What this replica has seen of each Deployment, so that it tells of changes and looks at nothing twice.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Watched;
use crate::report::Seen;

/// By UID: a Deployment that is made again under the same name is another one.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<String, Seen>>);

impl Memory {
    pub(super) fn of(&self, uid: &str) -> Option<Seen> {
        self.locked().get(uid).cloned()
    }

    pub(super) fn remember(&self, uid: &str, seen: Seen) {
        self.locked().insert(uid.to_owned(), seen);
    }

    pub(super) fn forget(&self, watched: &Watched) {
        if let Some(uid) = &watched.metadata.uid {
            self.locked().remove(uid);
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
