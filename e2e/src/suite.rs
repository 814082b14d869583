//! The runner of the cluster tests: runs tests with a time limit, and prints diagnostics if one fails.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::environment::Environment;

/// A test, as [`crate::tests`] makes it.
#[derive(Clone, Copy)]
pub struct Test {
    /// The path of its module.
    pub module: &'static str,
    /// The name of its function.
    pub name: &'static str,
    /// Runs it.
    pub body: fn(Environment) -> LocalBoxFuture<'static, Result<()>>,
}

/// The [`Test`]s of these functions from [`Environment`] to `Result<()>`.
#[macro_export]
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        vec![$($crate::suite::Test {
            module: module_path!(),
            name: stringify!($name),
            body: |environment| Box::pin($name(environment)),
        }),+]
    };
}

/// Runs the tests that the command line selects, one at a time. The limit is for a whole test: each wait in it has its
/// own, shorter limit and a more specific message.
#[must_use]
pub fn run(limit: Duration, tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Some tests install or break Winddown, and the apps of one test keep two cores busy.
    arguments.test_threads = Some(1);
    let runtime = match Runtime::new() {
        Ok(runtime) => Arc::new(runtime),
        Err(error) => {
            eprintln!("cannot start the tokio runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let trials = tests.into_iter().map(|test| trial(limit, test, runtime.clone())).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(limit: Duration, test: Test, runtime: Arc<Runtime>) -> Trial {
    let module = test.module.rsplit("::").next().unwrap_or_default();
    Trial::test(format!("{module}::{}", test.name), move || {
        // The runner printed the name of the test without a line break.
        eprintln!();
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(execute(limit, test))));
        eprintln!("  {}: {:.0} s", test.name, start.elapsed().as_secs_f32());
        if !matches!(outcome, Ok(Ok(()))) {
            runtime.block_on(Environment::print_diagnostics());
        }
        let result = outcome.unwrap_or_else(|panic| resume_unwind(panic));
        result.map_err(|error| Failed::from(format!("{error:#}")))
    })
}

async fn execute(limit: Duration, test: Test) -> Result<()> {
    let environment = Environment::connect(test.name).await?;
    let result = timeout(limit, (test.body)(environment)).await;
    result.with_context(|| format!("the test did not finish within {} s", limit.as_secs()))?
}
