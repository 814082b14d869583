//! The options of a shell.

use super::effect::Failure;
use crate::pod::command::{is_shell, program};

/// The command line of a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invocation<'a> {
    /// The name of the shell, without its directory.
    pub(crate) shell: &'a str,
    pub(crate) input: Input<'a>,
    /// `-e`: it ends when a command fails.
    pub(crate) errexit: bool,
    /// `-o pipefail`: a pipe fails when one of its commands fails.
    pub(crate) pipefail: bool,
}

/// What a shell runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input<'a> {
    /// The text of `-c`, and the number of words before its own arguments.
    Script(&'a str, usize),
    /// A file.
    File(&'a str),
    /// The standard input, which is empty in a hook.
    Stdin,
    /// Nothing: the shell rejects its options.
    Invalid(Failure),
    /// The manifest does not show it.
    Unknown,
}

impl<'a> Invocation<'a> {
    /// Reads a command line; `None` if its program is not a shell. An item is `None` if it is unknown.
    pub(crate) fn of(mut words: impl Iterator<Item = Option<&'a str>>) -> Option<Self> {
        let shell = program(words.next()??);
        if !is_shell(shell) {
            return None;
        }
        let mut it = Self { shell, input: Input::Unknown, errexit: false, pipefail: false };
        let (mut has_script, mut count) = (false, 1);
        it.input = loop {
            count += 1;
            let Some(word) = words.next() else {
                break if has_script { Input::Invalid(Failure::NoScript) } else { Input::Stdin };
            };
            let Some(word) = word else { break Input::Unknown };
            let Some(flags) = word.strip_prefix(['-', '+']).filter(|_| !matches!(word, "-" | "--" | "+")) else {
                if matches!(word, "-" | "--") {
                    count += 1;
                    break match words.next() {
                        Some(Some(word)) => Self::operand(word, has_script, count),
                        Some(None) => Input::Unknown,
                        None if has_script => Input::Invalid(Failure::NoScript),
                        None => Input::Stdin,
                    };
                }
                break Self::operand(word, has_script, count);
            };
            if flags.starts_with('-') {
                if matches!(flags, "-rcfile" | "-init-file") {
                    words.next();
                    count += 1;
                }
                continue;
            }
            if !flags.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                break Input::Invalid(Failure::BadOption);
            }
            let is_on = word.starts_with('-');
            has_script |= flags.contains('c');
            it.errexit |= is_on && flags.contains('e');
            // The name of an option follows, as in `bash -euo pipefail -c`.
            for _ in flags.matches(['o', 'O']) {
                let name = words.next().flatten();
                count += 1;
                it.errexit |= is_on && name == Some("errexit");
                it.pipefail |= is_on && name == Some("pipefail");
            }
        };
        Some(it)
    }

    fn operand(word: &'a str, has_script: bool, count: usize) -> Input<'a> {
        if has_script { Input::Script(word, count) } else { Input::File(word) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Input, Invocation};

    #[test]
    fn options_come_before_the_script() {
        for (line, input, errexit, pipefail) in [
            (&["sh", "-c", "run"][..], Input::Script("run", 3), false, false),
            (&["/bin/bash", "-ec", "run", "name"], Input::Script("run", 3), true, false),
            (&["bash", "-euo", "pipefail", "-c", "run"], Input::Script("run", 5), true, true),
            (
                &["bash", "-euExo", "pipefail", "-O", "inherit_errexit", "-c", "run"],
                Input::Script("run", 7),
                true,
                true,
            ),
            (&["sh", "-c", "--", "run"], Input::Script("run", 4), false, false),
            (&["bash", "--norc", "--rcfile", "x", "-c", "run"], Input::Script("run", 6), false, false),
            (&["sh", "+e", "-c", "run"], Input::Script("run", 4), false, false),
            (&["sh", "script.sh"], Input::File("script.sh"), false, false),
            (&["sh", "-x", "-", "script.sh"], Input::File("script.sh"), false, false),
            (&["sh"], Input::Stdin, false, false),
            (&["sh", "-c"], Input::Invalid(Failure::NoScript), false, false),
            (&["sh", "-c", "--"], Input::Invalid(Failure::NoScript), false, false),
            (&["sh", "-e sleep 5"], Input::Invalid(Failure::BadOption), false, false),
        ] {
            let invocation = Invocation::of(line.iter().map(|word| Some(*word))).unwrap();
            let found = (invocation.input, invocation.errexit, invocation.pipefail);
            assert_eq!(found, (input, errexit, pipefail), "{line:?}");
        }
    }

    #[test]
    fn other_programs_are_not_shells() {
        for line in [&["sleep", "5"][..], &[]] {
            assert_eq!(Invocation::of(line.iter().map(|word| Some(*word))), None);
        }
        assert_eq!(Invocation::of([None].into_iter()), None);
    }
}
