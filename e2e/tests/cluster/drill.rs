//! `kubectl winddown drill`: what it refuses, what it reports, and that its measurements agree with the clients.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use winddown_e2e::command::{CommandLine, Output};
use winddown_e2e::drill::{Drilled, command_under_load, plugin, under_load};
use winddown_e2e::environment::Environment;
use winddown_e2e::kube_proxy;
use winddown_e2e::rollout::App;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;
use winddown_e2e::wait::until;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_refused_eviction_evicts_nothing,
        a_pod_that_is_killed_did_not_keep_its_promise,
        an_interrupted_drill_says_that_the_pod_goes_on_stopping,
        traffic_that_a_slow_balancer_sends_is_a_finding,
        measured_times_agree_with_the_clients,
    ]
}

/// Enough for about five kept connections, which are spread over the pods.
const RATE: u32 = 100;

/// Between the times of the clients and those that are measured in the pod, in milliseconds.
const TOLERANCE: u64 = 300;

/// The port of the example.
const PORT: u64 = 3000;
/// Of one connection with a request and an answer, with the headers of IP and TCP, in each direction.
const LEAST_BYTES: u64 = 200;
/// Connections that were opened shortly before the start and closed after it, between two looks: those of a quarter of a second.
const YOUNG: u64 = RATE as u64 / 4;

/// The longest difference of the time until the pod is removed, with and without the measuring container, in seconds. The
/// kubelet removes a pod 0.4 to 2 s after its last container.
const PROLONGED: f64 = 2.0;

/// For rights to be in effect.
const AUTHORIZED: Duration = Duration::from_secs(30);

/// The example with three replicas.
async fn example(environment: &Environment, annotations: &str) -> Result<App> {
    environment.set_up().await?;
    let app = App::new(&environment.client, &environment.namespace, "node-http");
    app.kubectl("apply --filename examples/node-http/deployment.yaml").run().await?;
    app.wait_until_serving(3000, "/health").await?;
    annotate(&app, annotations).await?;
    Ok(app)
}

async fn annotate(app: &App, annotations: &str) -> Result<()> {
    let rollout = app.before_rollout().await?;
    app.kubectl("annotate --overwrite deployment node-http winddown.dev/readiness=http:3000/health")
        .words(annotations)
        .run()
        .await?;
    rollout.complete().await?;
    app.wait_until_serving(3000, "/health").await
}

async fn uids(app: &App) -> Result<BTreeSet<String>> {
    Ok(app.all_pods().await?.iter().filter_map(ResourceExt::uid).collect())
}

async fn drill(app: &App, words: &str) -> Result<Output> {
    let output = plugin("drill deploy/node-http --namespace").word(app.namespace()).words(words).output().await?;
    eprintln!("{}{}", output.stdout, output.stderr);
    Ok(output)
}

async fn a_refused_eviction_evicts_nothing(environment: Environment) -> Result<()> {
    let app = example(&environment, "winddown.dev/drain=0s winddown.dev/deadline=25s").await?;
    let pods = uids(&app).await?;
    let budget = "create poddisruptionbudget --selector app=node-http --min-available 3";

    app.kubectl(budget).word("first").run().await?;
    let refused = drill(&app, "--yes").await?;
    ensure!(refused.code == Some(2) && refused.stdout.contains("first"), "one disruption budget: {refused:?}");

    app.kubectl(budget).word("second").run().await?;
    let refused = drill(&app, "--yes").await?;
    let said = refused.stdout.contains("more than one PodDisruptionBudget");
    ensure!(refused.code == Some(2) && said, "two disruption budgets: {refused:?}");
    app.kubectl("delete poddisruptionbudget first second").run().await?;

    let unasked = drill(&app, "").await?;
    ensure!(unasked.code == Some(2) && unasked.stderr.contains("--yes"), "without a terminal: {unasked:?}");
    ensure!(uids(&app).await? == pods, "a pod was evicted");

    app.kubectl("scale deployment node-http --replicas 1").run().await?;
    app.wait_until_serving(3000, "/health").await?;
    let pods = uids(&app).await?;
    let refused = drill(&app, "--yes").await?;
    ensure!(refused.code == Some(2) && refused.stderr.contains("--allow-single"), "the last replica: {refused:?}");
    ensure!(uids(&app).await? == pods, "the last pod was evicted");

    // The control: nothing of that is in the way any more.
    let evicted = drill(&app, "--yes --allow-single").await?;
    ensure!(evicted.code == Some(0) && uids(&app).await?.is_disjoint(&pods), "{evicted:?}");
    environment.clean_up().await
}

async fn a_pod_that_is_killed_did_not_keep_its_promise(environment: Environment) -> Result<()> {
    environment.set_up().await?;
    let app = App::new(&environment.client, &environment.namespace, "node-http");
    app.kubectl("apply --filename examples/node-http/deployment.yaml").run().await?;
    app.kubectl("set env deployment node-http MISTAKE=no-handler").run().await?;
    let patch = r#"{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":3}}}}"#;
    app.kubectl("patch deployment node-http --patch").word(patch).run().await?;
    app.wait_until_serving(3000, "/health").await?;
    let killed = drill(&app, "--yes").await?;
    ensure!(killed.code == Some(1) && killed.stdout.contains("promise broken"), "{killed:?}");

    // The measuring container ignores SIGTERM, too, and leaves the app the same time.
    app.wait_until_available().await?;
    let [unmeasured, measured] = [drill(&app, "--yes -o json").await?, drill(&app, "--yes --measure -o json").await?];
    ensure!(measured.code == Some(1) && result(&measured)?["pods"][0]["measurement"]["killed"] == true, "{measured:?}");
    let [unmeasured, measured] = [removed_after(&result(&unmeasured)?)?, removed_after(&result(&measured)?)?];
    eprintln!("removed after {measured} s, unmeasured {unmeasured} s");
    ensure!(measured - unmeasured < PROLONGED, "removed after {measured} s, unmeasured {unmeasured} s");
    environment.clean_up().await
}

/// A drill in the namespace `$0` with the flags `$2`, which is interrupted as soon as it prints `$1`.
const INTERRUPTED: &str = r#"output=$(mktemp)
kubectl winddown drill deploy/node-http --yes --namespace "$0" $2 > "$output" & drill=$!
for _ in $(seq 600); do grep --quiet "$1" "$output" && break; sleep 0.1; done
kill -INT "$drill"; wait "$drill"; code=$?
cat "$output"; rm "$output"; exit "$code""#;

async fn an_interrupted_drill_says_that_the_pod_goes_on_stopping(environment: Environment) -> Result<()> {
    let app = example(&environment, "winddown.dev/drain=8s winddown.dev/deadline=25s").await?;
    let before = uids(&app).await?;
    let interrupted = async |text: &str, flags: &str| {
        let command = CommandLine::new("bash -c").word(INTERRUPTED).word(app.namespace());
        command.word(text).words(flags).output().await
    };
    let output = interrupted("recording the traffic", "--measure").await?;
    let left = "interrupted: no pod was evicted; the container winddown-sample-1 in the pod ";
    ensure!(output.code == Some(2) && output.stdout.contains(left), "{output:?}");
    ensure!(before == uids(&app).await?, "a pod was evicted");
    let output = interrupted("the pod is stopping", "").await?;
    ensure!(output.code == Some(2) && output.stdout.contains("goes on stopping"), "{output:?}");
    ensure!(!before.is_subset(&uids(&app).await?) || app.all_pods().await?.len() > 3, "no pod was evicted");
    app.wait_until_available().await?;
    environment.clean_up().await
}

/// A Service that goes on sending requests to pods that stop, as a load balancer does that gets the change late: their
/// endpoints stay ready.
async fn create_slow_service(environment: &Environment) -> Result<()> {
    let services: Api<Service> = Api::namespaced(environment.client.clone(), &environment.namespace);
    let ports = json!([{"port": 80, "targetPort": 3000}]);
    let spec = json!({"selector": {"app": "node-http"}, "ports": ports, "publishNotReadyAddresses": true});
    let service = serde_json::from_value(json!({"metadata": {"name": "slow"}, "spec": spec}))?;
    services.create(&PostParams::default(), &service).await?;
    Ok(())
}

async fn traffic_that_a_slow_balancer_sends_is_a_finding(environment: Environment) -> Result<()> {
    let app = example(&environment, "winddown.dev/drain=5s winddown.dev/deadline=25s").await?;
    create_slow_service(&environment).await?;
    let slow = App::new(&environment.client, &environment.namespace, "slow");
    let command = plugin("drill deploy/node-http --measure --pods 2 --yes --output json -n").word(app.namespace());
    let measure = || command_under_load(&environment.client, &slow, RATE, &command);
    let drilled = measure().await?;
    eprintln!("{}{}", drilled.output.stdout, drilled.output.stderr);
    // The times of a busy machine are measured once more.
    if let Err(error) = is_too_short(&drilled) {
        eprintln!("{error:#}; measuring again");
        let drilled = measure().await?;
        eprintln!("{}{}", drilled.output.stdout, drilled.output.stderr);
        is_too_short(&drilled).context("twice")?;
    }
    environment.clean_up().await
}

/// Connections come until the app stops listening, also in the log of the clients, and that is a finding.
fn is_too_short(drilled: &Drilled) -> Result<()> {
    ensure!(drilled.output.code == Some(1), "exit code {:?}", drilled.output.code);
    ensure!(drilled.new.counts.failed > 0, "no client was refused: {:?}", drilled.new.counts);

    let result = result(&drilled.output)?;
    let pods = result["pods"].as_array().context("no pods")?;
    let names: BTreeSet<_> = pods.iter().filter_map(|pod| pod["pod"].as_str()).collect();
    ensure!(names.len() == 2 && pods.iter().all(|pod| pod["verdict"] == "honoured"), "not two pods that ended in time");
    for pod in pods {
        let number = |field: &str| pod["measurement"][field].as_u64().with_context(|| format!("no {field}"));
        ensure!(!pod["measurement"]["tooShort"].is_null(), "the drain was long enough");
        // The app accepts connections for the whole drain, and its clients have answers until then.
        let (opened, closed) = (number("lastOpened")?, number("listenerClosed")?);
        ensure!(opened.abs_diff(closed) <= TOLERANCE && closed >= 5_000, "last connection {opened}, closed {closed}");
        let name = pod["pod"].as_str().unwrap_or_default();
        let clients = drilled.new.hosts.get(name).with_context(|| format!("no client of {name}"))?;
        let measured = number("clock")? + opened;
        ensure!(measured.abs_diff(*clients) <= TOLERANCE, "last connection {measured}, clients {clients}");
    }
    let advice = &result["advice"];
    ensure!(advice["drainIsAGuess"] == true && advice["measuredDrain"].as_u64() > Some(5_000), "{advice}");
    Ok(())
}

async fn measured_times_agree_with_the_clients(environment: Environment) -> Result<()> {
    let app = example(&environment, "winddown.dev/drain=5s winddown.dev/deadline=25s").await?;
    // With two pods, each has a kept connection, but for one of thirty measurements.
    app.kubectl("scale deployment node-http --replicas 2").run().await?;
    app.wait_until_available().await?;
    let unmeasured = result(&drill(&app, "--yes --pods 2 --output json").await?)?;
    let pods: BTreeSet<_> =
        unmeasured["pods"].as_array().into_iter().flatten().filter_map(|pod| pod["pod"].as_str()).collect();
    ensure!(pods.len() == 2, "not two pods in turn: {unmeasured}");
    let unmeasured = removed_after(&unmeasured)?;
    without_the_right_to_add_a_container_the_rest_is_observed(&app).await?;

    let result = measure_in_both_modes(&environment, &app, unmeasured).await;
    kube_proxy::switch(&environment.client, kube_proxy::DEFAULT).await?;
    result?;
    environment.clean_up().await
}

async fn measure_in_both_modes(environment: &Environment, app: &App, unmeasured: f64) -> Result<()> {
    // In this order, each drain is declared only when it changes.
    let (mut declared, mut proposed) = (5, Vec::new());
    for (mode, drain) in [(kube_proxy::DEFAULT, 5), (kube_proxy::DEFAULT, 0), ("nftables", 0), ("nftables", 5)] {
        kube_proxy::switch(&environment.client, mode).await?;
        if drain != declared {
            annotate(app, &format!("winddown.dev/drain={drain}s winddown.dev/deadline=25s")).await?;
            declared = drain;
        }
        let measure = || under_load(&environment.client, app, RATE, "--measure --yes --output json");
        let mut drilled = measure().await?;
        eprintln!("{mode}, drain {drain}s: {}{}", drilled.output.stdout, drilled.output.stderr);
        let check = |drilled: &Drilled| agrees(drilled, drain).and_then(|()| is_harmless(drilled, drain, unmeasured));
        // The times of a busy machine are measured once more.
        if let Err(error) = check(&drilled) {
            eprintln!("{error:#}; measuring again");
            drilled = measure().await?;
            eprintln!("{}{}", drilled.output.stdout, drilled.output.stderr);
            check(&drilled).with_context(|| format!("{mode}, drain {drain}s, twice"))?;
        }
        proposed.push(result(&drilled.output)?["advice"].take());
    }
    the_numbers_to_write_are_enough(environment, app, &proposed).await
}

/// The measuring container does not prolong the stop, and with the drain no new connection fails.
fn is_harmless(drilled: &Drilled, drain: u64, unmeasured: f64) -> Result<()> {
    let removed = removed_after(&result(&drilled.output)?)?;
    ensure!(drain == 0 || removed - unmeasured < PROLONGED, "removed after {removed} s, unmeasured {unmeasured} s");
    ensure!(drain == 0 || drilled.new.counts.failed == 0, "{:?}", drilled.new.counts);
    Ok(())
}

/// With the largest numbers of the measurements, a pod stops and no request over a new connection fails.
async fn the_numbers_to_write_are_enough(environment: &Environment, app: &App, proposed: &[Value]) -> Result<()> {
    let largest = |field: &str| {
        let numbers = proposed.iter().map(|advice| advice[field].as_u64());
        numbers.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max()).with_context(|| format!("no {field}"))
    };
    let (drain, deadline) = (largest("drain")?, largest("deadline")?);
    annotate(app, &format!("winddown.dev/drain={drain}s winddown.dev/deadline={deadline}s")).await?;
    let mut failed = 0;
    // Once more on a busy machine, where the nodes get the change of the endpoints later.
    for _ in 0..2 {
        let drilled = under_load(&environment.client, app, RATE, "--measure --yes --output json").await?;
        eprintln!("drain {drain}s as proposed: {}{}", drilled.output.stdout, drilled.output.stderr);
        ensure!(
            result(&drilled.output)?["pods"][0]["verdict"] == "honoured",
            "the deadline of {deadline}s is too short"
        );
        failed = drilled.new.counts.failed;
        if failed == 0 && drilled.output.code == Some(0) {
            return Ok(());
        }
    }
    bail!("with the proposed drain of {drain}s, {failed} requests failed, twice")
}

/// The times of the last connection and the last request are those of the clients.
fn agrees(drilled: &Drilled, drain: u64) -> Result<()> {
    let result = result(&drilled.output)?;
    // A drain of 5 s is enough. Without one, clients may be refused while the app goes on.
    ensure!(drilled.output.code == Some(0) || drain == 0, "exit code {:?}", drilled.output.code);
    let pod = result["pods"][0]["pod"].as_str().context("no pod")?;
    let measured = &result["pods"][0]["measurement"];
    let number = |field: &str| measured[field].as_u64();
    let start = number("clock").context("no measurement")?;
    ensure!(measured["complete"] == true && number("openedBefore") > Some(0), "incomplete");
    let delay = result["pods"][0]["startAfter"].as_f64().context("no time from the request to the start")?;
    ensure!((0.0..1.5).contains(&delay), "the termination began {delay} s after the request");
    ensure!(number("appSignal") == Some(drain * 1_000), "SIGTERM of the app");
    let finished = number("finished").context("no end")?;
    ensure!((drain * 1_000 + 800..drain * 1_000 + 4_000).contains(&finished), "finished after {finished} ms");

    // The app closes every connection, or ends with it.
    let count = |field: &str| number(field).with_context(|| format!("no {field}"));
    let (opened, closed) = (count("opened")?, count("closed")?);
    ensure!(closed >= opened && closed <= opened + count("openAtStart")? + YOUNG, "{opened} opened, {closed} closed");
    ensure!(count("openAtMost")? >= count("openAtSignal")?, "fewer open at most than at SIGTERM");
    ensure!([None, Some(PORT)].contains(&number("lastOpenedPort")), "another port than that of the app");
    let (received, sent) = (count("receivedBytes")?, count("sentBytes")?);
    ensure!(received > opened * LEAST_BYTES && sent > opened * LEAST_BYTES, "{received} bytes in, {sent} out");
    ensure!(count("overflows")? <= count("dropped")?, "more overflows than dropped connections");
    ensure!(result["advice"]["measuredDrain"].as_u64() >= number("lastOpened"), "{}", result["advice"]);

    let new = drilled.new.hosts.get(pod).context("no client of this pod over new connections")?;
    let kept = drilled.kept.hosts.get(pod).context("no client of this pod over kept connections")?;
    ensure!(count("openAtStart")? > 0, "no open connection at the start");
    // Of a pod without requests after the start, the last one was before.
    let agree = |measured: u64, clients: u64| measured.abs_diff(clients.max(start)) <= TOLERANCE;
    let opened = start + number("lastOpened").unwrap_or(0);
    let request = start + measured["lastRequest"]["at"].as_u64().unwrap_or(0);
    ensure!(measured["lastRequest"]["seen"] != "unknown", "the kernel does not show requests");
    // An app that stops at once closes kept connections, and their clients open new ones.
    let (last, clients) = (opened.max(request), *new.max(kept));
    ensure!(agree(last, clients), "last of all: {last}, clients {clients}");
    if drain > 0 {
        ensure!(agree(opened, *new), "last connection: {opened}, clients {new}");
        ensure!(agree(request, *kept), "last request: {request}, clients {kept}");
    }
    Ok(())
}

/// A user who may evict pods, and may not add containers to them.
async fn without_the_right_to_add_a_container_the_rest_is_observed(app: &App) -> Result<()> {
    let role = "create role drill --verb get,list,watch,create --resource deployments.apps,pods,pods/eviction,events";
    app.kubectl(role).run().await?;
    app.kubectl("create rolebinding drill --role drill --user eve").run().await?;
    until("the rights to be in effect", AUTHORIZED, async || {
        let answer = app.kubectl("auth can-i create pods --subresource eviction --as eve").output().await?;
        Ok((answer.code == Some(0)).then_some(()))
    })
    .await?;
    let output = drill(app, "--yes --measure --as eve --output json").await?;
    let result = result(&output)?;
    let reason = result["pods"][0]["unmeasured"].as_str().unwrap_or_default();
    ensure!(output.code == Some(2) && reason.contains("pods/ephemeralcontainers"), "{output:?}");
    ensure!(result["pods"][0]["verdict"] == "honoured", "{output:?}");
    removed_after(&result).map(drop)
}

fn result(output: &Output) -> Result<Value> {
    serde_json::from_str(&output.stdout).with_context(|| format!("{output:?}"))
}

/// Seconds from the request to the removal of the pod.
fn removed_after(result: &Value) -> Result<f64> {
    let marks = result["pods"][0]["timeline"].as_array().context("no timeline")?;
    let removed = marks.iter().find(|mark| mark["what"] == "the pod is removed").context("not removed")?;
    removed["at"].as_f64().context("no time")
}
