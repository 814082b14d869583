//! Programs that run another program.

use std::time::Duration;

use super::effect::{Effect, Failure, Signal, Status};
use super::interpreter::{Interpreter, is_whole_line};
use super::invocation::{Input, Invocation};
use super::programs;
use super::sleep::duration;
use super::state::State;
use super::{DEEPEST, windows};
use crate::pod::command::program;

type Words = [Option<String>];

impl<'a> Interpreter<'a> {
    /// What a program does with its arguments.
    pub(super) fn command(&mut self, words: &Words, state: &State<'a>) -> Effect {
        self.depth += 1;
        let effect = if self.depth > DEEPEST { Effect::unknown() } else { self.wrapped(words, state) };
        self.depth -= 1;
        effect
    }

    fn wrapped(&mut self, words: &Words, state: &State<'a>) -> Effect {
        let Some((Some(first), arguments)) = words.split_first() else { return Effect::unknown() };
        if is_whole_line(first) {
            return Effect::fails(Failure::OneWord);
        }
        if let Some(invocation) = Invocation::of(words.iter().map(Option::as_deref)) {
            return self.shell(invocation, words, state);
        }
        if let Some(effect) = windows::effect(words) {
            return effect;
        }
        match program(first) {
            "busybox" | "toybox" => self.command(arguments, state),
            "env" => self.command(after_environment(arguments), state),
            "command"
                if arguments.first().is_some_and(|word| word.as_deref().is_some_and(|word| word.starts_with("-v"))) =>
            {
                Effect::immediate(Status::Either)
            }
            "nice" | "ionice" | "chrt" => self.command(after_options(arguments, &["-n", "--adjustment", "-c"]), state),
            "stdbuf" => self.command(after_options(arguments, &["-i", "-o", "-e"]), state),
            "sudo" => self.command(after_options(arguments, &["-u", "-g"]), state),
            "nohup" | "command" | "builtin" | "time" | "exec" => self.command(after_options(arguments, &["-a"]), state),
            "tini" | "dumb-init" | "catatonit" => self.command(after_options(arguments, &["-p", "-e", "-r"]), state),
            "gosu" | "su-exec" => self.command(arguments.get(1..).unwrap_or_default(), state),
            "timeout" => self.timeout(arguments, state),
            "xargs" => {
                let mut line = after_options(arguments, &["-n", "-I", "-P", "-L", "-s", "-a", "-d", "-E"]).to_vec();
                line.push(None);
                let effect = self.command(&line, state);
                // It may run several times, or not at all.
                Effect { time: super::effect::Span::at_least(Duration::ZERO), ..effect }
            }
            _ => programs::effect(first, arguments),
        }
    }

    fn shell(&mut self, invocation: Invocation<'_>, words: &Words, state: &State<'a>) -> Effect {
        let (text, used) = match invocation.input {
            Input::Script(text, used) => (text, used),
            Input::Stdin => return Effect::immediate(Status::Succeeds),
            Input::Invalid(why) => return Effect::fails(why),
            Input::File(file) if is_command(file) => return Effect::fails(Failure::NotAScript),
            Input::File(_) | Input::Unknown => return Effect::unknown(),
        };
        let mut inner = state.subshell();
        (inner.errexit, inner.pipefail) = (invocation.errexit, invocation.pipefail);
        inner.functions.clear();
        let arguments = words.get(used..).unwrap_or_default();
        // The first is `$0`.
        inner.set_arguments(Some(arguments.get(1..).unwrap_or_default()));
        let effect = self.script(text, invocation.dialect(), inner);
        let is_split = !arguments.is_empty() && !text.trim().contains(char::is_whitespace);
        match effect.status {
            Status::Fails(_) if is_split => Effect { status: Status::Fails(Failure::SplitScript), ..effect },
            _ => effect,
        }
    }

    /// `timeout 20 COMMAND` of GNU, and `timeout -t 20 COMMAND` of older `BusyBox`.
    fn timeout(&mut self, arguments: &Words, state: &State<'a>) -> Effect {
        let is_old = matches!(arguments.first(), Some(Some(option)) if option == "-t");
        let rest =
            if is_old { &arguments[1..] } else { after_options(arguments, &["-k", "-s", "--kill-after", "--signal"]) };
        let (limit, command) = match rest.split_first() {
            Some((limit, command)) if !command.is_empty() => (limit, command),
            _ => return Effect::fails(Failure::ExitStatus),
        };
        let effect = self.command(command, state);
        let limit = match limit.as_deref().map(duration) {
            Some(Some(Duration::ZERO)) => return effect,
            Some(Some(limit)) => limit,
            Some(None) => return Effect::fails(Failure::BadDuration),
            None => return Effect::unknown(),
        };
        let kill_after =
            programs::limit(&arguments[..arguments.len() - rest.len()], &["--kill-after", "-k"]).unwrap_or_default();
        let status = match effect.status {
            _ if effect.time.least > limit => Status::Fails(Failure::TimedOut),
            status if effect.time.most.is_some_and(|most| most < limit) => status,
            _ => Status::Expected,
        };
        let signal = effect.signal.filter(|signal| signal.after <= limit);
        let signal = signal.map(|signal| Signal { exactly: signal.exactly && signal.after < limit, ..signal });
        let time = effect.time.within(limit);
        let most = match effect.time.most {
            Some(most) if most < limit => Some(most),
            _ => time.most.map(|most| most.saturating_add(kill_after)),
        };
        Effect { time: super::effect::Span { most, ..time }, status, signal }
    }
}

/// Whether the operand of a shell is a command: shells read a script there.
fn is_command(file: &str) -> bool {
    let mut words = file.split_whitespace();
    let first = words.next().unwrap_or_default();
    let name = program(first);
    let is_known = matches!(
        name,
        "sleep"
            | "kill"
            | "pkill"
            | "killall"
            | "echo"
            | "curl"
            | "wget"
            | "nginx"
            | "sh"
            | "bash"
            | "exec"
            | "exit"
            | "true"
            | "timeout"
            | "kong"
    );
    is_known && (!first.contains('/') || first.starts_with('/')) || first == "exec"
}

/// The command after options; those in the list take the next word.
fn after_options<'w>(words: &'w Words, with_value: &[&str]) -> &'w Words {
    let mut rest = words;
    while let Some((Some(word), after)) = rest.split_first() {
        match word.as_str() {
            "--" => return after,
            option if with_value.contains(&option) => rest = after.get(1..).unwrap_or_default(),
            option if option.starts_with('-') => rest = after,
            _ => break,
        }
    }
    rest
}

/// The command after the options and the variables of `env`.
fn after_environment(words: &Words) -> &Words {
    let mut rest = after_options(words, &["-u", "--unset", "-C", "--chdir"]);
    while let Some((Some(word), after)) = rest.split_first()
        && word.contains('=')
    {
        rest = after;
    }
    rest
}
