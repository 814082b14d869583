//! Logging to standard error.

mod log_limit;
mod one_line;

use std::error::Error as StdError;
use std::io;
use std::panic;

use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Registry, fmt};

pub(crate) use self::log_limit::LogLimit;
use self::one_line::OneLine;
use winddown_core::error_chain::ErrorChain;

/// Log format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Human-readable lines.
    Text,
    /// One JSON object per line.
    Json,
}

/// Logging flags.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Arguments {
    /// Log format
    #[arg(long, env = "WINDDOWN_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Log level: error, warn, info, debug or trace; per module as in `info,winddown_operator::webhook=debug`
    #[arg(long, env = "WINDDOWN_LOG", default_value = "info")]
    pub log_level: String,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The value of `--log-level` cannot be parsed.
    #[error("--log-level {0:?} is not a valid log filter")]
    Filter(String, #[source] ParseError),
    /// The process has a global subscriber already.
    #[error("cannot set up logging")]
    Install(#[source] TryInitError),
}

/// Sets up logging for the process.
pub fn install(arguments: &Arguments) -> Result<(), Error> {
    // kube's client logs each failed call; the callers here log it with more context.
    let level = format!("kube_client::client::builder=off,{}", arguments.log_level);
    // Without the filters for spans and fields, whose regular expressions would be a part of the binary.
    let filter: Targets = level.parse().map_err(|error| Error::Filter(arguments.log_level.clone(), error))?;
    let writer = OneLine::new(io::stderr, arguments.log_format);
    // Without colours: an escape sequence of the formatter cannot be told from one in a text.
    let lines = fmt::layer().with_writer(writer).with_ansi(false);
    let subscriber = Registry::default().with(filter);
    match arguments.log_format {
        LogFormat::Text => subscriber.with(lines).try_init(),
        LogFormat::Json => subscriber.with(lines.json().flatten_event(true)).try_init(),
    }
    .map_err(Error::Install)?;
    // The default hook writes several lines, with the text of the panic as it is.
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(panic = message, location = panic.location().map(tracing::field::display), "panicked");
    }));
    Ok(())
}

/// Logs a persistent failure when it starts, when its error changes, and when it is over.
#[derive(Debug)]
pub(crate) struct FailureLog {
    failure: &'static str,
    last: Option<String>,
}

impl FailureLog {
    /// `failure` is the message, e.g. "cannot update the certificates".
    pub(crate) fn new(failure: &'static str) -> Self {
        Self { failure, last: None }
    }

    /// Records the outcome of an attempt; returns whether it differs from the last one and was logged.
    pub(crate) fn record<E: StdError + 'static>(&mut self, error: Option<&E>) -> bool {
        let current = error.map(|error| ErrorChain(error).to_string());
        let changed = current != self.last;
        if changed {
            if let Some(error) = &current {
                tracing::warn!(error, "{}", self.failure);
            } else {
                tracing::info!("recovered: {}", self.failure);
            }
            self.last = current;
        }
        changed
    }
}

/// The log of a test: what is logged until the guard is dropped.
#[cfg(test)]
pub(crate) mod captured {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::{DefaultGuard, set_default};

    #[derive(Clone, Default)]
    pub(crate) struct Output(Arc<Mutex<Vec<u8>>>);

    impl Output {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        /// The lines that contain a text.
        pub(crate) fn lines(&self, containing: &str) -> usize {
            self.text().lines().filter(|line| line.contains(containing)).count()
        }
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Captures the log of this thread.
    pub(crate) fn capture() -> (Output, DefaultGuard) {
        let output = Output::default();
        let writer = output.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        (output, set_default(subscriber))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::FailureLog;

    #[test]
    fn a_persistent_failure_is_logged_once() {
        let mut log = FailureLog::new("cannot connect");
        let [forbidden, missing] = ["forbidden", "missing"].map(Error::other);
        let logged =
            [None, Some(&forbidden), Some(&forbidden), Some(&missing), None, None].map(|error| log.record(error));
        assert_eq!(logged, [false, true, false, true, true, false]);
    }
}
