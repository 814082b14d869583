//! Requests to the API server, counted by a layer around the client.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use tower::{Layer, Service};

use super::family::{Family, Type};

pub(super) const TOTAL: Family = Family::new(
    Type::Counter,
    "rest_client_requests",
    &["code", "method", "host"],
    "Number of requests to the API server by HTTP status code; <error> if there was no answer in time. Retries are not counted",
);

/// The requests to one API server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiRequests(Arc<Mutex<BTreeMap<Key, u64>>>);

/// The code has three digits, and the methods are those of the Kubernetes API.
type Key = (Arc<str>, &'static str, Option<u16>);

#[derive(Clone, Debug, EncodeLabelSet)]
struct Labels {
    code: String,
    method: &'static str,
    host: String,
}

impl ApiRequests {
    /// A layer for the client of the API server at this host and port.
    pub(crate) fn layer(&self, host: &str) -> Counting {
        Counting { requests: self.clone(), host: host.into() }
    }

    fn count(&self, key: Key) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut series = TOTAL.start(encoder)?;
        for ((host, method, code), count) in counts {
            let code = code.map_or_else(|| "<error>".to_owned(), |code| code.to_string());
            series.counter(&Labels { code, method, host: host.to_string() }, count)?;
        }
        Ok(())
    }
}

/// See [`ApiRequests::layer`].
#[derive(Clone, Debug)]
pub(crate) struct Counting {
    requests: ApiRequests,
    host: Arc<str>,
}

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, counting: self.clone() }
    }
}

/// A client that counts its requests.
pub(crate) struct Counted<S> {
    inner: S,
    counting: Counting,
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = name(request.method());
        let answer = self.inner.call(request);
        let Counting { requests, host } = self.counting.clone();
        let running = Running { requests, key: (host, method, None) };
        Box::pin(async move {
            // As a whole: a block that only assigns to the code would drop the rest too early.
            let mut running = running;
            let answer = answer.await;
            running.key.2 = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            answer
        })
    }
}

/// A request that counts when it ends, also by a timeout of the caller.
struct Running {
    requests: ApiRequests,
    key: Key,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.requests.count(self.key.clone());
    }
}

const fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tower::util::service_fn;

    use super::*;

    #[tokio::test]
    async fn requests_count_by_code_method_and_host() {
        let requests = ApiRequests::default();
        let answer = async |request: Request<()>| match request.uri().path() {
            "/gone" => Err("closed"),
            "/missing" => Ok(response(StatusCode::NOT_FOUND)),
            _ => Ok(response(StatusCode::OK)),
        };
        let mut client = requests.layer("10.96.0.1:443").layer(service_fn(answer));
        for (method, path) in [("GET", "/a"), ("GET", "/b"), ("GET", "/missing"), ("PATCH", "/gone"), ("BREW", "/a")] {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            let _ = client.call(request).await;
        }
        let counts = requests.0.lock().unwrap().clone();
        let counts: Vec<_> =
            counts.iter().map(|((host, method, code), count)| (&**host, *method, *code, *count)).collect();
        let host = "10.96.0.1:443";
        let expected = [
            (host, "GET", Some(200), 2),
            (host, "GET", Some(404), 1),
            (host, "PATCH", None, 1),
            (host, "other", Some(200), 1),
        ];
        assert_eq!(counts, expected);
    }

    #[tokio::test]
    async fn a_request_that_is_dropped_counts_as_one_without_an_answer() {
        let requests = ApiRequests::default();
        let silent = async |_: Request<()>| std::future::pending::<Result<Response<()>, &str>>().await;
        let mut client = requests.layer("10.96.0.1:443").layer(service_fn(silent));
        let mut answer = client.call(Request::new(()));
        assert!(futures::poll!(&mut answer).is_pending());
        assert!(requests.0.lock().unwrap().is_empty());
        drop(answer);
        assert_eq!(*requests.0.lock().unwrap(), [(("10.96.0.1:443".into(), "GET", None), 1)].into());
    }

    fn response(status: StatusCode) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = status;
        response
    }
}
