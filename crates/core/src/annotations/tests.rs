use std::collections::BTreeMap;

use super::{DECLARING, Declaration, Declared, Expose, Issue, Mode, PREFIX, Reading};
use crate::duration::Seconds;

fn read(annotations: &[(&str, &str)]) -> Reading {
    super::read(&annotations.iter().copied().collect(), &BTreeMap::new())
}

#[test]
fn drain_or_deadline_opts_in() {
    for annotations in
        [vec![("winddown.dev/drain", "5s")], vec![("winddown.dev/deadline", "25s")], vec![("winddown.dev/drain", "0s")]]
    {
        assert!(matches!(read(&annotations).declared, Declared::Budget(_)), "{annotations:?}");
    }
}

#[test]
fn other_annotations_do_not_opt_in() {
    for (key, value) in [("margin", "5s"), ("readiness", "tcp:80"), ("containers", "app"), ("expose", "env")] {
        let key = DECLARING.into_iter().find(|known| known.strip_prefix(PREFIX) == Some(key)).unwrap();
        let reading = read(&[(key, value)]);
        assert_eq!((reading.declared, reading.issues), (Declared::Nothing, vec![Issue::NotOptedIn { key }]));
    }
}

#[test]
fn annotations_with_another_prefix_are_ignored() {
    let reading = read(&[("example.com/drain", "x"), ("winddown.development/drain", "y"), ("drain", "")]);
    assert_eq!((reading.declared, reading.issues), (Declared::Nothing, vec![]));
}

#[test]
fn all_annotations_are_read() {
    let reading = read(&[
        ("winddown.dev/drain", "1m"),
        ("winddown.dev/deadline", "25s"),
        ("winddown.dev/traffic", "service"),
        ("winddown.dev/runtime", "spring-boot"),
        ("winddown.dev/margin", "3s"),
        ("winddown.dev/readiness", "http:web/ready"),
        ("winddown.dev/containers", "app, proxy"),
        ("winddown.dev/expose", "env"),
        ("winddown.dev/mode", "Audit"),
        ("winddown.dev/budget", "any text"),
    ]);
    assert_eq!(reading.mode, Mode::Audit);
    assert_eq!(reading.issues, []);
    let declaration = Declaration {
        drain: Some(Seconds::new(60)),
        deadline: Some(Seconds::new(25)),
        traffic: Some("service".parse().unwrap()),
        runtime: Some("spring-boot".parse().unwrap()),
        margin: Some(Seconds::new(3)),
        readiness: Some("http:web/ready".parse().unwrap()),
        containers: Some(vec!["app".to_owned(), "proxy".to_owned()]),
        expose: Some(Expose::Env),
    };
    assert_eq!(
        declaration.to_string(),
        "drain=60s deadline=25s traffic=service runtime=spring-boot margin=3s readiness=http:web/ready \
         expose=env containers=app,proxy"
    );
    assert_eq!(reading.declared, Declared::Budget(declaration));
}

#[test]
fn a_declaration_with_an_invalid_value_is_unreadable() {
    let huge = "9".repeat(256 * 1024);
    for (key, value) in [
        ("drain", ""),
        ("drain", "5"),
        ("drain", "-5s"),
        ("deadline", "99999999999999999999h"),
        ("deadline", huge.as_str()),
        ("margin", "1.5s"),
        ("drain", "\u{1f4a3}"),
        ("drain", "5s\u{0}"),
        ("readiness", "exec:true"),
        ("containers", "app,,proxy"),
        ("containers", "app,app"),
        ("containers", ""),
        ("expose", "envFrom"),
        ("mode", "enforce"),
    ] {
        let key = format!("winddown.dev/{key}");
        let reading = read(&[("winddown.dev/drain", "5s"), (&key, value)]);
        assert_eq!(reading.declared, Declared::Unreadable, "{key}");
        let [Issue::InvalidValue { key: invalid, reason, .. }] = reading.issues.as_slice() else {
            panic!("{:?}", reading.issues)
        };
        assert_eq!(*invalid, key);
        assert!(reason.len() < 260, "{reason}");
    }
}

#[test]
fn a_declaration_with_an_unknown_key_is_unreadable() {
    for key in [
        "winddown.dev/drian",
        "winddown.dev/Drain",
        "winddown.dev/dealine",
        "winddown.dev/container",
        "winddown.dev/grace-period",
        "winddown.dev/",
        "winddown.dev/injected",
    ] {
        let reading = read(&[(key, "5s")]);
        let issues = vec![Issue::UnknownKey { key: key.to_owned() }];
        assert_eq!((reading.declared, reading.issues), (Declared::Unreadable, issues));
    }
}

#[test]
fn mode_off_ignores_the_other_annotations() {
    let reading = read(&[("winddown.dev/mode", "Off"), ("winddown.dev/drain", "nonsense")]);
    assert_eq!((reading.declared, reading.issues), (Declared::Nothing, vec![]));
}

#[test]
fn a_declaration_on_the_pod_template_is_an_issue() {
    let template = [("winddown.dev/drain", "5s"), ("winddown.dev/injected", "{}")].into_iter().collect();
    let reading = super::read(&BTreeMap::new(), &template);
    assert_eq!(reading.issues, [Issue::Misplaced { key: "winddown.dev/drain" }]);
}
