//! Predictions about preStop hooks, compared with what the shells do: dash, bash and `BusyBox`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use winddown_core::evaluation::{Existing, Origin, evaluate};
use winddown_core::finding::Code;
use winddown_core::plan::timeline::Activity;
use winddown_core::policy::Policy;
use winddown_e2e::pid_namespace::{FirstProcess, Privileges};
use winddown_e2e::processes::Runner;

use crate::hook_rows::{ENVIRONMENT, HOOKS, Hook};

/// How much faster the hooks run than they say.
const SCALE: f64 = 10.0;
/// How long programs may take to start on a busy machine, and how often a hook runs that was slower.
const SLACK: f64 = 0.6;
const ATTEMPTS: usize = 3;
/// The time between the start of the hook and the start of the clock.
const EARLY: f64 = 0.03;
const LIMIT: Duration = Duration::from_secs(30);

/// The first process of the container: it starts the hook like a runtime, and writes down when it gets a signal and when the
/// hook ends. It ignores signals that would only reload an app.
const FIRST: &str = r#"
note() { echo "$1 $EPOCHREALTIME $2" >> events; }
trap 'note signal' TERM QUIT INT
trap '' HUP USR1
note start
(exec "$@") < /dev/null & hook=$!
wait $hook
while [ -e /proc/$hook ]; do wait $hook; done
wait $hook
note end $?
"#;

/// The programs of the container.
const PROGRAMS: [(&str, &str); 5] = [
    ("variables", "A=1\n"),
    ("drain", "#!/bin/sh\nexec sleep 0.1\n"),
    ("seconds", "#!/bin/sh\necho 0.1\n"),
    ("nginx", "#!/bin/sh\n[ \"$*\" = '-s quit' ] && kill -QUIT 1\n"),
    ("kong", "#!/bin/sh\nsleep \"${2#--wait=}\"\nkill -QUIT 1\n"),
];

/// What is predicted for a hook, in seconds.
#[derive(Clone, Debug, PartialEq)]
struct Prediction {
    least: f64,
    most: Option<f64>,
    fails: bool,
    signal: Signal,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Signal {
    None,
    At(f64),
    NotBefore(f64),
}

/// What happened, in seconds of the prediction.
#[derive(Clone, Debug)]
struct Outcome {
    took: f64,
    status: i32,
    signal: Option<f64>,
    #[expect(dead_code, reason = "errors show the outcome")]
    output: String,
}

/// A hook in a shell.
#[derive(Clone, Debug)]
struct Run {
    /// As in the manifest, with `@`.
    line: Vec<String>,
    /// What runs instead of the first word of `line`.
    shell: Vec<&'static str>,
}

pub(crate) fn trials(runner: &Arc<Runner>) -> Vec<Trial> {
    let mut trials: Vec<_> = HOOKS
        .iter()
        .flat_map(|hook| runs(hook).into_iter().map(move |run| (hook, run)))
        .map(|(hook, run)| {
            let name = format!("hook: {} {}", run.shell.join(" "), run.line[1..].join(" ").replace('\n', "\\n"));
            let skipped = why_skipped(hook, run.shell.first().copied().unwrap_or_default(), runner);
            if let Some(reason) = &skipped {
                eprintln!("skipped: {name}: {reason}");
            }
            let runner = runner.clone();
            Trial::test(name, move || crate::suite::failed(check(&run, &runner))).with_ignored_flag(skipped.is_some())
        })
        .collect();
    let runner = runner.clone();
    trials.push(Trial::test("hook: control: wrong predictions are noticed", move || {
        crate::suite::failed(control(&runner))
    }));
    trials
}

fn why_skipped(hook: &Hook, program: &str, runner: &Runner) -> Option<String> {
    let may_be_missing = matches!(hook, Hook::Behind(_) | Hook::AsUser(_)) || matches!(program, "busybox" | "dash");
    if matches!(hook, Hook::AsUser(_)) && runner.privileges() != Privileges::Root {
        return Some("only root can change the user".to_owned());
    }
    (may_be_missing && runner.find(program).is_none()).then(|| format!("there is no {program}"))
}

/// A script runs in every shell; the prediction is for `sh`.
fn runs(hook: &Hook) -> Vec<Run> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    match *hook {
        Hook::Script(text) => {
            let shells = [vec!["dash"], vec!["bash"], vec!["busybox", "sh"]];
            shells.map(|shell| Run { line: words(&["sh", "-c", text]), shell }).to_vec()
        }
        Hook::Bash(text) => vec![Run { line: words(&["bash", "-c", text]), shell: vec!["bash"] }],
        Hook::Line(line) | Hook::Behind(line) | Hook::AsUser(line) => {
            vec![Run { line: words(line), shell: line[..1].to_vec() }]
        }
    }
}

fn check(run: &Run, runner: &Runner) -> Result<()> {
    let prediction = Prediction::of(run)?;
    let mut result = Ok(());
    for _ in 0..ATTEMPTS {
        result = prediction.compare(&observe(run, runner)?);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// The comparison fails if the prediction of one hook is compared with what happened in another.
fn control(runner: &Runner) -> Result<()> {
    let run = |text: &'static str| runs(&Hook::Bash(text)).remove(0);
    for (predicted, observed) in [
        ("sleep @15", "sleep @30"),
        ("sleep @30", "sleep @15"),
        ("./drain; sleep @30", "./drain; sleep @15"),
        ("timeout @10 ./drain", "sleep @25"),
        ("sleep @15", "sleep @15; kill 1"),
        ("sleep @15; kill 1", "sleep @15"),
        ("sleep @15; kill 1", "kill 1; sleep @15"),
        ("exit 1", "exit 0"),
    ] {
        let (prediction, outcome) = (Prediction::of(&run(predicted))?, observe(&run(observed), runner)?);
        ensure!(prediction.compare(&outcome).is_err(), "{prediction:?} was accepted for {outcome:?}");
    }
    Ok(())
}

impl Prediction {
    /// From the timelines and findings for Deployments with this hook: with no drain, an unknown duration is drawn as the lower
    /// bound, and with a long one as the upper bound.
    fn of(run: &Run) -> Result<Self> {
        const LONG: f64 = 3600.0;
        let line: Vec<_> = run.line.iter().map(|word| word.replace('@', "")).collect();
        let environment: Vec<_> =
            ENVIRONMENT.iter().map(|(name, value)| json!({"name": name, "value": value.replace('@', "")})).collect();
        let evaluated = |drain: &str| {
            let hook = json!({"preStop": {"exec": {"command": line}}});
            let deployment = json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "app", "annotations": {"winddown.dev/drain": drain, "winddown.dev/deadline": "1h"}},
                "spec": {"template": {"spec": {"containers":
                    [{"name": "app", "image": "app", "env": environment, "lifecycle": hook}]}}},
            });
            let evaluation = evaluate(&deployment, Existing::None, &Policy::default(), Origin::File)?;
            let timeline = evaluation.timeline.context("a timeline")?;
            let phases = &timeline.lanes.first().context("a lane")?.phases;
            let hook =
                phases.iter().find(|phase| matches!(phase.activity, Activity::PreStop | Activity::UnknownPreStop));
            let codes: Vec<_> = evaluation.findings.iter().map(|finding| finding.code).collect();
            #[expect(clippy::cast_precision_loss, reason = "at most some days")]
            anyhow::Ok((hook.map_or(0.0, |phase| phase.end.as_i64() as f64), codes))
        };
        let ((least, codes), (most, _)) = (evaluated("0s")?, evaluated("1h")?);
        let is_open = codes.contains(&Code::PreStopUnknown);
        let signal = match (codes.contains(&Code::HookEndsDrain), is_open) {
            (false, _) => Signal::None,
            (true, false) => Signal::At(least),
            (true, true) => Signal::NotBefore(least),
        };
        // After a signal, the hook may continue.
        let most = (signal == Signal::None && most < LONG).then_some(if is_open { most } else { least });
        Ok(Self { least, most, fails: codes.contains(&Code::HookFails), signal })
    }

    fn compare(&self, outcome: &Outcome) -> Result<()> {
        let (early, slack) = (EARLY * SCALE, SLACK * SCALE);
        ensure!(outcome.took >= self.least - early, "{self:?}, but it ended earlier: {outcome:?}");
        ensure!(self.most.is_none_or(|most| outcome.took <= most + slack), "{self:?}, but it took longer: {outcome:?}");
        ensure!(!self.fails || outcome.status != 0, "{self:?}, but it succeeded: {outcome:?}");
        match (self.signal, outcome.signal) {
            (Signal::None | Signal::NotBefore(_), None) => {}
            (Signal::At(at), Some(seen)) => {
                ensure!((at - early..=at + slack).contains(&seen), "{self:?}, but at another time: {outcome:?}");
            }
            (Signal::NotBefore(at), Some(seen)) => ensure!(seen >= at - early, "{self:?}, but earlier: {outcome:?}"),
            _ => bail!("{self:?}, but {outcome:?}"),
        }
        Ok(())
    }
}

fn observe(run: &Run, runner: &Runner) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("create a folder")?;
    let path = folder.path();
    for (name, content) in PROGRAMS {
        fs::write(path.join(name), content)?;
        fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o755))?;
    }
    let line: Vec<_> = run.line.iter().map(|word| scaled(word)).collect();
    let mut words = vec!["bash", "-c", FIRST, "first"];
    words.extend(&run.shell);
    words.extend(line[1..].iter().map(String::as_str));
    let first = scaled(run.shell.first().copied().unwrap_or_default());
    words[4] = &first;
    let mut command = runner.command(&words, None, path);
    for (name, value) in ENVIRONMENT {
        command.env(name, scaled(value));
    }
    let inherited = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
    let mut programs = path.as_os_str().to_owned();
    programs.push(":");
    programs.push(inherited.unwrap_or_default());
    command.env("PATH", programs);
    let mut process = FirstProcess::start(&command, path, runner.privileges())?;
    let ended = process.exit_within(LIMIT)?;
    ensure!(ended.is_some(), "it did not end: {}", process.output());
    Outcome::read(&path.join("events"), process.output())
}

impl Outcome {
    fn read(events: &Path, output: String) -> Result<Self> {
        let text = fs::read_to_string(events).with_context(|| format!("no events: {output}"))?;
        let (mut start, mut end, mut signal) = (None, None, None);
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (event, time) = (words.next(), words.next().context("a time")?.parse::<f64>()?);
            match event {
                Some("start") => start = Some(time),
                Some("signal") => signal = signal.or(Some(time)),
                _ => end = Some((time, words.next().context("a status")?.parse()?)),
            }
        }
        let (start, (end, status)) = (start.context("no start")?, end.with_context(|| format!("no end: {text}"))?);
        let since = |time: f64| (time - start) * SCALE;
        Ok(Self { took: since(end), status, signal: signal.map(since), output })
    }
}

/// A text with a part of each duration.
fn scaled(text: &str) -> String {
    let mut parts = text.split('@');
    let mut scaled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|char: char| !char.is_ascii_digit()).unwrap_or(part.len());
        let seconds: f64 = part[..end].parse().unwrap_or_default();
        scaled.extend([&(seconds / SCALE).to_string(), &part[end..]]);
    }
    scaled
}
