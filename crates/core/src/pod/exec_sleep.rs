//! The duration of a hook that runs `sleep`, with the arguments of GNU and `BusyBox` sleep.

use crate::duration::Seconds;
use crate::duration::quantity::split_quantity;
use crate::pod::command::{End, Script, program};

/// How long a command sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExecSleep {
    /// It only sleeps.
    Exactly(Seconds),
    /// It sleeps first; the duration of the other commands is unknown.
    AtLeast(Seconds),
}

/// How long a command line sleeps; `None` if that is unknown.
pub(crate) fn exec_sleep(line: &[String]) -> Option<ExecSleep> {
    let Some(script) = Script::of(line) else {
        return sleep(line.iter().map(String::as_str)).map(ExecSleep::Exactly);
    };
    let commands = script.commands();
    let (first, rest) = commands.split_first()?;
    // `exec` ends the script. A sleep in the background or before a pipe delays nothing.
    let (words, last) = match first.text.strip_prefix("exec ") {
        Some(words) => (words, true),
        None => (first.text, rest.is_empty()),
    };
    if first.end != End::Sequence {
        return None;
    }
    let seconds = sleep(words.split_whitespace())?;
    Some(if last { ExecSleep::Exactly(seconds) } else { ExecSleep::AtLeast(seconds) })
}

/// The sum of the arguments of `sleep`, rounded up to whole seconds.
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

/// A number with an optional fraction and an optional unit, in nanoseconds. GNU sleep also accepts `inf` and `1e3`; hooks
/// do not use them.
fn duration(word: &str) -> Option<u128> {
    let (number, unit, rest) = split_quantity(word);
    let unit = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') || !rest.is_empty() {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u128::MAX) };
    let fraction: u128 = format!("{fraction:0<9.9}").parse().ok()?;
    Some(whole.saturating_mul(NANOSECONDS).saturating_add(fraction).saturating_mul(unit))
}

#[cfg(test)]
mod tests {
    use super::{ExecSleep, Seconds, exec_sleep};

    fn read(line: &[&str]) -> Option<ExecSleep> {
        exec_sleep(&line.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
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
            assert_eq!(read(line), Some(ExecSleep::Exactly(Seconds::new(seconds))), "{line:?}");
        }
    }

    #[test]
    fn a_sleep_before_another_command_is_a_lower_bound() {
        for script in
            ["sleep 15; nginx -s quit", "sleep 15 && kill -QUIT \"$(cat pid)\"", "sleep 15\ncurl -X POST $URL"]
        {
            assert_eq!(read(&["sh", "-c", script]), Some(ExecSleep::AtLeast(Seconds::new(15))), "{script}");
        }
    }

    #[test]
    fn other_command_lines_are_unknown() {
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
    fn long_numbers_are_limited() {
        for number in ["99999999999", &"9".repeat(100_000), &format!("{}d", u128::MAX), "2592001"] {
            assert_eq!(read(&["sleep", number]), Some(ExecSleep::Exactly(Seconds::MAX)), "{number}");
        }
        assert_eq!(read(&["sleep", &format!("0.{}", "0".repeat(100_000))]), Some(ExecSleep::Exactly(Seconds::ZERO)));
        assert_eq!(read(&["sleep", "٣"]), None);
    }
}
