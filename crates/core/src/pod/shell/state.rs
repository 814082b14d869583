//! The state of a script between two commands.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::app::App;
use super::effect::{Effect, Signal, Span, Status};
use super::expansion::fields;
use super::variables::{Variable, Variables};
use super::{Node, Part, Word, arithmetic};
use crate::pod::wrappers::Wrapper;

/// What is known before the next command.
#[derive(Clone)]
pub(super) struct State<'a> {
    /// Since the start of the script.
    pub(super) time: Span,
    /// The status of the last command.
    pub(super) status: Status,
    /// The first signal to the app.
    pub(super) signal: Option<Signal>,
    /// Whether the next command may be skipped: after `break`, or when the script cannot be read further.
    pub(super) may_skip: bool,
    pub(super) errexit: bool,
    pub(super) pipefail: bool,
    /// When each background job ends.
    pub(super) jobs: Vec<Span>,
    pub(super) functions: BTreeMap<String, Rc<Node>>,
    pub(super) app: App,
    /// `None` if a program in front has hidden it.
    environment: Option<&'a Variables<'a>>,
    /// The variables that the script sets; `None` for an unknown value.
    variables: BTreeMap<String, Option<String>>,
}

/// The most variables, functions and jobs that are tracked.
const MOST: usize = 64;

impl<'a> State<'a> {
    pub(super) fn new(environment: &'a Variables<'a>) -> Self {
        Self {
            time: Span::ZERO,
            status: Status::Succeeds,
            signal: None,
            may_skip: false,
            errexit: false,
            pipefail: false,
            jobs: Vec::new(),
            functions: BTreeMap::new(),
            app: environment.app,
            environment: Some(environment),
            variables: BTreeMap::new(),
        }
    }

    /// The state at the start of a subshell.
    pub(super) fn subshell(&self) -> Self {
        Self { time: Span::ZERO, signal: None, jobs: Vec::new(), may_skip: false, ..self.clone() }
    }

    /// What the command of a wrapper sees, if that is something else.
    pub(super) fn behind(&self, wrapper: &Wrapper<'_>) -> Option<Self> {
        let hides = wrapper.hides_environment();
        let unset = wrapper.values(&["u", "unset"]).filter(|_| wrapper.program == "env").map(|name| (name, None));
        let set = wrapper.variables.iter().filter_map(|word| word.split_once('='));
        let mut changed = unset.chain(set.map(|(name, value)| (name, Some(value.to_owned())))).peekable();
        if !hides && changed.peek().is_none() {
            return None;
        }
        let mut state = self.clone();
        if hides {
            state.environment = None;
            state.variables.clear();
        }
        changed.for_each(|(name, value)| state.set(name, value));
        Some(state)
    }

    /// After a command.
    pub(super) fn apply(&mut self, effect: Effect) {
        let signal = effect.signal.filter(|signal| self.app.stops_on(signal.by)).map(|signal| {
            let signal = signal.later(self.time);
            Signal { exactly: signal.exactly && !self.may_skip, ..signal }
        });
        self.signal = Signal::first(self.signal, signal);
        let time = if self.may_skip { Span::at_least(Duration::ZERO) } else { effect.time };
        self.time = self.time.then(time);
        self.status = if self.may_skip { Status::Either } else { effect.status };
    }

    /// What follows is unknown.
    pub(super) fn lose_track(&mut self) {
        self.apply(Effect::unknown());
        self.may_skip = true;
    }

    /// The script as one command. Jobs that still run may keep the hook open: the runtime waits for their output.
    pub(super) fn into_effect(self) -> Effect {
        let mut time = self.time;
        if self.jobs.iter().any(|job| job.most.is_none_or(|most| most > self.time.least)) {
            time.most = None;
        }
        Effect { time, status: self.status, signal: self.signal }
    }

    /// The state after one of two branches.
    pub(super) fn join(mut self, other: Self) -> Self {
        self.time = self.time.or(other.time);
        self.status = match (self.status, other.status) {
            (one, other) if one == other => one,
            (Status::Succeeds | Status::Expected, Status::Succeeds | Status::Expected) => Status::Expected,
            _ => Status::Either,
        };
        self.signal = Signal::either(self.signal, other.signal);
        self.may_skip |= other.may_skip;
        self.errexit &= other.errexit;
        for job in other.jobs {
            if !self.jobs.contains(&job) {
                self.add_job(Span { least: Duration::ZERO, ..job });
            }
        }
        self.variables.retain(|name, value| *value == other.variables.get(name).cloned().flatten());
        for name in other.variables.into_keys() {
            self.variables.entry(name).or_insert(None);
        }
        self
    }

    pub(super) fn add_job(&mut self, job: Span) {
        let is_full = self.jobs.len() == MOST;
        match self.jobs.last_mut() {
            Some(last) if is_full => *last = Span::at_least(last.least.max(job.least)),
            _ => self.jobs.push(job),
        }
    }

    /// The arguments of a script or function: `$1` to `$9`; `None` if they are unknown.
    pub(super) fn set_arguments(&mut self, arguments: Option<&[Option<String>]>) {
        for at in 1..10 {
            let argument =
                arguments.and_then(|arguments| arguments.get(at - 1).cloned().unwrap_or_else(|| Some(String::new())));
            self.set(&at.to_string(), argument);
        }
    }

    pub(super) fn add_function(&mut self, name: &str, body: &Rc<Node>) {
        if self.functions.len() < MOST {
            self.functions.insert(name.to_owned(), Rc::clone(body));
        }
    }

    /// Sets a variable; `None` for an unknown value.
    pub(super) fn set(&mut self, name: &str, value: Option<String>) {
        if self.variables.len() < MOST || self.variables.contains_key(name) {
            self.variables.insert(name.to_owned(), value.filter(|value| value.len() <= LONGEST_WORD));
        } else {
            // Too many: what is not tracked must not be taken from the environment.
            self.variables.values_mut().for_each(|value| *value = None);
            self.may_skip = true;
        }
    }

    fn get(&self, name: &str) -> Variable<'_> {
        match self.variables.get(name) {
            Some(Some(value)) => Variable::Known(value),
            Some(None) => Variable::Hidden,
            None => self.environment.map_or(Variable::Hidden, |environment| environment.get(name)),
        }
    }

    /// Whether the manifest sets a variable of that name. No program has such a name.
    pub(super) fn is_variable(&self, name: &str) -> bool {
        self.environment.is_some_and(|environment| matches!(environment.get(name), Variable::Known(_)))
    }

    /// The fields that a word expands to; `None` if they are unknown.
    pub(super) fn expand(&self, word: &Word) -> Option<Vec<String>> {
        if word.iter().any(|part| matches!(part, Part::Arithmetic(_))) {
            return self.expand(&self.computed(word));
        }
        let mut length = 0;
        for part in word {
            match part {
                Part::Plain(text) if is_pattern(text) => return None,
                Part::Plain(text) | Part::Quoted(text) => length += text.len(),
                _ => length += self.value(part)?.len(),
            }
        }
        if length > LONGEST_WORD {
            return None;
        }
        fields(word, |part| self.value(part)).filter(|fields| fields.len() <= LONGEST_LIST)
    }

    /// A word with the results of its arithmetic.
    fn computed(&self, word: &Word) -> Word {
        let variable = |name: &str| match self.get(name) {
            Variable::Known(value) => Some(value),
            Variable::Hidden | Variable::Unset => None,
        };
        let parts = word.iter().map(|part| match part {
            Part::Arithmetic(expression) => match arithmetic::evaluate(expression, variable) {
                Some(result) => Part::Plain(result.to_string()),
                None => Part::Other,
            },
            part => part.clone(),
        });
        parts.collect()
    }

    /// What a part of a word expands to.
    fn value<'w>(&'w self, part: &'w Part) -> Option<&'w str> {
        match part {
            Part::Variable { name, default, .. } => match (self.get(name), default) {
                (Variable::Known(value), default) if !value.is_empty() || default.is_none() => Some(value),
                (Variable::Known(_) | Variable::Unset, Some(default)) => Some(default),
                _ => None,
            },
            // Text in the name of a variable of the manifest is no command, so its output is empty.
            Part::Substitution { script, .. } => self.is_variable(script.trim()).then_some(""),
            _ => None,
        }
    }
}

/// The longest word and the longest list that are tracked.
const LONGEST_WORD: usize = 8192;
const LONGEST_LIST: usize = 64;

/// Whether a shell may expand a text to something else.
fn is_pattern(text: &str) -> bool {
    let has_both = |open, close| text.contains(open) && text.contains(close);
    text.contains(['*', '?'])
        || has_both('[', ']')
        || (has_both('{', '}') && (text.contains(',') || text.contains("..")))
}
