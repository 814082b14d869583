//! `su` and `runuser` of util-linux: they stay the parent of the command that they run as another user.

use super::super::command::{Script, program};
use super::words::Options;

/// A command line of `su` or `runuser`.
pub(super) struct UserSwitch<'a> {
    pub(super) runs: Runs<'a>,
}

/// What runs as the other user.
pub(super) enum Runs<'a> {
    /// A command, without a shell: `runuser -u USER -- COMMAND`.
    Line(&'a [String]),
    /// A script in the user's shell: `-c SCRIPT`.
    Script(Script<'a>),
    /// An interactive shell, or a file with a script.
    Unknown,
}

/// `None` if the program is another.
pub(super) fn read<'a>(name: &str, arguments: &'a [String]) -> Option<UserSwitch<'a>> {
    if !matches!(name, "su" | "runuser") {
        return None;
    }
    let value = |short: &str, long: &[&str]| value(arguments, short, long);
    let runs = if name == "runuser" && value("-u", &["--user"]).is_some() {
        const OPTIONS: Options = Options { short: "ugGsw", long: &["user", "group", "supp-group", "shell"] };
        Runs::Line(OPTIONS.skip(arguments))
    } else {
        let shell = value("-s", &["--shell"]).map_or("sh", program);
        match value("-c", &["--command", "--session-command"]) {
            Some(text) => Runs::Script(Script { shell, text }),
            None => Runs::Unknown,
        }
    };
    Some(UserSwitch { runs })
}

/// The value of an option, which may also be the last letter of a word (`-lc SCRIPT`) or follow directly (`-cSCRIPT`).
fn value<'a>(arguments: &'a [String], short: &str, long: &[&str]) -> Option<&'a str> {
    let letter = short.trim_start_matches('-');
    let mut words = arguments.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word.starts_with("--") {
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            if long.contains(&name) {
                return value.or_else(|| words.next().map(String::as_str));
            }
        } else if let Some(flags) = word.strip_prefix('-') {
            let before_value = |flags: &str| flags.chars().all(|flag| "lmpfP".contains(flag));
            match flags.split_once(letter) {
                Some((before, "")) if before_value(before) => return words.next().map(String::as_str),
                Some((before, value)) if before_value(before) => return Some(value),
                _ => {}
            }
        }
    }
    None
}
