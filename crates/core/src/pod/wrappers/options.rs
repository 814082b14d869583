//! The options before a command.

use super::Word;

/// How many options are kept: no command line needs more.
const MOST: usize = 64;

/// An option of a command line: its letter or its long name, and its value, if that is known.
pub(super) type Given<'a> = (&'a str, Option<&'a str>);

/// The options of a program that have a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// Letters.
    pub(super) short: &'static str,
    /// Long names. A command line may have only the start of the name.
    pub(super) long: &'static [&'static str],
}

impl Options {
    /// Reads the options at the start of a command line, up to the first other word or `--`; returns their number of words.
    pub(super) fn read<'a>(self, words: &[Word<'a>], given: &mut Vec<Given<'a>>) -> usize {
        let mut at = 0;
        while let Some(Some(word)) = words.get(at)
            && let Some(flags) = word.strip_prefix('-').filter(|flags| !flags.is_empty())
        {
            at += 1;
            let (name, value) = match flags.strip_prefix('-') {
                Some("") => break,
                Some(long) => self.long(long),
                None => self.short(flags, given),
            };
            let value = match value {
                Value::None => None,
                Value::Here(text) => Some(text),
                Value::Next => {
                    at += 1;
                    words.get(at - 1).copied().flatten()
                }
            };
            keep(given, (name, value));
        }
        at.min(words.len())
    }

    fn long(self, text: &str) -> (&str, Value<'_>) {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let full = self.long.iter().find(|full| **full == name);
        let full = full.or_else(|| self.long.iter().find(|full| full.starts_with(name))).copied();
        match (full, value) {
            (_, Some(value)) => (full.unwrap_or(name), Value::Here(value)),
            (Some(full), None) => (full, Value::Next),
            (None, None) => (name, Value::None),
        }
    }

    /// The last letter of a word, up to its value. Those before it have none.
    fn short<'a>(self, flags: &'a str, given: &mut Vec<Given<'a>>) -> (&'a str, Value<'a>) {
        let mut rest = flags;
        loop {
            let (flag, after) = rest.split_at(rest.chars().next().map_or(0, char::len_utf8));
            match (self.short.contains(flag), after) {
                (true, "") => return (flag, Value::Next),
                (true, value) => return (flag, Value::Here(value)),
                (false, "") => return (flag, Value::None),
                (false, after) => {
                    keep(given, (flag, None));
                    rest = after;
                }
            }
        }
    }
}

/// Where the value of an option is.
enum Value<'a> {
    None,
    /// It follows directly, or after `=`.
    Here(&'a str),
    /// It is the next word.
    Next,
}

fn keep<'a>(given: &mut Vec<Given<'a>>, option: Given<'a>) {
    if given.len() < MOST {
        given.push(option);
    }
}
