//! Which cluster, and as whom: the flags that every kubectl command has.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use kube::config::{ExecAuthCluster, ExecInteractiveMode, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::Error;
use super::address::Address;
use super::credentials::{impersonation_of, usable, with_token_of_file};
use super::impersonation::Impersonation;
use super::kubeconfig::{Choice, Chosen, Source, load};
use super::overrides::Overrides;
use super::proxies::{Environment, proxy};
use winddown_core::duration::Seconds;

/// The oldest supported Kubernetes is 1.30, as of the chart.
pub(crate) const MINIMUM_MINOR: u32 = 30;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// The flags that name cluster and user.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArguments {
    /// Path of the kubeconfig file
    #[arg(long, value_name = "FILE", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    impersonation: Impersonation,
    #[command(flatten)]
    overrides: Overrides,
    /// How long to wait for an answer of the API server; 0 is no limit. A connection may take 10s at most
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_limit)]
    request_timeout: Limit,
    /// Credential plugins of the kubeconfig must not ask.
    #[arg(skip)]
    unattended: bool,
}

/// The longest time of a request; `None`: no limit.
type Limit = Option<Duration>;

/// A connection to a cluster.
#[derive(Clone)]
pub(crate) struct Cluster {
    /// Retries nothing: an eviction that is refused must not be sent again minutes later.
    pub(crate) client: Client,
    /// The namespace of the context.
    pub(crate) default_namespace: String,
    /// The name of the context, for titles; `in-cluster` in a pod.
    pub(crate) context: String,
    /// The version of the API server, for example `v1.37.2`.
    pub(crate) version: String,
    timeout: Limit,
}

impl Cluster {
    /// Connects with the kubeconfig, or, where there is none, as the service account of the pod. Reads the version of
    /// the API server, which fails if it does not answer or is too old.
    pub(crate) async fn connect(arguments: &ClusterArguments) -> Result<Self, Error> {
        let (mut config, context) = arguments.config()?;
        let limit = arguments.request_timeout;
        if let Some(exec) = config.auth_info.exec.as_mut().filter(|_| arguments.unattended) {
            exec.interactive_mode = Some(ExecInteractiveMode::Never);
        }
        config.default_retry = false;
        config.connect_timeout = Some(limit.map_or(CONNECT, |limit| CONNECT.min(limit)));
        let server = Address::of(&config.cluster_url).to_string();
        let (call, default_namespace) = (format!("reach the API server {server}"), config.default_namespace.clone());
        let plugin = config.auth_info.exec.clone();
        let client = Client::try_from(config).map_err(|error| Error::no_client(server, plugin, error))?;
        let mut cluster = Self { client, default_namespace, context, version: String::new(), timeout: limit };
        let info = cluster.within(call, cluster.client.apiserver_version()).await?;
        if !is_supported(&info.major, &info.minor) {
            return Err(Error::TooOld(info.git_version));
        }
        cluster.version = info.git_version;
        Ok(cluster)
    }

    /// Waits for an answer, not longer than `--request-timeout`. `call` names it as in "cannot {call}".
    pub(crate) async fn within<T>(
        &self,
        call: impl Into<String>,
        answer: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        let answered = match self.timeout {
            None => answer.await,
            Some(limit) => match tokio::time::timeout(limit, answer).await {
                Ok(answered) => answered,
                Err(_) => return Err(Error::TimedOut { call: call.into(), limit }),
            },
        };
        answered.map_err(|error| Error::new(call, error))
    }
}

/// The names in a kubeconfig.
#[derive(Debug, Default)]
pub(crate) struct KubeconfigNames {
    pub(crate) contexts: Vec<String>,
    pub(crate) clusters: Vec<String>,
    pub(crate) users: Vec<String>,
}

impl ClusterArguments {
    /// The flags that choose the same cluster and user in a command to paste, each with a space before it. Without token and
    /// key.
    pub(crate) fn typed(&self) -> String {
        let file = self.kubeconfig.as_ref().map(|file| file.to_string_lossy()).filter(|file| !file.is_empty());
        let named = self.choice.typed().map(|(flag, name)| (flag, name.to_owned()));
        let flags = file.map(|file| ("--kubeconfig", file.into_owned())).into_iter().chain(named);
        let flags = flags.chain(self.overrides.typed()).chain(self.impersonation.typed());
        // No shell can be given a NUL.
        flags.filter_map(|(flag, value)| Some(format!(" {flag}={}", shlex::try_quote(&value).ok()?))).collect()
    }

    /// The same for completion: with this `--request-timeout`, and without a terminal for the credential plugins of the
    /// kubeconfig.
    pub(crate) fn unattended(self, request_timeout: Duration) -> Self {
        Self { request_timeout: Some(request_timeout), unattended: true, ..self }
    }

    /// The names in the kubeconfig; none if it cannot be read.
    pub(crate) fn names(&self) -> KubeconfigNames {
        let Ok(Some(kubeconfig)) = load(self.kubeconfig.as_deref()) else { return KubeconfigNames::default() };
        let Kubeconfig { contexts, clusters, auth_infos, .. } = kubeconfig;
        KubeconfigNames {
            contexts: contexts.into_iter().map(|context| context.name).collect(),
            clusters: clusters.into_iter().map(|cluster| cluster.name).collect(),
            users: auth_infos.into_iter().map(|user| user.name).collect(),
        }
    }

    /// The configuration, and the name of its context.
    fn config(&self) -> Result<(Config, String), Error> {
        match self.choice.source(load(self.kubeconfig.as_deref())?, &self.overrides)? {
            Source::Kubeconfig(kubeconfig) => {
                let chosen = self.choice.choose(&kubeconfig, &self.overrides)?;
                let user = with_token_of_file(usable(self.impersonation.apply(chosen.user)?)?)?;
                configuration(Chosen { user, ..chosen }, &Environment::read())
            }
            Source::Pod => {
                let mut config = Config::incluster().map_err(|_| Error::NoKubeconfig)?;
                config.auth_info = self.impersonation.apply(config.auth_info)?;
                Ok((config, "in-cluster".to_owned()))
            }
        }
    }
}

/// For kube's client. Its own way from a kubeconfig panics at some addresses, and uses proxies otherwise than
/// client-go.
fn configuration(chosen: Chosen, environment: &Environment) -> Result<(Config, String), Error> {
    let Chosen { context, namespace, mut cluster, mut user } = chosen;
    let address =
        Address::parse(cluster.server.as_deref().filter(|server| !server.is_empty()).ok_or(Error::NoServer)?)?;
    cluster.server = Some(address.uri().to_string());
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    cluster.certificate_authority = text(cluster.certificate_authority);
    cluster.certificate_authority_data = text(cluster.certificate_authority_data);

    let mut config = Config::new(address.uri().clone());
    config.default_namespace = namespace;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.disable_compression = cluster.disable_compression.unwrap_or(false);
    config.proxy_url = proxy(address.uri(), cluster.proxy_url.as_deref(), environment)?;
    config.tls_server_name = text(cluster.tls_server_name.clone());
    let described = ExecAuthCluster::try_from(&cluster).map_err(failed)?;
    config.root_cert = described.certificate_authority_data.as_deref().map(certificates).transpose()?;
    if let Some(exec) = user.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
        exec.cluster = Some(described);
    }
    config.auth_info = if address.has_tls() { user } else { impersonation_of(user) };
    Ok((config, context.unwrap_or_else(|| address.to_string())))
}

/// The certificates of a PEM text.
fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let certificates = CertificateDer::pem_slice_iter(pem).map(|der| der.map(|der| der.to_vec()));
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(|_| Error::Authority)?;
    if certificates.is_empty() { Err(Error::Authority) } else { Ok(certificates) }
}

fn failed(error: KubeconfigError) -> Error {
    Error::Kubeconfig(Box::new(error))
}

/// Whether the version of an API server, for example 1 and 37 or 30+, is supported. A version without numbers is.
fn is_supported(major: &str, minor: &str) -> bool {
    let minor = minor.trim_end_matches(|char: char| !char.is_ascii_digit());
    match (major.parse::<u32>(), minor.parse::<u32>()) {
        (Ok(1), Ok(minor)) => minor >= MINIMUM_MINOR,
        _ => true,
    }
}

/// Seconds such as `30s`, or, as kubectl allows, a number.
pub(crate) fn parse_timeout(text: &str) -> Result<Duration, String> {
    let seconds = match text.parse::<u32>() {
        Ok(seconds) => seconds.into(),
        Err(_) => text.parse::<Seconds>().map_err(|error| error.to_string())?.as_i64().unsigned_abs(),
    };
    if seconds == 0 { Err("must be at least 1s".to_owned()) } else { Ok(Duration::from_secs(seconds)) }
}

/// The same, or, as in kubectl, 0 for no limit.
fn parse_limit(text: &str) -> Result<Limit, String> {
    if matches!(text, "0" | "0s") { Ok(None) } else { parse_timeout(text).map(Some) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn configured(kubeconfig: &Value) -> Result<(Config, String), Error> {
        let context = kubeconfig["context"].as_str().map(str::to_owned);
        let cluster = serde_json::from_value(kubeconfig["cluster"].clone()).unwrap();
        let user = serde_json::from_value(kubeconfig["user"].clone()).unwrap();
        configuration(Chosen { context, namespace: "shop".to_owned(), cluster, user }, &Environment::default())
    }

    #[test]
    fn an_address_needs_no_scheme_and_its_password_is_no_name() {
        let (config, name) =
            configured(&json!({"cluster": {"server": "jane:secret@localhost:6443"}, "user": {"token": "abc"}}))
                .unwrap();
        assert_eq!(config.cluster_url, "https://jane:secret@localhost:6443/");
        assert_eq!((name.as_str(), config.default_namespace.as_str()), ("https://localhost:6443", "shop"));
        assert!(config.auth_info.token.is_some());
    }

    #[test]
    fn credentials_are_not_sent_without_tls() {
        let kubeconfig =
            json!({"context": "a", "cluster": {"server": "http://localhost:1"}, "user": {"token": "abc", "as": "b"}});
        let (Config { auth_info, .. }, name) = configured(&kubeconfig).unwrap();
        assert_eq!((name.as_str(), auth_info.impersonate.as_deref()), ("a", Some("b")));
        assert!(auth_info.token.is_none());
    }

    #[test]
    fn a_credential_plugin_learns_the_cluster_if_it_asks_for_it() {
        for (asks, server) in [(true, Some("https://one:1/")), (false, None)] {
            let user = json!({"exec": {"command": "login", "provideClusterInfo": asks}});
            let (config, _) = configured(&json!({"cluster": {"server": "one:1"}, "user": user})).unwrap();
            let cluster = config.auth_info.exec.unwrap().cluster;
            assert_eq!(cluster.and_then(|cluster| cluster.server).as_deref(), server);
        }
    }

    #[test]
    fn an_authority_without_certificates_and_a_cluster_without_a_server_are_refused() {
        for cluster in [
            json!({"server": "https://one", "certificate-authority-data": "QQ=="}),
            json!({"server": "https://one", "certificate-authority": "/dev/null"}),
            json!({"server": "https://one", "certificate-authority": "/dev/null/none"}),
            json!({"server": ""}),
            json!({}),
        ] {
            assert!(configured(&json!({"cluster": cluster, "user": {}})).is_err(), "{cluster}");
        }
        let empty = json!({"server": "https://one", "certificate-authority-data": "", "tls-server-name": ""});
        let (config, _) = configured(&json!({"cluster": empty, "user": {}})).unwrap();
        assert_eq!((config.root_cert, config.tls_server_name), (None, None));
    }

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        cluster: ClusterArguments,
    }

    #[test]
    fn a_command_to_paste_is_for_the_same_cluster_and_has_no_credentials() {
        let typed = |words: &[&str]| {
            let words = ["kubectl"].iter().chain(words);
            <Flags as clap::Parser>::try_parse_from(words).unwrap().cluster.typed()
        };
        let flags = ["--context", "a b", "--kubeconfig", "/x", "--token", "secret", "--user="];
        assert_eq!(typed(&flags), " --kubeconfig=/x --context='a b'");
        let flags =
            ["-s", "https://jane:secret@one:1", "--certificate-authority", "ca.pem", "--tls-server-name", "one"];
        assert_eq!(typed(&flags), " --server=https://one:1 --tls-server-name=one --certificate-authority=ca.pem");
        assert_eq!(typed(&["--insecure-skip-tls-verify"]), " --insecure-skip-tls-verify=true");
        let flags = ["--as", "eve", "--as-group", "a b", "--as-group", "c", "--as-uid", "1"];
        assert_eq!(typed(&flags), " --as=eve --as-group='a b' --as-group=c --as-uid=1");
        assert_eq!(typed(&["--server=", "--certificate-authority=", "--as="]), "");
    }

    #[test]
    fn versions_of_managed_clusters_are_read() {
        for (major, minor, supported) in [
            ("1", "30", true),
            ("1", "29+", false),
            ("1", "37+", true),
            ("1", "9", false),
            ("2", "0", true),
            ("", "", true),
        ] {
            assert_eq!(is_supported(major, minor), supported, "{major}.{minor}");
        }
    }

    #[test]
    fn a_timeout_is_a_duration_or_a_number_of_seconds() {
        assert_eq!(parse_timeout("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_timeout("5"), Ok(Duration::from_secs(5)));
        assert!(parse_timeout("0").is_err() && parse_timeout("soon").is_err());
    }

    #[test]
    fn a_request_has_no_limit_with_0() {
        assert_eq!((parse_limit("0"), parse_limit("0s")), (Ok(None), Ok(None)));
        assert_eq!(parse_limit("90"), Ok(Some(Duration::from_secs(90))));
        assert!(parse_limit("").is_err() && parse_limit("-1").is_err());
    }
}
