//! Reads namespaces that the watch has not reported yet, each once at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Labels, bounded};
use crate::kubernetes::within_limit;
use crate::telemetry::LogLimit;
use winddown_core::error_chain::ErrorChain;

/// How long a read takes at most, with the time until there are fewer than [`MAX_AT_ONCE`] others.
pub(crate) const READ_LIMIT: Duration = Duration::from_secs(2);
/// How long a result is kept. The watch normally reports the namespace within a moment.
const KEPT: Duration = Duration::from_secs(10);
/// From the start of a read that failed to the next one, so that reviews do not all wait while the API server does not answer.
const RETRY: Duration = Duration::from_secs(5);
/// Anyone who reaches the port can name namespaces.
const MAX_KEPT: usize = 1024;
const MAX_AT_ONCE: usize = 16;
/// The longest name of a namespace, in bytes (RFC 1123 label).
const LONGEST_NAME: usize = 63;

/// `None` after a failure.
type Read = Shared<BoxFuture<'static, Option<Arc<Labels>>>>;

pub(super) struct Reads {
    client: Client,
    kept: Mutex<HashMap<String, (Instant, Read)>>,
    permits: Arc<Semaphore>,
    failed: Arc<LogLimit>,
}

impl Reads {
    pub(super) fn new(client: Client) -> Self {
        let (kept, failed) = Default::default();
        Self { client, kept, permits: Arc::new(Semaphore::new(MAX_AT_ONCE)), failed }
    }

    /// The labels that were read a moment ago.
    pub(super) fn known(&self, name: &str) -> Option<Labels> {
        let kept = self.kept();
        let (_, read) = kept.get(name).filter(|kept| is_kept(kept))?;
        Some(Labels::clone(read.peek()?.as_ref()?))
    }

    /// Reads a namespace, or waits for a read that is in progress, up to `limit`.
    pub(super) async fn read(&self, name: &str, limit: Duration) -> Option<Labels> {
        let read = self.start(name)?;
        let labels = tokio::time::timeout(limit, read).await.ok()??;
        Some(Labels::clone(&labels))
    }

    fn start(&self, name: &str) -> Option<Read> {
        if !is_name(name) {
            return None;
        }
        let mut kept = self.kept();
        if let Some((_, read)) = kept.get(name).filter(|kept| is_kept(kept)) {
            return Some(read.clone());
        }
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, kept| is_kept(kept));
        }
        if kept.len() >= MAX_KEPT {
            return None;
        }
        let (client, failed, named) = (self.client.clone(), self.failed.clone(), name.to_owned());
        let permits = self.permits.clone();
        let read = async move {
            let namespaces: Api<Namespace> = Api::all(client);
            let found = async {
                // Fails if the semaphore is closed, which never happens.
                let _permit = permits.acquire().await;
                namespaces.get_metadata(&named).await
            };
            match within_limit(READ_LIMIT, "read a Namespace", found).await {
                Ok(found) => Some(Arc::new(found.metadata.labels.map(bounded).unwrap_or_default())),
                Err(error) => {
                    if let Some(unlogged) = failed.next() {
                        tracing::warn!(namespace = named, error = %ErrorChain(&error), unlogged, "labels are not known");
                    }
                    None
                }
            }
        };
        // A task, so that the read ends even if the review that started it was cancelled.
        let task = tokio::spawn(read);
        let read = async move { task.await.ok().flatten() }.boxed().shared();
        kept.insert(name.to_owned(), (Instant::now(), read.clone()));
        Some(read)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, (Instant, Read)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_kept((started, read): &(Instant, Read)) -> bool {
    started.elapsed() < if matches!(read.peek(), Some(None)) { RETRY } else { KEPT }
}

fn is_name(text: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_valid)
}
