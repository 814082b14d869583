//! The `ShutdownPolicies` of the cluster. Every replica watches them; the leader writes their status.

mod governed;
mod report;
mod table;
mod watch;

use std::sync::Arc;

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
pub(crate) struct CurrentPolicies(Receiver<Option<Arc<Policies>>>);

impl CurrentPolicies {
    /// Without a watch.
    #[cfg(test)]
    pub(crate) fn built_in() -> Self {
        Self(tokio::sync::watch::channel(Some(Arc::default())).1)
    }

    /// The policies; until the API server has listed them, only the built-in one.
    pub(crate) fn get(&self) -> Arc<Policies> {
        self.0.borrow().clone().unwrap_or_default()
    }

    /// Waits until the API server has listed the policies, or answered that there are none.
    pub(crate) async fn listed(&self) {
        // Fails if the watch has ended, which ends the process.
        let _ = self.0.clone().wait_for(Option::is_some).await;
    }

    /// An item for each change from now on.
    pub(crate) fn changes(&self) -> impl Stream<Item = ()> + Send + use<> {
        WatchStream::from_changes(self.0.clone()).map(|_| ())
    }
}

fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("winddown.dev", "v1alpha1", "ShutdownPolicy");
    ApiResource::from_gvk_with_plural(&kind, "shutdownpolicies")
}

#[cfg(test)]
mod tests;
