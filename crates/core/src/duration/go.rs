//! Durations in flags and annotations of Go programs.

use std::time::Duration;

use crate::duration::Seconds;
use crate::duration::quantity::split_quantity;

/// A duration in the format of Go (`1m30s`, `1.5h`, `500ms`), rounded up to whole seconds.
#[must_use]
pub fn go_duration(text: &str) -> Option<Seconds> {
    let (mut rest, mut sum) = (text.trim(), Duration::ZERO);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, unit, tail) = split_quantity(rest);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum = sum.checked_add(Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?)?;
        rest = tail;
    }
    Some(Seconds::rounded_up_to_max(sum))
}

#[cfg(test)]
mod tests {
    use super::{Seconds, go_duration};

    #[test]
    fn durations_are_parsed_as_in_go() {
        for (text, seconds) in [
            ("5s", Some(5)),
            ("1m30s", Some(90)),
            ("1.5h", Some(5400)),
            ("500ms", Some(1)),
            ("1h0m0.001s", Some(3601)),
            (" 7s ", Some(7)),
            ("0s", Some(0)),
            ("99999999h", Some(2_592_000)),
            ("", None),
            ("5", None),
            ("s", None),
            ("5 s", None),
            ("-5s", None),
            ("1e9s", None),
            ("1.2.3s", None),
            ("5d", None),
        ] {
            assert_eq!(go_duration(text), seconds.map(Seconds::new), "{text:?}");
        }
        assert_eq!(go_duration(&format!("{}s", "9".repeat(400))), None);
    }
}
