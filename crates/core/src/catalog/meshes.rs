//! The proxies that meshes inject into pods, read from the annotations and labels of the template: meshes inject into pods,
//! so the template does not contain the proxy yet. The annotations also configure how long it waits after SIGTERM.

mod consul;
mod dapr;
mod istio;
mod kuma;
mod linkerd;

use crate::annotations::Declaration;
use crate::budget::Budget;
use crate::catalog::sidecars::Sidecar;
use crate::duration::Seconds;
use crate::pod::sidecars::native_sidecars;
use crate::related::Neighbours;
use crate::workload::Workload;

/// A proxy that a mesh injects as a classic sidecar: a main container, which stops at the same time as the app.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    /// The name of the mesh.
    pub(crate) mesh: &'static str,
    /// Whether the template shows that it is a classic sidecar. If not, it may also be a native one.
    pub(crate) is_certain: bool,
    /// How long it accepts requests after the pod started to terminate.
    pub(crate) accepts_for: Seconds,
    /// The latest time at which it exits, from the same start.
    pub(crate) exits_after: Seconds,
    /// Whether the app itself sends requests to it until it exits.
    pub(crate) is_called_by_app: bool,
    /// Whether an annotation sets the time of its exit.
    pub(crate) exit_is_configured: bool,
    /// The annotation that configures how long it waits.
    pub(crate) wait_key: &'static str,
    /// The setting that limits how long the proxy runs after its stop signal.
    pub(crate) exit_key: &'static str,
    /// That annotation with this number of seconds.
    pub(crate) wait_setting: fn(Seconds) -> String,
    /// The annotation that changes it to a native sidecar; `None` if only the control plane can do that.
    pub(crate) native_key: Option<&'static str>,
}

/// The problem of a proxy that stops before the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EarlyStop {
    /// It refuses new requests before the drain is over.
    Refuses { after: Seconds, drain: Seconds },
    /// It refuses the requests of the app before the app exits.
    RefusesApp { after: Seconds, app: Seconds },
    /// It exits before the app does.
    Exits { after: Seconds, app: Seconds },
}

impl EarlyStop {
    /// The problem as text that follows the name of the proxy.
    pub(crate) fn problem(self) -> String {
        match self {
            Self::Refuses { after, drain } => format!("refuses new requests after {after}, but the drain is {drain}"),
            Self::RefusesApp { after, app } => {
                format!("refuses the app's requests after {after}, but the app may need it until {app}")
            }
            Self::Exits { after, app } if after == app => {
                format!("exits after {after}, and the app may need it until then")
            }
            Self::Exits { after, app } => format!("exits after {after}, but the app may need it until {app}"),
        }
    }

    /// What the proxy does too early, when, and until when it is needed.
    pub(crate) const fn facts(self) -> (&'static str, Seconds, Seconds) {
        match self {
            Self::Refuses { after, drain } => ("refuses", after, drain),
            Self::RefusesApp { after, app } => ("refuses", after, app),
            Self::Exits { after, app } => ("exits", after, app),
        }
    }
}

/// Reads what the pods of a workload say about the proxy of a mesh. Its name, and how long it runs after SIGTERM by default,
/// are those of the known sidecar.
type Reader = fn(&Pods<'_>, &'static Sidecar) -> Option<Proxy>;

/// The container of each mesh, and what reads its annotations.
const MESHES: [(&str, Reader); 5] = [
    ("linkerd-proxy", linkerd::proxy),
    ("istio-proxy", istio::proxy),
    ("consul-dataplane", consul::proxy),
    ("kuma-sidecar", kuma::proxy),
    ("daprd", dapr::proxy),
];

impl Proxy {
    /// The proxies of a workload's pods. Those are left out that are native sidecars, and those that the template already
    /// contains, which `SidecarStopsFirst` then checks. The labels and annotations of the namespace count if they are known.
    pub(crate) fn of(workload: &Workload, declaration: &Declaration, related: &Neighbours<'_>) -> Vec<Self> {
        let is_present = |name: &str| {
            let mut containers = workload.pod.containers.iter().chain(native_sidecars(&workload.pod));
            containers.any(|container| container.name == name)
        };
        let pods = Pods { workload, traffic: declaration.traffic.map(|traffic| traffic.name.as_str()), related };
        let injected = MESHES.iter().filter(|(container, _)| !is_present(container));
        injected.filter_map(|(container, proxy)| proxy(&pods, Sidecar::named(container)?)).collect()
    }

    /// The problem, if it is a classic sidecar and stops too early.
    pub(crate) fn early_stop(&self, budget: &Budget) -> Option<EarlyStop> {
        let (drain, app) = (budget.drain, budget.drain.plus(budget.deadline));
        // At the same second, the proxy is first: its signal is not delayed by a hook. Only a number that somebody chose
        // is trusted to be long enough.
        let exits_with_app = self.exits_after == app && !self.is_certain;
        if self.is_called_by_app && self.accepts_for < app {
            Some(EarlyStop::RefusesApp { after: self.accepts_for, app })
        } else if self.accepts_for < drain {
            Some(EarlyStop::Refuses { after: self.accepts_for, drain })
        } else if self.exits_after < app || exits_with_app {
            Some(EarlyStop::Exits { after: self.exits_after, app })
        } else {
            None
        }
    }

    /// The annotation that lets it wait for as long as it is needed. After its wait it finishes open requests.
    pub(crate) fn needed_setting(&self, budget: &Budget) -> String {
        let app = budget.drain.plus(budget.deadline);
        let finishes = self.exits_after.minus(self.accepts_for);
        let wait = if self.is_called_by_app { app } else { budget.drain.max(app.minus(finishes)) };
        (self.wait_setting)(wait)
    }
}

/// The pods of a workload, as a mesh sees them.
struct Pods<'a> {
    workload: &'a Workload,
    /// The value of `winddown.dev/traffic`. A mesh as the source of traffic means that the pods belong to it: a label of
    /// the namespace can inject the proxy without any annotation of the template.
    traffic: Option<&'a str>,
    related: &'a Neighbours<'a>,
}

impl<'a> Pods<'a> {
    /// An annotation of the template. An empty one configures nothing.
    fn annotation(&self, key: &str) -> Option<&'a str> {
        self.workload.annotations.get(key).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// A label of the template.
    fn label(&self, key: &str) -> Option<&'a str> {
        self.workload.labels.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A label of the namespace.
    fn namespace_label(&self, key: &str) -> Option<&'a str> {
        self.related.namespace_label(key)
    }

    /// An annotation of the namespace.
    fn namespace_annotation(&self, key: &str) -> Option<&'a str> {
        let annotation = self.related.namespace_annotations?.get(key).map(|text| text.trim());
        annotation.filter(|text| !text.is_empty())
    }

    /// A label, or an annotation if there is no label.
    fn label_or_annotation(&self, key: &str) -> Option<&'a str> {
        self.label(key).or_else(|| self.annotation(key))
    }

    /// An annotation with a boolean in one of the spellings of Go's `strconv.ParseBool`.
    fn boolean(&self, key: &str) -> Option<bool> {
        match self.annotation(key)? {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        }
    }

    /// An annotation with a number of seconds.
    fn seconds(&self, key: &str) -> Option<Seconds> {
        seconds(self.annotation(key)?)
    }

    /// Whether the pods are in the network of their node, where these meshes do not inject: Istio, Linkerd.
    fn use_host_network(&self) -> bool {
        self.workload.pod.host_network == Some(true)
    }
}

fn seconds(text: &str) -> Option<Seconds> {
    let number: u32 = text.parse().ok()?;
    Some(Seconds::new(number).min(Seconds::MAX))
}

#[cfg(test)]
mod tests {
    use super::{MESHES, Sidecar};

    /// Without an entry, the proxy of a mesh would not be found at all.
    #[test]
    fn the_proxy_of_each_mesh_is_a_known_sidecar() {
        for (container, _) in MESHES {
            assert!(Sidecar::named(container).is_some(), "{container}");
        }
    }
}
