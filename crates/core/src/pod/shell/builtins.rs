//! The commands that change the state of the shell, and calls of functions.

use super::effect::{Effect, Failure, Span, Status};
use super::interpreter::Interpreter;
use super::state::State;
use super::{DEEPEST, Node};

impl<'a> Interpreter<'a> {
    pub(super) fn call(
        &mut self,
        body: &Node,
        arguments: &[Option<String>],
        mut state: State<'a>,
    ) -> Option<State<'a>> {
        if self.depth == DEEPEST {
            state.lose_track();
            return Some(state);
        }
        let may_skip = state.may_skip;
        state.set_arguments(Some(arguments));
        self.depth += 1;
        let result = self.run(body, state, true);
        self.depth -= 1;
        let mut state = result?;
        state.may_skip = may_skip || self.fuel == 0;
        state.set_arguments(None);
        Some(state)
    }

    /// The commands that change the state of the shell.
    pub(super) fn builtin(&mut self, words: &[Option<String>], mut state: State<'a>) -> Option<State<'a>> {
        let Some((first, arguments)) = words.split_first() else { return Some(state) };
        match first.as_deref() {
            Some("exit") => {
                match arguments.first() {
                    None => {}
                    Some(Some(status)) if status == "0" => state.status = Status::Succeeds,
                    Some(Some(_)) => state.status = Status::Fails(Failure::ExitStatus),
                    Some(None) => state.status = Status::Either,
                }
                return self.end(state);
            }
            Some("exec") if !arguments.is_empty() => {
                let effect = self.command(words, &state);
                state.apply(effect);
                return self.end(state);
            }
            Some("exec") => {}
            Some("break" | "continue" | "return") => {
                state.may_skip = true;
                state.time.most = None;
            }
            Some("wait") => wait(arguments, &mut state),
            Some("set") => set(arguments, &mut state),
            // `trap '' TERM` runs nothing.
            Some("trap") if matches!(arguments.first(), Some(Some(action)) if action.is_empty() || action == "-") => {}
            Some("eval" | "." | "source" | "trap" | "shift") => {
                state.apply(Effect::unknown());
                state.set_arguments(None);
            }
            _ => {
                let effect = self.command(words, &state);
                state.apply(effect);
            }
        }
        Some(state)
    }
}

/// `wait` for all jobs. Which job an argument names is not known.
fn wait(arguments: &[Option<String>], state: &mut State<'_>) {
    let jobs = std::mem::take(&mut state.jobs);
    let before = state.time;
    let after = jobs.iter().fold(before, |time, job| time.with(*job));
    let waits_for_all = arguments.is_empty() || jobs.len() == 1;
    state.time = if waits_for_all && !state.may_skip { after } else { Span { least: before.least, most: after.most } };
    if !waits_for_all {
        state.jobs = jobs;
    }
    state.status = Status::Expected;
}

/// `set -e`, `set -o pipefail`.
fn set(arguments: &[Option<String>], state: &mut State<'_>) {
    let mut words = arguments.iter().flatten();
    while let Some(word) = words.next() {
        let is_on = word.starts_with('-');
        let Some(flags) = word.strip_prefix(['-', '+']).filter(|_| word != "--") else {
            state.set_arguments(None);
            break;
        };
        if flags.contains('e') {
            state.errexit = is_on;
        }
        if flags.contains('o') {
            match words.next().map(String::as_str) {
                Some("errexit") => state.errexit = is_on,
                Some("pipefail") => state.pipefail = is_on,
                _ => {}
            }
        }
    }
    state.apply(Effect::immediate(Status::Succeeds));
}
