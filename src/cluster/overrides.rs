//! The flags of kubectl that replace what a kubeconfig says of its cluster and user.

use std::path::{Path, PathBuf};

use clap::Args;
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext,
};
use secrecy::SecretString;

/// What is given on the command line. It counts more than the kubeconfig, as in client-go (`ConfigOverrides`).
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Overrides {
    /// Address and port of the API server
    #[arg(short, long, value_name = "URL")]
    server: Option<String>,
    /// Certificates of the authorities that may have signed the certificate of the API server
    #[arg(long, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,
    /// Accept every certificate of the API server. Others can then read and change what is sent
    #[arg(long, conflicts_with = "certificate_authority")]
    insecure_skip_tls_verify: bool,
    /// Name that the certificate of the API server must have, if it is not the host of its address
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
    /// Bearer token, instead of the other credentials of the kubeconfig; programs on the same machine can see it
    #[arg(long, value_name = "TOKEN", value_parser = parse_secret)]
    token: Option<SecretString>,
    /// Certificate of the user
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// Private key of the certificate of the user
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,
}

impl Overrides {
    /// Whether a cluster can be reached without a kubeconfig.
    pub(super) fn has_server(&self) -> bool {
        self.server.is_some()
    }

    /// The cluster and the user that the options choose, with what is given in place of theirs. A server needs no
    /// kubeconfig. `None` if nothing is given, or if there is no cluster to which it applies.
    pub(super) fn apply(&self, kubeconfig: &Kubeconfig, options: &KubeConfigOptions) -> Option<Kubeconfig> {
        if !self.replaces_cluster() && !self.replaces_user() {
            return None;
        }
        let current = options.context.as_ref().or(kubeconfig.current_context.as_ref());
        let name = current.filter(|name| !name.is_empty()).or(self.server.as_ref())?.clone();
        let found = kubeconfig.contexts.iter().find(|named| named.name == name);
        let context = found.and_then(|named| named.context.clone()).unwrap_or_default();

        let cluster_name = options.cluster.as_ref().unwrap_or(&context.cluster);
        let found = kubeconfig.clusters.iter().find(|named| named.name == *cluster_name);
        let cluster = found.and_then(|named| named.cluster.clone());
        let cluster = self.cluster(cluster.or_else(|| self.has_server().then(Cluster::default))?);

        let user_name = options.user.as_ref().or(context.user.as_ref());
        let found = kubeconfig.auth_infos.iter().find(|named| Some(&named.name) == user_name);
        let user = self.user(found.and_then(|named| named.auth_info.clone()).unwrap_or_default());

        let context = Context { cluster: name.clone(), user: Some(name.clone()), ..context };
        Some(Kubeconfig {
            clusters: vec![NamedCluster { name: name.clone(), cluster: Some(cluster), ..NamedCluster::default() }],
            auth_infos: vec![NamedAuthInfo { name: name.clone(), auth_info: Some(user), ..NamedAuthInfo::default() }],
            contexts: vec![NamedContext { name: name.clone(), context: Some(context), ..NamedContext::default() }],
            current_context: Some(name),
            ..Kubeconfig::default()
        })
    }

    fn replaces_cluster(&self) -> bool {
        let Self { server, certificate_authority, insecure_skip_tls_verify, tls_server_name, .. } = self;
        server.is_some() || certificate_authority.is_some() || *insecure_skip_tls_verify || tls_server_name.is_some()
    }

    fn replaces_user(&self) -> bool {
        self.token.is_some() || self.client_certificate.is_some()
    }

    /// The name in the certificate belongs to the server, so it is replaced with it.
    fn cluster(&self, mut cluster: Cluster) -> Cluster {
        if self.server.is_some() || self.tls_server_name.is_some() {
            cluster.tls_server_name.clone_from(&self.tls_server_name);
        }
        if self.insecure_skip_tls_verify || self.certificate_authority.is_some() {
            cluster.insecure_skip_tls_verify = Some(self.insecure_skip_tls_verify);
            cluster.certificate_authority = self.certificate_authority.as_deref().map(path);
            cluster.certificate_authority_data = None;
        }
        cluster.server = self.server.clone().or(cluster.server);
        cluster
    }

    /// Two kinds of credentials would leave it to the API server which of them counts.
    fn user(&self, user: AuthInfo) -> AuthInfo {
        if !self.replaces_user() {
            return user;
        }
        AuthInfo {
            token: self.token.clone(),
            client_certificate: self.client_certificate.as_deref().map(path),
            client_key: self.client_key.as_deref().map(path),
            ..AuthInfo::default()
        }
    }
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn parse_secret(text: &str) -> Result<SecretString, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(SecretString::from(text)) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use kube::config::Kubeconfig;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        overrides: Overrides,
    }

    fn overrides(flags: &str) -> Overrides {
        Flags::try_parse_from(["kubectl"].into_iter().chain(flags.split_whitespace())).unwrap().overrides
    }

    fn kubeconfig() -> Kubeconfig {
        Kubeconfig::from_yaml(
            "
current-context: prod
contexts:
- {name: prod, context: {cluster: one, user: jane, namespace: shop}}
- {name: gone, context: {cluster: none}}
clusters:
- name: one
  cluster: {server: 'https://one:6443', certificate-authority-data: QQ==, tls-server-name: one.example}
- {name: two, cluster: {server: 'https://two:6443'}}
users:
- {name: jane, user: {client-certificate-data: QQ==, client-key-data: QQ==, exec: {command: login}}}
",
        )
        .unwrap()
    }

    fn applied(flags: &str, options: &KubeConfigOptions) -> (Context, Cluster, AuthInfo) {
        let applied = overrides(flags).apply(&kubeconfig(), options).expect(flags);
        let (context, cluster) = (applied.contexts[0].context.clone(), applied.clusters[0].cluster.clone());
        (context.unwrap(), cluster.unwrap(), applied.auth_infos[0].auth_info.clone().unwrap())
    }

    #[test]
    fn a_server_replaces_the_address_and_the_name_of_its_certificate() {
        let (context, cluster, user) = applied("-s https://other:1", &KubeConfigOptions::default());
        assert_eq!(context.namespace.as_deref(), Some("shop"));
        assert_eq!((cluster.server.as_deref(), cluster.tls_server_name), (Some("https://other:1"), None));
        assert!(cluster.certificate_authority_data.is_some() && user.exec.is_some(), "the rest is kept");
        let other = KubeConfigOptions { cluster: Some("two".to_owned()), ..KubeConfigOptions::default() };
        let (_, cluster, _) = applied("--tls-server-name two.example", &other);
        assert_eq!(
            (cluster.server.as_deref(), cluster.tls_server_name.as_deref()),
            (Some("https://two:6443"), Some("two.example"))
        );
    }

    #[test]
    fn an_authority_or_none_replaces_that_of_the_kubeconfig() {
        let (_, cluster, _) = applied("--certificate-authority ca.pem", &KubeConfigOptions::default());
        let authority = cluster.certificate_authority.as_deref();
        assert_eq!(
            (authority, cluster.certificate_authority_data, cluster.insecure_skip_tls_verify),
            (Some("ca.pem"), None, Some(false))
        );
        let (_, cluster, _) = applied("--insecure-skip-tls-verify", &KubeConfigOptions::default());
        assert_eq!((cluster.certificate_authority_data, cluster.insecure_skip_tls_verify), (None, Some(true)));
    }

    #[test]
    fn a_token_or_a_certificate_is_the_only_credential() {
        let (_, cluster, user) = applied("--token abc", &KubeConfigOptions::default());
        assert_eq!(user.token.unwrap().expose_secret(), "abc");
        assert!(user.exec.is_none() && user.client_certificate_data.is_none());
        assert_eq!(cluster.server.as_deref(), Some("https://one:6443"));
        let (_, _, user) =
            applied("--client-certificate jane.pem --client-key jane.key", &KubeConfigOptions::default());
        let files = (user.client_certificate.as_deref(), user.client_key.as_deref());
        assert_eq!((files, user.client_certificate_data), ((Some("jane.pem"), Some("jane.key")), None));
    }

    #[test]
    fn a_server_needs_no_kubeconfig_and_other_flags_need_a_cluster() {
        let none = Kubeconfig::default();
        let applied = overrides("--server https://other:1 --token abc").apply(&none, &KubeConfigOptions::default());
        assert_eq!(applied.unwrap().current_context.as_deref(), Some("https://other:1"));
        assert!(overrides("--token abc").apply(&none, &KubeConfigOptions::default()).is_none());
        let gone = KubeConfigOptions { context: Some("gone".to_owned()), ..KubeConfigOptions::default() };
        assert!(overrides("--token abc").apply(&kubeconfig(), &gone).is_none());
        assert!(overrides("").apply(&kubeconfig(), &KubeConfigOptions::default()).is_none());
    }

    #[test]
    fn a_token_is_not_in_debug_output() {
        assert!(!format!("{:?}", overrides("--token abcdef")).contains("abcdef"));
    }
}
