//! What sends traffic to the pods: Services, and the Ingresses in front of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::{MAX_MATCHES, labels};
use crate::catalog::traffic::{Polling, Traffic};
use crate::duration::Seconds;
use crate::object::Object;
use crate::selector::Selector;

/// More backends than any real Ingress has.
const MAX_BACKENDS: usize = 1_000;
const ALB_TARGET: &str = "alb.ingress.kubernetes.io/target-type";
/// The controller of the `IngressClass` of the AWS Load Balancer Controller.
const ALB_CONTROLLER: &str = "ingress.k8s.aws/alb";
const NLB_TARGET: &str = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type";
const NLB_TYPE: &str = "service.beta.kubernetes.io/aws-load-balancer-type";
/// Lets the load balancers of Google Cloud send to the pods, for an Ingress or for exposed ports. A JSON object.
const NEG: &str = "cloud.google.com/neg";
/// The classes of an Ingress on GKE, which has no `IngressClass`. It is also the one without a class.
const GCE_CLASSES: [&str; 2] = ["gce", "gce-internal"];

/// A load balancer that sends to the pods of a workload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exposure<'a> {
    /// `Service` or `Ingress`.
    pub(crate) kind: &'static str,
    pub(crate) name: &'a str,
    pub(crate) target: Target<'a>,
    /// Its health check, if annotations configure it.
    pub(crate) health_check: Option<Polling>,
}

/// Where a load balancer sends to, and how that is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target<'a> {
    /// An Application Load Balancer of AWS with pods as targets.
    AlbIp,
    /// An Application Load Balancer of AWS with nodes as targets.
    AlbInstance,
    /// A Network Load Balancer of AWS with pods as targets.
    NlbIp,
    /// A Network Load Balancer of AWS with nodes as targets.
    NlbInstance,
    /// A load balancer of Google Cloud with pods as targets.
    Neg,
    /// The pods of an Ingress with a class of a known controller.
    Class(&'a str, &'static Traffic),
    /// Nodes that have a pod of the Service.
    LocalNodes(&'static Traffic),
}

impl Target<'_> {
    /// The traffic preset whose drain it needs. What nodes behind a Network Load Balancer need depends on the traffic
    /// policy.
    pub(crate) fn preset(self) -> Option<&'static Traffic> {
        let name = match self {
            Self::AlbIp => "alb-ip",
            Self::AlbInstance => "alb-instance",
            Self::NlbIp => "nlb-ip",
            Self::Neg => "gce-neg",
            Self::NlbInstance => return None,
            Self::Class(_, traffic) | Self::LocalNodes(traffic) => return Some(traffic),
        };
        name.parse().ok()
    }

    /// The setting in the manifest.
    pub(crate) fn setting(self) -> String {
        match self {
            Self::AlbIp | Self::NlbIp => "target type ip".to_owned(),
            Self::AlbInstance | Self::NlbInstance => "target type instance".to_owned(),
            Self::Neg => "network endpoint groups".to_owned(),
            Self::Class(class, _) => format!("class {class}"),
            Self::LocalNodes(_) => "externalTrafficPolicy Local".to_owned(),
        }
    }
}

impl Exposure<'_> {
    /// How long it may send to a pod that terminates: the drain of its preset, with the health check that is configured.
    pub(crate) fn sends_for(&self) -> Option<Seconds> {
        let preset = self.target.preset()?;
        let (Some(default), Some(own)) = (preset.polls, self.health_check) else { return Some(preset.drain) };
        Some(preset.drain.minus(default.notices_after()).plus(own.notices_after()).min(Seconds::MAX))
    }

    /// The shortest drain that may be enough.
    pub(crate) fn needs(&self) -> Option<Seconds> {
        self.target.preset()?.least.or_else(|| self.sends_for())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Service {
    name: String,
    selector: Selector,
    target: Option<Target<'static>>,
    health_check: Option<Polling>,
    /// Whether an Ingress of Google Cloud has the pods as targets.
    has_neg: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ingress {
    name: String,
    class: Option<String>,
    /// The target if it is an ALB; whether it is one depends on the class.
    alb: Option<Target<'static>>,
    health_check: Option<Polling>,
}

impl Service {
    /// Whether it sends to pods with these labels.
    pub(super) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector.matches(labels)
    }

    /// `None` if it selects no pods.
    pub(super) fn read(object: &Value) -> Option<Self> {
        let (service, text) = (Object::new(object), |pointer: &str| object.pointer(pointer).and_then(Value::as_str));
        let kind = text("/spec/type");
        let is_local = text("/spec/externalTrafficPolicy") == Some("Local");
        let is_external = matches!(kind, Some("LoadBalancer" | "NodePort"));
        let nlb = match (service.annotation(NLB_TARGET), service.annotation(NLB_TYPE)) {
            (Some("ip"), _) | (None, Some("nlb-ip")) => Some(Target::NlbIp),
            (Some("instance"), _) => Some(Target::NlbInstance),
            _ => None,
        };
        let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object).into_iter().flatten();
        let names: Vec<_> = annotations.map(|(key, _)| key.as_str()).chain(text("/spec/loadBalancerClass")).collect();
        let neg: Option<Value> = service.annotation(NEG).and_then(|neg| serde_json::from_str(neg).ok());
        let neg = |field: &str| neg.as_ref().and_then(|neg| neg.get(field));
        let target = match nlb.filter(|_| kind == Some("LoadBalancer")) {
            Some(Target::NlbIp) => Some(Target::NlbIp),
            _ if is_local && is_external => Traffic::of_local(&names).map(Target::LocalNodes),
            None if neg("exposed_ports").is_some() => Some(Target::Neg),
            nlb => nlb,
        };
        Some(Self {
            name: service.name()?.to_owned(),
            selector: Selector::of_labels(&labels(object.pointer("/spec/selector")))?,
            target,
            health_check: target.and_then(|target| health_check(service, target.preset()?)),
            has_neg: neg("ingress") == Some(&Value::Bool(true)),
        })
    }
}

impl Ingress {
    /// The Ingress for each Service that it sends to.
    pub(super) fn read(object: &Value) -> Vec<(String, Arc<Self>)> {
        let ingress = Object::new(object);
        let alb = match ingress.annotation(ALB_TARGET) {
            Some("ip") => Some(Target::AlbIp),
            Some("instance") => Some(Target::AlbInstance),
            _ => None,
        };
        let class = object.pointer("/spec/ingressClassName").and_then(Value::as_str);
        let class = class.or_else(|| ingress.annotation("kubernetes.io/ingress.class"));
        let read = Arc::new(Self {
            name: ingress.name().unwrap_or_default().to_owned(),
            class: class.map(str::to_owned),
            alb,
            health_check: alb.and_then(|alb| health_check(ingress, alb.preset()?)),
        });
        let rules = object.pointer("/spec/rules").and_then(Value::as_array).into_iter().flatten();
        let paths = rules.filter_map(|rule| rule.pointer("/http/paths")?.as_array()).flatten();
        let defaults = ["/spec/defaultBackend", "/spec/backend"].map(|field| object.pointer(field));
        let backends = paths.filter_map(|path| path.get("backend")).chain(defaults.into_iter().flatten());
        // `serviceName` and `spec.backend` are those of v1beta1.
        let services = backends
            .filter_map(|backend| backend.pointer("/service/name").or_else(|| backend.get("serviceName"))?.as_str());
        let services: BTreeSet<_> = services.take(MAX_BACKENDS).collect();
        services.into_iter().map(|service| (service.to_owned(), read.clone())).collect()
    }

    /// What it sends to, if its controller is known.
    fn target(&self, service: &Service, classes: &BTreeMap<String, String>) -> Option<Target<'_>> {
        let class = self.class.as_deref();
        let controller = class.and_then(|class| classes.get(class)).map(String::as_str);
        let is_gce = controller.is_none() && class.is_none_or(|class| GCE_CLASSES.contains(&class));
        let traffic = class.and_then(|class| Some((class, Traffic::of_ingress(class, controller)?)));
        let may_be_alb = match controller {
            Some(controller) => controller == ALB_CONTROLLER,
            None => traffic.is_none() && class.is_none_or(|class| !GCE_CLASSES.contains(&class)),
        };
        match self.alb {
            Some(alb) if may_be_alb => Some(alb),
            _ if is_gce && service.has_neg => Some(Target::Neg),
            _ => traffic.map(|(class, traffic)| Target::Class(class, traffic)),
        }
    }
}

/// The health check that annotations of an Ingress or a Service configure.
fn health_check(object: Object<'_>, traffic: &Traffic) -> Option<Polling> {
    let (keys, default) = (traffic.health_check.as_ref()?, traffic.polls?);
    let number = |key: &str| object.annotation(key)?.trim().parse::<u32>().ok();
    let (period, failures) = (number(&keys.period), number(&keys.failures));
    (period.is_some() || failures.is_some()).then(|| Polling {
        period: period.map_or(default.period, Seconds::new),
        failures: failures.unwrap_or(default.failures),
    })
}

/// The load balancers that send to pods with these labels.
pub(super) fn of<'a>(
    labels: &BTreeMap<String, String>,
    services: &'a [Service],
    ingresses: &'a BTreeMap<String, Vec<Arc<Ingress>>>,
    classes: &BTreeMap<String, String>,
) -> Vec<Exposure<'a>> {
    let services = services.iter().filter(|service| service.selector.matches(labels)).take(MAX_MATCHES);
    let exposures = services.flat_map(|service| {
        let Service { name, health_check, .. } = service;
        let own = |target| Exposure { kind: "Service", name, target, health_check: *health_check };
        let before = ingresses.get(name).into_iter().flatten().filter_map(|ingress| {
            let target = ingress.target(service, classes)?;
            Some(Exposure { kind: "Ingress", name: &ingress.name, target, health_check: ingress.health_check })
        });
        service.target.map(own).into_iter().chain(before.take(MAX_MATCHES))
    });
    exposures.collect()
}
