//! One replica under the memory limit of its chart, while hostile requests arrive directly and through the API server.
//!
//! Its memory stays bounded and comes back, and ordinary applies beside it succeed and are injected, with `failurePolicy: Fail`.

mod client;
mod hostile;
mod memory;
mod stored;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::join_all;
use tokio::task::JoinHandle;

use self::client::Webhook;
use self::hostile::Shape;
use self::memory::{Cgroup, Resident};
use self::stored::stored_objects_do_not_exhaust_the_memory_after_a_restart;
use crate::manifest::deployment;
use crate::namespace::Namespace;
use crate::request::{apply, create};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![alone:
        memory_is_bounded_and_ordinary_applies_are_injected,
        stored_objects_do_not_exhaust_the_memory_after_a_restart,
    ]
}

/// The most that the replica may hold in memory at any time.
const MAX_RESIDENT_MIB: f64 = 200.0;
/// Of the ordinary applies through the API server. Only for a binary in `WINDDOWN_BIN`, which has to be optimized: without
/// optimization a review takes ten times as long, and the figure is only printed.
const P99_LIMIT: Duration = Duration::from_secs(1);
/// How much more than after a first flood is held once the second one is over.
const RETURNS_TO: f64 = 1.2;
/// How much more than after ordinary applies is held then. The first large requests leave about 4 MiB, and more of them nothing.
const MAX_GROWTH_MIB: f64 = 12.0;
/// How long the first flood lasts.
const FIRST_FLOOD: Duration = Duration::from_secs(5);
/// How long the second flood lasts.
const FLOOD: Duration = Duration::from_secs(15);
/// How long ordinary applies are sent before it, after which the memory is read for the first time.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long applies are sent beside the creates.
const CREATES: Duration = Duration::from_secs(5);
/// Connections that send hostile reviews, one after the other.
const CONNECTIONS: usize = 64;
/// Connections that send a body but for its last byte.
const SLOW: usize = 100;
/// Stored workloads with thousands of annotations, for the controller.
const STORED: usize = 5;
/// Between two ordinary applies.
const PAUSE: Duration = Duration::from_millis(50);

async fn memory_is_bounded_and_ordinary_applies_are_injected(namespace: Namespace) -> Result<()> {
    let environment = namespace.environment.clone();
    environment.fail_closed().await?;
    let pid = environment.operator_pid().await?;
    let cgroup = Cgroup::limited_to(pid, environment.memory_limit()?);
    match &cgroup {
        Ok(cgroup) => println!("soak: in a cgroup, {cgroup}"),
        Err(error) => println!("soak: no cgroup ({error:#}); only the resident memory is read"),
    }
    let resident = Resident::of(pid)?;
    let cold = resident.mebibytes()?;
    let watched = resident.watch();
    // What is executed for the first time becomes resident and stays so.
    let mut ordinary = Ordinary::default();
    ordinary.run(&namespace, Instant::now() + WARM_UP).await?;
    ordinary.ensure_all_succeeded()?;
    let (warm, files) = (resident.mebibytes()?, resident.file_mebibytes()?);
    flood(&namespace, "first", FIRST_FLOOD).await?.ensure_all_succeeded()?;
    let before = resident.settles(files).await?;

    let mut outcome = flood(&namespace, "flood", FLOOD).await?;
    let is_timed = std::env::var_os("WINDDOWN_BIN").is_some();
    if is_timed && outcome.p99() >= P99_LIMIT {
        println!("soak: p99 of {:?}; measuring again, the machine may have been busy", outcome.p99());
        outcome.ensure_all_succeeded()?;
        outcome = flood(&namespace, "again", FLOOD).await?;
    }
    let beside_creates = creates(&namespace).await?;
    watched.stop().await?;
    let peak = resident.peak_mebibytes();
    let after = resident.falls_to(before * RETURNS_TO, files).await?;
    println!(
        "soak: resident memory {cold:.1} MiB at the start, {warm:.1} MiB after ordinary applies, {before:.1} MiB after a first \
         flood, {peak:.0} MiB at most, {after:.1} MiB after the second flood"
    );
    ensure!(environment.is_healthy().await, "the replica is not healthy; its log:\n{}", environment.log_tail().await);
    ensure!(peak < MAX_RESIDENT_MIB, "resident memory reached {peak:.0} MiB, the limit is {MAX_RESIDENT_MIB:.0}");
    ensure!(
        after <= before * RETURNS_TO,
        "resident memory stays at {after:.1} MiB, it was {before:.1} after a first flood"
    );
    ensure!(
        after <= warm + MAX_GROWTH_MIB,
        "resident memory stays at {after:.1} MiB, it was {warm:.1} before any flood"
    );
    outcome.ensure_all_succeeded()?;
    beside_creates.ensure_all_succeeded()?;
    ensure!(!is_timed || outcome.p99() < P99_LIMIT, "the p99 of ordinary applies is {:?}", outcome.p99());
    // Fails if an error was logged, for example a panic.
    environment.stop_operator().await?;
    Ok(())
}

/// Sends everything directly at the same time, and ordinary applies through the API server beside it.
async fn flood(namespace: &Namespace, name: &str, duration: Duration) -> Result<Ordinary> {
    let shapes: Arc<Vec<Shape>> = Arc::new(hostile::shapes());
    let webhook = Arc::new(Webhook::of(namespace).await?);
    // On a busy machine, they take some time.
    let end = Instant::now() + duration;
    let answers = Arc::new(Answers::default());
    let mut tasks: Vec<JoinHandle<()>> = Vec::new();
    for number in 0..CONNECTIONS {
        tasks.push(tokio::spawn(send_shapes(webhook.clone(), shapes.clone(), number, end, answers.clone())));
    }
    for number in 0..SLOW {
        tasks.push(tokio::spawn(send_slowly(webhook.clone(), number, end)));
    }
    let stored = async {
        for number in 0..STORED {
            // May be refused under load.
            namespace.send(create(&hostile::with_many_keys(&format!("stored-{name}-{number}")))).await?;
        }
        anyhow::Ok(())
    };
    let mut ordinary = Ordinary::default();
    let (applied, stored) = tokio::join!(ordinary.run(namespace, end), stored);
    applied.and(stored)?;
    join_all(tasks).await;
    println!("soak: {answers}; {ordinary}");
    ensure!(answers.ok.load(Ordering::Relaxed) > 0, "no hostile review was answered");
    Ok(ordinary)
}

/// Sends ten workloads through the API server at the same time, as dry runs. How long an apply then takes depends on the API
/// server, which reads and copies them, too.
async fn creates(namespace: &Namespace) -> Result<Ordinary> {
    let shapes = hostile::shapes();
    let creates = shapes.iter().filter(|shape| shape.is_quick_for_the_api_server()).cycle().take(10);
    let creates = join_all(creates.map(|shape| namespace.send(create(&shape.object).dry_run())));
    let mut ordinary = Ordinary::default();
    let (applied, responses) = tokio::join!(ordinary.run(namespace, Instant::now() + CREATES), creates);
    applied?;
    let accepted = responses.iter().flatten().filter(|response| response.is_success()).count();
    println!("soak: of {} dry-run creates, {accepted} accepted; {ordinary}", responses.len());
    Ok(ordinary)
}

/// What the hostile requests were answered with.
#[derive(Default)]
struct Answers {
    ok: AtomicUsize,
    busy: AtomicUsize,
    other: AtomicUsize,
    closed: AtomicUsize,
}

impl std::fmt::Display for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let (ok, busy) = (number(&self.ok), number(&self.busy));
        let (other, closed) = (number(&self.other), number(&self.closed));
        write!(f, "hostile reviews: {ok} answered, {busy} refused with 429, {other} with another status, ")?;
        write!(f, "{closed} connections closed")
    }
}

async fn send_shapes(
    webhook: Arc<Webhook>,
    shapes: Arc<Vec<Shape>>,
    first: usize,
    end: Instant,
    answers: Arc<Answers>,
) {
    let reviews = shapes.iter().flat_map(|shape| [("/mutate", shape), ("/validate", shape)]).cycle().skip(first);
    for (path, shape) in reviews {
        if Instant::now() >= end {
            return;
        }
        let counter = match webhook.post(path, &shape.review).await {
            Ok(200) => &answers.ok,
            Ok(429) => &answers.busy,
            Ok(_) => &answers.other,
            // A body is not read further once it is refused.
            Err(_) => &answers.closed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

async fn send_slowly(webhook: Arc<Webhook>, number: usize, end: Instant) {
    // Small ones, and large ones one byte short of the limit.
    let size = if number.is_multiple_of(2) { 64 * 1024 } else { 7 * 1024 * 1024 };
    while Instant::now() < end {
        // Refused or too slow: the next one.
        let _ = webhook.post_without_the_last_byte("/mutate", size).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Applies of ordinary Deployments.
#[derive(Default)]
struct Ordinary {
    durations: Vec<Duration>,
    failures: Vec<String>,
}

impl Ordinary {
    fn ensure_all_succeeded(&self) -> Result<()> {
        ensure!(self.failures.is_empty(), "ordinary applies failed: {:#?}", self.failures);
        Ok(())
    }

    async fn run(&mut self, namespace: &Namespace, end: Instant) -> Result<()> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        while Instant::now() < end {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let manifest = deployment(&format!("ordinary-{}", number % 20)).with_budget();
            let manifest = manifest.annotated("deadline", &format!("{}s", 20 + number % 40));
            let start = Instant::now();
            let response = namespace.send(apply(manifest.as_ref())).await?;
            self.durations.push(start.elapsed());
            let sleep = response.object.pointer("/spec/template/spec/containers/0/lifecycle/preStop/sleep/seconds");
            if !response.is_success() || sleep.is_none() {
                self.failures.push(format!("{}: {}", response.code, response.object["message"]));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.durations.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() * percent / 100).or(sorted.last()).copied().unwrap_or_default()
    }

    fn p99(&self) -> Duration {
        self.percentile(99)
    }
}

impl std::fmt::Display for Ordinary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = |percent| self.percentile(percent).as_millis();
        let (number, failed) = (self.durations.len(), self.failures.len());
        let (p50, p99, max) = (milliseconds(50), milliseconds(99), milliseconds(100));
        write!(f, "ordinary applies: {number}, failed: {failed}, p50 {p50} ms, p99 {p99} ms, max {max} ms")
    }
}
