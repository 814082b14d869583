//! The runner: one test after the other, each bounded in time, and what explains it if one fails.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use winddown_e2e::error_chain::error_chain;

use crate::world::World;

/// What a test comes to.
pub(crate) type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// A test, named like a sentence.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) module: &'static str,
    pub(crate) sentence: &'static str,
    pub(crate) body: fn(World) -> Pin<Box<dyn Future<Output = Result>>>,
}

macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        vec![$($crate::suite::Test {
            module: module_path!(),
            sentence: stringify!($name),
            body: |world| Box::pin($name(world)),
        }),+]
    };
}
pub(crate) use tests;

/// Every wait in a test is bounded, too, and says more when its time is up.
const LIMIT: Duration = Duration::from_mins(10);

pub(crate) fn run(tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let runtime = match Runtime::new() {
        Ok(runtime) => Arc::new(runtime),
        Err(error) => {
            eprintln!("cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let trials = tests.into_iter().map(|test| trial(test, runtime.clone())).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(test: Test, runtime: Arc<Runtime>) -> Trial {
    let module = test.module.rsplit("::").next().unwrap_or_default();
    Trial::test(format!("{module}::{}", test.sentence), move || {
        // The runner has written the test's name without an end of the line.
        eprintln!();
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(act(test))));
        eprintln!("  {:.0} s", start.elapsed().as_secs_f32());
        if !matches!(outcome, Ok(Ok(()))) {
            runtime.block_on(World::explain());
        }
        let result = outcome.unwrap_or_else(|panic| resume_unwind(panic));
        result.map_err(|error| Failed::from(error_chain(error.as_ref())))
    })
}

async fn act(test: Test) -> Result {
    let world = World::connect(test.sentence).await?;
    timeout(LIMIT, (test.body)(world)).await.map_err(|_| "the test took too long")?
}
