//! What the operator says to those who run it: log lines, on standard error.

use std::error::Error as StdError;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::error_chain::ErrorChain;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Logging flags.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Arguments {
    /// How log lines look
    #[arg(long, env = "WINDDOWN_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug or trace, also by module, as in `info,winddown::admission=debug`
    #[arg(long, env = "WINDDOWN_LOG", default_value = "info")]
    pub log_level: String,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a filter.
    #[error("--log-level {0:?} is not a log filter")]
    Filter(String, #[source] ParseError),
    /// Somebody set it up before.
    #[error("logging cannot be set up")]
    Install(#[source] Box<dyn StdError + Send + Sync>),
}

/// Sets up logging for the process.
pub fn install(arguments: &Arguments) -> Result<(), Error> {
    // What kube's client logs of each failing call we say ourselves, once.
    let level = format!("kube_client::client::builder=off,{}", arguments.log_level);
    let filter = EnvFilter::try_new(level).map_err(|error| Error::Filter(arguments.log_level.clone(), error))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(Error::Install)
}

/// Trouble that lasts is logged once, again when it changes, and when it is over.
#[derive(Debug)]
pub struct OnChange {
    what: &'static str,
    last: Option<String>,
}

impl OnChange {
    /// For trouble that is called `what` in the log.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self { what, last: None }
    }

    /// Takes note of how it went this time, and says whether that was news.
    pub fn note<E: StdError + 'static>(&mut self, error: Option<&E>) -> bool {
        let now = error.map(|error| ErrorChain(error).to_string());
        let news = now != self.last;
        if news {
            if let Some(error) = &now {
                tracing::warn!("{}: {error}", self.what);
            } else {
                tracing::info!("no longer: {}", self.what);
            }
            self.last = now;
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::OnChange;

    #[test]
    fn lasting_trouble_is_said_once() {
        let mut trouble = OnChange::new("trouble");
        let [forbidden, missing] = ["forbidden", "missing"].map(Error::other);
        let said =
            [None, Some(&forbidden), Some(&forbidden), Some(&missing), None, None].map(|error| trouble.note(error));
        assert_eq!(said, [false, true, false, true, true, false]);
    }
}
