use super::{Declaration, Declared, Mode, Reading};
use crate::duration::Seconds;
use crate::finding::{Code, Severity};

fn read(annotations: &[(&str, &str)]) -> Reading {
    super::read(&annotations.iter().copied().collect(), &std::collections::BTreeMap::new())
}

fn codes(reading: &Reading) -> Vec<(Code, Severity)> {
    reading.findings.iter().map(|finding| (finding.code, finding.severity)).collect()
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
fn other_annotations_alone_do_nothing_and_say_so() {
    for key in ["margin", "readiness", "containers"] {
        let value = match key {
            "margin" => "5s",
            "readiness" => "tcp:80",
            _ => "app",
        };
        let reading = read(&[(&format!("winddown.dev/{key}"), value)]);
        assert_eq!(reading.declared, Declared::Nothing);
        assert_eq!(codes(&reading), [(Code::NotOptedIn, Severity::Warning)]);
    }
}

#[test]
fn foreign_annotations_are_nobodys_business() {
    let reading = read(&[("example.com/drain", "x"), ("winddown.development/drain", "y"), ("drain", "")]);
    assert_eq!((reading.declared, reading.findings), (Declared::Nothing, vec![]));
}

#[test]
fn everything_declared_is_read() {
    let reading = read(&[
        ("winddown.dev/drain", "1m"),
        ("winddown.dev/deadline", "25s"),
        ("winddown.dev/traffic", "service"),
        ("winddown.dev/runtime", "spring-boot"),
        ("winddown.dev/margin", "3s"),
        ("winddown.dev/readiness", "http:web/ready"),
        ("winddown.dev/containers", "app, proxy"),
        ("winddown.dev/mode", "Audit"),
        ("winddown.dev/budget", "whatever stood there"),
    ]);
    assert_eq!(reading.mode, Mode::Audit);
    assert_eq!(reading.findings, []);
    let declaration = Declaration {
        drain: Some(Seconds::new(60)),
        deadline: Some(Seconds::new(25)),
        traffic: Some("service".parse().unwrap()),
        runtime: Some("spring-boot".parse().unwrap()),
        margin: Some(Seconds::new(3)),
        readiness: Some("http:web/ready".parse().unwrap()),
        containers: Some(vec!["app".to_owned(), "proxy".to_owned()]),
    };
    assert_eq!(
        declaration.to_string(),
        "drain=60s deadline=25s traffic=service runtime=spring-boot margin=3s readiness=http:web/ready containers=app,proxy"
    );
    assert_eq!(reading.declared, Declared::Budget(declaration));
}

#[test]
fn a_bad_value_is_an_error_that_names_the_annotation() {
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
        ("mode", "enforce"),
    ] {
        let key = format!("winddown.dev/{key}");
        let reading = read(&[("winddown.dev/drain", "5s"), (&key, value)]);
        assert_eq!(reading.declared, Declared::Unreadable, "{key}");
        assert_eq!(codes(&reading), [(Code::InvalidAnnotation, Severity::Error)], "{key}");
        assert_eq!(reading.findings[0].field, format!("metadata.annotations[{key}]"));
        assert!(reading.findings[0].message.len() < 300, "{}", reading.findings[0].message);
    }
}

#[test]
fn a_typo_in_a_key_is_an_error_with_a_suggestion() {
    for (written, message) in [
        ("winddown.dev/drian", "did you mean winddown.dev/drain?"),
        ("winddown.dev/Drain", "did you mean winddown.dev/drain?"),
        ("winddown.dev/dealine", "did you mean winddown.dev/deadline?"),
        ("winddown.dev/container", "did you mean winddown.dev/containers?"),
        ("winddown.dev/grace-period", "knows drain, deadline, traffic, runtime, margin, readiness, containers, mode"),
        ("winddown.dev/", "knows drain"),
        ("winddown.dev/injected", "on the pod template"),
    ] {
        let reading = read(&[(written, "5s")]);
        assert_eq!(codes(&reading), [(Code::UnknownAnnotation, Severity::Error)], "{written}");
        assert!(reading.findings[0].message.contains(message), "{}", reading.findings[0].message);
    }
}

#[test]
fn mode_off_silences_everything_else() {
    let reading = read(&[("winddown.dev/mode", "Off"), ("winddown.dev/drain", "nonsense")]);
    assert_eq!((reading.declared, reading.findings), (Declared::Nothing, vec![]));
}

#[test]
fn a_declaration_on_the_pod_template_is_pointed_out() {
    let template = [("winddown.dev/drain", "5s"), ("winddown.dev/injected", "{}")].into_iter().collect();
    let reading = super::read(&[].into_iter().collect(), &template);
    assert_eq!(codes(&reading), [(Code::MisplacedAnnotation, Severity::Warning)]);
}
