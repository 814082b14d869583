//! The flags of kubectl that replace what a kubeconfig says of its cluster and user.

use std::path::{Path, PathBuf};

use clap::ArgAction::Set;
use clap::Args;
use clap::builder::{BoolishValueParser, OsStringValueParser, StringValueParser, TypedValueParser};
use kube::config::{AuthInfo, Cluster};
use secrecy::{ExposeSecret as _, SecretString};

use super::Error;
use super::address::Address;
use super::credentials::impersonation_of;

/// What is given on the command line. It takes precedence over the kubeconfig, as in client-go (`ConfigOverrides`). Empty
/// values are none.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Overrides {
    /// Address and port of the API server; without a scheme, it is https
    #[arg(short, long, value_name = "URL")]
    server: Option<String>,
    /// Certificates of the authorities that may have signed the certificate of the API server
    #[arg(long, value_name = "FILE", value_parser = any_path())]
    certificate_authority: Option<PathBuf>,
    /// Accept every certificate of the API server. Others can then read and change what is sent
    #[arg(long, value_name = "BOOL", action = Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value_t, value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    insecure_skip_tls_verify: bool,
    /// Name that the certificate of the API server must have, if it is not the host of its address
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
    /// Bearer token, instead of the other credentials of the kubeconfig; programs on the same machine can see it
    #[arg(long, value_name = "TOKEN", value_parser = StringValueParser::new().map(SecretString::from))]
    token: Option<SecretString>,
    /// Certificate of the user
    #[arg(long, value_name = "FILE", value_parser = any_path(), requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// Private key of the certificate of the user
    #[arg(long, value_name = "FILE", value_parser = any_path(), requires = "client_certificate")]
    client_key: Option<PathBuf>,
}

impl Overrides {
    /// Whether a cluster can be reached without a kubeconfig.
    pub(super) fn has_server(&self) -> bool {
        self.server().is_some()
    }

    pub(super) fn is_given(&self) -> bool {
        let replaces_trust = self.insecure_skip_tls_verify || self.certificate_authority().is_some();
        replaces_trust || self.has_server() || self.tls_server_name().is_some() || self.replaces_user()
    }

    /// The cluster with what is given. The name in the certificate belongs to the server, so it is replaced with it.
    pub(super) fn cluster(&self, mut cluster: Cluster) -> Result<Cluster, Error> {
        if self.insecure_skip_tls_verify && self.certificate_authority().is_some() {
            return Err(Error::InsecureWithAuthority);
        }
        if self.has_server() || self.tls_server_name().is_some() {
            cluster.tls_server_name = self.tls_server_name().cloned();
        }
        if self.insecure_skip_tls_verify || self.certificate_authority().is_some() {
            cluster.insecure_skip_tls_verify = Some(self.insecure_skip_tls_verify);
            cluster.certificate_authority = self.certificate_authority();
            cluster.certificate_authority_data = None;
        }
        cluster.server = self.server().cloned().or(cluster.server);
        Ok(cluster)
    }

    /// The user with what is given. Two kinds of credentials would leave it to the API server which of them counts. Who
    /// is impersonated is none of them: it limits the rights.
    pub(super) fn user(&self, user: AuthInfo) -> AuthInfo {
        if !self.replaces_user() {
            return user;
        }
        AuthInfo {
            token: self.token().cloned(),
            client_certificate: text(self.client_certificate.as_deref()),
            client_key: text(self.client_key.as_deref()),
            ..impersonation_of(user)
        }
    }

    fn replaces_user(&self) -> bool {
        self.token().is_some() || text(self.client_certificate.as_deref()).is_some()
    }

    /// The flags, with their values. Without token and key.
    pub(super) fn typed(&self) -> impl Iterator<Item = (&'static str, String)> {
        let server = self.server().and_then(|server| Address::parse(server).ok()).map(|address| address.to_string());
        let flags = [
            ("--server", server),
            ("--tls-server-name", self.tls_server_name().cloned()),
            ("--certificate-authority", self.certificate_authority()),
            ("--insecure-skip-tls-verify", self.insecure_skip_tls_verify.then(|| "true".to_owned())),
        ];
        flags.into_iter().filter_map(|(flag, value)| Some((flag, value?)))
    }

    fn certificate_authority(&self) -> Option<String> {
        text(self.certificate_authority.as_deref())
    }

    fn server(&self) -> Option<&String> {
        self.server.as_ref().filter(|server| !server.is_empty())
    }

    fn tls_server_name(&self) -> Option<&String> {
        self.tls_server_name.as_ref().filter(|name| !name.is_empty())
    }

    fn token(&self) -> Option<&SecretString> {
        self.token.as_ref().filter(|token| !token.expose_secret().is_empty())
    }
}

fn text(path: Option<&Path>) -> Option<String> {
    path.map(|path| path.to_string_lossy().into_owned()).filter(|path| !path.is_empty())
}

/// clap's own parser of paths refuses an empty one.
fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        overrides: Overrides,
    }

    fn overrides(flags: &str) -> Overrides {
        Flags::try_parse_from(["kubectl"].into_iter().chain(flags.split_whitespace())).unwrap().overrides
    }

    fn cluster(flags: &str) -> Cluster {
        let one = json!({
            "server": "https://one:6443", "certificate-authority-data": "QQ==", "tls-server-name": "one.example",
        });
        overrides(flags).cluster(serde_json::from_value(one).unwrap()).unwrap()
    }

    fn user(flags: &str) -> AuthInfo {
        let jane = json!({
            "client-certificate-data": "QQ==", "client-key-data": "QQ==", "exec": {"command": "login"}, "as": "viewer",
            "as-uid": "1", "as-groups": ["readers"], "as-user-extra": {"reason": ["safety"]},
        });
        overrides(flags).user(serde_json::from_value(jane).unwrap())
    }

    #[test]
    fn a_server_replaces_the_address_and_the_name_of_its_certificate() {
        let replaced = cluster("-s https://other:1");
        assert_eq!((replaced.server.as_deref(), replaced.tls_server_name), (Some("https://other:1"), None));
        assert!(replaced.certificate_authority_data.is_some(), "the rest is kept");
        for (flags, name) in
            [("--tls-server-name two.example", "two.example"), ("-s= --tls-server-name=", "one.example")]
        {
            let cluster = cluster(flags);
            let names = (cluster.server.as_deref(), cluster.tls_server_name.as_deref());
            assert_eq!(names, (Some("https://one:6443"), Some(name)), "{flags}");
        }
    }

    #[test]
    fn an_authority_or_none_replaces_that_of_the_kubeconfig() {
        let with = cluster("--certificate-authority ca.pem");
        let authority = with.certificate_authority.as_deref();
        assert_eq!(
            (authority, with.certificate_authority_data, with.insecure_skip_tls_verify),
            (Some("ca.pem"), None, Some(false))
        );
        let without = cluster("--insecure-skip-tls-verify");
        assert_eq!((without.certificate_authority_data, without.insecure_skip_tls_verify), (None, Some(true)));
        let both = overrides("--insecure-skip-tls-verify=1 --certificate-authority ca.pem").cluster(Cluster::default());
        assert!(matches!(both, Err(Error::InsecureWithAuthority)));
        let authority =
            cluster("--insecure-skip-tls-verify=false --certificate-authority ca.pem").certificate_authority;
        assert_eq!(authority.as_deref(), Some("ca.pem"));
        let off = cluster("--insecure-skip-tls-verify=false");
        assert_eq!((off.certificate_authority_data, off.insecure_skip_tls_verify), (Some("QQ==".to_owned()), None));
        assert!(overrides("--insecure-skip-tls-verify=true --server one").is_given());
    }

    #[test]
    fn a_token_or_a_certificate_is_the_only_credential_and_the_impersonation_stays() {
        let limited =
            json!({"as": "viewer", "as-uid": "1", "as-groups": ["readers"], "as-user-extra": {"reason": ["safety"]}});
        for (flags, credentials) in [
            ("--token abc", json!({"token": "abc"})),
            (
                "--client-certificate jane.pem --client-key jane.key",
                json!({"client-certificate": "jane.pem", "client-key": "jane.key"}),
            ),
        ] {
            let mut expected = limited.clone();
            json_patch::merge(&mut expected, &credentials);
            assert_eq!(serde_json::to_value(user(flags)).unwrap(), expected, "{flags}");
        }
        assert!(user("").exec.is_some() && user("--token=").exec.is_some());
    }

    #[test]
    fn empty_values_are_none() {
        assert!(!overrides("--server= --token= --tls-server-name=").is_given());
        for flags in
            ["-s a", "--token a", "--tls-server-name a", "--insecure-skip-tls-verify", "--certificate-authority a"]
        {
            assert!(overrides(flags).is_given(), "{flags}");
        }
    }

    #[test]
    fn a_token_is_not_in_debug_output() {
        assert!(!format!("{:?}", overrides("--token abcdef")).contains("abcdef"));
    }
}
