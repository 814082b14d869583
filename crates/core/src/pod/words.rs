//! The commands of a container as words, also those in the script of a shell.

use k8s_openapi::api::core::v1::Container;

use super::command::{Script, is_shell, program};
use super::environment::Environment;
use super::shell::commands::{Command, commands};
use super::wrappers::{Runs, Wrapper};

/// The longest text that is read for settings, in bytes.
pub(crate) const LONGEST: usize = 64 * 1024;

/// How many words of a container are read.
const MOST_WORDS: usize = 2000;

/// How many programs that run each other are looked at.
const MOST_WRAPPERS: usize = 8;

/// A command: its words in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) words: Vec<String>,
    /// The first word that is in `args`.
    args_at: usize,
}

impl Words {
    /// The commands of a container, with references to its variables replaced. A part of a word that the manifest does not
    /// contain is [`UNKNOWN`](super::environment::UNKNOWN).
    pub(crate) fn of(container: &Container, environment: &Environment<'_>) -> Vec<Self> {
        let fields = [("command", &container.command), ("args", &container.args)];
        let words = fields.into_iter().flat_map(|(field, words)| words.iter().flatten().map(move |word| (field, word)));
        let mut left = LONGEST;
        let words = words.take(MOST_WORDS).map_while(|(field, word)| {
            left = left.checked_sub(word.len())?;
            Some((field, environment.expand(word).into_owned()))
        });
        let (fields, line): (Vec<_>, Vec<_>) = words.unzip();
        let args_at = fields.iter().position(|field| *field == "args").unwrap_or(usize::MAX);
        if let Some(script) = script(&line) {
            let is_in_args = line.iter().position(|word| word == script.text).is_some_and(|at| at >= args_at);
            let args_at = if is_in_args { 0 } else { usize::MAX };
            let mut left = MOST_WORDS;
            let words = |command: &Command| {
                let mut words = command.texts(environment);
                words.truncate(left);
                left -= words.len();
                words
            };
            return commands(script.text).iter().map(words).map(|words| Self { words, args_at }).collect();
        }
        vec![Self { words: line, args_at }]
    }

    /// The field of the container that contains a word.
    pub(crate) fn field(&self, word: usize) -> &'static str {
        if word < self.args_at { "command" } else { "args" }
    }
}

/// The script of the first shell, also behind launchers that are not known, or of `su`.
fn script(line: &[String]) -> Option<Script<'_>> {
    let shell = line.iter().position(|word| is_shell(program(word)));
    shell.and_then(|at| Script::of(&line[at..])).or_else(|| {
        let mut words: Vec<_> = line.iter().map(|word| Some(word.as_str())).collect();
        for _ in 0..MOST_WRAPPERS {
            match Wrapper::of(&words)?.runs {
                Runs::Line(at) => drop(words.drain(..at)),
                Runs::Script(script) => return Some(script),
                Runs::Unknown => return None,
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Container, EnvVar};

    use super::{Environment, Words};

    fn container(command: &[&str], args: &[&str]) -> Container {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        let variable = |(name, value): (&str, &str)| EnvVar {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            value_from: None,
        };
        Container {
            command: words(command),
            args: words(args),
            env: Some(vec![variable(("T", "45"))]),
            ..Container::default()
        }
    }

    fn commands(command: &[&str], args: &[&str]) -> Vec<(&'static str, String)> {
        let container = container(command, args);
        let commands = Words::of(&container, &Environment::of(&container));
        commands.into_iter().map(|command| (command.field(1), command.words.join("|"))).collect()
    }

    #[test]
    fn command_and_arguments_are_one_command() {
        assert_eq!(commands(&["app"], &["--timeout", "$(T)"]), [("args", "app|--timeout|45".to_owned())]);
        assert_eq!(commands(&["app", "a b"], &[]), [("command", "app|a b".to_owned())]);
        assert_eq!(commands(&[], &["app", "a b"]), [("args", "app|a b".to_owned())]);
        assert_eq!(commands(&[], &[]), [("command", String::new())]);
    }

    #[test]
    fn a_script_is_split_into_commands() {
        let expected = [("args", "cd|/app".to_owned()), ("args", "exec|app|--t=45".to_owned())];
        assert_eq!(commands(&["sh", "-c"], &["cd /app && exec app --t=$T"]), expected);
        assert_eq!(
            commands(&["tini", "--", "/bin/bash", "-ec", "app -t $(T)"], &[]),
            [("command", "app|-t|45".to_owned())]
        );
        for su in [&["tini", "--", "su", "app", "-c"][..], &["su", "-s", "/bin/sh", "app", "-c"]] {
            assert_eq!(commands(su, &["cd /app; app -t $T"])[1], ("args", "app|-t|45".to_owned()), "{su:?}");
        }
    }

    #[test]
    fn a_long_text_is_not_read() {
        let long = "x".repeat(100_000);
        assert_eq!(commands(&["app", &long, "--t"], &[]), [("command", "app".to_owned())]);
    }
}
