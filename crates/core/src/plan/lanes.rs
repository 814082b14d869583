//! The lanes of a pod. Its containers stop side by side, so each has its own sum, and the pod needs its longest lane.
//!
//! ```text
//! app             its own hook, the deadline, the margin
//! helper          its own hook, its own stop
//! native sidecar  the exit of all main containers (or its own hook, if that is later), its own stop
//! ```

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde::Serialize;

use crate::annotations::Declaration;
use crate::catalog::agents::Agent;
use crate::catalog::sidecars::{Sidecar, Wait};
use crate::duration::Seconds;
use crate::plan::hooks::PlannedHook;
use crate::pod::hooks::PreStop;
use crate::pod::ports;
use crate::pod::sidecars::native_sidecars;
use crate::policy::Resolved;
use crate::workload::Workload;

/// Which sum applies to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// It serves the requests that drain and deadline are about.
    App,
    /// A main container that supports the app: a proxy, an agent, a log shipper.
    Helper,
    /// An init container that restarts always. It gets its stop signal after the main containers have exited (KEP-753).
    NativeSidecar,
}

/// The shutdown of one container after the plan is applied.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedLane {
    /// The container's name.
    pub(crate) container: String,
    pub(crate) role: Role,
    /// The proxy that it runs, if it is a known one.
    pub(crate) proxy: Option<&'static Sidecar>,
    /// How long that proxy is configured to wait for the app.
    pub(crate) wait: Option<Wait>,
    /// How long its hook runs.
    pub(crate) hook: Seconds,
    /// Whether the hook may run for longer or shorter.
    pub(crate) assumed: bool,
    /// When it gets its stop signal.
    pub(crate) signal_at: Seconds,
    /// How long it takes to exit after that; `None` if unknown.
    pub(crate) stop: Option<Seconds>,
    /// The grace period that it needs.
    pub(crate) needs: Seconds,
}

impl PlannedLane {
    /// The time of its exit. An unknown stop counts as zero.
    pub(crate) fn exit(&self) -> Seconds {
        self.signal_at.plus(self.stop.unwrap_or_default())
    }
}

/// The lanes of the main containers in the template's order, then those of the native sidecars.
pub(crate) fn plan(workload: &Workload, resolved: &Resolved<'_>, hooks: &[PlannedHook]) -> Vec<PlannedLane> {
    let pod = &workload.pod;
    let roles = roles(pod, resolved.declaration.containers.as_deref());
    let waits = AnnotatedWaits::of(workload);
    let main = pod.containers.iter().zip(hooks).zip(roles);
    let mut lanes: Vec<_> = main
        .map(|((container, hook), role)| {
            let (hook, assumed) = (hook.duration, hook.own.is_open_ended());
            let mut lane = lane(container, role, (hook, assumed), &waits);
            if role == Role::App {
                lane.stop = Some(resolved.deadline_of(&container.name).0);
            }
            let margin = if role == Role::App { resolved.margin } else { Seconds::ZERO };
            lane.needs = lane.exit().plus(margin);
            lane
        })
        .collect();

    let apps = lanes.iter().filter(|lane| lane.role == Role::App);
    let drain = apps.map(|lane| lane.hook).max().unwrap_or_default();
    let mut turn = last_exit(&lanes);
    let first_sidecar = lanes.len();
    // They stop in the reverse order in which they started, each after the exit of the one before.
    for container in native_sidecars(pod).rev() {
        let own = PreStop::of(container, pod);
        let hook = own.assumed(drain);
        let mut lane = lane(container, Role::NativeSidecar, (hook, own.is_open_ended()), &waits);
        // A hook that stops the sidecar itself does not wait for its turn.
        lane.signal_at = if matches!(own, PreStop::EndsDrain { .. }) { hook } else { turn.max(hook) };
        lane.needs = lane.exit();
        turn = turn.max(lane.needs);
        lanes.push(lane);
    }
    lanes[first_sidecar..].reverse();
    lanes
}

/// The containers of the app.
pub(crate) fn apps<'a>(pod: &'a PodSpec, declaration: &Declaration) -> Vec<&'a Container> {
    let roles = roles(pod, declaration.containers.as_deref());
    let apps = pod.containers.iter().zip(roles).filter(|(_, role)| *role == Role::App);
    apps.map(|(container, _)| container).collect()
}

/// The time at which the last of these containers has exited.
pub(crate) fn last_exit<'a>(lanes: impl IntoIterator<Item = &'a PlannedLane>) -> Seconds {
    lanes.into_iter().map(PlannedLane::exit).max().unwrap_or_default()
}

/// A lane whose stop signal follows its hook. The caller sets `needs`.
fn lane(container: &Container, role: Role, (hook, assumed): (Seconds, bool), waits: &AnnotatedWaits) -> PlannedLane {
    let proxy = Sidecar::of(container);
    let is_idle = role == Role::NativeSidecar;
    let wait = proxy.and_then(|proxy| proxy.wait(container, is_idle).max(waits.of_proxy(proxy)));
    let stop = match (wait, proxy) {
        (Some(Wait::For(wait)), _) => Some(wait),
        (Some(Wait::Unknown), _) | (None, None) => None,
        (None, Some(proxy)) => proxy.stops_after,
    };
    let container = container.name.clone();
    PlannedLane { container, role, proxy, wait, hook, assumed, signal_at: hook, stop, needs: Seconds::ZERO }
}

/// The waits that the annotations of the pod configure, for each known proxy of the pod.
struct AnnotatedWaits(Vec<(&'static Sidecar, Option<Wait>)>);

impl AnnotatedWaits {
    fn of(workload: &Workload) -> Self {
        let wait = |proxy: &'static Sidecar| (proxy, proxy.wait_in_annotations(&workload.annotations));
        Self(proxies(&workload.pod).into_iter().map(wait).collect())
    }

    fn of_proxy(&self, proxy: &Sidecar) -> Option<Wait> {
        self.0.iter().find(|(known, _)| *known == proxy).and_then(|(_, wait)| *wait)
    }
}

/// The known proxies of a pod, each one once.
fn proxies(pod: &PodSpec) -> Vec<&'static Sidecar> {
    let is_present = |proxy: &&Sidecar| {
        let mut containers = pod.containers.iter().chain(native_sidecars(pod));
        containers.any(|container| proxy.is_run_by(container))
    };
    Sidecar::all().iter().filter(is_present).collect()
}

/// The role of each main container, in the template's order; at least one is an app.
///
/// A known proxy is a helper. Where `winddown.dev/containers` names some, the others are helpers. Without it, a known agent
/// is a helper beside an app, and a container with neither a port nor a readiness probe is one if another container has one
/// of them. Ports for monitoring do not count there. If no container would remain, the ones that are left last are the app,
/// for example the Envoy of a gateway.
fn roles(pod: &PodSpec, named: Option<&[String]>) -> Vec<Role> {
    let containers = &pod.containers;
    let mut apps = vec![true; containers.len()];
    if let Some(names) = named {
        keep(&mut apps, containers, |container| names.contains(&container.name));
    }
    let proxies = proxies(pod);
    keep(&mut apps, containers, |container| !proxies.iter().any(|proxy| proxy.is_helped_by(container)));
    let uses_a_proxy = |container: &Container| Sidecar::of(container).is_none() && !ports::is_only_watched(container);
    if containers.iter().zip(&apps).any(|(container, app)| *app && uses_a_proxy(container)) {
        keep(&mut apps, containers, |container| Sidecar::of(container).is_none());
    }
    if named.is_none() {
        let is_the_app = |container: &Container| container.readiness_probe.is_some() || ports::for_users(container);
        // The first container is the main one by convention (`kubectl.kubernetes.io/default-container`), also if it is a
        // worker without ports. So an agent that comes first is the app, beside a reloader for example.
        let mut left = containers.iter().zip(&apps).filter(|(_, app)| **app).enumerate();
        if left.any(|(at, (container, _))| !Agent::is_run_by(container) && (at == 0 || is_the_app(container))) {
            keep(&mut apps, containers, |container| !Agent::is_run_by(container));
        }
        keep(&mut apps, containers, is_the_app);
    }
    apps.into_iter().map(|app| if app { Role::App } else { Role::Helper }).collect()
}

/// Keeps the apps with that property, unless none has it.
fn keep(apps: &mut [bool], containers: &[Container], property: impl Fn(&Container) -> bool) {
    let kept: Vec<_> = apps.iter().zip(containers).map(|(app, container)| *app && property(container)).collect();
    if kept.contains(&true) {
        apps.copy_from_slice(&kept);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Role, roles};

    /// The names of the apps.
    fn apps(containers: &Value, named: Option<&str>) -> String {
        let pod = serde_json::from_value(json!({"containers": containers})).unwrap();
        let named: Option<Vec<_>> = named.map(|names| names.split(',').map(str::to_owned).collect());
        let roles = roles(&pod, named.as_deref());
        let apps = pod.containers.into_iter().zip(roles).filter(|(_, role)| *role == Role::App);
        apps.map(|(container, _)| container.name).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn known_proxies_unnamed_containers_and_those_without_a_port_are_helpers() {
        let port = |name: &str, port: &str| json!({"name": name, "ports": [{"containerPort": 80, "name": port}]});
        let probed = |name: &str| json!({"name": name, "readinessProbe": {"exec": {"command": ["ready"]}}});
        let udp = json!({"name": "dns", "ports": [{"containerPort": 53, "protocol": "UDP"}]});
        let bare = |name: &str| json!({"name": name});
        let (app, sql) = (port("app", "http"), port("cloud-sql-proxy", "db"));
        for (containers, named, expected) in [
            (json!([bare("app")]), None, "app"),
            (json!([bare("app"), bare("agent")]), None, "app,agent"),
            (json!([app, bare("agent")]), None, "app"),
            (json!([bare("agent"), app]), None, "app"),
            (json!([probed("worker"), bare("agent")]), None, "worker"),
            (json!([udp, bare("agent")]), None, "dns"),
            (json!([app, port("admin", "web")]), None, "app,admin"),
            (json!([app, sql]), None, "app"),
            // The port of the proxy does not make the app a helper, and neither does that of an exporter.
            (json!([bare("worker"), sql]), None, "worker"),
            (json!([bare("worker"), port("exporter", "metrics"), sql]), None, "worker,exporter"),
            (json!([app, bare("agent"), port("web", "http")]), Some("app"), "app"),
            (json!([app, bare("agent")]), Some("app,agent"), "app,agent"),
            (json!([app, bare("agent")]), Some("agent"), "agent"),
            (json!([app, sql]), Some("app,cloud-sql-proxy"), "app"),
            // At least one is an app.
            (json!([port("envoy", "http")]), None, "envoy"),
            (json!([port("envoy", "http"), port("shutdown-manager", "ready")]), None, "envoy"),
            (json!([port("envoy", "http"), port("stats", "metrics")]), None, "envoy"),
            (json!([app, sql]), Some("cloud-sql-proxy"), "cloud-sql-proxy"),
            (json!([app, bare("agent")]), Some("missing"), "app,agent"),
            // Ports for monitoring do not make an app of a container, unless no container has others.
            (json!([app, port("exporter", "metrics")]), None, "app"),
            (json!([port("worker", "metrics"), bare("agent")]), None, "worker,agent"),
            (json!([port("worker", "metrics"), port("web", "http")]), None, "web"),
            // Known agents.
            (json!([app, port("fluent-bit", "forward")]), None, "app"),
            (json!([probed("datadog-agent"), app]), None, "app"),
            (json!([bare("worker"), port("datadog-agent", "trace")]), None, "worker"),
            (json!([sql, bare("worker"), port("datadog-agent", "trace")]), None, "worker"),
            (json!([port("fluentd", "forward"), bare("reloader")]), None, "fluentd"),
            (json!([port("fluentd", "forward"), bare("config-reloader")]), None, "fluentd"),
            (json!([app, port("fluent-bit", "forward")]), Some("app,fluent-bit"), "app,fluent-bit"),
        ] {
            assert_eq!(apps(&containers, named), expected, "{containers} {named:?}");
        }
    }
}
