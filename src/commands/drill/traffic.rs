//! The measured traffic of a pod as text, and the measured times beside the declared ones.

use std::fmt::Display;
use std::time::Duration;

use crate::render::text::pluralize;
use winddown_core::drill::Promised;
use winddown_core::duration::Seconds;
use winddown_core::measurement::{Advice, LastRequest, Measurement};
use winddown_core::sanitize::listed;

/// The traffic of one pod. `start_after` is the time from the eviction request to the start of the termination.
pub(super) fn lines(measured: &Measurement, promised: &Promised, start_after: Option<Duration>) -> Vec<String> {
    let after = start_after.map(|after| format!(", {:.1} s after the eviction request", after.as_secs_f64()));
    let mut lines =
        vec![format!("traffic, measured in the pod; 0 s is the start of its termination{}", after.unwrap_or_default())];
    lines.extend(connections(measured));
    lines.extend(end(measured, promised));
    lines.extend(not_counted(measured));
    lines.push(row("not seen", "UDP (QUIC, HTTP/3), and what is inside TLS, such as the requests of HTTP/2;"));
    lines.push(row("", "a pod in the network of its node (hostNetwork) cannot be measured"));
    if !measured.complete {
        lines.push("  the log of the measuring container has no end, so the last values may be too small".to_owned());
    }
    lines
}

/// The measured times beside the declared ones, with the annotations to write: a table.
pub(super) fn beside_the_declared(advice: &Advice, promised: &Promised) -> Vec<String> {
    let row = |name: &str, [measured, declared, written]: [&str; 3]| {
        format!("  {name:<10}{measured:<11}{declared:<10}{written}").trim_end().to_owned()
    };
    let measured = |time: Option<u64>| time.map_or("unknown".to_owned(), seconds);
    let written = |name: &str, value: Option<Seconds>, is_a_guess: bool| match value {
        Some(value) if is_a_guess => format!("winddown.dev/{name}={value} (a guess)"),
        Some(value) => format!("winddown.dev/{name}={value}"),
        None => "nothing".to_owned(),
    };
    let declared_drain = match promised.hook {
        Some(Seconds::ZERO) => "none".to_owned(),
        Some(hook) => hook.to_string(),
        None => "unknown".to_owned(),
    };
    let declared_deadline = promised.deadline.map_or("none".to_owned(), |deadline| deadline.to_string());
    let drain = advice.measured_drain.map_or("none".to_owned(), seconds);
    let write_drain = written("drain", advice.drain, advice.drain_is_a_guess);
    let write_deadline = written("deadline", advice.deadline, false);
    vec![
        row("", ["measured", "declared", "to write"]),
        row("drain", [&drain, &declared_drain, &write_drain]),
        row("deadline", [&measured(advice.measured_deadline), &declared_deadline, &write_deadline]),
    ]
}

fn connections(measured: &Measurement) -> Vec<String> {
    let Measurement { opened_before, recorded_before, opened, closed, .. } = measured;
    let Measurement { open_at_start, open_at_end, open_at_most, received_bytes, sent_bytes, .. } = measured;
    let last = measured.last_opened.map_or("none".to_owned(), |at| match measured.last_opened_port {
        Some(port) => format!("{} to port {port}", seconds(at)),
        None => format!("{}, too short to see to which port", seconds(at)),
    });
    let request = match measured.last_request {
        LastRequest::Unknown => "unknown: the kernel of this node does not show it".to_owned(),
        LastRequest::None => "none on connections that were at least 1 s old".to_owned(),
        LastRequest::At(at) => format!("{} (on connections that were at least 1 s old)", seconds(at)),
    };
    let at_signal = match measured.app_signal.zip(measured.open_at_signal) {
        Some((at, open)) => format!("{open} at the app's SIGTERM ({})", seconds(at)),
        None => "unknown at the app's SIGTERM".to_owned(),
    };
    vec![
        row("before", format!("{opened_before} new connections in {}", seconds(*recorded_before))),
        row("connections", format!("{opened} opened, {closed} closed, at most {open_at_most} established")),
        row("last new connection", last),
        row("last request", request),
        row("still open", format!("{open_at_start} at 0 s, {at_signal}, {open_at_end} in the last sample")),
        row(
            "bytes",
            format!(
                "{} in, {} out: all of the pod, with UDP and its own requests",
                bytes(*received_bytes),
                bytes(*sent_bytes)
            ),
        ),
    ]
}

fn end(measured: &Measurement, promised: &Promised) -> Vec<String> {
    let finished = match (measured.finished, measured.app_time()) {
        (Some(at), Some(time)) => format!("{}, {} after its SIGTERM", seconds(at), seconds(time)),
        (Some(at), None) => seconds(at),
        (None, _) => "not seen".to_owned(),
    };
    let allowed = promised.deadline.map(|deadline| format!(" (deadline {deadline})")).unwrap_or_default();
    let Measurement { dropped, overflows, resets, refused, .. } = measured;
    let mut rows = vec![
        row("stopped listening", measured.listener_closed.map_or("not seen".to_owned(), seconds)),
        row("app finished", format!("{finished}{allowed}")),
        row(
            "refused by the kernel",
            format!("{dropped} dropped, {overflows} of them because the app accepted too slowly"),
        ),
        row("", format!("{} sent, {refused} of them after the app stopped listening", number(*resets, "reset"))),
    ];
    rows.extend(measured.last_refused.map(|at| row("last refused", seconds(at))));
    rows
}

fn not_counted(measured: &Measurement) -> Vec<String> {
    let last = |at: Option<u64>| at.map_or_else(String::new, |at| format!(", the last at {}", seconds(at)));
    let mut texts = Vec::new();
    if measured.probes > 0 {
        let last = last(measured.last_probe);
        texts.push(format!("{} of the kubelet's probes{last}", number(measured.probes, "connection")));
    }
    if measured.scrapes > 0 || measured.last_scrape.is_some() {
        let ports: Vec<String> = measured.monitoring_ports.iter().map(u16::to_string).collect();
        let ports = listed(ports.iter().map(String::as_str));
        let used = measured.last_scrape.map_or_else(String::new, |at| format!(", last used at {}", seconds(at)));
        texts.push(format!("{} to ports for monitoring ({ports}){used}", number(measured.scrapes, "new connection")));
    }
    texts.into_iter().map(|text| row("not counted", text)).collect()
}

pub(super) fn number(count: u64, noun: &str) -> String {
    pluralize(usize::try_from(count).unwrap_or(usize::MAX), noun)
}

fn row(name: &str, text: impl Display) -> String {
    format!("  {name:<23}{text}")
}

/// `6.1 s`.
pub(super) fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100)
}

/// `1.2 MB`.
fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if number < 1_000 {
        return format!("{number} B");
    }
    let mut tenths = number / 100;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while tenths >= 10_000
        && let Some(larger) = units.next()
    {
        tenths /= 1_000;
        unit = Some(larger);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, unit.unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promised() -> Promised {
        Promised { hook: Some(Seconds::new(5)), deadline: Some(Seconds::new(25)), grace_period: Seconds::new(35) }
    }

    /// Of a pod with a hook of 5 s, whose app took a second.
    fn measured() -> Measurement {
        Measurement {
            clock: 1_770_000_005_000,
            recorded_before: 4_980,
            opened_before: 251,
            opened: 7,
            last_opened: Some(140),
            last_opened_port: Some(3_000),
            closed: 11,
            last_request: LastRequest::At(4_990),
            open_at_start: 4,
            app_signal: Some(5_000),
            open_at_signal: Some(3),
            listener_closed: Some(5_050),
            finished: Some(6_100),
            open_at_end: 1,
            open_at_most: 6,
            refused: 1,
            last_refused: Some(5_400),
            too_short: None,
            cut_short: true,
            resets: 2,
            dropped: 4,
            overflows: 3,
            received_bytes: 123_456,
            sent_bytes: 999,
            probes: 6,
            last_probe: Some(5_040),
            monitoring_ports: vec![9_090, 9_102],
            scrapes: 1,
            last_scrape: Some(4_000),
            complete: true,
            killed: false,
            reported_app_time: None,
        }
    }

    #[test]
    fn everything_that_was_measured_is_shown_and_what_cannot_be_seen_too() {
        let expected = "\
traffic, measured in the pod; 0 s is the start of its termination, 0.1 s after the eviction request
  before                 251 new connections in 4.9 s
  connections            7 opened, 11 closed, at most 6 established
  last new connection    0.1 s to port 3000
  last request           4.9 s (on connections that were at least 1 s old)
  still open             4 at 0 s, 3 at the app's SIGTERM (5.0 s), 1 in the last sample
  bytes                  123.4 kB in, 999 B out: all of the pod, with UDP and its own requests
  stopped listening      5.0 s
  app finished           6.1 s, 1.1 s after its SIGTERM (deadline 25s)
  refused by the kernel  4 dropped, 3 of them because the app accepted too slowly
                         2 resets sent, 1 of them after the app stopped listening
  last refused           5.4 s
  not counted            6 connections of the kubelet's probes, the last at 5.0 s
  not counted            1 new connection to ports for monitoring (9090, 9102), last used at 4.0 s
  not seen               UDP (QUIC, HTTP/3), and what is inside TLS, such as the requests of HTTP/2;
                         a pod in the network of its node (hostNetwork) cannot be measured";
        let lines = lines(&measured(), &promised(), Some(Duration::from_millis(110)));
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn what_is_unknown_is_not_a_number() {
        let unknown = Measurement {
            last_opened: None,
            last_opened_port: None,
            last_request: LastRequest::Unknown,
            app_signal: None,
            open_at_signal: None,
            listener_closed: None,
            finished: None,
            probes: 0,
            scrapes: 0,
            last_scrape: None,
            complete: false,
            ..measured()
        };
        let text = lines(&unknown, &Promised { hook: None, deadline: None, ..promised() }, None).join("\n");
        for part in [
            "its termination\n",
            "last new connection    none\n",
            "last request           unknown: the kernel of this node does not show it\n",
            "4 at 0 s, unknown at the app's SIGTERM",
            "stopped listening      not seen\n",
            "app finished           not seen\n",
            "\n  the log of the measuring container has no end",
        ] {
            assert!(text.contains(part), "{part:?}: {text}");
        }
        assert!(!text.contains("not counted"), "{text}");
        let short = Measurement { last_opened_port: None, ..measured() };
        assert!(lines(&short, &promised(), None).join("\n").contains("0.1 s, too short to see to which port"));
    }

    #[test]
    fn the_measured_times_are_beside_the_declared_ones() {
        let advice = Advice::of(&[Measurement { refused: 0, last_refused: None, cut_short: false, ..measured() }]);
        let expected = "            measured   declared  to write
  drain     0.1 s      5s        winddown.dev/drain=2s
  deadline  1.1 s      25s       winddown.dev/deadline=10s";
        assert_eq!(beside_the_declared(&advice, &promised()).join("\n"), expected);
        let idle = Measurement { opened_before: 0, opened: 0, last_opened: None, finished: None, ..measured() };
        let idle = Measurement { refused: 0, last_refused: None, cut_short: false, ..idle };
        let undeclared = Promised { hook: Some(Seconds::ZERO), deadline: None, ..promised() };
        let expected = "            measured   declared  to write
  drain     none       none      nothing
  deadline  unknown    none      nothing";
        assert_eq!(beside_the_declared(&Advice::of(&[idle]), &undeclared).join("\n"), expected);
        let cut = beside_the_declared(&Advice::of(&[measured()]), &Promised { hook: None, ..promised() });
        assert_eq!(cut[1], "  drain     5.4 s      unknown   winddown.dev/drain=11s (a guess)");
    }

    #[test]
    fn bytes_have_the_largest_unit_that_leaves_a_whole_number() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (1_000_000, "1.0 MB"),
            (12_345_678_901, "12.3 GB"),
            (u64::MAX, "18446744.0 TB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }
}
