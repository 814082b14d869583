//! The flags of `winddown run`.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use winddown_core::duration::Seconds;

/// Flags of `winddown run`; each can also be given by its environment variable.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Arguments {
    /// The operator's own namespace, where Secret and Lease are
    #[arg(long, env = "POD_NAMESPACE", default_value = "winddown")]
    pub namespace: String,
    /// The name of this replica's pod [default: the host name]
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// The Service in front of the webhooks; the serving certificate is for its names
    #[arg(long, env = "WINDDOWN_SERVICE_NAME", default_value = "winddown")]
    pub service_name: String,
    /// The name of both webhook configurations, the mutating and the validating one
    #[arg(long, env = "WINDDOWN_WEBHOOK_CONFIGURATION", default_value = "winddown")]
    pub webhook_configuration: String,
    /// The Secret with the certificate authority
    #[arg(long, env = "WINDDOWN_CA_SECRET_NAME", default_value = "winddown-ca")]
    pub ca_secret_name: String,
    /// The Lease that the leading replica holds
    #[arg(long, env = "WINDDOWN_LEASE_NAME", default_value = "winddown")]
    pub lease_name: String,
    /// The port of the webhooks (HTTPS)
    #[arg(long, env = "WINDDOWN_WEBHOOK_PORT", default_value_t = 10250)]
    pub webhook_port: u16,
    /// The port of /healthz and /readyz (plain HTTP)
    #[arg(long, env = "WINDDOWN_HEALTH_PORT", default_value_t = 8081)]
    pub health_port: u16,
    /// The address to listen on [default: all, IPv6 and IPv4]
    #[arg(long, env = "WINDDOWN_BIND_ADDRESS")]
    pub bind_address: Option<IpAddr>,
    /// One more DNS name or IP address for the serving certificate; can be given more than once, and in the environment
    /// variable as a list with commas
    #[arg(long, env = "WINDDOWN_TLS_SAN", value_name = "NAME", value_delimiter = ',')]
    pub tls_san: Vec<String>,
    /// A directory with tls.crt and tls.key that somebody else keeps, cert-manager say; the operator then makes no
    /// certificates, and leaves Secret and caBundle alone
    #[arg(long, env = "WINDDOWN_TLS_DIR", value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,
    /// How long a shutdown may take: answering the reviews under way, finishing a reconciliation, releasing the Lease
    #[arg(long, env = "WINDDOWN_SHUTDOWN_DEADLINE", value_name = "DURATION", default_value = "20s")]
    pub shutdown_deadline: Seconds,
}

impl Arguments {
    /// The name of this replica's pod. Kubernetes makes it the host name.
    #[must_use]
    pub fn pod_name(&self) -> String {
        let named = self.pod_name.clone().filter(|name| !name.is_empty());
        let host = || fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        named.or_else(host).filter(|name| !name.is_empty()).unwrap_or_else(|| "winddown".to_owned())
    }

    /// The names that the serving certificate is for: API servers call `SERVICE.NAMESPACE.svc`.
    #[must_use]
    pub fn certificate_names(&self) -> Vec<String> {
        let Self { service_name: service, namespace, .. } = self;
        let mut names = vec![
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.cluster.local"),
            format!("{service}.{namespace}"),
        ];
        names.extend(self.tls_san.iter().filter(|name| !name.is_empty()).cloned());
        names
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::Arguments;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse<const N: usize>(arguments: [&str; N]) -> Arguments {
        Cli::try_parse_from(["winddown"].into_iter().chain(arguments)).unwrap().arguments
    }

    #[test]
    fn the_certificate_is_for_the_service_and_what_was_asked_for() {
        let arguments =
            parse(["--namespace", "ops", "--service-name", "wd", "--tls-san", "127.0.0.1", "--tls-san", "a,b"]);
        let names = ["wd.ops.svc", "wd.ops.svc.cluster.local", "wd.ops", "127.0.0.1", "a", "b"];
        assert_eq!(arguments.certificate_names(), names);
    }

    #[test]
    fn a_replica_has_a_name_even_if_nobody_gave_it_one() {
        assert_eq!(parse(["--pod-name", "winddown-0"]).pod_name(), "winddown-0");
        assert!(!parse(["--pod-name", ""]).pod_name().is_empty());
    }

    #[test]
    fn a_deadline_is_a_duration() {
        assert_eq!(parse(["--shutdown-deadline", "1m30s"]).shutdown_deadline.as_i64(), 90);
        assert!(Cli::try_parse_from(["winddown", "--shutdown-deadline", "90"]).is_err());
    }
}
