//! The flags of `winddown run`.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::workloads::Selectors;
use winddown_core::duration::Seconds;

/// Flags of `winddown run`; each also has an environment variable.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Arguments {
    /// Namespace of the operator, its Secret and its Lease
    #[arg(long, env = "POD_NAMESPACE", default_value = "winddown")]
    pub namespace: String,
    /// Name of this replica's pod [default: the host name]
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// Service of the webhooks; the serving certificate contains its DNS names
    #[arg(long, env = "WINDDOWN_SERVICE_NAME", default_value = "winddown")]
    pub service_name: String,
    /// Name of the mutating and the validating webhook configuration
    #[arg(long, env = "WINDDOWN_WEBHOOK_CONFIGURATION", default_value = "winddown")]
    pub webhook_configuration: String,
    /// namespaceSelector and objectSelector of the mutating webhook, as JSON; the controller updates no other workloads
    #[arg(long, env = "WINDDOWN_MUTATING_SELECTORS", value_name = "JSON", default_value = "{}")]
    pub(crate) mutating_selectors: Selectors,
    /// namespaceSelector and objectSelector of the validating webhook, as JSON; no Events about workloads that neither
    /// webhook selects
    #[arg(long, env = "WINDDOWN_VALIDATING_SELECTORS", value_name = "JSON", default_value = "{}")]
    pub(crate) validating_selectors: Selectors,
    /// Secret that stores the certificate authority
    #[arg(long, env = "WINDDOWN_CA_SECRET_NAME", default_value = "winddown-ca")]
    pub ca_secret_name: String,
    /// Lease for leader election
    #[arg(long, env = "WINDDOWN_LEASE_NAME", default_value = "winddown")]
    pub lease_name: String,
    /// Port of the webhooks (HTTPS)
    #[arg(long, env = "WINDDOWN_WEBHOOK_PORT", default_value_t = 10250)]
    pub webhook_port: u16,
    /// Port of /healthz and /readyz (HTTP)
    #[arg(long, env = "WINDDOWN_HEALTH_PORT", default_value_t = 8081)]
    pub health_port: u16,
    /// Port of /metrics (HTTP); 0 exports no metrics
    #[arg(long, env = "WINDDOWN_METRICS_PORT", default_value_t = 8080)]
    pub metrics_port: u16,
    /// Export the budget, pods, conditions and stops of every workload
    #[arg(long, env = "WINDDOWN_METRICS_PER_WORKLOAD")]
    pub metrics_per_workload: bool,
    /// Address to listen on [default: all IPv6 and IPv4 addresses]
    #[arg(long, env = "WINDDOWN_BIND_ADDRESS")]
    pub bind_address: Option<IpAddr>,
    /// Additional DNS name or IP address for the serving certificate; repeat the flag, or separate values with commas
    #[arg(long, env = "WINDDOWN_TLS_SAN", value_name = "NAME", value_delimiter = ',')]
    pub tls_san: Vec<String>,
    /// Directory with tls.crt and tls.key from another source such as cert-manager; the operator then creates no
    /// certificates and does not write the Secret or the caBundle
    #[arg(long, env = "WINDDOWN_TLS_DIR", value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,
    /// Deadline of a shutdown: answering open reviews, finishing a reconciliation, releasing the Lease
    #[arg(long, env = "WINDDOWN_SHUTDOWN_DEADLINE", value_name = "DURATION", default_value = "20s")]
    pub shutdown_deadline: Seconds,
}

impl Arguments {
    /// The name of this replica's pod, by default the host name, which Kubernetes sets to it.
    pub(super) fn pod_name(&self) -> String {
        let named = self.pod_name.clone().filter(|name| !name.is_empty());
        let host = || fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        named.or_else(host).filter(|name| !name.is_empty()).unwrap_or_else(|| "winddown".to_owned())
    }

    /// The names in the serving certificate; API servers call `SERVICE.NAMESPACE.svc`.
    pub(super) fn certificate_names(&self) -> Vec<String> {
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
    fn the_certificate_contains_the_service_names_and_the_additional_names() {
        let arguments =
            parse(["--namespace", "ops", "--service-name", "wd", "--tls-san", "127.0.0.1", "--tls-san", "a,b"]);
        let names = ["wd.ops.svc", "wd.ops.svc.cluster.local", "wd.ops", "127.0.0.1", "a", "b"];
        assert_eq!(arguments.certificate_names(), names);
    }

    #[test]
    fn the_pod_name_defaults_to_the_host_name() {
        assert_eq!(parse(["--pod-name", "winddown-0"]).pod_name(), "winddown-0");
        assert!(!parse(["--pod-name", ""]).pod_name().is_empty());
    }

    #[test]
    fn the_shutdown_deadline_is_a_duration() {
        assert_eq!(parse(["--shutdown-deadline", "1m30s"]).shutdown_deadline.as_i64(), 90);
        assert!(Cli::try_parse_from(["winddown", "--shutdown-deadline", "90"]).is_err());
    }
}
