//! The log of the container: what is written, and what is read of a log that others may have written.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Advice, EndReason, Line, Measurement, PortSample, Sample, Start};
use super::{Seconds, Subject, measured, opened, recording, signal, subject};

fn whole() -> Vec<Line> {
    let port = PortSample {
        port: 8080,
        listening: true,
        open: 2,
        opened: 3,
        opened_at: Some(90),
        node_opened: 1,
        node_opened_at: Some(80),
        closed: 8,
        node_closed: 9,
        kept_at: Some(70),
    };
    let sample = Sample {
        at: 100,
        ports: vec![port],
        unseen: 4,
        unseen_at: Some(95),
        resets: 5,
        dropped: 6,
        overflows: 10,
        received: 11,
        sent: 12,
    };
    let node = vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
    vec![
        Line::Start(Start { clock: 7, version: "0.1.0".to_owned(), node, receipts: true }),
        Line::Sample(sample),
        Line::Signal { at: 101 },
        Line::End { at: 102, reason: EndReason::NoSockets },
    ]
}

#[test]
fn the_json_keys_of_the_log_are_stable() {
    let texts: Vec<Value> = whole().iter().map(|line| serde_json::to_value(line).unwrap()).collect();
    let expected = [
        json!({"type": "start", "clock": 7, "version": "0.1.0", "node": ["10.0.0.1", "fd00::1"], "receipts": true}),
        json!({
            "type": "sample", "at": 100, "unseen": 4, "unseenAt": 95, "resets": 5, "dropped": 6,
            "overflows": 10, "received": 11, "sent": 12,
            "ports": [{
                "port": 8080, "listening": true, "open": 2, "opened": 3, "openedAt": 90, "nodeOpened": 1,
                "nodeOpenedAt": 80, "closed": 8, "nodeClosed": 9, "keptAt": 70,
            }],
        }),
        json!({"type": "signal", "at": 101}),
        json!({"type": "end", "at": 102, "reason": "noSockets"}),
    ];
    assert_eq!(texts, expected);
    let empty = Line::Sample(Sample { at: 1, ports: vec![PortSample::default()], ..Sample::default() });
    let text = serde_json::to_string(&empty).unwrap();
    assert_eq!(text, r#"{"type":"sample","at":1,"ports":[{"port":0,"listening":false,"open":0}]}"#);
}

#[test]
fn every_line_is_read_back() {
    for line in whole() {
        let text = serde_json::to_string(&line).unwrap();
        assert!(!text.contains('\n'));
        assert_eq!(Line::parse(&text), Some(line));
    }
}

#[test]
fn fields_of_a_later_version_are_ignored_and_so_are_other_lines() {
    let text = r#"{"type":"sample","at":1,"ports":[{"port":80,"listening":true,"open":1,"new":{}}],"more":[1]}"#;
    let port = PortSample { port: 80, listening: true, open: 1, ..PortSample::default() };
    assert_eq!(Line::parse(text), Some(Line::Sample(Sample { at: 1, ports: vec![port], ..Sample::default() })));
    for text in [
        "",
        "winddown: cannot read /proc/net/snmp",
        "{}",
        "null",
        r#"{"type":"later","at":1}"#,
        r#"{"type":"signal"}"#,
        r#"{"type":"signal","at":-1}"#,
        r#"{"type":"signal","at":18446744073709551616}"#,
        r#"{"type":"end","at":1,"reason":"later"}"#,
        r#"{"type":"sample","at":1,"ports":[{"port":65536}]}"#,
        r#"{"type":"start","clock":1,"version":"1","node":["node"],"receipts":true}"#,
        r#"{"type":"signal","at":1} {"type":"signal","at":1}"#,
    ] {
        assert_eq!(Line::parse(text), None, "{text}");
    }
    let nested = "[".repeat(100_000);
    assert_eq!(Line::parse(&nested), None);
    assert_eq!(Line::parse(&format!(r#"{{"type":"signal","at":1,"x":{nested}"#)), None);
}

#[test]
fn the_json_keys_of_a_measurement_are_stable() {
    let lines = recording([vec![opened(1_000), signal(5_000), opened(5_100), super::closed(9_000), super::end(9_500)]]);
    let subject = Subject { monitoring: [9_090].into(), ..subject(1, &[]) };
    let found = serde_json::to_value(measured(&lines, &subject)).unwrap();
    let expected = json!({
        "clock": 1_770_000_005_000_u64, "recordedBefore": 4_000, "openedBefore": 1, "opened": 1, "lastOpened": 100,
        "lastOpenedPort": 8080, "closed": 0, "lastRequest": {"seen": "none"}, "openAtStart": 0, "appSignal": 1_000, "openAtSignal": 0,
        "listenerClosed": 4_000, "finished": 4_500, "openAtEnd": 0, "openAtMost": 0, "refused": 0, "lastRefused": null,
        "tooShort": null, "cutShort": true, "resets": 0, "dropped": 0, "overflows": 0, "receivedBytes": 0, "sentBytes": 0,
        "probes": 0, "lastProbe": null, "monitoringPorts": [9_090], "scrapes": 0, "lastScrape": null, "complete": true,
        "killed": false, "reportedAppTime": null,
    });
    assert_eq!(found, expected);
    let advice = serde_json::to_value(Advice::of(&[])).unwrap();
    assert_eq!(
        advice,
        json!({
            "measuredDrain": null, "measuredDeadline": null, "drain": null, "drainIsAGuess": false, "deadline": null,
        })
    );
}

/// A small or the largest number, so that sums overflow and times meet.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..20_000_u64, Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()]
}

fn port() -> impl Strategy<Value = PortSample> {
    let time = || proptest::option::of(number());
    let numbers = (number(), time(), number(), time(), time(), number(), number());
    (0..3_u16, any::<bool>(), prop_oneof![0..3_usize, Just(usize::MAX)], numbers).prop_map(
        |(port, listening, open, (opened, opened_at, node_opened, node_opened_at, kept_at, closed, node_closed))| {
            PortSample {
                port,
                listening,
                open,
                opened,
                opened_at,
                node_opened,
                node_opened_at,
                closed,
                node_closed,
                kept_at,
            }
        },
    )
}

fn line() -> impl Strategy<Value = Line> {
    let sample = (number(), proptest::collection::vec(port(), 0..4), number(), proptest::option::of(number()))
        .prop_flat_map(|(at, ports, unseen, unseen_at)| {
            let numbers = (number(), number(), number(), number(), number());
            numbers.prop_map(move |(resets, dropped, overflows, received, sent)| {
                let ports = ports.clone();
                Line::Sample(Sample { at, ports, unseen, unseen_at, resets, dropped, overflows, received, sent })
            })
        });
    prop_oneof![
        6 => sample,
        1 => number().prop_map(|at| Line::Signal { at }),
        1 => number().prop_map(|at| Line::End { at, reason: EndReason::NoSockets }),
        1 => number().prop_map(|clock| Line::Start(Start {
            clock, version: String::new(), node: Vec::new(), receipts: true,
        })),
    ]
}

proptest! {
    #[test]
    fn no_lines_cause_a_panic(
        lines in proptest::collection::vec(line(), 0..40),
        hook in proptest::option::of(any::<u32>()),
        readiness in proptest::collection::vec(any::<u32>(), 0..4),
        monitoring in proptest::collection::btree_set(0..3_u16, 0..3),
    ) {
        let mut all = recording([vec![Line::Signal { at: 5_000 }]]);
        all.extend(lines);
        let periods: Vec<_> = readiness.into_iter().map(Seconds::new).collect();
        let subject = Subject { hook: hook.map(Seconds::new), readiness: periods.clone(), liveness: periods, monitoring };
        let found = Measurement::of(&all, &subject).unwrap();
        prop_assert!(found.refused <= found.resets);
        prop_assert!(Advice::of(&[found.clone(), found]).drain.is_none_or(|drain| drain <= Seconds::MAX));
    }

    #[test]
    fn every_line_that_is_written_is_read(line in line()) {
        prop_assert_eq!(Line::parse(&serde_json::to_string(&line).unwrap()), Some(line));
    }

    #[test]
    fn no_text_of_a_log_causes_a_panic(text in "[{}\\[\\]\":,a-zA-Z0-9.-]{0,200}") {
        let _ = Line::parse(&text);
    }
}
