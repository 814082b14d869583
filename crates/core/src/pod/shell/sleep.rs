//! `sleep` and the durations of GNU and `BusyBox`.

use std::time::Duration;

use super::effect::{Effect, Failure};
use crate::duration::quantity::split_quantity;

/// What `sleep` does with these arguments; `None` for one that is not known.
pub(super) fn sleep(arguments: &[Option<String>]) -> Effect {
    let mut total = None;
    let mut options = true;
    for argument in arguments {
        let Some(argument) = argument else { return Effect::unknown() };
        match duration(argument) {
            _ if options && argument == "--" => options = false,
            _ if options && matches!(argument.as_str(), "--help" | "--version") => return Effect::unknown(),
            Some(time) => total = Some(Duration::saturating_add(total.unwrap_or_default(), time)),
            None if is_other_number(argument) => return Effect::unknown(),
            None => return Effect::fails(Failure::BadDuration),
        }
    }
    total.map_or(Effect::fails(Failure::BadDuration), Effect::sleeps)
}

/// Whether some `sleep` may read it: `inf`, `1e3` or `0x10`.
fn is_other_number(text: &str) -> bool {
    let text = text.trim_start_matches('+').to_ascii_lowercase();
    let has_exponent = text.split_once('e').is_some_and(|(number, exponent)| {
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        is_number && exponent.trim_start_matches(['+', '-']).starts_with(|char: char| char.is_ascii_digit())
    });
    has_exponent || text.starts_with("0x") || text.starts_with("inf")
}

/// A number with an optional fraction and an optional unit.
pub(crate) fn duration(word: &str) -> Option<Duration> {
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
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u64::MAX) };
    let fraction: u32 = format!("{fraction:0<9.9}").parse().ok()?;
    Some(Duration::new(whole, fraction).saturating_mul(unit))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Effect, Failure, duration, sleep};

    fn effect(words: &[&str]) -> Effect {
        sleep(&words.iter().map(|word| Some((*word).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn durations_have_fractions_and_units() {
        for (text, milliseconds) in [
            ("15", 15_000),
            ("15s", 15_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("0.5", 500),
            (".2", 200),
            ("0.5m", 30_000),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", ".", "s", "-1", "15x", "1.2.3", "1m30s", "10ms", "٣"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn the_arguments_of_sleep_add_up() {
        assert_eq!(effect(&["1", "0.5", "0.5"]), Effect::sleeps(Duration::from_secs(2)));
        assert_eq!(effect(&["--", "15"]), Effect::sleeps(Duration::from_secs(15)));
    }

    #[test]
    fn sleep_fails_without_a_duration() {
        for words in [
            &[][..],
            &["--"],
            &[""],
            &["-1"],
            &["15x"],
            &["15sec"],
            &["15seconds"],
            &["15 s"],
            &["15", "&&", "nginx"],
            &["$DRAIN"],
            &["15;"],
            &["15\r"],
        ] {
            assert_eq!(effect(words), Effect::fails(Failure::BadDuration), "{words:?}");
        }
    }

    #[test]
    fn other_numbers_are_unknown() {
        for text in ["inf", "infinity", "1e3", "0x10", "+inf", "--help"] {
            assert_eq!(effect(&[text]), Effect::unknown(), "{text}");
        }
        assert_eq!(sleep(&[None]), Effect::unknown());
    }

    #[test]
    fn long_numbers_are_limited() {
        for number in ["99999999999", &"9".repeat(100_000), &format!("{}d", u64::MAX)] {
            assert!(duration(number).unwrap() > Duration::from_hours(24), "{number}");
        }
        assert_eq!(duration(&format!("0.{}", "0".repeat(100_000))), Some(Duration::ZERO));
    }
}
