//! Clients of the API server, and calls with a timeout.

use std::time::Duration;

use http::uri::Authority;
use kube::client::ClientBuilder;
use kube::config::InferConfigError;
use kube::core::Status;
use kube::runtime::watcher;
use kube::{Client, Config};

use crate::metrics::ApiRequests;

/// Timeout of a short call, retries included.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a call to the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a service account nor a kubeconfig.
    #[error("no configuration for the API server: not in a pod, and no usable kubeconfig")]
    Infer(#[source] Box<InferConfigError>),
    /// The client cannot be built from the configuration.
    #[error("cannot set up a client of the API server")]
    Client(#[source] Box<kube::Error>),
    /// The API server answered with an error.
    #[error("cannot {call}: {}", status.message)]
    Refused {
        /// The call in the form "read Secret winddown/winddown-ca".
        call: String,
        /// The answer.
        status: Box<Status>,
    },
    /// No answer, or one that cannot be decoded.
    #[error("cannot {call}")]
    Failed {
        /// The call.
        call: String,
        /// The cause.
        source: Box<kube::Error>,
    },
    /// No answer in time.
    #[error("cannot {call}: no answer within {} s", limit.as_secs())]
    TimedOut {
        /// The call.
        call: String,
        /// The timeout.
        limit: Duration,
    },
}

impl Error {
    /// The error of a call, named as in "cannot {call}".
    #[must_use]
    pub fn new(call: impl Into<String>, source: kube::Error) -> Self {
        let call = call.into();
        match source {
            // kube's Display prints the whole status as a Rust structure.
            kube::Error::Api(status) => Self::Refused { call, status },
            source => Self::Failed { call, source: Box::new(source) },
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    /// Whether the object was changed or created by another client in the meantime.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status().is_some_and(|status| status.code == 409)
    }

    /// Whether a JSON patch does not apply to the current object: the API server answers a failed `test` with 422.
    pub(crate) fn is_unprocessable(&self) -> bool {
        self.status().is_some_and(|status| status.code == 422)
    }

    /// Whether a retry may succeed: there was no answer, or the API server is overloaded or has an internal error.
    pub(crate) fn is_transient(&self) -> bool {
        self.status().is_none_or(|status| status.code == 429 || status.code >= 500)
    }

    /// Whether no connection to the API server could be established.
    pub(crate) fn is_unreachable(&self) -> bool {
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            use std::io::ErrorKind as Kind;
            let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            if matches!(kind, Some(Kind::ConnectionRefused | Kind::HostUnreachable | Kind::NetworkUnreachable)) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Whether nothing can be created any more, because the namespace is being deleted.
    pub(crate) fn is_of_terminating_namespace(&self) -> bool {
        let details = self.status().and_then(|status| status.details.as_ref());
        details.is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
    }

    /// The API server's error answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused { status, .. } => Some(status),
            _ => None,
        }
    }
}

/// Two clients with different timeouts.
#[derive(Clone)]
pub struct Clients {
    /// For short calls: short timeouts and no retries, because the caller knows when to retry.
    pub short: Client,
    /// For watches and the controller: kube's retries, no read timeout.
    pub watching: Client,
}

/// Builds clients from the kubeconfig if there is one, else from the pod's service account. Opens no connection.
pub async fn connect() -> Result<Clients, Error> {
    connect_counted(&ApiRequests::default()).await
}

/// As [`connect`], with clients that count their requests.
pub(crate) async fn connect_counted(requests: &ApiRequests) -> Result<Clients, Error> {
    let watching = Config::infer().await.map_err(|error| Error::Infer(Box::new(error)))?;
    let mut short = watching.clone();
    short.default_retry = false;
    short.connect_timeout = Some(Duration::from_secs(2));
    short.read_timeout = Some(Duration::from_secs(3));
    short.write_timeout = Some(Duration::from_secs(3));
    let counting = requests.layer(watching.cluster_url.authority().map_or("", Authority::as_str));
    let client = |config: Config| {
        let builder = ClientBuilder::try_from(config).map_err(|error| Error::Client(Box::new(error)))?;
        Ok(builder.with_layer(&counting).build())
    };
    Ok(Clients { short: client(short)?, watching: client(watching)? })
}

/// Runs a short call with a timeout. `call` names it as in "cannot {call}".
pub async fn within<T>(call: impl Into<String>, answer: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    within_limit(CALL_TIMEOUT, call, answer).await
}

/// Runs a call with the given timeout.
pub(crate) async fn within_limit<T>(
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

/// The API server's answer to a list or watch, if it is an error.
pub(crate) fn status_code(error: &watcher::Error) -> Option<u16> {
    use watcher::Error;
    match error {
        Error::InitialListFailed(kube::Error::Api(status))
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchFailed(kube::Error::Api(status))
        | Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Node;
    use kube::Api;

    use super::*;

    #[tokio::test]
    async fn an_api_server_that_accepts_no_connection_is_told_from_one_that_does_not_answer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
        config.read_timeout = Some(Duration::from_millis(10));
        let nodes = Api::<Node>::all(Client::try_from(config).unwrap());
        let silent = within("read a Node", nodes.get("node")).await.unwrap_err();
        assert!(silent.is_transient() && !silent.is_unreachable(), "{silent:?}");
        drop(listener);
        let refused = within("read a Node", nodes.get("node")).await.unwrap_err();
        assert!(refused.is_transient() && refused.is_unreachable(), "{refused:?}");
    }
}
