//! The commands of a container as words, also those in the script of a shell.

use k8s_openapi::api::core::v1::Container;

use super::command::{Script, is_shell, program};
use super::environment::{Environment, UNKNOWN};

/// The longest text that is read for settings, in bytes.
pub(crate) const LONGEST: usize = 64 * 1024;

/// How many words of a container are read.
const MOST_WORDS: usize = 2000;

/// A command: its words in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) words: Vec<String>,
    /// The first word that is in `args`.
    args_at: usize,
}

impl Words {
    /// The commands of a container, with references to its variables replaced. A part of a word that the manifest does not
    /// contain is [`UNKNOWN`].
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
        let shell = line.iter().position(|word| is_shell(program(word)));
        if let Some(at) = shell
            && let Some(script) = Script::of(&line[at..])
        {
            let is_in_args = line.iter().position(|word| word == script.text).is_some_and(|at| at >= args_at);
            let args_at = if is_in_args { 0 } else { usize::MAX };
            let mut left = MOST_WORDS;
            let words = |text: &str| {
                let mut words = split(text, environment);
                words.truncate(left);
                left -= words.len();
                words
            };
            let commands = script.commands().into_iter().map(|command| command.text);
            return commands.map(words).map(|words| Self { words, args_at }).collect();
        }
        vec![Self { words: line, args_at }]
    }

    /// The field of the container that contains a word.
    pub(crate) fn field(&self, word: usize) -> &'static str {
        if word < self.args_at { "command" } else { "args" }
    }
}

/// The words of a simple command, as a shell splits them.
pub(crate) fn split(text: &str, environment: &Environment<'_>) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (Some('\''), _) => word.get_or_insert_default().push(char),
            (_, '\\') => {
                let Some(escaped) = rest.chars().next() else { break };
                rest = &rest[escaped.len_utf8()..];
                if quote.is_some() && !matches!(escaped, '"' | '\\' | '$' | '`' | '\n') {
                    word.get_or_insert_default().push('\\');
                }
                if escaped != '\n' {
                    word.get_or_insert_default().push(escaped);
                }
            }
            (_, '`') => {
                rest = rest.split_once('`').map_or("", |(_, rest)| rest);
                word.get_or_insert_default().push(UNKNOWN);
            }
            (_, '$') => {
                let (value, after) = variable(rest, environment);
                rest = after;
                match (quote, value) {
                    (None, Some(value)) => {
                        for (at, part) in value.split_whitespace().enumerate() {
                            if at > 0 {
                                words.extend(word.take());
                            }
                            word.get_or_insert_default().push_str(part);
                        }
                    }
                    (_, Some(value)) => word.get_or_insert_default().push_str(value),
                    (_, None) => word.get_or_insert_default().push(UNKNOWN),
                }
            }
            (None, _) if char.is_whitespace() => words.extend(word.take()),
            (_, _) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// The value of the variable at the start of a text, without the `$`, and the rest; `None` if the manifest does not show it.
fn variable<'text>(text: &'text str, environment: &'text Environment<'_>) -> (Option<&'text str>, &'text str) {
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let end = |text: &str| text.find(|char| !is_name(char)).unwrap_or(text.len());
    let value = |name| environment.get(name).map(|value| environment.within_limit(value));
    if let Some(text) = text.strip_prefix('{') {
        let (name, after) = text.split_at(end(text));
        // `${NAME:-default}` and the like: the image may set the variable, so the default may not apply.
        let (operator, rest) = after.split_once('}').unwrap_or((after, ""));
        let keeps_value = operator.is_empty() || operator.starts_with([':', '-', '?', '=']);
        return (value(name).filter(|_| keeps_value), rest);
    }
    if let Some(text) = text.strip_prefix('(') {
        return (None, text.split_once(')').map_or("", |(_, rest)| rest));
    }
    let (name, rest) = text.split_at(end(text));
    (value(name), rest)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Container, EnvVar};

    use super::{Environment, Words, split};

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
            env: Some([("T", "45"), ("OPTIONS", "-a  -b 'c'"), ("EMPTY", "")].map(variable).to_vec()),
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
    }

    #[test]
    fn words_are_split_as_by_a_shell() {
        let container = container(&[], &[]);
        let environment = Environment::of(&container);
        for (text, expected) in [
            ("a 'b c' \"d e\"f", &["a", "b c", "d ef"][..]),
            ("a \\\n  b\\ c", &["a", "b c"]),
            ("a=$T \"$T\" '$T' ${T} ${T:-9} ${T}s", &["a=45", "45", "$T", "45", "45", "45s"]),
            ("run $OPTIONS x", &["run", "-a", "-b", "'c'", "x"]),
            ("\"$OPTIONS\"", &["-a  -b 'c'"]),
            ("a $EMPTY \"$EMPTY\" b", &["a", "", "b"]),
            (
                "$IMAGE ${IMAGE:-9} $(cat x) `cat x` ${#T}",
                &["\u{fffd}", "\u{fffd}", "\u{fffd}", "\u{fffd}", "\u{fffd}"],
            ),
            ("", &[]),
        ] {
            assert_eq!(split(text, &environment), expected, "{text}");
        }
    }

    #[test]
    fn malformed_text_is_accepted() {
        let container = container(&[], &[]);
        let environment = Environment::of(&container);
        for text in ["'", "\"$", "${", "$(", "`", "\\", "$", "${T", "é$é", "\u{0}$\u{0}", "$$$$"] {
            let _ = split(text, &environment);
        }
        let long = "x".repeat(100_000);
        assert_eq!(commands(&["app", &long, "--t"], &[]), [("command", "app".to_owned())]);
    }
}
