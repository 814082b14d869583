//! Runs the rows, several at a time, and says which are skipped and why.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use winddown_e2e::pid_namespace::Privileges;
use winddown_e2e::processes::{Case, Outcome, Runner};

use crate::hooks;
use crate::prediction::Prediction;
use crate::rows::{ALWAYS, CONTROL_KILLED, ROWS, Row};

/// The processes mostly wait.
const THREADS: usize = 16;
/// How long the container may take to end after the app.
const MARGIN: Duration = Duration::from_secs(3);

pub(crate) fn run() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let privileges = match Privileges::detect() {
        Ok(privileges) => privileges,
        Err(error) => {
            eprintln!("all tests of processes are skipped: {error:#}");
            return ExitCode::SUCCESS;
        }
    };
    let runner = match Runner::new(env!("CARGO_BIN_EXE_observed-app").as_ref(), privileges) {
        Ok(runner) => Arc::new(runner),
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials: Vec<_> = ROWS.iter().map(|row| trial(row, &runner)).collect();
    let controlled = runner.clone();
    trials.push(Trial::test("control: wrong predictions are noticed", move || failed(control(&controlled))));
    trials.extend(hooks::trials(&runner));
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Values that are alive when the process exits are not dropped, and this one owns a folder.
    drop(runner);
    conclusion.exit_code()
}

fn trial(row: &'static Row, runner: &Arc<Runner>) -> Trial {
    let name = name(row);
    let skipped = why_skipped(row, runner);
    if let Some(reason) = &skipped {
        eprintln!("skipped: {name}: {reason}");
    }
    let runner = runner.clone();
    Trial::test(name, move || failed(check(row, &runner))).with_ignored_flag(skipped.is_some())
}

pub(crate) fn failed(result: Result<()>) -> Result<(), Failed> {
    result.map_err(|error| format!("{error:#}").into())
}

fn why_skipped(row: &Row, runner: &Runner) -> Option<String> {
    if row.changes_user && runner.privileges() != Privileges::Root {
        return Some("only root can change the user".to_owned());
    }
    let program = row.command.first().filter(|program| !ALWAYS.contains(program))?;
    let missing = std::iter::once(program).chain(row.programs).find(|program| runner.find(program).is_none())?;
    Some(format!("there is no {missing}"))
}

fn check(row: &Row, runner: &Runner) -> Result<()> {
    predict(row)?.check(&observe(row, runner)?)
}

fn predict(row: &Row) -> Result<Prediction> {
    Prediction::of(row.command, row.environment, row.needs)
}

fn observe(row: &Row, runner: &Runner) -> Result<Outcome> {
    let Row { command, environment, files, prefer, needs, .. } = *row;
    runner.run(&Case { command, prefer, environment, files, needs, grace: needs + MARGIN })
}

/// The command line, with what distinguishes it from others.
fn name(row: &Row) -> String {
    let environment = row.environment.iter().map(|(name, value)| format!("{name}={value} "));
    let variant = row.prefer.map(|variant| format!(" ({variant})")).unwrap_or_default();
    let needs = row.needs.as_secs();
    format!("{}{}{variant}, {needs}s", environment.collect::<String>(), row.command.join(" "))
}

/// The comparison fails if the prediction of one command line is compared with what happened to another.
fn control(runner: &Runner) -> Result<()> {
    let [finishes, killed] = [&ROWS[0], &CONTROL_KILLED];
    for (row, other) in [(finishes, killed), (killed, finishes)] {
        let prediction = predict(row)?;
        let outcome = observe(other, runner).context("control")?;
        ensure!(prediction.check(&outcome).is_err(), "{prediction:?} was accepted for {outcome:?}");
    }
    Ok(())
}
