//! What sends traffic to the pods: Services, and the Ingresses in front of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::selector::Selector;
use super::{MAX_MATCHES, labels};
use crate::duration::Seconds;
use crate::object::Object;

/// More backends than any real Ingress has.
const MAX_BACKENDS: usize = 1_000;
const ALB_TARGET: &str = "alb.ingress.kubernetes.io/target-type";
const ALB_INTERVAL: &str = "alb.ingress.kubernetes.io/healthcheck-interval-seconds";
const ALB_FAILURES: &str = "alb.ingress.kubernetes.io/unhealthy-threshold-count";
/// The controller of the `IngressClass` of the AWS Load Balancer Controller.
const ALB_CONTROLLER: &str = "ingress.k8s.aws/alb";
const NLB_TARGET: &str = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type";
const NLB_TYPE: &str = "service.beta.kubernetes.io/aws-load-balancer-type";
/// Classes whose controllers do not read the annotations of AWS.
const OTHER_CLASSES: [&str; 4] = ["nginx", "traefik", "gce", "azure-application-gateway"];

/// A load balancer that sends to the pods of a workload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exposure<'a> {
    /// `Service` or `Ingress`.
    pub(crate) kind: &'static str,
    pub(crate) name: &'a str,
    pub(crate) target: Target,
    /// The health check that its annotations configure: the time between two checks, and the number of failures.
    pub(crate) health_check: (Option<Seconds>, Option<u32>),
}

/// Where a load balancer sends to, and how that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// An Application Load Balancer of AWS with pods as targets.
    AlbIp,
    /// An Application Load Balancer of AWS with nodes as targets.
    AlbInstance,
    /// A Network Load Balancer of AWS with pods as targets.
    NlbIp,
    /// A Network Load Balancer of AWS with nodes as targets.
    NlbInstance,
    /// Nodes that have a pod of the Service.
    LocalNodes,
}

impl Target {
    /// The name of the traffic preset whose drain it needs. What nodes behind a Network Load Balancer need depends on the
    /// traffic policy.
    pub(crate) const fn preset(self) -> Option<&'static str> {
        match self {
            Self::AlbIp => Some("alb-ip"),
            Self::AlbInstance => Some("alb-instance"),
            Self::NlbIp => Some("nlb-ip"),
            Self::NlbInstance => None,
            Self::LocalNodes => Some("service-local"),
        }
    }

    /// The setting in the manifest.
    pub(crate) const fn setting(self) -> &'static str {
        match self {
            Self::AlbIp | Self::NlbIp => "target type ip",
            Self::AlbInstance | Self::NlbInstance => "target type instance",
            Self::LocalNodes => "externalTrafficPolicy Local",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Service {
    name: String,
    selector: Selector,
    target: Option<Target>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ingress {
    name: String,
    class: Option<String>,
    /// The target of an ALB; whether it is one depends on the class.
    target: Target,
    health_check: (Option<Seconds>, Option<u32>),
}

impl Service {
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
        let target = match nlb.filter(|_| kind == Some("LoadBalancer")) {
            Some(Target::NlbIp) => Some(Target::NlbIp),
            _ if is_local && is_external => Some(Target::LocalNodes),
            nlb => nlb,
        };
        Some(Self {
            name: service.name()?.to_owned(),
            selector: Selector::of_labels(&labels(object.pointer("/spec/selector")))?,
            target,
        })
    }
}

impl Ingress {
    /// The Ingress for each Service that it sends to; none if it says nothing about its targets.
    pub(super) fn read(object: &Value) -> Vec<(String, Self)> {
        let ingress = Object::new(object);
        let target = match ingress.annotation(ALB_TARGET) {
            Some("ip") => Target::AlbIp,
            Some("instance") => Target::AlbInstance,
            _ => return Vec::new(),
        };
        let class = object.pointer("/spec/ingressClassName").and_then(Value::as_str);
        let class = class.or_else(|| ingress.annotation("kubernetes.io/ingress.class"));
        let number = |key: &str| ingress.annotation(key)?.trim().parse::<u32>().ok();
        let read = Self {
            name: ingress.name().unwrap_or_default().to_owned(),
            class: class.map(str::to_owned),
            target,
            health_check: (number(ALB_INTERVAL).map(Seconds::new), number(ALB_FAILURES)),
        };
        let rules = object.pointer("/spec/rules").and_then(Value::as_array).into_iter().flatten();
        let paths = rules.filter_map(|rule| rule.pointer("/http/paths")?.as_array()).flatten();
        let backends = paths.filter_map(|path| path.get("backend")).chain(object.pointer("/spec/defaultBackend"));
        let services = backends.filter_map(|backend| backend.pointer("/service/name")?.as_str());
        let services: BTreeSet<_> = services.take(MAX_BACKENDS).collect();
        services.into_iter().map(|service| (service.to_owned(), read.clone())).collect()
    }

    /// Whether its controller reads the annotations of AWS.
    fn is_alb(&self, classes: &BTreeMap<String, String>) -> bool {
        let Some(class) = &self.class else { return true };
        match classes.get(class) {
            Some(controller) => controller == ALB_CONTROLLER,
            None => !OTHER_CLASSES.contains(&class.as_str()),
        }
    }
}

/// The load balancers that send to pods with these labels.
pub(super) fn of<'a>(
    labels: &BTreeMap<String, String>,
    services: &'a [Service],
    ingresses: &'a BTreeMap<String, Vec<Ingress>>,
    classes: &BTreeMap<String, String>,
) -> Vec<Exposure<'a>> {
    let services = services.iter().filter(|service| service.selector.matches(labels)).take(MAX_MATCHES);
    let exposures = services.flat_map(|service| {
        let (kind, name) = ("Service", service.name.as_str());
        let own = service.target.map(|target| Exposure { kind, name, target, health_check: (None, None) });
        let ingresses = ingresses.get(name).into_iter().flatten().filter(|ingress| ingress.is_alb(classes));
        let before = ingresses.take(MAX_MATCHES).map(|Ingress { name, target, health_check, .. }| Exposure {
            kind: "Ingress",
            name,
            target: *target,
            health_check: *health_check,
        });
        own.into_iter().chain(before)
    });
    exposures.collect()
}
