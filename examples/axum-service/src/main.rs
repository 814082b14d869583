//! An HTTP server that shuts down without dropping a request. Copy `shutdown.rs` into your service.
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::map_response_with_state;
use axum::routing::{any, get};
use tokio::net::TcpListener;

use crate::shutdown::Shutdown;

mod shutdown;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = u16::try_from(number("PORT", 3000)?)?;
    let work = Duration::from_millis(number("WORK_MS", 50)?);
    let wait = Duration::from_millis(number("SHUTDOWN_WAIT_MS", 1000)?);

    let shutdown = Shutdown::default();
    let app = Router::new()
        .route("/health", get(health))
        // The argument reads the body. A body that is still unread when its connection closes makes the kernel send a
        // reset after the response.
        .fallback(any(move |_: Bytes| async move {
            tokio::time::sleep(work).await;
            "done\n"
        }))
        .layer(map_response_with_state(shutdown.clone(), Shutdown::tell_to_close))
        .with_state(shutdown.clone());

    let signal = shutdown.on_signal(wait)?;
    tokio::time::sleep(Duration::from_millis(number("START_MS", 0)?)).await; // as a connection to a database
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    println!(r#"{{"event":"listening","port":{}}}"#, listener.local_addr()?.port());
    axum::serve(listener, app).with_graceful_shutdown(signal).await?;
    shutdown.log("connections-closed", "");
    // Close database, cache and queue here: no request is open any more.
    shutdown.log("finished", r#","exitCode":0"#);
    Ok(())
}

async fn health(State(shutdown): State<Shutdown>) -> StatusCode {
    if shutdown.begun() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

/// A whole number from the environment.
fn number(name: &str, default: u32) -> Result<u64, String> {
    match std::env::var(name) {
        Ok(text) => text.parse::<u32>().map(u64::from).map_err(|error| format!("{name}={text}: {error}")),
        Err(_) => Ok(default.into()),
    }
}
