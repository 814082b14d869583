//! The notations in which runtimes read durations.

use std::time::Duration;

use serde::Deserialize;

use super::Seconds;
use super::go::go_duration;
use super::quantity::split_quantity;

/// How a runtime reads a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Notation {
    /// `90`, `1.5`.
    Seconds,
    /// `90000`.
    Milliseconds,
    /// Traefik: `1m30s` as in Go, or seconds without a unit.
    GoOrSeconds,
    /// Spring Boot: `90s` with one unit, `PT1M30S`, or milliseconds without a unit.
    Spring,
    /// Quarkus: `90` in seconds, `500ms`, `90s`, `1h30m`, `PT1M30S`.
    Quarkus,
    /// Micronaut: `90s` with one unit, or `PT1M30S`.
    Micronaut,
    /// .NET: `00:01:30`, `1.00:00:00`, or days without a colon.
    TimeSpan,
    /// nginx: `1m 30s`, or seconds without a unit.
    Nginx,
    /// Granian: `1m30s`, or seconds without a unit.
    HumanOrSeconds,
}

type Unit = (&'static str, f64);

const MILLIS: Unit = ("ms", 1e-3);
const SECONDS: Unit = ("s", 1.0);
const MINUTES: Unit = ("m", 60.0);
const HOURS: Unit = ("h", 3600.0);
const DAYS: Unit = ("d", 86_400.0);

impl Notation {
    /// A duration, rounded up to whole seconds; `None` if the runtime would not read it, or if it is longer than
    /// [`Seconds::from_api`] can hold.
    pub(crate) fn read(self, text: &str) -> Option<Seconds> {
        // No runtime needs a longer one, and numbers of any length are valid for some parsers.
        let text = if text.len() <= 64 { text.trim() } else { return None };
        let duration = match self {
            Self::Seconds => number(text, 1.0),
            Self::Milliseconds => number(text, 1e-3),
            Self::GoOrSeconds => return go_duration(text).or_else(|| number(text, 1.0).and_then(Seconds::rounded_up)),
            Self::Spring => iso(text).or_else(|| {
                one(text, &[("us", 1e-6), ("ns", 1e-9), MILLIS, SECONDS, MINUTES, HOURS, DAYS], Some(1e-3))
            }),
            Self::Quarkus => number(text, 1.0)
                .or_else(|| one(text, &[MILLIS, DAYS], None))
                .or_else(|| iso(text))
                .or_else(|| iso(&format!("PT{text}"))),
            Self::Micronaut => iso(text).or_else(|| one(text, &[MILLIS, SECONDS, MINUTES, HOURS, DAYS], None)),
            Self::TimeSpan => time_span(text),
            Self::Nginx => several(text, &[MILLIS, SECONDS, MINUTES, HOURS, DAYS, ("w", 604_800.0)], Some(1.0)),
            Self::HumanOrSeconds => several(text, &[SECONDS, MINUTES, HOURS, DAYS], Some(1.0)),
        };
        Seconds::rounded_up(duration?)
    }
}

/// Digits with an optional fraction, in this unit.
fn number(text: &str, unit: f64) -> Option<Duration> {
    let (number, rest, _) = split_quantity(text);
    let is_number = number.starts_with(|first: char| first.is_ascii_digit()) && rest.is_empty();
    let number = number.parse::<f64>().ok().filter(|_| is_number)?;
    // Whole milliseconds of a decimal fraction are not exact in binary.
    Duration::try_from_secs_f64((number * unit * 1e6).round() / 1e6).ok()
}

/// One number with a unit; without one, `bare` is its unit.
fn one(text: &str, units: &[Unit], bare: Option<f64>) -> Option<Duration> {
    let (digits, unit, rest) = split_quantity(text);
    let unit = unit.to_ascii_lowercase();
    let known = units.iter().find(|(name, _)| *name == unit).map(|(_, unit)| *unit);
    let unit = known.or(bare.filter(|_| unit.is_empty()))?;
    if rest.is_empty() && !digits.contains('.') { number(digits, unit) } else { None }
}

/// Several numbers with units, perhaps with spaces between them.
fn several(text: &str, units: &[Unit], bare: Option<f64>) -> Option<Duration> {
    let (mut rest, mut sum) = (text, None);
    while !rest.is_empty() {
        let (digits, unit, tail) = split_quantity(rest);
        let part = one(&format!("{digits}{}", unit.trim_end()), units, bare)?;
        sum = Some(sum.unwrap_or(Duration::ZERO).checked_add(part)?);
        rest = tail;
    }
    sum
}

/// ISO 8601, as `java.time.Duration` reads it: `P1DT2H`, `PT1M30.5S`.
fn iso(text: &str) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    let rest = text.strip_prefix('p')?;
    let (days, time) = rest.split_once('t').map_or((rest, None), |(days, time)| (days, Some(time)));
    let part = |text: &str, units: &[Unit]| match text {
        "" => None,
        text => parts(text, units),
    };
    let (date, time) = (part(days, &[DAYS]), time.map(|time| part(time, &[HOURS, MINUTES, SECONDS])));
    match (date, time) {
        (Some(date), None) => Some(date),
        (Some(date), Some(time)) => date.checked_add(time?),
        (None, Some(time)) if days.is_empty() => time,
        (None, _) => None,
    }
}

/// Numbers with these units, in this order, each at most once.
fn parts(text: &str, units: &[Unit]) -> Option<Duration> {
    let (mut rest, mut units, mut sum) = (text, units.iter(), Duration::ZERO);
    while !rest.is_empty() {
        let (digits, name, tail) = split_quantity(rest);
        let (_, unit) = units.find(|(unit, _)| *unit == name)?;
        sum = sum.checked_add(number(digits, *unit)?)?;
        rest = tail;
    }
    Some(sum)
}

/// `[d.]hh:mm[:ss[.fffffff]]`, or `d`.
fn time_span(text: &str) -> Option<Duration> {
    let Some((first, rest)) = text.split_once(':') else { return one(text, &[], Some(DAYS.1)) };
    let (days, hours) = first.split_once('.').unwrap_or(("0", first));
    let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, "0"));
    let in_range = |text: &str, below: f64| text.parse::<f64>().is_ok_and(|number| number < below);
    if !in_range(hours, 24.0) || !in_range(minutes, 60.0) || !in_range(seconds, 60.0) {
        return None;
    }
    let fields = [(days, DAYS), (hours, HOURS), (minutes, MINUTES)];
    let fields = fields.into_iter().map(|(text, (_, unit))| one(text, &[], Some(unit)));
    fields.chain([number(seconds, 1.0)]).try_fold(Duration::ZERO, |sum, field| sum.checked_add(field?))
}

#[cfg(test)]
mod tests {
    use super::{Notation, Seconds};

    fn table(notation: Notation, rows: &[(&str, Option<u32>)]) {
        for (text, seconds) in rows {
            assert_eq!(notation.read(text), seconds.map(Seconds::new), "{notation:?} {text:?}");
        }
    }

    #[test]
    fn numbers_have_the_unit_of_the_setting() {
        let garbage =
            [("", None), ("abc", None), ("-5", None), (".5", None), ("5.5.5", None), ("inf", None), ("1e3", None)];
        table(
            Notation::Seconds,
            &[("0", Some(0)), ("90", Some(90)), (" 90 ", Some(90)), ("1.5", Some(2)), ("90s", None)],
        );
        table(Notation::Milliseconds, &[("45000", Some(45)), ("45001", Some(46)), ("0", Some(0)), ("45s", None)]);
        table(Notation::Seconds, &garbage);
        table(Notation::Milliseconds, &garbage);
        table(Notation::Seconds, &[("604800", Some(604_800)), ("4294967295", Some(u32::MAX)), ("4294967296", None)]);
    }

    #[test]
    fn go_durations() {
        table(
            Notation::GoOrSeconds,
            &[("1m30s", Some(90)), ("500ms", Some(1)), ("90", Some(90)), ("90x", None), ("", None)],
        );
    }

    #[test]
    fn java_durations() {
        let spring =
            [("90s", Some(90)), ("45000", Some(45)), ("1m", Some(60)), ("2h", Some(7200)), ("1d", Some(86_400))];
        table(Notation::Spring, &spring);
        table(
            Notation::Spring,
            &[("PT1M30S", Some(90)), ("pt90s", Some(90)), ("P1D", Some(86_400)), ("P1DT1H", Some(90_000))],
        );
        table(
            Notation::Spring,
            &[("1m30s", None), ("90 s", None), ("P", None), ("PT", None), ("PT1S1M", None), ("5.5s", None)],
        );
        table(Notation::Spring, &[("500ms", Some(1)), ("${TIMEOUT}", None), ("", None)]);
        table(Notation::Quarkus, &[("90", Some(90)), ("1500ms", Some(2)), ("90S", Some(90)), ("1h30m", Some(5400))]);
        table(Notation::Quarkus, &[("PT1M", Some(60)), ("1d", Some(86_400)), ("", None), ("soon", None)]);
        table(Notation::Micronaut, &[("90s", Some(90)), ("PT1M30S", Some(90)), ("90", None), ("1m30s", None)]);
    }

    #[test]
    fn time_spans() {
        let spans = [("00:01:30", Some(90)), ("01:00", Some(3600)), ("1.00:00:00", Some(86_400)), ("0:0:1.5", Some(2))];
        table(Notation::TimeSpan, &spans);
        // A number without a colon is a number of days.
        table(
            Notation::TimeSpan,
            &[("45", Some(3_888_000)), ("00:00:90", None), ("25:00:00", None), (":", None), ("", None)],
        );
    }

    #[test]
    fn durations_of_servers() {
        table(
            Notation::Nginx,
            &[("10s", Some(10)), ("10", Some(10)), ("1m 30s", Some(90)), ("1h", Some(3600)), ("1x", None)],
        );
        table(
            Notation::HumanOrSeconds,
            &[("30s", Some(30)), ("30", Some(30)), ("1m30s", Some(90)), ("", None), ("s", None)],
        );
    }

    #[test]
    fn no_text_causes_a_panic() {
        use Notation::{GoOrSeconds, HumanOrSeconds, Micronaut, Milliseconds, Nginx, Quarkus, Spring, TimeSpan};
        let all =
            [GoOrSeconds, HumanOrSeconds, Micronaut, Milliseconds, Nginx, Quarkus, Spring, TimeSpan, Notation::Seconds];
        let nines = "9".repeat(60);
        for text in [
            nines.as_str(),
            &format!("{nines}d"),
            &"9".repeat(1000),
            "é",
            "\u{0}",
            "٣s",
            "PT9e9S",
            "::::",
            "99999999.0:0:0",
        ] {
            for notation in all {
                assert_eq!(notation.read(text), None, "{notation:?} {text:?}");
            }
        }
    }
}
