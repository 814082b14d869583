//! The `ShutdownPolicies` of the cluster. Every replica watches them; the leader writes their status.

mod governed;
mod report;
mod table;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{Stream, StreamExt as _};
use kube::core::{ApiResource, GroupVersionKind};
use tokio::sync::watch::Receiver;
use tokio_stream::wrappers::WatchStream;

pub(crate) use self::governed::{Governed, Standing};
pub(crate) use self::report::Reporter;
pub(crate) use self::watch::Watch;
use winddown_core::policy::Policies;

/// The policies that count at the moment.
#[derive(Clone)]
pub(crate) struct CurrentPolicies {
    policies: Receiver<Option<Arc<Policies>>>,
    /// Whether a review took place while they were not known.
    missed: Arc<AtomicBool>,
}

impl CurrentPolicies {
    fn new(policies: Receiver<Option<Arc<Policies>>>) -> Self {
        Self { policies, missed: Arc::default() }
    }

    /// Without a watch.
    #[cfg(test)]
    pub(crate) fn built_in() -> Self {
        Self::new(tokio::sync::watch::channel(Some(Arc::default())).1)
    }

    /// The policies; until the API server has listed them, only the built-in one.
    pub(crate) fn get(&self) -> Arc<Policies> {
        self.policies.borrow().clone().unwrap_or_default()
    }

    /// The same for a review. The first one that has only the built-in policy because the others are not known is logged.
    pub(crate) fn for_review(&self) -> Arc<Policies> {
        let known = self.policies.borrow().clone();
        let missed = known.is_none();
        if self.missed.load(Ordering::Relaxed) != missed && self.missed.swap(missed, Ordering::Relaxed) != missed {
            if missed {
                tracing::warn!("the built-in policy counts for reviews until the ShutdownPolicies are known");
            } else {
                tracing::info!("the ShutdownPolicies are known, and count for reviews");
            }
        }
        known.unwrap_or_default()
    }

    /// Waits until the API server has listed the policies, or answered that there are none.
    pub(crate) async fn listed(&self) {
        // Fails if the watch has ended, which ends the process.
        let _ = self.policies.clone().wait_for(Option::is_some).await;
    }

    /// An item for each change from now on.
    pub(crate) fn changes(&self) -> impl Stream<Item = ()> + Send + use<> {
        let mut policies = self.policies.clone();
        policies.mark_unchanged();
        WatchStream::from_changes(policies).map(|_| ())
    }
}

fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("winddown.dev", "v1alpha1", "ShutdownPolicy");
    ApiResource::from_gvk_with_plural(&kind, "shutdownpolicies")
}

#[cfg(test)]
mod tests;
