//! The commands in a command line. This is not a complete shell parser: only simple commands are detected.

use super::shell::invocation::{Input, Invocation};

/// The name of a program, without its directory.
pub(crate) fn program(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// A script that a shell runs with `-c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Script<'a> {
    /// The name of the shell, without its directory.
    pub(crate) shell: &'a str,
    /// The script.
    pub(crate) text: &'a str,
}

/// One command of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Command<'a> {
    /// The command as written.
    pub(crate) text: &'a str,
    /// The separator after it.
    pub(crate) end: End,
}

/// The separator after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The next command runs afterwards: `;`, `&&`, `||`, a new line, or nothing.
    Sequence,
    /// The next command reads its output: `|`.
    Pipe,
    /// The next command does not wait for it: `&`.
    Background,
}

impl<'a> Script<'a> {
    /// The script of a command line such as `["/bin/sh", "-ec", "…"]`; `None` for any other command line.
    pub(crate) fn of(line: &'a [String]) -> Option<Self> {
        let invocation = Invocation::of(line.iter().map(|word| Some(word.as_str())))?;
        match invocation.input {
            Input::Script(text, _) => Some(Self { shell: invocation.shell, text }),
            _ => None,
        }
    }

    /// Its commands, in order. Separators in quotes, comments and parentheses do not count.
    pub(crate) fn commands(self) -> Vec<Command<'a>> {
        let mut commands = Vec::new();
        let mut push = |text: &'a str, end| {
            let text = text.trim();
            if !text.is_empty() && !text.starts_with('#') {
                commands.push(Command { text, end });
            }
        };
        let (mut start, mut quote, mut depth, mut before) = (0, None, 0_u32, '\n');
        let mut chars = self.text.char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            match (quote, char) {
                (Some(open), _) if char == open => quote = None,
                (Some('\''), _) => {}
                (_, '\\') => {
                    chars.next();
                }
                (None, '\'' | '"' | '`') => quote = Some(char),
                (None, '(') => depth = depth.saturating_add(1),
                (None, ')') => depth = depth.saturating_sub(1),
                (None, '#') if before.is_whitespace() => while chars.next_if(|(_, next)| *next != '\n').is_some() {},
                (None, ';' | '\n' | '|' | '&') if depth == 0 => {
                    let next = chars.peek().map_or(' ', |(_, next)| *next);
                    if let Some((end, width)) = separator(before, char, next) {
                        push(&self.text[start..at], end);
                        start = at + width;
                        if width == 2 {
                            chars.next();
                        }
                    }
                }
                (_, _) => {}
            }
            before = char;
        }
        push(&self.text[start..], End::Sequence);
        commands
    }
}

/// A separator and its number of characters; `None` for redirections such as `2>&1`, `&>file` and `>|file`.
fn separator(before: char, char: char, next: char) -> Option<(End, usize)> {
    match (before, char, next) {
        ('<' | '>', '|' | '&', _) | (_, '&', '>') => None,
        (_, '|', '|') | (_, '&', '&') => Some((End::Sequence, 2)),
        (_, '|', '&') => Some((End::Pipe, 2)),
        (_, '|', _) => Some((End::Pipe, 1)),
        (_, '&', _) => Some((End::Background, 1)),
        _ => Some((End::Sequence, 1)),
    }
}

/// Whether a program is a shell that runs a script with `-c`.
pub(crate) fn is_shell(program: &str) -> bool {
    matches!(program, "sh" | "bash" | "ash" | "dash")
}

#[cfg(test)]
mod tests {
    use super::{Command, End, Script};

    fn words(line: &[&str]) -> Vec<String> {
        line.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_script_of_a_shell_is_found() {
        for (line, expected) in [
            (&["sh", "-c", "sleep 5"][..], Some(("sh", "sleep 5"))),
            (&["/bin/bash", "-ec", "sleep 5", "name"], Some(("bash", "sleep 5"))),
            (&["bash", "-euo", "pipefail", "-c", "run"], Some(("bash", "run"))),
            (&["sh", "-c", "--", "run"], Some(("sh", "run"))),
            (&["sh", "script.sh"], None),
            (&["sh", "-c"], None),
            (&["sleep", "5"], None),
            (&[], None),
        ] {
            let line = words(line);
            let script = Script::of(&line).map(|script| (script.shell, script.text));
            assert_eq!(script, expected, "{line:?}");
        }
    }

    #[test]
    fn a_script_is_split_into_commands() {
        use End::{Background, Pipe, Sequence};
        for (text, expected) in [
            ("run", &[("run", Sequence)][..]),
            ("a; b && c || d", &[("a", Sequence), ("b", Sequence), ("c", Sequence), ("d", Sequence)]),
            ("a | b", &[("a", Pipe), ("b", Sequence)]),
            ("a |& b", &[("a", Pipe), ("b", Sequence)]),
            ("a & wait", &[("a", Background), ("wait", Sequence)]),
            ("a &", &[("a", Background)]),
            ("a 2>&1", &[("a 2>&1", Sequence)]),
            ("a &>log", &[("a &>log", Sequence)]),
            ("a >|log", &[("a >|log", Sequence)]),
            ("nginx -g 'daemon off;'", &[("nginx -g 'daemon off;'", Sequence)]),
            ("echo \"a; \\\" b\"; run", &[("echo \"a; \\\" b\"", Sequence), ("run", Sequence)]),
            ("run $(a; b)", &[("run $(a; b)", Sequence)]),
            ("# don't\nrun # now; or never\n", &[("run # now; or never", Sequence)]),
            ("java \\\n  -jar x\n", &[("java \\\n  -jar x", Sequence)]),
            ("", &[]),
            (" ;; & \n", &[]),
        ] {
            let commands = Script { shell: "sh", text }.commands();
            let expected: Vec<_> = expected.iter().map(|(text, end)| Command { text, end: *end }).collect();
            assert_eq!(commands, expected, "{text}");
        }
    }

    #[test]
    fn malformed_scripts_are_accepted() {
        for text in ["'", "\"\\", "((((", "))))", "\\", "é;é", "#", "&&&&||||", "|\u{202e};"] {
            let _ = Script { shell: "sh", text }.commands();
        }
    }
}
