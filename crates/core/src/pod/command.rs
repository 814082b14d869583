//! The program and the script in a command line.

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

impl<'a> Script<'a> {
    /// The script of a command line such as `["/bin/sh", "-ec", "…"]`; `None` for any other command line.
    pub(crate) fn of(line: &'a [String]) -> Option<Self> {
        let invocation = Invocation::of(line.iter().map(|word| Some(word.as_str())))?;
        match invocation.input {
            Input::Script(text, _) => Some(Self { shell: invocation.shell, text }),
            _ => None,
        }
    }
}

/// Whether a program is a shell that runs a script with `-c`.
pub(crate) fn is_shell(program: &str) -> bool {
    matches!(program, "sh" | "bash" | "ash" | "dash")
}

#[cfg(test)]
mod tests {
    use super::Script;

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
}
