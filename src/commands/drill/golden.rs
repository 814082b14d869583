//! The whole output of rehearsals, from what the API and the measuring container report.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::container;
use super::report::{self, PodReport, Recorded, Report};
use super::selected::Selected;
use crate::cluster::Error;
use crate::golden::check;
use winddown_core::drill::{Choice, Mark, Progress};
use winddown_core::measurement::{EndReason, Line, PortSample, Sample, Start};
use winddown_core::observation::{EndpointSliceView, Event, Observer, PodView, Stop, Timestamp};

/// The eviction request.
const REQUESTED: i64 = 1_770_000_000;
const IMAGE: &str = "ghcr.io/winddown/winddown:0.1.0";
/// How long traffic is recorded before the eviction, in milliseconds.
const BEFORE: u64 = 5_000;
/// Between two samples, in milliseconds.
const STEP: u64 = 100;

/// A pod, and how it stops.
struct Case {
    pod: String,
    container: &'static str,
    drain: u64,
    grace_period: i64,
    /// How long the app goes on listening after its SIGTERM, in milliseconds.
    listens: u64,
    /// When the app ends, in milliseconds after the request.
    end: u64,
    exit: (i32, &'static str),
    events: &'static [(&'static str, &'static str)],
}

/// What arrives while the pod stops. Times are milliseconds after the start of the termination.
struct Traffic {
    /// New connections arrive every [`STEP`] until then.
    until: u64,
    /// The last request on a kept connection.
    last_request: u64,
    /// Kept connections that are open until the app ends.
    open: usize,
    /// Every second, a scrape of port 9090 until then.
    scrapes: Option<u64>,
}

/// An app that exits a second after its SIGTERM.
fn clean() -> Case {
    Case {
        pod: "web-7d9f8c6b54-2x9kq".to_owned(),
        container: "app",
        drain: 5,
        grace_period: 35,
        listens: 50,
        end: 6_400,
        exit: (0, "Completed"),
        events: &[("Killing", "Stopping container app")],
    }
}

/// The same with the measuring container, which stops, too.
fn measured() -> Case {
    let events = &[("Killing", "Stopping container app"), ("Killing", "Stopping container winddown-sample-1")];
    Case { events, ..clean() }
}

fn time(milliseconds: u64) -> Timestamp {
    Timestamp::from_second(REQUESTED + i64::try_from(milliseconds / 1_000).unwrap())
}

fn read<T: serde::de::DeserializeOwned>(object: &Value) -> T {
    serde_json::from_value(object.clone()).unwrap()
}

impl Case {
    fn record(&self) -> String {
        let Self { container, drain, .. } = self;
        let resolved = format!("drain={drain}s deadline=25s margin=5s");
        json!({"v": 2, "template": "4d3875ae84dc27e1", "declared": "", "resolved": resolved, "preStop": {*container: drain}})
            .to_string()
    }

    /// The Deployment of two pods.
    fn workload(&self) -> Value {
        let Self { drain, grace_period, .. } = self;
        let needs = drain + 30;
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "generation": 3, "annotations": {
                "winddown.dev/budget": format!("drain {drain}s + deadline 25s + margin 5s = {needs}s of {grace_period}s"),
            }},
            "spec": {"replicas": 2, "template": {"metadata": {"annotations": {"winddown.dev/injected": self.record()}}}},
            "status": {
                "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2,
                "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}],
            },
        })
    }

    fn pod(&self, name: &str, uid: &str) -> Value {
        let ports = json!([{"name": "http", "containerPort": 3000}, {"name": "metrics", "containerPort": 9090}]);
        json!({
            "metadata": {
                "name": name, "namespace": "shop", "uid": uid, "generation": 1,
                "creationTimestamp": Timestamp::from_second(REQUESTED - 3_600),
                "labels": {"pod-template-hash": "7d9f8c6b54", "winddown.dev/managed": "true"},
                "annotations": {"winddown.dev/injected": self.record()},
                "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9f8c6b54", "uid": "1", "controller": true},
                ],
            },
            "spec": {
                "nodeName": "worker-1",
                "terminationGracePeriodSeconds": self.grace_period,
                "containers": [{"name": self.container, "ports": ports, "lifecycle": {"preStop": {"sleep": {"seconds": self.drain}}}}],
            },
            "status": {
                "phase": "Running", "observedGeneration": 1,
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": self.container,
                    "state": {"running": {"startedAt": Timestamp::from_second(REQUESTED - 3_599)}}}],
            },
        })
    }

    fn selected(&self) -> Selected {
        let pods = [self.pod(&self.pod, "8b4d"), self.pod("web-7d9f8c6b54-zzzzz", "9c5e")];
        Selected::of("prod", &"deploy/web".parse().unwrap(), &self.workload(), &pods, Choice::default()).unwrap()
    }

    /// The timeline, and the stop that the observer reports.
    fn observed(&self, selected: &Selected) -> (Vec<Mark>, Option<Stop>) {
        let running = self.pod(&self.pod, &selected.candidate.uid);
        let mut deleted = running.clone();
        deleted["metadata"]["deletionTimestamp"] = json!(time(u64::try_from(self.grace_period).unwrap() * 1_000));
        deleted["metadata"]["deletionGracePeriodSeconds"] = json!(self.grace_period);
        deleted["metadata"]["generation"] = json!(2);
        deleted["status"]["observedGeneration"] = json!(2);
        deleted["status"]["conditions"] =
            json!([{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]);
        let mut ended = deleted.clone();
        let (exit_code, reason) = self.exit;
        ended["status"]["phase"] = json!(if exit_code == 0 { "Succeeded" } else { "Failed" });
        ended["status"]["containerStatuses"] = json!([{"name": self.container, "state": {"terminated": {
            "exitCode": exit_code, "reason": reason, "startedAt": Timestamp::from_second(REQUESTED - 3_599),
            "finishedAt": time(self.end),
        }}}]);
        let uid = &selected.candidate.uid;
        let endpoint =
            json!({"conditions": {"ready": false, "serving": true, "terminating": true}, "targetRef": {"uid": uid}});
        let slice: EndpointSliceView = read(&json!({"metadata": {"name": "web-x"}, "endpoints": [endpoint]}));

        let (mut progress, mut observer) = (Progress::new(uid, selected.candidate.promised), Observer::default());
        let (mut marks, mut stops) = (Vec::new(), Vec::new());
        // There is no other way to make one; only differences count.
        let start = Instant::now();
        let (pods, at) = ([&running, &deleted, &ended].map(read::<PodView>), Duration::from_millis);
        let clock = |milliseconds: u64| start + Duration::from_mins(1) + at(milliseconds);
        for event in [Event::Init, Event::InitApply(&pods[0]), Event::InitDone] {
            stops.extend(observer.see(event, start));
        }
        marks.extend(progress.see(&pods[1], at(30)));
        stops.extend(observer.see(Event::Apply(&pods[1]), clock(30)));
        for (number, (reason, message)) in self.events.iter().enumerate() {
            marks.extend(progress.see_event(&number.to_string(), 1, reason, message, at(40)));
        }
        marks.extend(progress.see_slice(&slice, at(120)));
        stops.extend(observer.see(Event::Slice(&slice), clock(120)));
        marks.extend(progress.see(&pods[2], at(self.end + 100)));
        stops.extend(observer.see(Event::Apply(&pods[2]), clock(self.end + 100)));
        marks.push(Progress::removed(at(self.end + 600)));
        stops.extend(observer.see(Event::Delete(&pods[2]), clock(self.end + 600)));
        (marks, stops.pop())
    }

    /// The log of the measuring container: new connections every [`STEP`], which are refused as soon as the app has its
    /// SIGTERM and has stopped listening.
    fn log(&self, traffic: &Traffic) -> Vec<Line> {
        let Traffic { until, last_request, open, scrapes } = *traffic;
        let (closed, end) = (BEFORE + self.drain * 1_000 + self.listens, BEFORE + self.end);
        let mut lines = vec![Line::Start(Start {
            clock: u64::try_from(REQUESTED).unwrap() * 1_000 - BEFORE,
            version: "0.1.0".to_owned(),
            node: Vec::new(),
            receipts: true,
        })];
        for at in (0..end).step_by(usize::try_from(STEP).unwrap()) {
            let (listening, arrives) = (at < closed, at < BEFORE + until);
            let opened = u64::from(listening && arrives);
            let port = PortSample {
                port: 3000,
                listening,
                open,
                opened,
                opened_at: (opened > 0).then_some(at),
                closed: opened,
                kept_at: (at <= BEFORE + last_request).then_some(at),
                ..PortSample::default()
            };
            let resets = u64::from(!listening && arrives);
            let (received, sent) = (opened * 640, opened * 1_180);
            let scraped = scrapes.map(|last| scrape(at, at < closed && at <= BEFORE + last && at % 1_000 == 0));
            let ports = [port].into_iter().chain(scraped).collect();
            lines.push(Line::Sample(Sample { at, ports, resets, received, sent, ..Sample::default() }));
            if at == BEFORE {
                lines.push(Line::Signal { at });
            }
        }
        lines.push(Line::End { at: end, reason: EndReason::NoSockets });
        lines
    }

    /// The output, and the exit code.
    fn rehearsed(&self, traffic: Option<&Traffic>, unmeasured: Option<&str>) -> String {
        let selected = self.selected();
        let is_measured = traffic.is_some() || unmeasured.is_some();
        let mut lines = vec![selected.to_string()];
        lines.extend(is_measured.then(|| report::measuring(IMAGE)));
        lines.push(report::WOULD_EVICT.to_owned());
        lines.extend(traffic.map(|_| report::recording(Duration::from_millis(BEFORE))));
        lines.extend(unmeasured.map(report::not_measured));
        lines.push(report::HEADINGS.to_owned());
        let (marks, stop) = self.observed(&selected);
        lines.extend(marks.iter().map(Mark::to_string));
        let log = traffic.map(|traffic| self.log(traffic));
        let recorded = log.as_deref().map(|lines| Recorded { lines, start_after: Some(Duration::from_millis(40)) });
        let pod = PodReport::of(&selected.candidate, stop, true, marks, recorded, unmeasured.map(str::to_owned));
        lines.extend(pod.lines());
        let mut report = Report::new(&"deploy/web".parse().unwrap(), "shop", String::new());
        report.pods.push(pod);
        lines.extend(report.summary());
        format!("{}\nexit {}\n", lines.join("\n"), report.exit() as u8)
    }
}

/// The port for monitoring in a sample.
fn scrape(at: u64, is_scraped: bool) -> PortSample {
    let opened = u64::from(is_scraped);
    PortSample {
        port: 9090,
        listening: true,
        opened,
        opened_at: is_scraped.then_some(at),
        closed: opened,
        ..PortSample::default()
    }
}

#[test]
fn an_app_that_exits_in_time() {
    check("drill/clean", &clean().rehearsed(None, None));
}

#[test]
fn an_app_that_is_killed() {
    let killed = Case { end: 35_200, exit: (137, "Error"), ..clean() };
    check("drill/killed", &killed.rehearsed(None, None));
}

#[test]
fn traffic_with_kept_connections_that_ends_within_the_drain() {
    let traffic = Traffic { until: 300, last_request: 4_900, open: 3, scrapes: None };
    check("drill/measured", &measured().rehearsed(Some(&traffic), None));
}

#[test]
fn kept_connections_that_are_served_to_the_end_and_scrapes() {
    let case = Case { end: 6_000, ..measured() };
    let traffic = Traffic { until: 1_700, last_request: 5_900, open: 3, scrapes: Some(4_000) };
    check("drill/scrapes", &case.rehearsed(Some(&traffic), None));
}

#[test]
fn traffic_that_goes_on_after_a_drain_that_is_too_short() {
    let short = Case { drain: 2, grace_period: 32, end: 3_100, ..measured() };
    let traffic = Traffic { until: 3_000, last_request: 1_900, open: 1, scrapes: None };
    check("drill/short-drain", &short.rehearsed(Some(&traffic), None));
}

#[test]
fn an_app_that_goes_on_listening_for_less_time_than_traffic_arrives() {
    let late = Case { drain: 2, grace_period: 32, listens: 950, end: 3_100, ..measured() };
    let traffic = Traffic { until: 3_000, last_request: 2_900, open: 1, scrapes: None };
    check("drill/late", &late.rehearsed(Some(&traffic), None));
}

#[test]
fn a_cluster_that_does_not_allow_the_measuring_container() {
    let case = clean();
    // As the API server answers without the right.
    let message = format!(
        "pods {:?} is forbidden: User \"jane\" cannot patch resource \"pods/ephemeralcontainers\" in API group \"\" in the \
         namespace \"shop\"",
        case.pod
    );
    let status = read(&json!({"code": 403, "message": message}));
    let error = Error::new(container::call(&case.pod, true), kube::Error::Api(Box::new(status)));
    check("drill/not-allowed", &case.rehearsed(None, Some(&container::shown(&error.to_string()))));
}

#[test]
fn long_names_and_control_characters_keep_the_lines_apart() {
    let case = Case {
        pod: format!("a\u{1b}[31m\nb-{}", "checkout-payment-gateway-".repeat(10)),
        container: "app\u{9b}2K\r",
        events: &[("Killing", "Stopping\n\u{1b}]0;x\u{7}")],
        ..clean()
    };
    check("drill/hostile", &case.rehearsed(None, None));
}
