//! What is measured: each form of the shutdown behind each kind of network.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, ensure};
use serde::{Deserialize, Serialize};

/// How requests reach the pods.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Network {
    /// A Service, kube-proxy in iptables mode.
    Iptables,
    /// A Service, kube-proxy in nftables mode.
    Nftables,
    /// `HAProxy`, which never retries.
    Haproxy,
    /// `HAProxy`, which retries connections that fail.
    HaproxyRetries,
    /// `HAProxy`, which learns only from its health checks that a pod stops, and never retries.
    HaproxyHealth,
}

/// The settings of `HAProxy` that differ; e2e/matrix/haproxy.cfg has the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Haproxy {
    /// How often a connection that fails is retried, on another pod.
    pub(super) retries: u32,
    /// How long a pod is used after it is missing in the DNS answer.
    pub(super) hold_obsolete: &'static str,
}

/// Where the app is given time before it closes its listeners.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Form {
    /// Nowhere: graceful, but at once.
    None,
    /// The app waits after SIGTERM.
    App,
    /// Winddown's preStop sleep.
    PreStop,
    /// Both.
    Both,
}

/// What `--only` selects.
#[derive(Clone, Debug)]
pub struct Selection(pub(super) Vec<Setting>);

/// One row of the matrix.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(super) struct Setting {
    pub(super) network: Network,
    pub(super) form: Form,
}

pub(super) const NETWORKS: [Network; 5] =
    [Network::Iptables, Network::Nftables, Network::Haproxy, Network::HaproxyRetries, Network::HaproxyHealth];
pub(super) const FORMS: [Form; 4] = [Form::None, Form::App, Form::PreStop, Form::Both];

impl FromStr for Selection {
    type Err = Error;

    /// The settings whose name starts with `prefix`, such as `iptables` or `haproxy/both`.
    fn from_str(prefix: &str) -> Result<Self> {
        let all = NETWORKS.iter().flat_map(|network| FORMS.map(|form| Setting { network: *network, form }));
        let selected: Vec<_> = all.filter(|setting| setting.to_string().starts_with(prefix)).collect();
        let (networks, forms) = (NETWORKS.map(Network::name).join(", "), FORMS.map(Form::name).join(", "));
        ensure!(!selected.is_empty(), "expected a network ({networks}), or a network, a slash and a form ({forms})");
        Ok(Self(selected))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    }
}

impl Network {
    /// The mode of kube-proxy. `HAProxy` connects to pods directly; only the way to it goes through a Service.
    pub(super) fn kube_proxy_mode(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables | Self::Haproxy | Self::HaproxyRetries | Self::HaproxyHealth => "iptables",
        }
    }

    /// The settings of `HAProxy`; none without it.
    pub(super) fn haproxy(self) -> Option<Haproxy> {
        match self {
            Self::Iptables | Self::Nftables => None,
            Self::Haproxy => Some(Haproxy { retries: 0, hold_obsolete: "0s" }),
            Self::HaproxyRetries => Some(Haproxy { retries: 3, hold_obsolete: "0s" }),
            Self::HaproxyHealth => Some(Haproxy { retries: 0, hold_obsolete: "60s" }),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Nftables => "nftables",
            Self::Haproxy => "haproxy",
            Self::HaproxyRetries => "haproxy-retries",
            Self::HaproxyHealth => "haproxy-health",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Iptables => "A Service, kube-proxy in iptables mode",
            Self::Nftables => "A Service, kube-proxy in nftables mode",
            Self::Haproxy => "HAProxy in front, no retries",
            Self::HaproxyRetries => "HAProxy in front, up to 3 retries of a failed connection",
            Self::HaproxyHealth => "HAProxy in front, which notices a stop only by its health checks, no retries",
        }
    }
}

impl Form {
    /// The wait in the app.
    pub(super) fn wait_ms(self) -> u32 {
        match self {
            Self::None | Self::PreStop => 0,
            Self::App | Self::Both => 5000,
        }
    }

    /// Whether Winddown injects the preStop sleep.
    pub(super) fn is_annotated(self) -> bool {
        matches!(self, Self::PreStop | Self::Both)
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::App => "app",
            Self::PreStop => "pre-stop",
            Self::Both => "both",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::App => "app waits 5 s",
            Self::PreStop => "preStop sleeps 5 s",
            Self::Both => "both, 5 s + 5 s",
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network.name(), self.form.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Selection;

    fn selected(prefix: &str) -> String {
        prefix.parse::<Selection>().unwrap().to_string()
    }

    #[test]
    fn a_prefix_selects_networks_or_one_setting() {
        assert_eq!("".parse::<Selection>().unwrap().0.len(), 20);
        assert_eq!(selected("iptables"), "iptables/none, iptables/app, iptables/pre-stop, iptables/both");
        assert_eq!(selected("haproxy/"), "haproxy/none, haproxy/app, haproxy/pre-stop, haproxy/both");
        assert_eq!("haproxy".parse::<Selection>().unwrap().0.len(), 12);
        assert_eq!(selected("haproxy/both"), "haproxy/both");
    }

    #[test]
    fn an_unknown_setting_is_an_error() {
        let error = "traefik".parse::<Selection>().unwrap_err().to_string();
        let networks = "iptables, nftables, haproxy, haproxy-retries, haproxy-health";
        let forms = "none, app, pre-stop, both";
        assert_eq!(error, format!("expected a network ({networks}), or a network, a slash and a form ({forms})"));
    }
}
