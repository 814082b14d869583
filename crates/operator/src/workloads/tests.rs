//! The whole controller, on an API server in memory.

mod looks;

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Identity, Publisher, Reporting, Selection, relabelling_matters, run};
use crate::budgets::Budgets;
use crate::cluster::Cluster;
use crate::fake_api_server::FakeApiServer;
use crate::kubernetes::Clients;
use crate::metrics::{Metrics, text};
use crate::namespaces::Namespaces;
use crate::policies::CurrentPolicies;
use crate::trimming::Trimming;
use winddown_core::annotations::BUDGET;

mod reporting;

const NAMESPACE: &str = "/apis/apps/v1/namespaces/shop/deployments/";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

/// Those of the three kinds, and of the namespaces.
const WATCHES: u64 = 4;

struct Controller {
    server: FakeApiServer,
    leading: watch::Sender<bool>,
    metrics: Metrics,
    /// Ends the controller when it is dropped.
    _task: JoinSet<()>,
}

impl Controller {
    /// Starts a controller and waits until its watches run.
    async fn start(leads: bool, selection: Selection) -> Self {
        let budgets = |server: &FakeApiServer, publisher: &_, _| Budgets::absent(server.client(), publisher);
        Self::start_with(FakeApiServer::default(), leads, selection, budgets).await
    }

    async fn start_with(
        server: FakeApiServer,
        leads: bool,
        selection: Selection,
        budgets: impl FnOnce(&FakeApiServer, &Arc<Publisher>, watch::Receiver<bool>) -> Budgets,
    ) -> Self {
        let lease = json!({"metadata": {"name": "winddown"}});
        server.put("/apis/coordination.k8s.io/v1/namespaces/winddown/leases/winddown", lease);
        server.put("/api/v1/namespaces/shop", json!({"metadata": {"name": "shop"}}));
        let (sender, leading) = watch::channel(leads);
        let identity = Identity {
            namespace: "winddown".to_owned(),
            deployment: "winddown".to_owned(),
            pod: "winddown-0".to_owned(),
            lease: "winddown".to_owned(),
        };
        let publisher = Arc::new(Publisher::new(server.client(), &identity.pod));
        let reporting = Reporting { budgets: budgets(&server, &publisher, leading.clone()), publisher };
        let stop = CancellationToken::new();
        let (trimming, metrics) = <(Trimming, Metrics)>::default();
        let clients = Clients { short: server.client(), watching: server.client() };
        let (policies, governed) = (CurrentPolicies::built_in(), Arc::default());
        let matters = relabelling_matters(policies.clone(), selection.clone());
        let (namespaces, watch_namespaces) = Namespaces::new(&clients, matters);
        let cluster = Cluster { namespaces: Arc::new(namespaces), policies, governed };
        let controller =
            run(server.client(), cluster, leading, stop, identity, reporting, selection, trimming, metrics.clone());
        let mut task = JoinSet::new();
        task.spawn(watch_namespaces);
        task.spawn(controller);
        while server.lists() < 2 * WATCHES {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { server, leading: sender, metrics, _task: task }
    }

    fn reads(&self, name: &str) -> u64 {
        self.server.requests(&Method::GET, &format!("{NAMESPACE}{name}"))
    }

    /// How often Deployments were looked at, with and without a request.
    fn looks(&self) -> u64 {
        let series = "controller_runtime_reconcile_total{controller=\"deployment\"";
        let text = text(&self.metrics, true);
        let counts = text.lines().filter(|line| line.starts_with(series)).filter_map(|line| line.rsplit(' ').next());
        counts.map(|count| count.parse::<u64>().unwrap()).sum()
    }

    fn patches(&self, name: &str) -> u64 {
        self.server.requests(&Method::PATCH, &format!("{NAMESPACE}{name}"))
    }

    fn deployment(&self, name: &str) -> Value {
        self.server.get(&format!("{NAMESPACE}{name}")).unwrap()
    }

    fn put(&self, name: &str, deployment: Value) {
        self.server.put(&format!("{NAMESPACE}{name}"), deployment);
    }
}

/// A Deployment that needs an injection and whose rollouts are complete.
fn annotated(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "namespace": "shop", "name": name, "uid": name, "generation": 1, "labels": {},
            "annotations": {"winddown.dev/drain": "5s", "winddown.dev/deadline": "25s"},
        },
        "spec": {"replicas": 0, "template": {"spec": {
            "terminationGracePeriodSeconds": 30,
            "containers": [{"name": "app", "startupProbe": {"tcpSocket": {"port": 80}}}],
        }}},
        "status": {"observedGeneration": 99},
    })
}

fn next_generation(deployment: &mut Value) {
    let generation = deployment["metadata"]["generation"].as_u64().unwrap();
    deployment["metadata"]["generation"] = json!(generation + 1);
}

/// Lets the controller do what it can within this time on the paused clock.
async fn pass(seconds: u64) {
    for _ in 0..seconds * 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_the_status_cause_no_request() {
    for leads in [true, false] {
        let controller = Controller::start(leads, Selection::default()).await;
        controller.put("web", annotated("web"));
        pass(60).await;
        let (looks, mut current) = (controller.looks(), controller.deployment("web"));
        assert!(looks > 0);
        for replicas in 0..20 {
            current["status"]["replicas"] = json!(replicas);
            controller.put("web", current.clone());
            pass(1).await;
        }
        assert_eq!(controller.looks(), looks, "leads: {leads}");
        // Control: another annotation of Winddown, and a new generation.
        current["metadata"]["annotations"]["winddown.dev/margin"] = json!("6s");
        controller.put("web", current.clone());
        pass(1).await;
        assert!(controller.looks() > looks);
    }
}

#[tokio::test(start_paused = true)]
async fn workloads_that_only_a_later_list_shows_are_updated() {
    let controller = Controller::start(true, Selection::default()).await;
    // Several pages.
    let names: Vec<_> = (0..25).map(|number| format!("web-{number}")).collect();
    controller.server.expire("/apis/apps/v1/deployments", |objects| {
        objects.extend(names.iter().map(|name| (format!("{NAMESPACE}{name}"), annotated(name))));
    });
    pass(120).await;
    let updated = |name: &&String| controller.deployment(name)["metadata"]["annotations"].get(BUDGET).is_some();
    assert_eq!(names.iter().filter(updated).count(), names.len());
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_is_reverted_is_patched_three_times_and_reported_once() {
    let controller = Controller::start(true, Selection::default()).await;
    let mut original = annotated("web");
    original["metadata"]["managedFields"] =
        json!([{"manager": "shop-operator", "operation": "Update", "time": "2026-01-01T00:00:00Z"}]);
    controller.put("web", original.clone());
    let mut reverts = 0;
    for _ in 0..120 {
        pass(1).await;
        if controller.deployment("web")["metadata"]["annotations"].get(BUDGET).is_some() {
            reverts += 1;
            next_generation(&mut original);
            controller.put("web", original.clone());
        }
    }
    assert_eq!(reverts, 3);
    let notes = events(&controller, "InjectionReverted");
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("field manager \"shop-operator\""), "{notes:?}");
    // The owner changes something else.
    original["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop:2");
    next_generation(&mut original);
    controller.put("web", original);
    pass(30).await;
    assert!(controller.deployment("web")["metadata"]["annotations"].get(BUDGET).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_another_webhook_undoes_is_not_sent_for_ever() {
    let controller = Controller::start(true, Selection::default()).await;
    controller.server.admit(|path, object| {
        if path.contains("deployments") {
            object["spec"]["template"] = annotated("web")["spec"]["template"].clone();
        }
    });
    controller.put("web", annotated("web"));
    pass(600).await;
    assert!(controller.patches("web") <= 8, "{}", controller.patches("web"));
    let notes = events(&controller, "InjectionReverted");
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_is_retried_less_and_less_often() {
    let controller = Controller::start(true, Selection::default()).await;
    controller.put("web", annotated("web"));
    controller.server.forbid(true);
    controller.put("web", {
        let mut changed = annotated("web");
        next_generation(&mut changed);
        changed
    });
    pass(600).await;
    let requests = controller.reads("web");
    assert!((3..=12).contains(&requests), "{requests}");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_patch_is_reported_once() {
    let controller = Controller::start(true, Selection::default()).await;
    let path = format!("{NAMESPACE}web");
    controller.server.fail(Method::PATCH, &path, Some(StatusCode::UNPROCESSABLE_ENTITY));
    controller.put("web", annotated("web"));
    pass(600).await;
    assert!((3..=12).contains(&controller.patches("web")), "{}", controller.patches("web"));
    assert_eq!(events(&controller, "InjectionRejected").len(), 1);
    controller.server.fail(Method::PATCH, &path, None);
    pass(900).await;
    assert!(controller.deployment("web")["metadata"]["annotations"].get(BUDGET).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_workload_over_a_limit_is_reported_once() {
    let controller = Controller::start(true, Selection::default()).await;
    let mut large = annotated("web");
    large["spec"]["template"]["spec"]["volumes"] = json!(vec![json!({}); 1001]);
    for _ in 0..3 {
        next_generation(&mut large);
        controller.put("web", large.clone());
        pass(20).await;
    }
    large["spec"]["template"]["spec"]["tolerations"] = json!(vec![json!({}); 60_000]);
    next_generation(&mut large);
    controller.put("web", large);
    pass(20).await;
    let notes = events(&controller, "NotEvaluated");
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes.iter().any(|note| note.contains("volumes has 1001 entries, more than the limit of 1000")),
        "{notes:?}"
    );
    assert!(notes.iter().any(|note| note.contains("more than the limit of 50000")), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn workloads_with_a_controlling_owner_are_not_patched() {
    let controller = Controller::start(true, Selection::default()).await;
    for (name, owner) in [("owned", json!({"controller": true})), ("related", json!({"controller": false}))] {
        let mut deployment = annotated(name);
        deployment["metadata"]["ownerReferences"] = json!([owner]);
        controller.put(name, deployment);
    }
    pass(60).await;
    assert_eq!(controller.patches("owned"), 0);
    assert!(controller.patches("related") > 0);
}

#[tokio::test(start_paused = true)]
async fn only_selected_workloads_are_updated() {
    let selectors = r#"{"namespaceSelector": {"matchLabels": {"stage": "1"}},
        "objectSelector": {"matchLabels": {"tier": "web"}}}"#;
    let selectors: super::Selectors = selectors.parse().unwrap();
    let selection = Selection { mutating: selectors.clone(), validating: selectors };
    let controller = Controller::start(true, selection).await;
    controller.put("web", annotated("web"));
    pass(10).await;
    assert_eq!((controller.reads("web"), controller.patches("web")), (0, 0), "another stage");
    controller.server.put("/api/v1/namespaces/shop", json!({"metadata": {"name": "shop", "labels": {"stage": "1"}}}));
    pass(10).await;
    assert_eq!((controller.reads("web"), controller.patches("web")), (1, 0), "another tier");
    let mut tier = controller.deployment("web");
    tier["metadata"]["labels"]["tier"] = json!("web");
    controller.put("web", tier);
    pass(10).await;
    assert!(controller.deployment("web")["metadata"]["annotations"].get(BUDGET).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_label_of_a_namespace_causes_requests_only_if_it_matters() {
    let controller = Controller::start(true, Selection::default()).await;
    controller.put("web", annotated("web"));
    pass(60).await;
    let label = |labels: Value| {
        controller.server.put("/api/v1/namespaces/shop", json!({"metadata": {"name": "shop", "labels": labels}}));
    };
    let mut reads = controller.reads("web");
    for (labels, matters) in [
        (json!({"team": "shop"}), false),
        (json!({"team": "pay", "winddown.dev/inject": "disabled"}), false),
        (json!({"winddown.dev/inject": "enabled"}), true),
        (json!({"winddown.dev/inject": "enabled", "team": "shop"}), false),
        // Findings about meshes and load balancers depend on them.
        (json!({"winddown.dev/inject": "enabled", "istio-injection": "enabled"}), true),
        (json!({"istio-injection": "enabled"}), true),
    ] {
        label(labels.clone());
        pass(20).await;
        assert_eq!(controller.reads("web") > reads, matters, "{labels}");
        reads = controller.reads("web");
    }
}

#[tokio::test(start_paused = true)]
async fn events_about_one_workload_are_limited() {
    let controller = Controller::start(true, Selection::default()).await;
    controller.put("web", annotated("web"));
    pass(60).await;
    for change in 0..300 {
        let mut flipped = controller.deployment("web");
        flipped["metadata"]["annotations"]["winddown.dev/drain"] = json!(if change % 2 == 0 { "5 s" } else { "five" });
        next_generation(&mut flipped);
        controller.put("web", flipped);
        pass(1).await;
    }
    let published = controller.server.requests(&Method::POST, EVENTS);
    assert!((16..=22).contains(&published), "{published}");
}

#[tokio::test(start_paused = true)]
async fn the_first_event_says_how_many_of_the_same_change_were_withheld() {
    let controller = Controller::start(true, Selection::default()).await;
    let mut many = annotated("web");
    for key in 0..20 {
        many["metadata"]["annotations"][format!("winddown.dev/x{key}")] = json!("");
    }
    controller.put("web", many);
    pass(30).await;
    let notes = events(&controller, "UnknownAnnotation");
    assert!(notes.iter().any(|note| note.starts_with("(1 Events withheld) ")), "{notes:?}");
}

/// The notes of the published Events with a reason that starts like this.
fn events(controller: &Controller, reason: &str) -> Vec<String> {
    let events = controller.server.under(EVENTS).into_iter();
    let matching = events.filter(|event| event["reason"].as_str().is_some_and(|found| found.starts_with(reason)));
    matching.map(|event| event["note"].as_str().unwrap_or_default().to_owned()).collect()
}
