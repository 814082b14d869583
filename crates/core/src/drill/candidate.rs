//! Which pod to evict, or why none.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{PodSpec, Probe};
use serde_json::Value;

use super::monitoring;
use crate::annotations::{Declaration, INJECTED};
use crate::duration::Seconds;
use crate::injection::Record;
use crate::kind::Kind;
use crate::measurement;
use crate::object::Object;
use crate::observation::{PodView, WorkloadRef};
use crate::plan::lanes;
use crate::rollout;

/// The namespaces of the cluster itself.
const SYSTEM: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// Set by Istio's CNI plugin on a pod whose traffic ztunnel redirects: it listens in the network namespace of the pod
/// (<https://istio.io/latest/docs/ambient/architecture/traffic-redirection/>). The measuring container would wait for it.
const AMBIENT: &str = "ambient.istio.io/redirection";

/// `periodSeconds` of a probe that has none.
const DEFAULT_PERIOD: i32 = 10;
/// Containers of a pod whose probes are read.
const MAX_CONTAINERS: usize = 128;

/// What the user chose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// This pod.
    pub pod: Option<&'a str>,
    /// Also the only ready one.
    pub allow_single: bool,
    /// Only a pod with one of these UIDs.
    pub among: Option<&'a [String]>,
    /// The flags that choose the cluster in a command to paste, each with a space before it.
    pub cluster: &'a str,
}

/// The pod to evict.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its node.
    pub node: String,
    /// The addresses of the node.
    pub node_addresses: Vec<String>,
    /// The UIDs of all pods of the workload that are ready, this one included.
    pub ready: Vec<String>,
    /// What it promises.
    pub promised: Promised,
    /// What a measurement needs to distinguish traffic from probes.
    pub subject: measurement::Subject,
    /// Why its traffic cannot be measured, if it cannot.
    pub unmeasurable: Option<&'static str>,
}

/// How the pod is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promised {
    /// The preStop hook of the app; `None` if its length is unknown.
    pub hook: Option<Seconds>,
    /// The time of the app, if Winddown injected a budget.
    pub deadline: Option<Seconds>,
    /// When the kubelet kills it.
    pub grace_period: Seconds,
}

/// Why no pod is evicted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The pods of a cluster's own namespaces are not evicted.
    #[error("the namespace {0} belongs to the cluster itself; its pods are not evicted for a rehearsal")]
    System(String),
    /// It is being deleted.
    #[error("the workload is being deleted")]
    Deleted,
    /// The pods of this workload, as in [`argument`], are being replaced.
    #[error("a rollout is in progress; wait until it is complete: kubectl rollout status {0}")]
    Rollout(String),
    /// Pods are missing, or not ready.
    #[error(
        "only {ready} of {wanted} pods are ready; wait until all are, or find out why not: kubectl get pods -n {namespace}"
    )]
    Incomplete {
        /// The namespace of the workload, and flags that choose the cluster.
        namespace: String,
        /// The pods that are ready.
        ready: usize,
        /// The pods that there should be.
        wanted: usize,
    },
    /// Every pod that may be chosen was evicted already.
    #[error("no other pod that was ready at the start is left")]
    NothingLeft,
    /// No pod is ready.
    #[error("no pod of the workload is ready")]
    NothingReady,
    /// One pod would leave none.
    #[error(
        "only one pod is ready: without it nothing answers until another one is ready; --allow-single evicts it all the same"
    )]
    OnlyOne,
    /// There is no such pod.
    #[error("the workload has no ready pod {0}")]
    NoPod(String),
    /// The pod was created from an earlier template of the workload.
    #[error(
        "the pod {pod} carries another budget than the workload; restart it first: kubectl rollout restart {workload}"
    )]
    OtherBudget {
        /// The name of the pod.
        pod: String,
        /// The workload, as in [`argument`].
        workload: String,
    },
}

impl Refusal {
    /// Whether it can pass while a replacement starts.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::System(_) | Self::Deleted | Self::NothingLeft | Self::NoPod(_))
    }
}

/// Chooses a ready pod of the workload: the first by name, or the one that the user named.
pub fn choose(workload: &Value, pods: &[Value], choice: Choice<'_>) -> Result<Candidate, Refusal> {
    let object = Object::new(workload);
    let namespace = object.namespace();
    if SYSTEM.contains(&namespace) {
        return Err(Refusal::System(namespace.to_owned()));
    }
    if object.is_deleted() {
        return Err(Refusal::Deleted);
    }
    if object.kind().is_some_and(|kind| rollout::is_in_progress(kind, workload)) {
        return Err(Refusal::Rollout(argument(object, choice.cluster)));
    }
    let mut ready: Vec<_> = pods.iter().filter_map(|pod| Ready::read(pod, object)).collect();
    ready.sort_by(|a, b| a.name().cmp(b.name()));
    let uids: Vec<String> = ready.iter().filter_map(|pod| pod.view.uid()).map(str::to_owned).collect();
    let wanted = object.kind().map_or(0, |kind| rollout::wanted(kind, workload));
    let may_be_chosen = |pod: &&Ready<'_>| {
        choice.among.is_none_or(|among| among.iter().any(|uid| pod.view.uid() == Some(uid.as_str())))
    };
    if ready.is_empty() {
        return Err(Refusal::NothingReady);
    }
    if uids.len() < wanted {
        let namespace = format!("{namespace}{}", choice.cluster);
        return Err(Refusal::Incomplete { namespace, ready: uids.len(), wanted });
    }
    let chosen = match choice.pod {
        Some(name) => ready.iter().find(|pod| pod.name() == name).ok_or_else(|| Refusal::NoPod(name.to_owned()))?,
        None => ready.iter().find(may_be_chosen).ok_or(Refusal::NothingLeft)?,
    };
    if uids.len() == 1 && !choice.allow_single {
        return Err(Refusal::OnlyOne);
    }
    let template = object.template().ok();
    let of_template = template.and_then(|template| template.annotation(INJECTED));
    let carried = chosen.view.metadata.annotations.as_ref().and_then(|annotations| annotations.get(INJECTED));
    if of_template != carried.map(String::as_str) {
        return Err(Refusal::OtherBudget { pod: chosen.name().to_owned(), workload: argument(object, choice.cluster) });
    }
    Ok(chosen.candidate(uids))
}

/// A workload as an argument of kubectl, with these flags, for example `deployment/web -n shop --context=prod`.
fn argument(workload: Object<'_>, flags: &str) -> String {
    let kind = workload.kind().map_or("", Kind::as_str).to_lowercase();
    format!("{kind}/{} -n {}{flags}", workload.name().unwrap_or_default(), workload.namespace())
}

/// A pod that is ready and not stopping.
struct Ready<'a> {
    pod: &'a Value,
    view: PodView,
    spec: PodSpec,
}

impl<'a> Ready<'a> {
    fn read(pod: &'a Value, workload: Object<'_>) -> Option<Self> {
        let view: PodView = serde_json::from_value(pod.clone()).ok()?;
        let spec: PodSpec = serde_json::from_value(pod.get("spec")?.clone()).ok()?;
        let (owner, _) = WorkloadRef::of(&view.metadata)?;
        let is_of_workload = Some(owner.kind) == workload.kind()
            && Some(owner.name.as_str()) == workload.name()
            && owner.namespace == workload.namespace();
        let is_ready =
            view.status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True");
        let is_running = view.metadata.deletion_timestamp.is_none() && view.uid().is_some();
        (is_of_workload && is_ready && is_running).then_some(Self { pod, view, spec })
    }

    fn name(&self) -> &str {
        self.view.metadata.name.as_deref().unwrap_or_default()
    }

    fn candidate(&self, ready: Vec<String>) -> Candidate {
        let record = self.view.metadata.annotations.as_ref().and_then(|annotations| annotations.get(INJECTED));
        let record = record.and_then(|record| Record::parse(record).ok());
        let hook = hook_of_app(&self.view, record.as_ref());
        let numbers = record.as_ref().and_then(Record::numbers);
        Candidate {
            name: self.name().to_owned(),
            uid: self.view.uid().unwrap_or_default().to_owned(),
            node: self.spec.node_name.clone().unwrap_or_default(),
            node_addresses: self.node_addresses(),
            ready,
            promised: Promised {
                hook,
                deadline: numbers.map(|numbers| numbers.deadline),
                grace_period: self.view.grace_period(),
            },
            subject: measurement::Subject { monitoring: self.monitoring(), ..subject(&self.spec, hook) },
            unmeasurable: self.unmeasurable(),
        }
    }

    fn monitoring(&self) -> BTreeSet<u16> {
        // The view has no other annotations than those of Winddown.
        let annotations = self.pod.pointer("/metadata/annotations");
        monitoring::ports(&self.spec, annotations.and_then(|annotations| annotations.get(monitoring::PORT)?.as_str()))
    }

    fn node_addresses(&self) -> Vec<String> {
        let listed = self.pod.pointer("/status/hostIPs").and_then(Value::as_array).into_iter().flatten();
        let listed = listed.filter_map(|address| address.get("ip")?.as_str());
        let only = self.pod.pointer("/status/hostIP").and_then(Value::as_str);
        // They become arguments of the measuring container.
        let addresses = only.into_iter().chain(listed).filter_map(|address| address.parse::<IpAddr>().ok()).take(8);
        addresses.collect::<BTreeSet<_>>().iter().map(IpAddr::to_string).collect()
    }

    fn unmeasurable(&self) -> Option<&'static str> {
        if self.spec.host_network == Some(true) {
            return Some("it uses the network of its node (hostNetwork), where the connections of all processes are");
        }
        let annotation = |key: &str| self.pod.pointer("/metadata/annotations")?.get(key)?.as_str();
        if annotation(AMBIENT) == Some("enabled") {
            return Some("the proxy of Istio's ambient mode has sockets in its network, which do not end with the app");
        }
        let is_windows = self.spec.os.as_ref().is_some_and(|os| os.name == "windows")
            || self.spec.node_selector.as_ref().and_then(|labels| labels.get("kubernetes.io/os")).map(String::as_str)
                == Some("windows");
        is_windows.then_some("it runs on Windows")
    }
}

/// The preStop hook of the app, after which it gets SIGTERM. `None` if its length is unknown, or if the containers of the app
/// have different ones.
fn hook_of_app(pod: &PodView, record: Option<&Record>) -> Option<Seconds> {
    let apps = names_of_apps(pod, record);
    let of_app = pod.containers().filter(|(container, _)| apps.contains(&container.name));
    let hooks: Option<BTreeSet<_>> = of_app.map(|(container, _)| container.hook()).collect();
    hooks.filter(|hooks| hooks.len() == 1)?.pop_first()
}

/// The containers of the app, to which the promise applies.
pub(super) fn apps(pod: &PodView) -> BTreeSet<String> {
    let record = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(INJECTED));
    names_of_apps(pod, record.and_then(|record| Record::parse(record).ok()).as_ref())
}

fn names_of_apps(pod: &PodView, record: Option<&Record>) -> BTreeSet<String> {
    let declaration = Declaration { containers: record.and_then(Record::named_containers), ..Declaration::default() };
    lanes::apps(&pod.for_roles(), &declaration).into_iter().map(|app| app.name.clone()).collect()
}

/// The probes of all containers that open a connection, as all do but those that run a command. A startup probe of a
/// ready pod has ended.
fn subject(spec: &PodSpec, hook: Option<Seconds>) -> measurement::Subject {
    let period = |probe: &Probe| {
        let seconds = probe.period_seconds.filter(|seconds| *seconds > 0).unwrap_or(DEFAULT_PERIOD);
        probe.exec.is_none().then(|| Seconds::from_api(seconds.into()))
    };
    let containers = || spec.containers.iter().chain(spec.init_containers.iter().flatten()).take(MAX_CONTAINERS);
    let readiness = containers().filter_map(|container| period(container.readiness_probe.as_ref()?)).collect();
    let liveness = containers().filter_map(|container| period(container.liveness_probe.as_ref()?)).collect();
    measurement::Subject { hook, readiness, liveness, monitoring: BTreeSet::new() }
}

impl fmt::Display for Promised {
    /// `preStop hook 5s, then at most 25s for the app, SIGKILL after 35s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hook {
            Some(Seconds::ZERO) => f.write_str("no preStop hook")?,
            Some(hook) => write!(f, "preStop hook {hook}")?,
            None => f.write_str("a preStop hook of unknown length")?,
        }
        if let Some(deadline) = self.deadline {
            write!(f, ", then at most {deadline} for the app")?;
        }
        write!(f, ", SIGKILL after {}", self.grace_period)
    }
}
