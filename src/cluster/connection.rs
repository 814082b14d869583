//! Which cluster, as whom, and which namespace: the flags that every kubectl command has.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::Error;
use super::overrides::Overrides;
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
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig to use
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Cluster of the kubeconfig to use
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// User of the kubeconfig to use
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// User to impersonate
    #[arg(long = "as", value_name = "USER")]
    impersonate: Option<String>,
    /// Group to impersonate; can be repeated
    #[arg(long = "as-group", value_name = "GROUP", requires = "impersonate")]
    impersonate_groups: Vec<String>,
    /// UID of the user to impersonate
    #[arg(long = "as-uid", value_name = "UID", requires = "impersonate")]
    impersonate_uid: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
    /// How long to wait for an answer of the API server; 0 is no limit
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
    /// Connects with the kubeconfig, or, where there is none, as the service account of the pod. Reads the version of the API
    /// server, which fails if it does not answer or is too old.
    pub(crate) async fn connect(arguments: &ClusterArguments) -> Result<Self, Error> {
        let (mut config, context) = arguments.config().await?;
        let limit = arguments.request_timeout;
        if let Some(exec) = config.auth_info.exec.as_mut().filter(|_| arguments.unattended) {
            exec.interactive_mode = Some(ExecInteractiveMode::Never);
        }
        config.default_retry = false;
        config.connect_timeout = Some(limit.map_or(CONNECT, |limit| CONNECT.min(limit)));
        config.auth_info.impersonate.clone_from(&arguments.impersonate);
        config.auth_info.impersonate_groups =
            Some(arguments.impersonate_groups.clone()).filter(|groups| !groups.is_empty());
        config.auth_info.impersonate_uid.clone_from(&arguments.impersonate_uid);
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let (call, default_namespace) = (format!("reach the API server {server}"), config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|source| Error::Client { server, source: Box::new(source) })?;
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
    /// The same for completion: with this `--request-timeout`, and without a terminal for the credential plugins of the
    /// kubeconfig.
    pub(crate) fn unattended(self, request_timeout: Duration) -> Self {
        Self { request_timeout: Some(request_timeout), unattended: true, ..self }
    }

    /// The names in the kubeconfig; none if it cannot be read.
    pub(crate) fn names(&self) -> KubeconfigNames {
        let read = self.kubeconfig.as_ref().map_or_else(Kubeconfig::read, Kubeconfig::read_from);
        let Ok(Kubeconfig { contexts, clusters, auth_infos, .. }) = read else { return KubeconfigNames::default() };
        KubeconfigNames {
            contexts: contexts.into_iter().map(|context| context.name).collect(),
            clusters: clusters.into_iter().map(|cluster| cluster.name).collect(),
            users: auth_infos.into_iter().map(|user| user.name).collect(),
        }
    }

    /// The configuration, and the name of its context.
    async fn config(&self) -> Result<(Config, String), Error> {
        let failed = |error| Error::Kubeconfig(Box::new(error));
        let kubeconfig = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path).map_err(failed)?,
            None => match Kubeconfig::read() {
                Ok(kubeconfig) => kubeconfig,
                Err(error) if self.overrides.has_server() && is_absent(&error) => Kubeconfig::default(),
                Err(error) if is_absent(&error) => {
                    let config = Config::incluster().map_err(|_| Error::NoKubeconfig)?;
                    return Ok((config, "in-cluster".to_owned()));
                }
                Err(error) => return Err(failed(error)),
            },
        };
        let name = self.context.clone().or_else(|| kubeconfig.current_context.clone());
        let known = || kubeconfig.contexts.iter().map(|context| context.name.clone()).collect::<Vec<_>>();
        if let Some(name) = &self.context
            && !known().contains(name)
        {
            return Err(Error::UnknownContext { name: name.clone(), known: known() });
        }
        let options =
            KubeConfigOptions { context: self.context.clone(), cluster: self.cluster.clone(), user: self.user.clone() };
        let (name, kubeconfig, options) = match self.overrides.apply(&kubeconfig, &options) {
            Some(replaced) => (replaced.current_context.clone(), replaced, KubeConfigOptions::default()),
            None => (name, kubeconfig, options),
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(failed)?;
        Ok((config, name.unwrap_or_default()))
    }
}

/// Whether there is no kubeconfig.
fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::ReadConfig(error, _) => error.kind() == std::io::ErrorKind::NotFound,
        KubeconfigError::FindPath => true,
        _ => false,
    }
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
    use super::*;

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
