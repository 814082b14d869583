//! `su` and `runuser`: `su [OPTIONS] [-] [USER] -c SCRIPT`, and `runuser -u USER -- COMMAND`. Options may follow the user.

use super::options::Options;
use super::{Runs, Script, Word, Wrapper, program};

const OPTIONS: Options = Options {
    short: "cgGswu",
    long: &["command", "session-command", "group", "supp-group", "shell", "whitelist-environment", "user"],
};

/// Reads a command line of `name`, which is one of both.
pub(super) fn read<'a>(name: &'a str, words: &[Word<'a>]) -> Wrapper<'a> {
    let mut wrapper = Wrapper { program: name, ..Wrapper::default() };
    let mut at = 1;
    loop {
        at += OPTIONS.read(words.get(at..).unwrap_or_default(), &mut wrapper.options);
        if name == "runuser" && wrapper.has(&["u", "user"]) {
            wrapper.runs = Runs::Line(at);
            return wrapper;
        }
        if words.get(at - 1) == Some(&Some("--")) || at >= words.len() {
            break;
        }
        if words[at] == Some("-") {
            wrapper.options.push(("-", None));
        }
        at += 1;
    }
    let shell = wrapper.values(&["s", "shell"]).last().map_or("sh", program);
    if let Some(text) = wrapper.values(&["c", "command", "session-command"]).last() {
        wrapper.runs = Runs::Script(Script { shell, text });
    }
    wrapper
}
