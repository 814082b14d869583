use std::future::Future;
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{env, io, process, thread};

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// Of `WINDDOWN_DEADLINE_SECONDS`.
const DEFAULT_SECONDS: u32 = 25;
const MAX_SECONDS: u32 = 30 * 24 * 60 * 60;

/// Knows whether SIGTERM or SIGINT has arrived, and when.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<OnceLock<Instant>>);

impl Shutdown {
    pub fn begun(&self) -> bool {
        self.0.get().is_some()
    }

    /// Begins to handle signals, also while the service is still starting. The future ends when the listener has to
    /// close: `wait` after SIGTERM or SIGINT. The wait is a part of the deadline: at least half of it remains for open
    /// requests. At the deadline, the process exits with 1.
    pub fn on_signal(&self, wait: Duration) -> io::Result<impl Future<Output = ()> + use<>> {
        let deadline = self.deadline();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut next = async move || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let shutdown = self.clone();
        let begun = tokio::spawn(async move {
            next().await;
            shutdown.0.get_or_init(Instant::now);
            // A thread: it works even if requests block the runtime from now on. It starts before the first line of the
            // log: each of them blocks while stdout is full.
            thread::spawn(move || {
                thread::sleep(deadline + Duration::from_millis(200));
                process::exit(1);
            });
            shutdown.log("begun", "");
            let late = shutdown.clone();
            thread::spawn(move || {
                thread::sleep(deadline);
                late.log("deadline-passed", "");
                process::exit(1);
            });
            tokio::spawn(async move {
                loop {
                    next().await;
                    shutdown.log("signal-ignored", "");
                }
            });
        });
        let shutdown = self.clone();
        Ok(async move {
            let _ = begun.await;
            sleep(wait.min(deadline / 2)).await;
            shutdown.log("listeners-closed", "");
        })
    }

    fn deadline(&self) -> Duration {
        let seconds = match env::var("WINDDOWN_DEADLINE_SECONDS") {
            Ok(text) => text.parse().ok().filter(|seconds| *seconds <= MAX_SECONDS && !text.starts_with('+')),
            Err(_) => Some(DEFAULT_SECONDS),
        };
        if seconds.is_none() {
            self.log("setting-not-used", &format!(r#","name":"WINDDOWN_DEADLINE_SECONDS","used":{DEFAULT_SECONDS}"#));
        }
        Duration::from_secs(seconds.unwrap_or(DEFAULT_SECONDS).into())
    }

    /// Adds `Connection: close` to every response that starts after the signal.
    pub async fn tell_to_close(State(shutdown): State<Self>, mut response: Response) -> Response {
        if shutdown.begun() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// `more`: further fields in JSON, each with a comma before it.
    pub fn log(&self, event: &str, more: &str) {
        let ms = self.0.get().map_or(0, |at| at.elapsed().as_millis());
        // Not println: it panics if stdout is closed, and the deadline must end the process then, too.
        let _ = writeln!(io::stdout(), r#"{{"event":"{event}","ms":{ms}{more}}}"#);
    }
}
