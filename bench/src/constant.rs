//! The constant webhook: the least that a webhook in Rust can do. It reads the body, finds the uid by scanning, and answers
//! the same patch to every `/mutate` and the same "allowed" to every `/validate`. It decides nothing and parses nothing.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::tls;

/// How often each webhook was called, for `GET /calls`.
#[derive(Debug, Default)]
struct Calls {
    mutate: AtomicU64,
    validate: AtomicU64,
}

struct Webhook {
    /// What follows the uid in an answer with a patch.
    patched: Vec<u8>,
    calls: Calls,
}

const BEFORE_UID: &[u8] = br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":""#;
const ALLOWED: &[u8] = br#"","allowed":true}}"#;

/// The patch: what Winddown itself changes in the Deployment of the benchmarks.
pub(crate) fn patch() -> Value {
    let sleep = json!({"preStop": {"sleep": {"seconds": 5}}});
    let add = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
    json!([
        add("/metadata/annotations/winddown.dev~1budget", json!("drain 5s + deadline 25s + margin 5s = 35s of 35s")),
        add("/spec/template/metadata/labels/winddown.dev~1managed", json!("true")),
        add("/spec/template/metadata/annotations", json!({"winddown.dev/injected": record().to_string()})),
        add("/spec/template/spec/containers/0/lifecycle", sleep.clone()),
        add("/spec/template/spec/containers/1/lifecycle", sleep),
        add("/spec/template/spec/terminationGracePeriodSeconds", json!(35)),
    ])
}

/// The record that Winddown leaves in the pod template.
pub(crate) fn record() -> Value {
    json!({
        "v": 1, "template": "ce1dcfe4bee10154", "declared": "drain=5s deadline=25s",
        "resolved": "drain=5s deadline=25s margin=5s", "gracePeriod": {"set": 35},
        "preStop": {"checkout": 5, "recommendations": 5}, "lifecycle": ["checkout", "recommendations"],
        "made": ["annotations", "label"],
    })
}

/// Serves both webhooks on a port of this machine until the process is ended.
pub(crate) async fn serve(port: u16, directory: &Path) -> Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    let acceptor = TlsAcceptor::from(Arc::new(tls::server(directory)?));
    let patch = BASE64_STANDARD.encode(patch().to_string());
    let patched = format!(r#"","allowed":true,"patchType":"JSONPatch","patch":"{patch}"}}}}"#).into_bytes();
    let webhook = Arc::new(Webhook { patched, calls: Calls::default() });
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, acceptor.clone(), webhook.clone()));
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, webhook: Arc<Webhook>) {
    // A client that goes away in the middle is not an error of this server; the client reports it.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request| {
        let webhook = webhook.clone();
        async move { Ok::<_, Infallible>(webhook.answer(request).await) }
    });
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

impl Webhook {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let (calls, after_uid) = match head.uri.path() {
            "/mutate" => (&self.calls.mutate, &*self.patched),
            "/validate" => (&self.calls.validate, ALLOWED),
            "/calls" => return response(StatusCode::OK, self.calls()),
            _ => return response(StatusCode::NOT_FOUND, Bytes::new()),
        };
        calls.fetch_add(1, Ordering::Relaxed);
        let Ok(body) = body.collect().await else { return response(StatusCode::BAD_REQUEST, Bytes::new()) };
        match uid(&body.to_bytes()) {
            Some(uid) => response(StatusCode::OK, [BEFORE_UID, uid, after_uid].concat().into()),
            None => response(StatusCode::BAD_REQUEST, Bytes::new()),
        }
    }

    fn calls(&self) -> Bytes {
        let [mutate, validate] = [&self.calls.mutate, &self.calls.validate].map(|calls| calls.load(Ordering::Relaxed));
        json!({"mutate": mutate, "validate": validate}).to_string().into()
    }
}

fn response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// The first uid in a review is that of the request: the API server writes it before the object.
fn uid(review: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = br#""uid":""#;
    let start = review.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let length = review[start..].iter().position(|&byte| byte == b'"')?;
    Some(&review[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_is_that_of_the_request() {
        assert_eq!(uid(br#"{"request":{"uid":"one","object":{"uid":"two"}}}"#), Some(&b"one"[..]));
        assert_eq!(uid(br#"{"request":{}}"#), None);
        assert_eq!(uid(br#"{"request":{"uid":"one"#), None);
    }
}
