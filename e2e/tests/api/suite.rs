//! The runner: starts the world when the first test wants it, and ends it after the last.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use winddown_e2e::error_chain::error_chain;
use winddown_e2e::operator_process::LIMIT;

use crate::namespace::Namespace;
use crate::world::World;

/// What a test comes to.
pub(crate) type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Tests wait for the API server more than they compute.
const THREADS: usize = 4;
/// A test that takes longer hangs: the slowest takes a tenth of it.
const TEST_LIMIT: Duration = Duration::from_mins(3);

/// A test, named like a sentence.
#[derive(Clone)]
pub(crate) struct Test {
    pub(crate) module: &'static str,
    pub(crate) sentence: &'static str,
    /// Whether nothing else may run meanwhile.
    pub(crate) alone: bool,
    pub(crate) body: fn(Namespace) -> Pin<Box<dyn Future<Output = Result>>>,
}

/// `tests![together: a, b]` for tests that leave operator and webhooks as they are, `tests![alone: c]` for the others.
macro_rules! tests {
    (together: $($name:ident),+ $(,)?) => { $crate::suite::tests!(@ false, $($name),+) };
    (alone: $($name:ident),+ $(,)?) => { $crate::suite::tests!(@ true, $($name),+) };
    (@ $alone:literal, $($name:ident),+) => {
        vec![$($crate::suite::Test {
            module: module_path!(),
            sentence: stringify!($name),
            alone: $alone,
            body: |namespace| Box::pin($name(namespace)),
        }),+]
    };
}
pub(crate) use tests;

/// Looks again and again until there is something to see, as long as an operator may take on a busy machine.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    winddown_e2e::until::until(what, LIMIT, look).await
}

/// What all tests share.
struct Stage {
    runtime: Runtime,
    world: OnceLock<Result<Arc<World>, String>>,
    turn: RwLock<()>,
}

pub(crate) fn run(tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let stage = Arc::new(Stage { runtime, world: OnceLock::new(), turn: RwLock::new(()) });
    let trials = tests.into_iter().map(|test| trial(test, stage.clone())).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let (true, Some(Ok(world))) = (conclusion.has_failed(), stage.world.get()) {
        eprintln!("winddown's last words:\n{}", stage.runtime.block_on(world.last_words()));
    }
    // The processes end here: what is static, or left to `exit`, is never dropped.
    drop(stage);
    conclusion.exit_code()
}

fn trial(test: Test, stage: Arc<Stage>) -> Trial {
    let module = test.module.rsplit("::").next().unwrap_or_default();
    Trial::test(format!("{module}::{}", test.sentence), move || {
        let world = stage.world.get_or_init(|| {
            let start = Instant::now();
            let world = stage.runtime.block_on(World::start()).map_err(|error| {
                eprintln!("{}", error_chain(error.as_ref()));
                "there is no API server to test on; the reason is above".to_owned()
            })?;
            eprintln!("the API server and winddown are ready after {:.1} s", start.elapsed().as_secs_f32());
            Ok(Arc::new(world))
        });
        let world = world.clone()?;
        // A test that panicked has left nothing half done that others would see.
        let (_together, _alone);
        if test.alone {
            _alone = stage.turn.write().unwrap_or_else(PoisonError::into_inner);
        } else {
            _together = stage.turn.read().unwrap_or_else(PoisonError::into_inner);
        }
        let act = AssertUnwindSafe(|| stage.runtime.block_on(act(&test, world.clone())));
        let outcome = catch_unwind(act);
        if test.alone {
            stage.runtime.block_on(world.restore()).map_err(|error| error_chain(error.as_ref()))?;
        }
        let result = outcome.unwrap_or_else(|panic| resume_unwind(panic));
        result.map_err(|error| Failed::from(error_chain(error.as_ref())))
    })
}

async fn act(test: &Test, world: Arc<World>) -> Result {
    let namespace = Namespace::new(world, test.sentence).await?;
    let body = tokio::time::timeout(TEST_LIMIT, (test.body)(namespace.clone()));
    body.await.map_err(|_| format!("not over after {} s", TEST_LIMIT.as_secs()))??;
    // What is left standing would keep the controller busy in the tests that follow.
    namespace.clear().await
}
