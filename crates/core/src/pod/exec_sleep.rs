//! A hook that runs `sleep`: how long that is, as GNU and `BusyBox` sleep read their arguments.

use crate::duration::Seconds;
use crate::pod::command::{End, Script, program};

/// How long a command sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slept {
    /// It is a sleep and nothing else.
    Exactly(Seconds),
    /// It begins with a sleep; nobody knows how long the rest takes.
    AtLeast(Seconds),
}

/// How long a command line sleeps; `None` where that cannot be told.
pub(crate) fn slept(line: &[String]) -> Option<Slept> {
    let Some(script) = Script::of(line) else {
        return sleep(line.iter().map(String::as_str)).map(Slept::Exactly);
    };
    let commands = script.commands();
    let (first, rest) = commands.split_first()?;
    // A sleep in the background or in front of a pipe holds nothing up, and `exec` ends the script.
    let (words, last) = match first.text.strip_prefix("exec ") {
        Some(words) => (words, true),
        None => (first.text, rest.is_empty()),
    };
    if first.end != End::Sequence {
        return None;
    }
    let seconds = sleep(words.split_whitespace())?;
    Some(if last { Slept::Exactly(seconds) } else { Slept::AtLeast(seconds) })
}

/// The sum of what `sleep` is told, in whole seconds.
fn sleep<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Seconds> {
    if program(words.next()?) != "sleep" {
        return None;
    }
    let mut nanoseconds = None;
    for word in words {
        nanoseconds = Some(u128::saturating_add(nanoseconds.unwrap_or(0), duration(word)?));
    }
    let seconds = nanoseconds?.div_ceil(NANOSECONDS);
    Some(u32::try_from(seconds).map_or(Seconds::MAX, Seconds::new).min(Seconds::MAX))
}

const NANOSECONDS: u128 = 1_000_000_000;

/// A number with an optional fraction and an optional suffix, in nanoseconds. Anything else that GNU sleep takes, such as
/// `inf` or `1e3`, nobody writes into a hook.
fn duration(word: &str) -> Option<u128> {
    let (number, unit) = match word.char_indices().last()? {
        (at, 's') => (&word[..at], 1),
        (at, 'm') => (&word[..at], 60),
        (at, 'h') => (&word[..at], 60 * 60),
        (at, 'd') => (&word[..at], 24 * 60 * 60),
        _ => (word, 1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.chars().all(|char| char.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u128::MAX) };
    let fraction: u128 = format!("{fraction:0<9.9}").parse().ok()?;
    Some(whole.saturating_mul(NANOSECONDS).saturating_add(fraction).saturating_mul(unit))
}

#[cfg(test)]
mod tests {
    use super::{Seconds, Slept, slept};

    fn read(line: &[&str]) -> Option<Slept> {
        slept(&line.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_plain_sleep_is_read() {
        for (line, seconds) in [
            (&["sleep", "15"][..], 15),
            (&["/bin/sleep", "15s"], 15),
            (&["sleep", "2m"], 120),
            (&["sleep", "1h"], 3600),
            (&["sleep", "0.5"], 1),
            (&["sleep", "0.5m"], 30),
            (&["sleep", ".2"], 1),
            (&["sleep", "1", "0.5", "0.5"], 2),
            (&["sleep", "0"], 0),
            (&["sh", "-c", "sleep 15"], 15),
            (&["/bin/bash", "-c", " sleep  15 ;"], 15),
            (&["sh", "-c", "exec sleep 15"], 15),
            (&["sh", "-c", "/bin/sleep 15\n"], 15),
        ] {
            assert_eq!(read(line), Some(Slept::Exactly(Seconds::new(seconds))), "{line:?}");
        }
    }

    #[test]
    fn a_sleep_in_front_of_something_lasts_at_least_that_long() {
        for script in
            ["sleep 15; nginx -s quit", "sleep 15 && kill -QUIT \"$(cat pid)\"", "sleep 15\ncurl -X POST $URL"]
        {
            assert_eq!(read(&["sh", "-c", script]), Some(Slept::AtLeast(Seconds::new(15))), "{script}");
        }
    }

    #[test]
    fn what_is_not_plain_is_not_read() {
        for script in [
            "sleep $DRAIN",
            "sleep ${DRAIN:-15}",
            "sleep `cat drain`",
            "sleep \"15\"",
            "sleep 15 > /dev/null",
            "sleep 15 & nginx -s quit",
            "sleep 15 | cat",
            "nginx -s quit; sleep 15",
            "sleep",
            "sleep inf",
            "sleep -1",
            "sleep 15x",
            "sleep .",
            "sleep s",
            "",
        ] {
            assert_eq!(read(&["sh", "-c", script]), None, "{script}");
        }
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["sleep 15"]), None);
        assert_eq!(read(&["nginx", "-s", "quit"]), None);
    }

    #[test]
    fn no_number_is_too_long() {
        for number in ["99999999999", &"9".repeat(100_000), &format!("{}d", u128::MAX), "86401"] {
            assert_eq!(read(&["sleep", number]), Some(Slept::Exactly(Seconds::MAX)), "{number}");
        }
        assert_eq!(read(&["sleep", &format!("0.{}", "0".repeat(100_000))]), Some(Slept::Exactly(Seconds::ZERO)));
        assert_eq!(read(&["sleep", "٣"]), None);
    }
}
