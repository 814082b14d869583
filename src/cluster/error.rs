//! Why a command cannot get an answer from the cluster: one sentence each, and what is missing.

use std::path::PathBuf;
use std::time::Duration;

use kube::client::AuthError;
use kube::config::{ExecConfig, KubeconfigError};
use kube::core::Status;

use super::connection::MINIMUM_MINOR;
use winddown_core::drill::Refusal;
use winddown_core::error_chain::ErrorChain;

/// Why the cluster gives no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no kubeconfig: set KUBECONFIG, --kubeconfig or --server, or run in a pod with a service account")]
    NoKubeconfig,
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[source] Box<KubeconfigError>),
    #[error("no kubeconfig: flags that replace a part of it need one, or --server")]
    NothingToOverride,
    #[error("cannot parse the kubeconfig {}{}", file.display(), at(*.place))]
    Syntax { file: PathBuf, place: Option<(u64, u64)> },
    /// A context, a cluster or a user.
    #[error("the {what} {name:?} is not in the kubeconfig{}", listed(.known))]
    Unknown { what: &'static str, name: String, known: Vec<String> },
    #[error("the kubeconfig has no current context; choose one with --context{}", listed(.0))]
    NoContext(Vec<String>),
    #[error("the kubeconfig has no contexts; set KUBECONFIG or --kubeconfig to another file, or use --server")]
    NoContexts,
    #[error("the cluster in the kubeconfig has no server")]
    NoServer,
    #[error(
        "the address of the API server is not a URL such as https://HOST:PORT; change --server, or the server in the kubeconfig"
    )]
    Address,
    #[error("the certificate authority of the API server is not a list of PEM certificates")]
    Authority,
    #[error("the address of the proxy in {0} is not a URL with http, https or socks5")]
    Proxy(&'static str),
    #[error("the token has a line break or another control character")]
    Token,
    #[error(
        "--insecure-skip-tls-verify accepts every certificate, so that --certificate-authority has no effect: leave one out"
    )]
    InsecureWithAuthority,
    #[error("a UID, groups or extra values of an impersonated user need its name: --as, or `as` in the kubeconfig")]
    NoUserToImpersonate,
    #[error("the credential plugin {command:?} cannot be started: {error}{}", after(.error, .hint.as_deref()))]
    NoPlugin { command: String, error: std::io::Error, hint: Option<String> },
    #[error("cannot set up a client for {server}: {}", cause(.error))]
    Client { server: String, error: Box<kube::Error> },
    #[error("the API server has version {0}; Winddown needs Kubernetes 1.{MINIMUM_MINOR} or later")]
    TooOld(String),
    /// The API server's message names user, verb, resource and namespace.
    #[error("cannot {call}: {}", status.message)]
    Refused { call: String, status: Box<Status> },
    /// No answer, or one that cannot be read.
    #[error("cannot {call}: {}", cause(.error))]
    Failed { call: String, error: Box<kube::Error> },
    #[error("cannot {call}: no answer within {} s; --request-timeout sets the limit", limit.as_secs())]
    TimedOut { call: String, limit: Duration },
    #[error("cannot {call}: there are more than {limit}; choose a namespace with -n or labels with -l")]
    TooMany { call: String, limit: usize },
    #[error("not rehearsed: {0}")]
    NotRehearsed(#[source] Refusal),
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// The error of a call, named as in "cannot {call}".
    pub(crate) fn new(call: impl Into<String>, source: kube::Error) -> Self {
        let call = call.into();
        match source {
            // kube's Display prints the whole status as a Rust structure.
            kube::Error::Api(status) => Self::Refused { call, status },
            error => Self::Failed { call, error: Box::new(error) },
        }
    }

    /// Why there is no client for this server, with the credentials of this plugin, if there is one.
    pub(crate) fn no_client(server: String, plugin: Option<ExecConfig>, source: kube::Error) -> Self {
        match (source, plugin) {
            (kube::Error::Auth(AuthError::AuthExecStart(error)), Some(ExecConfig { command, install_hint, .. })) => {
                Self::NoPlugin { command: command.unwrap_or_default(), error, hint: install_hint }
            }
            (error, _) => Self::Client { server, error: Box::new(error) },
        }
    }

    /// The API server's answer, if it is an error.
    pub(crate) fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused { status, .. } => Some(status),
            _ => None,
        }
    }

    /// Whether the API server has answered that nothing was changed. Without an answer, or after an internal error, this is
    /// not known.
    pub(crate) fn is_refusal(&self) -> bool {
        self.status().is_some_and(|status| status.code < 500)
    }

    /// Whether the user lacks a right.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.status().is_some_and(|status| status.code == 403)
    }

    /// Whether RBAC refused the request, and neither an admission controller nor a quota, which also answer with 403.
    pub(crate) fn is_missing_right(&self) -> bool {
        let is_of_rbac = |status: &Status| status.message.contains(" cannot ") && status.message.contains(" resource ");
        self.is_forbidden() && self.status().is_some_and(is_of_rbac)
    }

    /// Whether the object, or its resource, is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }
}

/// The cause without the layers of the client: where there is no connection, they say nothing.
fn cause(error: &kube::Error) -> String {
    use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut};
    let mut innermost: &(dyn std::error::Error + 'static) = error;
    while let Some(next) = innermost.source() {
        innermost = next;
        if let Some(said) = innermost.downcast_ref::<AuthError>().and_then(of_plugin) {
            return said;
        }
    }
    let kind = innermost.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    if let Some(ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable | TimedOut) = kind {
        return innermost.to_string();
    }
    let layers = ["ServiceError: ", "client error (Connect): ", "dns error: "];
    let chain = ErrorChain(error).to_string();
    layers.iter().fold(&*chain, |text, layer| text.strip_prefix(layer).unwrap_or(text)).to_owned()
}

/// What a credential plugin did, without its output: there are tokens in it.
fn of_plugin(error: &AuthError) -> Option<String> {
    match error {
        AuthError::AuthExecRun { cmd, out } => Some(format!("the credential plugin {cmd:?} failed: {}", out.status)),
        AuthError::AuthExecParse(_) => Some("the output of the credential plugin is not an ExecCredential".to_owned()),
        _ => None,
    }
}

/// What to do without the plugin, as the end of a sentence. The kubeconfig may have a text of several lines for this.
fn after(error: &std::io::Error, hint: Option<&str>) -> String {
    if error.kind() != std::io::ErrorKind::NotFound {
        return String::new();
    }
    let hint: Vec<_> = hint.into_iter().flat_map(str::split_whitespace).collect();
    let said = if hint.is_empty() { String::new() } else { format!("; the kubeconfig says: {}", hint.join(" ")) };
    format!("; install it, or add its folder to PATH{said}")
}

/// Line and column, as the end of a sentence.
fn at(place: Option<(u64, u64)>) -> String {
    place.map_or_else(String::new, |(line, column)| format!(" at line {line}, column {column}"))
}

/// The names that there are, as the end of a sentence.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "; it has none".to_owned(),
        count if count > SHOWN => format!("; it has {shown} and {} more", count - SHOWN),
        _ => format!("; it has {shown}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_connection_only_its_cause_is_said() {
        let failed = |kind: std::io::ErrorKind| {
            let error = std::io::Error::from(kind);
            Error::new("read", kube::Error::Service(Box::new(error))).to_string()
        };
        assert_eq!(failed(std::io::ErrorKind::ConnectionRefused), "cannot read: connection refused");
        assert_eq!(failed(std::io::ErrorKind::NotFound), "cannot read: entity not found");
    }

    #[test]
    fn the_output_of_a_credential_plugin_is_not_shown() {
        use std::os::unix::process::ExitStatusExt as _;

        let output = || std::process::Output {
            status: std::process::ExitStatus::from_raw(256),
            stdout: b"{\"token\": \"secret\"}".to_vec(),
            stderr: b"secret".to_vec(),
        };
        let failed = || kube::Error::Auth(AuthError::AuthExecRun { cmd: "login".to_owned(), out: Box::new(output()) });
        let said = "the credential plugin \"login\" failed: exit status: 1";
        assert_eq!(Error::new("read", failed()).to_string(), format!("cannot read: {said}"));
        let wrapped = kube::Error::Service(Box::new(failed()));
        assert_eq!(Error::new("read", wrapped).to_string(), format!("cannot read: {said}"));
        let client = Error::Client { server: "https://one".to_owned(), error: Box::new(failed()) };
        assert_eq!(ErrorChain(&client).to_string(), format!("cannot set up a client for https://one: {said}"));
    }

    #[test]
    fn a_credential_plugin_that_is_not_installed_is_named() {
        let error = || kube::Error::Auth(AuthError::AuthExecStart(std::io::ErrorKind::NotFound.into()));
        let said = |plugin: Option<serde_json::Value>| {
            let plugin = plugin.map(|plugin| serde_json::from_value(plugin).unwrap());
            Error::no_client("https://one".to_owned(), plugin, error()).to_string()
        };
        let start = "the credential plugin \"login\" cannot be started: entity not found; install it, or add its folder to PATH";
        assert_eq!(said(Some(serde_json::json!({"command": "login"}))), start);
        let hint = serde_json::json!({"command": "login", "installHint": "brew install\n  login\n"});
        assert_eq!(said(Some(hint)), format!("{start}; the kubeconfig says: brew install login"));
        assert!(said(None).starts_with("cannot set up a client for https://one: "));
    }

    #[test]
    fn an_unknown_context_names_those_that_there_are() {
        let error = |known: &[&str]| {
            let known = known.iter().map(|&name| name.to_owned()).collect();
            Error::Unknown { what: "context", name: "prod".to_owned(), known }.to_string()
        };
        assert_eq!(error(&["dev", "test"]), "the context \"prod\" is not in the kubeconfig; it has dev, test");
        assert_eq!(error(&[]), "the context \"prod\" is not in the kubeconfig; it has none");
        assert!(error(&["a"; 12]).ends_with("a and 2 more"));
    }

    #[test]
    fn a_missing_right_is_named_by_the_answer_of_the_api_server() {
        let message =
            "pods is forbidden: User \"eve\" cannot list resource \"pods\" in API group \"\" at the cluster scope";
        let error =
            Error::new("list Pods", kube::Error::Api(Box::new(Status::failure(message, "Forbidden").with_code(403))));
        assert_eq!(error.to_string(), format!("cannot list Pods: {message}"));
        assert!(error.is_forbidden() && error.is_missing_right() && !error.is_not_found());
        let quota =
            Status::failure("deployments.apps \"web\" is forbidden: exceeded quota: a", "Forbidden").with_code(403);
        let quota = Error::new("create", kube::Error::Api(Box::new(quota)));
        assert!(quota.is_forbidden() && !quota.is_missing_right());
    }
}
