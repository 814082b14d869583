//! Programs that run another program.

use std::time::Duration;

use super::effect::{Effect, Failure, Signal, Span, Status};
use super::interpreter::{Interpreter, is_whole_line};
use super::invocation::{Input, Invocation};
use super::sleep::duration;
use super::state::State;
use super::{DEEPEST, Dialect, programs, windows};
use crate::pod::command::{is_shell, program};
use crate::pod::wrappers::{Runs, Wrapper};

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
        let texts: Vec<_> = words.iter().map(Option::as_deref).collect();
        match Wrapper::of(&texts) {
            Some(wrapper) => self.behind(&wrapper, words, state),
            None => programs::effect(first, arguments),
        }
    }

    /// What a wrapper runs.
    fn behind(&mut self, wrapper: &Wrapper<'_>, words: &Words, state: &State<'a>) -> Effect {
        let changed = state.behind(wrapper);
        let state = changed.as_ref().unwrap_or(state);
        let (command, before) = match wrapper.runs {
            Runs::Line(at) => (words.get(at..).unwrap_or_default(), at.checked_sub(1).and_then(|at| words.get(at))),
            Runs::Script(script) if is_shell(script.shell) => {
                let mut inner = state.subshell();
                inner.set_arguments(None);
                return self.script_of(script.text, Dialect::of(script.shell), inner);
            }
            Runs::Script(_) | Runs::Unknown => return Effect::unknown(),
        };
        match wrapper.program {
            "timeout" => self.timeout(wrapper, before, command, state),
            "xargs" => {
                let mut line = command.to_vec();
                line.push(None);
                let effect = self.command(&line, state);
                // It may run several times, or not at all.
                Effect { time: Span::at_least(Duration::ZERO), ..effect }
            }
            "command" if wrapper.has(&["v", "V"]) => Effect::immediate(Status::Either),
            // It shows something, or fails.
            _ if command.is_empty() => Effect::immediate(Status::Either),
            _ => self.command(command, state),
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
        let arguments = words.get(used..).unwrap_or_default();
        // The first is `$0`.
        inner.set_arguments(Some(arguments.get(1..).unwrap_or_default()));
        let effect = self.script_of(text, Dialect::of(invocation.shell), inner);
        let is_split = !arguments.is_empty() && !text.trim().contains(char::is_whitespace);
        match effect.status {
            Status::Fails(_) if is_split => Effect { status: Status::Fails(Failure::SplitScript), ..effect },
            _ => effect,
        }
    }

    /// A script in a shell of its own, which does not know the functions of this one.
    fn script_of(&mut self, text: &str, dialect: Dialect, mut inner: State<'a>) -> Effect {
        inner.functions.clear();
        self.script(text, dialect, inner)
    }

    /// `timeout 20 COMMAND`; older `BusyBox`: `timeout -t 20 COMMAND`.
    fn timeout(
        &mut self,
        wrapper: &Wrapper<'_>,
        limit: Option<&Option<String>>,
        command: &Words,
        state: &State<'a>,
    ) -> Effect {
        if command.is_empty() {
            return Effect::fails(Failure::ExitStatus);
        }
        let effect = self.command(command, state);
        let limit = match limit.and_then(Option::as_deref).map(duration) {
            Some(Some(Duration::ZERO)) => return effect,
            Some(Some(limit)) => limit,
            Some(None) => return Effect::fails(Failure::BadDuration),
            None => return Effect::unknown(),
        };
        let kill_after = wrapper.values(&["k", "kill-after"]).last().and_then(duration).unwrap_or_default();
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
        Effect { time: Span { most, ..time }, status, signal }
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
