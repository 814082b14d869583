//! The test runner: starts the shared environment for the first test and stops it after the last.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::{FutureExt as _, LocalBoxFuture};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use winddown_e2e::operator_process::LIMIT;

use crate::environment::Environment;
use crate::namespace::Namespace;

/// Tests mostly wait for the API server.
const THREADS: usize = 4;
/// For one test; about ten times what the slowest one takes.
const TEST_LIMIT: Duration = Duration::from_mins(3);

#[derive(Clone)]
pub(crate) struct Test {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    /// Whether no other test may run at the same time.
    pub(crate) exclusive: bool,
    pub(crate) body: fn(Namespace) -> LocalBoxFuture<'static, Result<()>>,
}

/// `tests![shared: a, b]` for tests that do not change the operator or the webhooks, `tests![exclusive: c]` for others.
macro_rules! tests {
    (shared: $($name:ident),+ $(,)?) => { $crate::suite::tests!(@ false, $($name),+) };
    (exclusive: $($name:ident),+ $(,)?) => { $crate::suite::tests!(@ true, $($name),+) };
    (@ $exclusive:literal, $($name:ident),+) => {
        vec![$($crate::suite::Test {
            module: module_path!(),
            name: stringify!($name),
            exclusive: $exclusive,
            body: |namespace| Box::pin($name(namespace)),
        }),+]
    };
}
pub(crate) use tests;

/// [`winddown_e2e::wait::until`] with the limit for the operator.
pub(crate) async fn until<T>(condition: &str, poll: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    winddown_e2e::wait::until(condition, LIMIT, poll).await
}

/// State shared by all tests.
struct Shared {
    runtime: Runtime,
    environment: OnceLock<Result<Arc<Environment>, String>>,
    /// Exclusive tests hold the write lock.
    lock: RwLock<()>,
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
    let shared =
        Arc::new(Shared { runtime, environment: OnceLock::new(), lock: RwLock::default(), failures: Mutex::default() });
    let trials = tests.into_iter().map(|test| trial(test, shared.clone())).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let (true, Some(Ok(environment))) = (conclusion.has_failed(), shared.environment.get()) {
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
    let module = test.module.rsplit("::").next().unwrap_or_default();
    Trial::test(format!("{module}::{}", test.name), move || {
        let environment = shared.environment.get_or_init(|| start(&shared.runtime)).clone()?;
        // A test that panicked does not leave shared state inconsistent: exclusive tests are followed by `restore`.
        let (_read, _write);
        if test.exclusive {
            _write = shared.lock.write().unwrap_or_else(PoisonError::into_inner);
        } else {
            _read = shared.lock.read().unwrap_or_else(PoisonError::into_inner);
        }
        let execute = AssertUnwindSafe(|| shared.runtime.block_on(execute(&test, environment.clone())));
        let outcome = catch_unwind(execute);
        if test.exclusive {
            shared.runtime.block_on(environment.restore()).map_err(|error| format!("{error:#}"))?;
        }
        let result = outcome.unwrap_or_else(|panic| resume_unwind(panic));
        result.map_err(|error| {
            let message = format!("{error:#}");
            let mut failures = shared.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.push(format!("{}: {}", test.name, message.chars().take(500).collect::<String>()));
            Failed::from(message)
        })
    })
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
