//! How the shell talks to the API server: clients, and a limit to waiting.

use std::time::Duration;

use kube::config::InferConfigError;
use kube::core::{ApiResource, GroupVersionKind, Status};
use kube::{Client, Config};

use winddown_core::kind::Kind;

/// How long one short call may take in all.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// Why a call to the API server came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a service account nor a kubeconfig.
    #[error("no way to the API server: neither in a pod nor a usable kubeconfig")]
    Infer(#[source] Box<InferConfigError>),
    /// The configuration makes no client.
    #[error("cannot set up a client of the API server")]
    Client(#[source] Box<kube::Error>),
    /// The API server refused.
    #[error("cannot {call}: {}", status.message)]
    Refused {
        /// What was to be done: "read Secret winddown/winddown-ca".
        call: String,
        /// The API server's own words.
        status: Box<Status>,
    },
    /// The call did not come to an answer, or to none that can be understood.
    #[error("cannot {call}")]
    Failed {
        /// What was to be done.
        call: String,
        /// What went wrong.
        source: Box<kube::Error>,
    },
    /// No answer in time.
    #[error("cannot {call}: no answer in {} s", limit.as_secs())]
    TimedOut {
        /// What was to be done.
        call: String,
        /// How long it was waited for.
        limit: Duration,
    },
}

impl Error {
    /// What came of a call, named as in "cannot {call}".
    #[must_use]
    pub fn new(call: impl Into<String>, source: kube::Error) -> Self {
        let call = call.into();
        match source {
            // kube's own text has the whole status in it as a Rust structure.
            kube::Error::Api(status) => Self::Refused { call, status },
            source => Self::Failed { call, source: Box::new(source) },
        }
    }

    /// Whether the object is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    /// Whether somebody else changed or made the object in between.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.status().is_some_and(|status| status.code == 409)
    }

    /// Whether a patch did not fit the object as it is by now: a JSON patch whose `test` fails is answered with 422.
    #[must_use]
    pub fn is_misfit(&self) -> bool {
        self.status().is_some_and(|status| status.code == 422)
    }

    /// Whether the same call may well succeed later: the API server did not answer, or had trouble itself.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.status().is_none_or(|status| status.code == 429 || status.code >= 500)
    }

    /// The API server's own words, where it had any.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused { status, .. } => Some(status),
            _ => None,
        }
    }
}

/// Clients for two kinds of work.
#[derive(Clone)]
pub struct Clients {
    /// For short calls: gives up early and leaves retrying to its caller, who knows how urgent it is.
    pub short: Client,
    /// For watches and everything the controller does: kube's own retries, no limit on reading.
    pub watching: Client,
}

/// Makes clients, from a kubeconfig if there is one, else from the pod's service account. Calls nobody yet.
pub async fn connect() -> Result<Clients, Error> {
    let watching = Config::infer().await.map_err(|error| Error::Infer(Box::new(error)))?;
    let mut short = watching.clone();
    short.default_retry = false;
    short.connect_timeout = Some(Duration::from_secs(2));
    short.read_timeout = Some(Duration::from_secs(3));
    short.write_timeout = Some(Duration::from_secs(3));
    let client = |config| Client::try_from(config).map_err(|error| Error::Client(Box::new(error)));
    Ok(Clients { short: client(short)?, watching: client(watching)? })
}

/// A kind as kube's dynamic types want it.
#[must_use]
pub fn api_resource(kind: Kind) -> ApiResource {
    let of_kind = GroupVersionKind::gvk(Kind::GROUP, Kind::VERSION, kind.as_str());
    ApiResource::from_gvk_with_plural(&of_kind, kind.resource())
}

/// One short call, named as in "cannot {call}", with a limit to waiting.
pub async fn within<T>(call: impl Into<String>, answer: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    within_limit(CALL_LIMIT, call, answer).await
}

/// A call that may take longer.
pub async fn within_limit<T>(
    limit: Duration,
    call: impl Into<String>,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::new(call, error)),
        Err(_) => Err(Error::TimedOut { call: call.into(), limit }),
    }
}
