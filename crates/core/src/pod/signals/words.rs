//! The words of a simple command, and options before a command.

/// Splits a simple command into words, without quotes and backslashes. It ends at the first redirection.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), _) if char == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (Some('"') | None, '\\') => match chars.next() {
                // A line that continues.
                Some('\n') => {}
                next => word.get_or_insert_default().extend(next),
            },
            (None, _) if char.is_whitespace() => words.extend(word.take()),
            (None, '<' | '>') => {
                // A number before it belongs to it.
                word.take_if(|word| word.chars().all(|digit| digit.is_ascii_digit()));
                break;
            }
            (_, _) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// The options of a program that runs a command.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    /// The letters of the options with a value.
    pub(super) short: &'static str,
    /// The long options with a value, which may be the next word.
    pub(super) long: &'static [&'static str],
}

impl Options {
    /// The words after the options; `--` ends them.
    pub(super) fn skip(self, mut words: &[String]) -> &[String] {
        while let [option, rest @ ..] = words {
            let Some(flags) = option.strip_prefix('-').filter(|flags| !flags.is_empty()) else { break };
            let takes_next = match flags.strip_prefix('-') {
                Some("") => return rest,
                Some(long) => self.long.contains(&long),
                // The value follows directly, or is the next word.
                None => flags.find(|flag| self.short.contains(flag)).is_some_and(|at| at + 1 == flags.len()),
            };
            words = rest.get(usize::from(takes_next)..).unwrap_or_default();
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_command_is_split_as_by_a_shell() {
        for (text, expected) in [
            ("npm start", &["npm", "start"][..]),
            ("  su app -c 'exec ./server --port 80' ", &["su", "app", "-c", "exec ./server --port 80"]),
            (r#"sh -c "a; \"b\"""#, &["sh", "-c", "a; \"b\""]),
            ("java \\\n -jar x", &["java", "-jar", "x"]),
            ("server > log", &["server"]),
            ("server 2>&1", &["server"]),
            ("env A='' server", &["env", "A=", "server"]),
            ("''", &[""]),
            ("", &[]),
            ("'\\", &["\\"]),
            ("é\\", &["é"]),
            ("\\", &[""]),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
