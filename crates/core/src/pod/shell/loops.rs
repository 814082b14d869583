//! Loops. One over known words runs for each of them; any other may run any number of times.

use super::effect::Status;
use super::interpreter::{Interpreter, joined};
use super::state::State;
use super::{Dialect, Node, Part, Word};

impl<'a> Interpreter<'a> {
    pub(super) fn while_loop(
        &mut self,
        until: bool,
        condition: &Node,
        body: &Node,
        state: State<'a>,
    ) -> Option<State<'a>> {
        let mut state = self.run(condition, state, false)?;
        let is_endless = match (until, state.status) {
            (false, Status::Fails(_)) | (true, Status::Succeeds) => {
                state.status = Status::Succeeds;
                return Some(state);
            }
            (false, Status::Succeeds) | (true, Status::Fails(_)) => true,
            _ => false,
        };
        let before = (!is_endless).then(|| state.clone());
        let may_skip = state.may_skip;
        let mut state = joined(before, self.run(body, state, false))?;
        state.time.most = None;
        state.may_skip = may_skip;
        state.status = Status::Expected;
        Some(state)
    }

    pub(super) fn for_loop(
        &mut self,
        name: &str,
        words: &[Word],
        body: &Node,
        mut state: State<'a>,
        checked: bool,
    ) -> Option<State<'a>> {
        for word in words {
            self.substitutions(word, &mut state);
        }
        // More items than can be computed are as an unknown number of them.
        let mut left = self.fuel;
        let items = words.iter().map(|word| {
            let items = items(word, &state, self.dialect)?;
            left = left.checked_sub(items.len().max(1))?;
            Some(items)
        });
        let items: Option<Vec<_>> = items.collect();
        let may_skip = state.may_skip;
        state.status = Status::Succeeds;
        let Some(items) = items else {
            self.fuel = left;
            let before = state.clone();
            state.set(name, None);
            let mut state = joined(Some(before), self.run(body, state, checked))?;
            state.time.most = None;
            state.may_skip = may_skip;
            return Some(state);
        };
        for item in items.into_iter().flatten() {
            state.set(name, Some(item));
            state = self.run(body, state, checked)?;
        }
        // What a `break` skips ends with the loop.
        state.may_skip = may_skip || self.fuel == 0;
        Some(state)
    }
}

/// The values that a word gives a loop: its fields, or the numbers of `$(seq 3)` or of `{1..3}` in bash.
fn items(word: &Word, state: &State<'_>, dialect: Dialect) -> Option<Vec<String>> {
    let numbers: Vec<_> = match word.as_slice() {
        [Part::Substitution { script, .. }] => script.strip_prefix("seq ")?.split_whitespace().collect(),
        [Part::Plain(text)] if dialect == Dialect::Bash && text.starts_with('{') && text.contains("..") => {
            text.strip_prefix('{')?.strip_suffix('}')?.split("..").collect()
        }
        _ => return state.expand(word),
    };
    let numbers: Option<Vec<u32>> = numbers.into_iter().map(|number| number.parse().ok()).collect();
    let (first, last) = match numbers?.as_slice() {
        [last] => (1, *last),
        [first, last] => (*first, *last),
        _ => return None,
    };
    (last.saturating_sub(first) < 1000 && first <= last)
        .then(|| (first..=last).map(|number| number.to_string()).collect())
}
