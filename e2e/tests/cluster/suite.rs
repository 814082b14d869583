//! The test runner: runs one test at a time with a time limit, and prints diagnostics if a test fails.

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

#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    pub(crate) body: fn(Environment) -> LocalBoxFuture<'static, Result<()>>,
}

macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        vec![$($crate::suite::Test {
            module: module_path!(),
            name: stringify!($name),
            body: |environment| Box::pin($name(environment)),
        }),+]
    };
}
pub(crate) use tests;

/// For a whole test. Each wait in a test has its own, shorter limit and a more specific message.
const LIMIT: Duration = Duration::from_mins(10);

pub(crate) fn run(tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let runtime = match Runtime::new() {
        Ok(runtime) => Arc::new(runtime),
        Err(error) => {
            eprintln!("cannot start the tokio runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let trials = tests.into_iter().map(|test| trial(test, runtime.clone())).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(test: Test, runtime: Arc<Runtime>) -> Trial {
    let module = test.module.rsplit("::").next().unwrap_or_default();
    Trial::test(format!("{module}::{}", test.name), move || {
        // The runner printed the name of the test without a line break.
        eprintln!();
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(execute(test))));
        eprintln!("  {:.0} s", start.elapsed().as_secs_f32());
        if !matches!(outcome, Ok(Ok(()))) {
            runtime.block_on(Environment::print_diagnostics());
        }
        let result = outcome.unwrap_or_else(|panic| resume_unwind(panic));
        result.map_err(|error| Failed::from(format!("{error:#}")))
    })
}

async fn execute(test: Test) -> Result<()> {
    let environment = Environment::connect(test.name).await?;
    let result = timeout(LIMIT, (test.body)(environment)).await;
    result.with_context(|| format!("the test did not finish within {} s", LIMIT.as_secs()))?
}
