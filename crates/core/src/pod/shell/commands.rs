//! The simple commands of a script, as its text shows them. They are not run, so the syntax of any shell is accepted.

use super::expansion::fields;
use super::lexer::{Token, tokens};
use super::parser::assignment;
use super::{Dialect, Part, Word};
use crate::pod::environment::{Environment, UNKNOWN_TEXT};

/// A command of a script, with the keywords before it, such as `then`. A subshell is one unknown word.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    words: Vec<Word>,
    /// Whether its input or output is redirected.
    pub(crate) redirects: bool,
    pub(crate) end: End,
}

/// What comes after a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// The next command runs afterwards: `;`, `&&`, `||`, a new line, or nothing.
    #[default]
    Sequence,
    /// The next command reads its output: `|`.
    Pipe,
    /// The next command does not wait for it: `&`.
    Background,
}

/// The commands in the order of the text, up to what no shell can read.
pub(crate) fn commands(text: &str) -> Vec<Command> {
    let (mut commands, mut current) = (Vec::new(), Command::default());
    let (mut depth, mut is_target) = (0_u32, false);
    for token in tokens(text, Dialect::Any) {
        let end = match token {
            Token::Broken(_) => return commands,
            Token::Operator("(") => {
                if depth == 0 && !is_target {
                    current.words.push(vec![Part::Other]);
                }
                (depth, is_target) = (depth.saturating_add(1), false);
                continue;
            }
            Token::Operator(")") if depth > 0 => {
                depth -= 1;
                continue;
            }
            Token::End => End::Sequence,
            _ if depth > 0 => continue,
            Token::Word(word) => {
                if !std::mem::take(&mut is_target) {
                    current.words.push(word);
                }
                continue;
            }
            Token::Operator(operator) if operator.contains(['<', '>']) => {
                (current.redirects, is_target) = (true, true);
                continue;
            }
            Token::Operator("|" | "|&") => End::Pipe,
            Token::Operator("&") => End::Background,
            Token::Newline | Token::Operator(_) => End::Sequence,
        };
        let command = Command { end, ..std::mem::take(&mut current) };
        is_target = false;
        if command.redirects || !command.words.is_empty() {
            commands.push(command);
        }
    }
    commands
}

impl Command {
    /// Its words, with the variables of the container replaced. What the manifest does not show is [`UNKNOWN_TEXT`].
    pub(crate) fn texts(&self, environment: &Environment<'_>) -> Vec<String> {
        let mut texts = Vec::new();
        for word in &self.words {
            let known = fields(word, |part| Some(known(part, environment).unwrap_or(UNKNOWN_TEXT)));
            let known = known.unwrap_or_default();
            // The value of an assignment is not split.
            if assignment(word).is_some() { texts.push(known.join(" ")) } else { texts.extend(known) }
        }
        texts
    }

    /// Its words, if the shell replaces nothing in them.
    pub(crate) fn literal(&self) -> Option<Vec<String>> {
        let words = self.words.iter().map(|word| fields(word, |_| None));
        words.collect::<Option<Vec<_>>>().map(|words| words.concat())
    }
}

/// The value of a variable that the manifest sets. The image may set the others, so that a default may not apply.
fn known<'w>(part: &'w Part, environment: &'w Environment<'_>) -> Option<&'w str> {
    let Part::Variable { name, default, .. } = part else { return None };
    let value = environment.get(name).map(|value| environment.within_limit(value))?;
    Some(default.as_deref().filter(|_| value.is_empty()).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Container, EnvVar};

    use super::{Command, End, Environment, commands};

    fn container() -> Container {
        let variable = |(name, value): (&str, &str)| EnvVar {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            value_from: None,
        };
        let env = [("T", "45"), ("OPTIONS", "-a  -b 'c'"), ("EMPTY", "")].map(variable).to_vec();
        Container { env: Some(env), ..Container::default() }
    }

    fn texts(command: &Command) -> Vec<String> {
        let container = container();
        command.texts(&Environment::of(&container))
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
            ("a 2>&1", &[("a", Sequence)]),
            ("a &>log", &[("a", Sequence)]),
            ("a >|log", &[("a", Sequence)]),
            ("exec > log 2>&1 run", &[("exec|run", Sequence)]),
            ("nginx -g 'daemon off;'", &[("nginx|-g|daemon off;", Sequence)]),
            ("echo \"a; \\\" b\"; run", &[("echo|a; \" b", Sequence), ("run", Sequence)]),
            ("run $(a; b)", &[("run|\u{fffd}", Sequence)]),
            ("(a; b) | c", &[("\u{fffd}", Pipe), ("c", Sequence)]),
            ("a < <(b; c); d", &[("a", Sequence), ("d", Sequence)]),
            ("IFS=$'\\n\\t'; run", &[("IFS=\u{fffd}", Sequence), ("run", Sequence)]),
            ("cat > x <<EOF\na; b\nEOF\nrun", &[("cat", Sequence), ("run", Sequence)]),
            ("if a; then b; fi", &[("if|a", Sequence), ("then|b", Sequence), ("fi", Sequence)]),
            (
                "case x in a|b) run;; esac",
                &[("case|x|in|a", Pipe), ("b", Sequence), ("run", Sequence), ("esac", Sequence)],
            ),
            ("# don't\nrun # now; or never\n", &[("run", Sequence)]),
            ("java \\\n  -jar x\n", &[("java|-jar|x", Sequence)]),
            ("", &[]),
            (" \n ", &[]),
        ] {
            let found: Vec<_> = commands(text).iter().map(|command| (texts(command).join("|"), command.end)).collect();
            let expected: Vec<_> = expected.iter().map(|(words, end)| ((*words).to_owned(), *end)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn words_are_expanded_as_by_a_shell() {
        for (text, expected) in [
            ("a 'b c' \"d e\"f", &["a", "b c", "d ef"][..]),
            ("a \\\n  b\\ c", &["a", "b c"]),
            ("a=$T \"$T\" '$T' ${T} ${T:-9} ${T:?x} ${T}s", &["a=45", "45", "$T", "45", "45", "45", "45s"]),
            ("run $OPTIONS x", &["run", "-a", "-b", "'c'", "x"]),
            ("\"$OPTIONS\"", &["-a  -b 'c'"]),
            ("A=$OPTIONS run", &["A=-a -b 'c'", "run"]),
            ("a $EMPTY \"$EMPTY\" b", &["a", "", "b"]),
            (
                "$IMAGE ${IMAGE:-9} $(cat x) `cat x` ${#T}",
                &["\u{fffd}", "\u{fffd}", "\u{fffd}", "\u{fffd}", "\u{fffd}"],
            ),
        ] {
            assert_eq!(texts(&commands(text)[0]), expected, "{text}");
        }
    }

    #[test]
    fn a_command_without_expansions_is_literal() {
        for (text, expected) in [("echo 'a b' c", Some(&["echo", "a b", "c"][..])), ("echo $T", None), ("(a)", None)] {
            let expected = expected.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
            assert_eq!(commands(text)[0].literal(), expected, "{text}");
        }
    }

    #[test]
    fn malformed_text_is_accepted() {
        for text in
            ["'", "\"\\", "((((", "))))", "\\", "é;é", "#", "&&&&||||", "|\u{202e};", "\"$", "${", "$(", "`", "$"]
        {
            for command in &commands(text) {
                let _ = texts(command);
            }
        }
        assert_eq!(commands("run; 'a").len(), 1);
        assert_eq!(commands(&"a;".repeat(50_000)), []);
    }
}
