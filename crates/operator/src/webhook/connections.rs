//! Limits the number of connections.

use std::io;
use std::sync::Arc;

use axum_server::accept::Accept;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::add_extension::AddExtension;

/// The maximum number of connections. An API server needs one or two.
pub(super) const MAX_CONNECTIONS: usize = 256;

/// Accepts connections until there are too many, and then closes new ones.
#[derive(Clone)]
pub(crate) struct Limited<A> {
    inner: A,
    permits: Arc<Semaphore>,
}

/// Kept by the service of a connection, which lives as long as the connection.
type Permit = Arc<OwnedSemaphorePermit>;

impl<A> Limited<A> {
    pub(crate) fn new(inner: A, connections: usize) -> Self {
        Self { inner, permits: Arc::new(Semaphore::new(connections)) }
    }
}

impl<A, I, S> Accept<I, S> for Limited<A>
where
    A: Accept<I, S, Future: Send + 'static>,
{
    type Stream = A::Stream;
    type Service = AddExtension<A::Service, Permit>;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            return Box::pin(async { Err(io::Error::other("too many connections")) });
        };
        // Taken before the TLS handshake, which has a time limit.
        let accepted = self.inner.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            Ok((stream, AddExtension::new(service, Arc::new(permit))))
        })
    }
}
