//! Whole statuses. `docs/budgets.md` shows one of them.

use serde_json::{Value, json};

use super::{Computed, Pods, ShutdownBudgetStatus, Update, computed, fits, injected, workload, written};
use crate::evaluation::{Existing, Origin, evaluate};
use crate::observation::example::{at, stop};
use crate::observation::{Outcome, Stop};
use crate::policy::Policy;

/// The limit for a realistic status, in bytes.
const MAX_SIZE: usize = 6 * 1024;

fn page(status: &ShutdownBudgetStatus) -> String {
    let mut status = serde_json::to_value(status).unwrap();
    for text in ["checkpoint", "reported"] {
        assert!(status.as_object_mut().unwrap().shift_remove(text).is_some_and(|text| text.is_string()));
    }
    serde_saphyr::to_string(&json!({"status": status})).unwrap()
}

fn status(computed: &Computed, pods: Pods, stops: impl IntoIterator<Item = Stop>) -> ShutdownBudgetStatus {
    let first = written(computed);
    let stops: Vec<_> = stops.into_iter().collect();
    first.next(&Update { pods: Some(pods), stops: &stops, ..Update::default() }, at(10_000)).status
}

fn clean(stops: i64) -> impl Iterator<Item = Stop> {
    (0..stops).map(|number| stop(60 * number, Outcome::Clean, if number % 50 == 49 { 9 } else { 4 }))
}

#[test]
fn a_status_reads_like_a_page() {
    let pods = |current, old| Pods { current, old, none: 0 };
    let declared = computed(&injected(&fits()));
    let honoured = status(&declared, pods(3, 0), clean(150));
    let misfit = computed(&workload(&json!({"winddown.dev/drain": "5s"}), 20));
    let misfit = status(&misfit, Pods { none: 3, ..Pods::default() }, []);
    let killed = [10_000, 9_990].map(|second| stop(second, Outcome::Killed, 30));
    let killed = status(&declared, pods(2, 1), clean(30).chain(killed));
    for (name, status, expected) in [
        ("honoured", honoured, include_str!("golden/honoured.yaml")),
        ("misfit", misfit, include_str!("golden/misfit.yaml")),
        ("killed", killed, include_str!("golden/killed.yaml")),
    ] {
        let page = page(&status);
        assert_eq!(page, expected, "{name}:\n{page}");
    }
    let document = include_str!("../../../../../docs/budgets.md");
    assert!(document.contains(include_str!("golden/killed.yaml")), "docs/budgets.md shows another status");
}

/// A workload with more findings than a status lists.
fn with_many_findings() -> Value {
    let container = |name: &str, command: &[&str]| {
        json!({"name": name, "image": "registry.example/shop/checkout:1.27.3", "command": command,
               "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "sleep 3"]}}}})
    };
    let containers = [
        container("checkout", &["npm", "start"]),
        container("payment-worker", &["sh", "-c", "sleep 1; node worker.js"]),
        container("metrics-exporter", &["sh", "-c", "sleep 1; ./exporter"]),
        container("log-forwarder", &["npm", "run", "forward"]),
        container("currency-rates-cache", &["sh", "-c", "sleep 1; ./cache"]),
    ];
    let mut workload = workload(&json!({"winddown.dev/drain": "15s", "winddown.dev/deadline": "40s"}), 30);
    workload["spec"]["replicas"] = json!(1);
    workload["spec"]["strategy"] = json!({"type": "Recreate"});
    workload["spec"]["template"]["spec"]["containers"] = json!(containers);
    workload["metadata"]["name"] = json!("checkout-payment-gateway");
    workload
}

/// Metadata with the owner, and `managedFields`, whose entry for the status has no fields: the API tests measure them.
const METADATA: usize = 1000;

#[test]
fn a_realistic_status_is_at_most_six_kilobytes() {
    let workload = with_many_findings();
    let evaluation = evaluate(&workload, Existing::Unchanged, &Policy::default(), Origin::ApiServer).unwrap();
    let many = Computed::of(&workload, &evaluation, Some("payment-services"));
    let fits = computed(&injected(&fits()));
    // One stop now and then; 200 in a minute, and both at once, until another pod stops ten minutes later.
    for (computed, stops, milliseconds, limit) in
        [(&many, 64, 140_000, MAX_SIZE), (&fits, 200, 300, MAX_SIZE), (&many, 200, 300, MAX_SIZE + 1024)]
    {
        let second = |number: i64| number * milliseconds / 1000;
        let stops = (0..stops).map(|number: i64| Stop {
            pod: format!("checkout-payment-gateway-7d9f8c6b54-{number:05}"),
            uid: number.to_string(),
            ..stop(
                second(number),
                if number % 8 == 7 { Outcome::Killed } else { Outcome::Clean },
                1 + u32::try_from(number).unwrap() % 35,
            )
        });
        let status = status(computed, Pods { current: 120, old: 80, none: 3 }, stops);
        assert!(status.not_honoured.len() == 3 && status.findings.len() <= 6);
        let size = serde_json::to_vec(&status).unwrap().len();
        let of = |field: &str| serde_json::to_value(&status).unwrap()[field].to_string().len();
        let parts =
            ["checkpoint", "conditions", "findings", "recent", "notHonoured", "reported", "shutdowns", "phases"]
                .map(|field| format!("{field} {}", of(field)));
        assert!((4 * 1000..=limit - METADATA).contains(&size), "{size} bytes: {parts:?}");
    }
}
