//! `/metrics`: plain HTTP on a separate port.

use std::io;
use std::net::TcpListener;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Exposition;
use crate::plain_http;

/// The maximum number of connections. Each can hold a text of some MiB, if there are thousands of workloads.
const MAX_CONNECTIONS: usize = 16;

/// The only version that Prometheus asks for which has a text format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves the metrics until the process ends.
pub(crate) async fn serve(listener: TcpListener, exposition: Exposition) -> io::Result<()> {
    plain_http::serve(listener, MAX_CONNECTIONS, router(exposition)).await
}

fn router(exposition: Exposition) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(exposition)
}

async fn metrics(State(exposition): State<Exposition>) -> Response {
    // It can take some milliseconds, and reviews use the same threads.
    let text = tokio::task::spawn_blocking(move || exposition.text());
    let Ok(Ok(text)) = text.await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tokio::sync::watch;
    use tower::ServiceExt as _;

    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn metrics_have_the_content_type_of_their_format() {
        let (_, leading) = watch::channel(true);
        let exposition = Exposition { metrics: Metrics::default(), lease: "winddown".to_owned(), leading };
        let router = router(exposition);
        let response = router.oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()["content-type"]),
            (StatusCode::OK, &OPEN_METRICS.parse().unwrap())
        );
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(body.ends_with(b"# EOF\n"));
    }
}
