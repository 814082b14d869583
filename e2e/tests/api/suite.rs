//! The test runner. Most tests share one environment; those that change it take turns in others, at the same time.
//!
//! An environment starts with its first test and stops after the last one of all.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::{FutureExt as _, LocalBoxFuture};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use winddown_e2e::operator_process::LIMIT;

use crate::environment::Environment;
use crate::namespace::Namespace;

/// How many tests share their environment at the same time. They mostly wait for the API server.
const SHARED: usize = 4;
/// How many environments there are for tests that change theirs. More of them take the processors of each other.
const EXCLUSIVE: usize = 2;
/// Threads only wait for a place.
const THREADS: usize = 64;
/// For one test; the slowest one waits for longer than a minute.
const TEST_LIMIT: Duration = Duration::from_mins(3);

#[derive(Clone)]
pub(crate) struct Test {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    pub(crate) body: fn(Namespace) -> LocalBoxFuture<'static, Result<()>>,
}

/// What a test needs for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A namespace.
    Namespace,
    /// An environment.
    Environment,
    /// The machine: it measures times or memory.
    Machine,
}

/// `tests![shared: a, b]` for tests that do not change the operator or the webhooks, `tests![exclusive: c]` for others, and
/// `tests![alone: d]` for those that measure.
macro_rules! tests {
    (shared: $($name:ident),+ $(,)?) => { $crate::suite::tests!(@ Namespace, $($name),+) };
    (exclusive: $($name:ident),+ $(,)?) => { $crate::suite::tests!(@ Environment, $($name),+) };
    (alone: $($name:ident),+ $(,)?) => { $crate::suite::tests!(@ Machine, $($name),+) };
    (@ $needs:ident, $($name:ident),+) => {
        vec![$($crate::suite::Test {
            module: module_path!(),
            name: stringify!($name),
            needs: $crate::suite::Needs::$needs,
            body: |namespace| Box::pin($name(namespace)),
        }),+]
    };
}
pub(crate) use tests;

/// [`winddown_e2e::wait::until`] with the limit for the operator.
pub(crate) async fn until<T>(condition: &str, poll: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    winddown_e2e::wait::until(condition, LIMIT, poll).await
}

/// An environment, once the first test needs it.
type Place = OnceLock<Result<Arc<Environment>, String>>;

/// State shared by all tests.
struct Shared {
    runtime: Runtime,
    together: Place,
    permits_together: Semaphore,
    apart: [Place; EXCLUSIVE],
    /// The indexes of the exclusive environments that no test uses; that of the last one is the next, so that few start.
    free: Mutex<Vec<usize>>,
    permits_apart: Semaphore,
    /// Tests that need the machine hold the write lock.
    machine: RwLock<()>,
    /// Printed once more below the log, where the end of a long output shows them.
    failures: Mutex<Vec<String>>,
}

pub(crate) fn run(tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start the tokio runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let shared = Arc::new(Shared {
        runtime,
        together: Place::new(),
        permits_together: Semaphore::new(SHARED),
        apart: Default::default(),
        free: Mutex::new((0..EXCLUSIVE).rev().collect()),
        permits_apart: Semaphore::new(EXCLUSIVE),
        machine: RwLock::default(),
        failures: Mutex::default(),
    });
    let trials = tests.into_iter().map(|test| trial(test, shared.clone())).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let started = [&shared.together].into_iter().chain(&shared.apart).filter_map(|place| place.get()?.as_ref().ok());
    for environment in started.filter(|_| conclusion.has_failed()) {
        eprintln!("end of winddown's log:\n{}", shared.runtime.block_on(environment.log_tail()));
    }
    for failure in shared.failures.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        eprintln!("failed: {failure}");
    }
    // Stops the processes. Values in statics, or alive when `exit` is called, would not be dropped.
    drop(shared);
    conclusion.exit_code()
}

fn trial(test: Test, shared: Arc<Shared>) -> Trial {
    // Without the crate.
    let module = test.module.split_once("::").map_or(test.module, |(_, path)| path);
    Trial::test(format!("{module}::{}", test.name), move || {
        // A test that panicked does not leave shared state inconsistent: exclusive tests are followed by `restore`.
        let (_read, _write);
        if test.needs == Needs::Machine {
            _write = shared.machine.write().unwrap_or_else(PoisonError::into_inner);
        } else {
            _read = shared.machine.read().unwrap_or_else(PoisonError::into_inner);
        }
        let outcome = if test.needs == Needs::Namespace { shared.run_together(&test) } else { shared.run_apart(&test) };
        outcome.map_err(|message| {
            let mut failures = shared.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.push(format!("{}: {}", test.name, message.chars().take(500).collect::<String>()));
            Failed::from(message)
        })
    })
}

impl Shared {
    fn run_together(&self, test: &Test) -> Result<(), String> {
        let _place = self.runtime.block_on(self.permits_together.acquire()).map_err(|error| error.to_string())?;
        let environment = self.environment(&self.together)?;
        self.runtime.block_on(execute(test, environment)).map_err(|error| format!("{error:#}"))
    }

    /// In an environment that is restored for the next test.
    fn run_apart(&self, test: &Test) -> Result<(), String> {
        let _place = self.runtime.block_on(self.permits_apart.acquire()).map_err(|error| error.to_string())?;
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let index = free().pop().ok_or("no environment is free")?;
        let place = self.apart.get(index).ok_or("there is no such environment")?;
        let outcome = self.environment(place).map(|environment| {
            let executed = AssertUnwindSafe(|| self.runtime.block_on(execute(test, environment.clone())));
            let outcome = catch_unwind(executed);
            let restored = self.runtime.block_on(environment.restore()).map_err(|error| format!("{error:#}"));
            (outcome, restored)
        });
        free().push(index);
        let (outcome, restored) = outcome?;
        restored?;
        outcome.unwrap_or_else(|panic| resume_unwind(panic)).map_err(|error| format!("{error:#}"))
    }

    fn environment(&self, place: &Place) -> Result<Arc<Environment>, String> {
        place.get_or_init(|| start(&self.runtime)).clone()
    }
}

fn start(runtime: &Runtime) -> Result<Arc<Environment>, String> {
    let start = Instant::now();
    let environment = runtime.block_on(Environment::start()).map_err(|error| {
        eprintln!("{error:#}");
        "the API server or winddown did not start; see the first message".to_owned()
    })?;
    eprintln!("API server and winddown were ready after {:.1} s", start.elapsed().as_secs_f32());
    Ok(Arc::new(environment))
}

async fn execute(test: &Test, environment: Arc<Environment>) -> Result<()> {
    let namespace = Namespace::create(environment, test.name).await?;
    let body = AssertUnwindSafe((test.body)(namespace.clone())).catch_unwind();
    let outcome = tokio::time::timeout(TEST_LIMIT, body).await;
    // Also after a failure: remaining workloads would keep the controller busy during later tests, or hold its rollout gate.
    let deleted = namespace.delete_workloads().await;
    let outcome = outcome.with_context(|| format!("the test did not finish within {} s", TEST_LIMIT.as_secs()))?;
    outcome.unwrap_or_else(|panic| resume_unwind(panic)).and(deleted)
}
