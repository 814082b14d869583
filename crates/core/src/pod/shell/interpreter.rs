//! Computes what a script does, without running it.
//!
//! Each command advances a span of time. Where a script branches, both branches are followed, and the result is between
//! them. A command that is not known may take any time, and is expected to succeed: `a && sleep 5` runs for at least 5s.

use std::time::Duration;

use super::effect::{Effect, Failure, Signal, Span, Status};
use super::parser::parse;
use super::programs::{self, BUILTINS};
use super::state::State;
use super::variables::Variables;
use super::{DEEPEST, Dialect, Link, Node, Part, Problem, Redirect, Simple, Word};
use crate::pod::command::program;

/// What a command line does that runs without a shell, as in an exec hook.
pub(crate) fn command_line(line: &[String], environment: &Variables<'_>) -> Effect {
    let length: usize = line.iter().map(String::len).sum();
    let mut interpreter = Interpreter::new(length);
    let words: Vec<_> = line.iter().cloned().map(Some).collect();
    match line.first() {
        None => Effect::fails(Failure::NoCommand),
        Some(first) if BUILTINS.contains(&first.as_str()) => Effect::fails(Failure::Builtin),
        Some(first) if first.starts_with('-') => Effect::fails(Failure::NoProgram),
        Some(_) => {
            let state = State::new(environment);
            let mut effect = interpreter.command(&words, &state);
            effect.signal = effect.signal.filter(|signal| state.app.stops_on(signal.by));
            let is_split = line.len() > 1 && line.iter().any(|word| programs::is_operator(word));
            match effect.status {
                Status::Fails(Failure::BadDuration) if is_split => Effect::fails(Failure::NoShellSyntax),
                _ => effect,
            }
        }
    }
}

/// Whether the name of a program is a whole command line. A directory may have blanks in its name.
pub(super) fn is_whole_line(first: &str) -> bool {
    let Some((_, rest)) = first.trim().split_once(char::is_whitespace) else { return first.trim().is_empty() };
    let is_path = first.starts_with('/') && rest.contains('/') && !rest.starts_with('-');
    !(is_path || first.contains('\\'))
}

/// How deep nodes may be nested. A script may contain scripts, and each level of both needs stack.
const MOST_NESTED: u32 = 128;

/// How much text costs as much as a command.
const BYTES_PER_COMMAND: usize = 64;

/// How many words of a command cost as much as another command.
const WORDS_PER_COMMAND: usize = 16;

pub(super) struct Interpreter<'a> {
    /// How many more commands are computed.
    pub(super) fuel: usize,
    pub(super) depth: u32,
    /// How deep the current node is nested, in all scripts together.
    nested: u32,
    /// The runs that have ended: by `exit`, for example.
    ended: Option<State<'a>>,
    /// The syntax of the current script.
    pub(super) dialect: Dialect,
}

impl<'a> Interpreter<'a> {
    /// For command lines of that length. The work is in proportion to it.
    fn new(length: usize) -> Self {
        Self { fuel: 200 + length.min(4_000), depth: 0, nested: 0, ended: None, dialect: Dialect::Posix }
    }

    /// A script in a shell of its own.
    pub(super) fn script(&mut self, text: &str, dialect: Dialect, state: State<'a>) -> Effect {
        if self.fuel == 0 {
            return Effect::unknown();
        }
        self.fuel = self.fuel.saturating_sub(text.len() / BYTES_PER_COMMAND);
        let parsed = parse(text, dialect);
        let outer = std::mem::replace(&mut self.dialect, dialect);
        let effect = self.isolated(state, |this, mut state| {
            for line in &parsed.lines {
                state = this.run(line, state, true)?;
            }
            match parsed.problem {
                None => Some(state),
                Some(Problem::Syntax) if !state.may_skip => {
                    state.apply(Effect::fails(Failure::Syntax));
                    this.end(state)
                }
                Some(_) => {
                    state.lose_track();
                    Some(state)
                }
            }
        });
        self.dialect = outer;
        effect
    }

    /// Commands that cannot end the surrounding script.
    fn isolated(&mut self, state: State<'a>, run: impl FnOnce(&mut Self, State<'a>) -> Option<State<'a>>) -> Effect {
        self.depth += 1;
        if self.depth > DEEPEST {
            self.depth -= 1;
            return Effect::unknown();
        }
        let outer = self.ended.take();
        let last = run(self, state);
        let ended = std::mem::replace(&mut self.ended, outer);
        self.depth -= 1;
        joined(last, ended).map_or(Effect::unknown(), State::into_effect)
    }

    fn subshell(&mut self, node: &Node, state: &State<'a>) -> Effect {
        self.isolated(state.subshell(), |this, state| this.run(node, state, true))
    }

    /// The script ends here.
    pub(super) fn end(&mut self, state: State<'a>) -> Option<State<'a>> {
        let may_go_on = state.may_skip.then(|| state.clone());
        self.ended = joined(self.ended.take(), Some(state));
        may_go_on
    }

    /// `None` if the script ends there. With `checked`, `set -e` applies.
    pub(super) fn run(&mut self, node: &Node, mut state: State<'a>, checked: bool) -> Option<State<'a>> {
        if self.fuel == 0 || self.nested == MOST_NESTED {
            state.lose_track();
            return Some(state);
        }
        self.fuel -= 1;
        self.nested += 1;
        let after = self.node(node, state, checked);
        self.nested -= 1;
        after
    }

    fn node(&mut self, node: &Node, mut state: State<'a>, checked: bool) -> Option<State<'a>> {
        let state = match node {
            Node::Simple(simple) => self.simple(simple, state)?,
            Node::Redirected(node, redirects) => {
                self.redirects(redirects, &mut state);
                return self.run(node, state, checked);
            }
            Node::Pipeline(parts) => self.pipeline(parts, state),
            Node::Not(node) => {
                let mut state = self.run(node, state, false)?;
                state.status = match state.status {
                    Status::Succeeds => Status::Fails(Failure::ExitStatus),
                    Status::Fails(_) => Status::Succeeds,
                    Status::Expected | Status::Either => Status::Either,
                };
                return Some(state);
            }
            Node::AndOr(first, rest) => return self.and_or(first, rest, state, checked),
            Node::Sequence(nodes) => {
                return nodes.iter().try_fold(state, |state, node| self.run(node, state, checked));
            }
            Node::Background(node) => {
                let effect = self.subshell(node, &state);
                state.add_job(state.time.then(effect.time));
                state.set("!", Some("%job".to_owned()));
                state.apply(Effect { time: Span::ZERO, status: Status::Succeeds, ..effect });
                state
            }
            Node::Subshell(node) => {
                let effect = self.subshell(node, &state);
                state.apply(effect);
                state
            }
            Node::If(branches, otherwise) => return self.branches(branches, otherwise.as_deref(), state, checked),
            Node::While { until, condition, body } => self.while_loop(*until, condition, body, state)?,
            Node::For { name, words, body } => return self.for_loop(name, words, body, state, checked),
            Node::Case(word, arms) => {
                self.substitutions(word, &mut state);
                let runs: Vec<_> = arms.iter().map(|arm| self.run(arm, state.clone(), checked)).collect();
                return runs.into_iter().fold(Some(state), joined);
            }
            Node::Function(name, body) => {
                state.add_function(name, body);
                state.apply(Effect::immediate(Status::Succeeds));
                state
            }
        };
        match state.status {
            Status::Fails(_) if checked && state.errexit => self.end(state),
            _ => Some(state),
        }
    }

    fn and_or(&mut self, first: &Node, rest: &[(Link, Node)], state: State<'a>, checked: bool) -> Option<State<'a>> {
        let last = rest.len();
        let mut state = self.run(first, state, checked && last == 0)?;
        for (at, (link, node)) in rest.iter().enumerate() {
            let checked = checked && at + 1 == last;
            state = match (link, state.status) {
                (Link::And, Status::Succeeds | Status::Expected) | (Link::Or, Status::Fails(_)) => {
                    self.run(node, state, checked)?
                }
                (Link::And, Status::Fails(_)) | (Link::Or, Status::Succeeds) => state,
                (_, Status::Either) | (Link::Or, Status::Expected) => {
                    let run = self.run(node, state.clone(), checked);
                    joined(Some(state), run)?
                }
            };
        }
        Some(state)
    }

    /// All parts run at the same time. A part that writes to one that has ended is killed, so only `sleep` surely runs.
    fn pipeline(&mut self, parts: &[Node], mut state: State<'a>) -> State<'a> {
        let (mut whole, mut failed) = (Effect { time: Span::ZERO, ..Effect::unknown() }, None);
        for (at, part) in parts.iter().enumerate() {
            let mut effect = self.subshell(part, &state);
            if at + 1 < parts.len() && !matches!(part, Node::Simple(_)) {
                effect.time.least = Duration::ZERO;
                effect.signal = effect.signal.map(|signal| Signal { exactly: false, ..signal });
            }
            if let Status::Fails(why) = effect.status {
                failed = Some(Status::Fails(why));
            }
            whole.time = whole.time.with(effect.time);
            whole.signal = Signal::first(whole.signal, effect.signal);
            whole.status = effect.status;
        }
        if state.pipefail {
            whole.status = failed.unwrap_or(whole.status);
        }
        state.apply(whole);
        state
    }

    fn branches(
        &mut self,
        branches: &[(Node, Node)],
        otherwise: Option<&Node>,
        state: State<'a>,
        checked: bool,
    ) -> Option<State<'a>> {
        let mut done = None;
        let mut state = state;
        for (condition, body) in branches {
            let tested = self.run(condition, state, false);
            let Some(tested) = tested else { return done };
            match tested.status {
                Status::Succeeds => {
                    let run = self.run(body, tested, checked);
                    return joined(done, run);
                }
                Status::Fails(_) => state = tested,
                Status::Expected | Status::Either => {
                    let run = self.run(body, tested.clone(), checked);
                    done = joined(done, run);
                    state = tested;
                }
            }
        }
        let last = if let Some(otherwise) = otherwise {
            self.run(otherwise, state, checked)
        } else {
            state.status = Status::Succeeds;
            Some(state)
        };
        joined(done, last)
    }

    fn simple(&mut self, simple: &Simple, mut state: State<'a>) -> Option<State<'a>> {
        self.fuel = self.fuel.saturating_sub(simple.words.len() / WORDS_PER_COMMAND);
        let values = simple.assignments.iter().map(|(_, value)| value);
        state.status = Status::Succeeds;
        for word in values.chain(&simple.words) {
            self.substitutions(word, &mut state);
        }
        self.redirects(&simple.redirects, &mut state);
        if simple.words.is_empty() {
            for (name, value) in &simple.assignments {
                let value = state.expand(value).map(|fields| fields.join(" "));
                state.set(name, value);
            }
            // A hook runs beside its app: `PID=$(pidof app) && kill $PID`.
            if state.status == Status::Either && simple.assignments.iter().any(|(_, value)| finds_a_process(value)) {
                state.status = Status::Expected;
            }
            return Some(state);
        }
        let mut words = Vec::new();
        for word in &simple.words {
            match state.expand(word) {
                Some(fields) => words.extend(fields.into_iter().map(Some)),
                None => words.push(None),
            }
        }
        if let Some(Some(first)) = words.first()
            && let Some(body) = state.functions.get(first).cloned()
        {
            return self.call(&body, &words[1..], state);
        }
        self.builtin(&words, state)
    }

    /// Runs the command substitutions of a word.
    pub(super) fn substitutions(&mut self, word: &Word, state: &mut State<'a>) {
        for part in word {
            if let Part::Substitution { script, .. } = part
                && !state.is_variable(script.trim())
            {
                let effect = self.script(script, self.dialect, state.subshell());
                // A syntax error there ends the whole script in some shells.
                match effect.status {
                    Status::Fails(Failure::Syntax) => state.lose_track(),
                    _ => state.apply(effect),
                }
            }
        }
    }

    fn redirects(&mut self, redirects: &[Redirect], state: &mut State<'a>) {
        for redirect in redirects {
            self.substitutions(&redirect.target, state);
            let target = state.expand(&redirect.target);
            if redirect.reads && target.is_none_or(|target| target != ["/dev/null"]) {
                state.apply(Effect { status: state.status, ..Effect::unknown() });
            }
        }
    }
}

/// Whether a word is the output of a command that looks for a process.
fn finds_a_process(word: &Word) -> bool {
    word.iter().any(|part| match part {
        Part::Substitution { script, .. } => {
            let first = script.split_whitespace().next().unwrap_or_default();
            matches!(program(first), "pidof" | "pgrep")
        }
        _ => false,
    })
}

/// The state after one of two runs, if any of them has not ended.
pub(super) fn joined<'a>(one: Option<State<'a>>, other: Option<State<'a>>) -> Option<State<'a>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.join(other)),
        (one, other) => one.or(other),
    }
}
