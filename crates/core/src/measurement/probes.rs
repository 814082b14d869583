//! Connections of which it is not known who opened them: from an address of the node, which also forwards traffic, or
//! so short that no look saw them. The probes of the kubelet are among them.
//!
//! A readiness probe opens a connection in each period, always after the same time, also while the pod stops; liveness
//! and startup probes end before (`kubelet.go`, `SyncTerminatingPod`). So what has this rhythm from the first look on is
//! a probe, and the rest is traffic. A probe of a port that was closed makes the kernel send a reset, in the same rhythm.

use super::{Sample, Subject};
use crate::duration::Seconds;

/// How far a probe can be from its rhythm, in milliseconds: the interval of the samples, and the delay of a busy node.
/// More for a long period.
const MIN_TOLERANCE: u64 = 250;
const MAX_TOLERANCE: u64 = 500;
/// More connections in this time than there are probes are traffic, in milliseconds: a period is at least a second.
const DENSE: u64 = 300;
/// Probes that are looked for.
pub(super) const MAX_PROBES: usize = 64;

/// All of them, in order of time.
pub(super) struct Anonymous {
    attempts: Vec<Attempt>,
    /// Connections before the signal that are not those of probes.
    pub(super) opened_before: u64,
    /// Probes after it.
    pub(super) probes: u64,
    /// Those of them that opened a connection, and not to a port that is only for monitoring.
    pub(super) probe_connections: u64,
    /// The last of them.
    pub(super) last_probe: Option<u64>,
}

struct Attempt {
    at: u64,
    /// `None` if no look saw it.
    port: Option<u16>,
    connections: u64,
    resets: u64,
    /// Whether its port is only for monitoring: it is a probe or a scrape, and no traffic.
    monitoring: bool,
}

/// A connection, or several at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) at: u64,
    /// `None` if no look saw it.
    pub(super) port: Option<u16>,
    pub(super) count: u64,
}

/// The times between which, and after which, something matters.
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// The first look.
    pub(super) begun: u64,
    /// SIGTERM.
    pub(super) signal: u64,
    /// When the first port was closed.
    pub(super) any_closed: Option<u64>,
    /// When the first port with traffic was closed. Resets after that are refused connections.
    pub(super) closed: Option<u64>,
}

impl Anonymous {
    /// Tells the probes apart.
    pub(super) fn of(samples: &[&Sample], subject: &Subject, times: Times) -> Self {
        let attempts = attempts(samples, subject);
        let before = attempts.iter().filter(|attempt| attempt.at <= times.signal && !attempt.monitoring);
        let before = before.fold(0_u64, |sum, attempt| sum.saturating_add(attempt.connections));
        let opened_before = before.saturating_sub(subject.most_probes(times.signal.saturating_sub(times.begun)));
        let mut all = Self { attempts, opened_before, probes: 0, probe_connections: 0, last_probe: None };
        all.find_probes(subject, times);
        all
    }

    /// Connections after the signal that are neither those of probes nor scrapes.
    pub(super) fn traffic(&self, times: Times) -> impl Iterator<Item = Opened> {
        self.opened(times, false)
    }

    /// Connections after the signal to ports that are only for monitoring, without those of probes.
    pub(super) fn scrapes(&self, times: Times) -> impl Iterator<Item = Opened> {
        self.opened(times, true)
    }

    fn opened(&self, times: Times, monitoring: bool) -> impl Iterator<Item = Opened> {
        let after = self.attempts.iter().filter(move |attempt| attempt.at > times.signal && attempt.connections > 0);
        let after = after.filter(move |attempt| attempt.monitoring == monitoring);
        after.map(|attempt| Opened { at: attempt.at, port: attempt.port, count: attempt.connections })
    }

    /// Connections that were refused, and are not those of probes.
    pub(super) fn refused(&self, times: Times) -> impl Iterator<Item = (u64, u64)> {
        self.attempts
            .iter()
            .filter(move |attempt| attempt.is_refused(times) && attempt.resets > 0)
            .map(|attempt| (attempt.at, attempt.resets))
    }

    /// The last attempt counts most, so it is the one that has to fit. What fits no probe is traffic, and so is
    /// everything before it that is not in the rhythm of a later attempt. At a port that is only for monitoring it is a
    /// scrape, and the one before it has to fit.
    fn find_probes(&mut self, subject: &Subject, times: Times) {
        let mut periods: Vec<u64> = subject.readiness.iter().take(MAX_PROBES).copied().map(milliseconds).collect();
        periods.sort_unstable();
        let mut end = self.attempts.len();
        while let Some(last) = self.attempts[..end].iter().rposition(|attempt| attempt.is_open(times)) {
            let is_dense = self.shortly_before(last) > periods.len() as u64;
            let fitting = |period: &u64| Some((*period, self.rhythm(last, *period, times)?));
            let Some((found, rhythm)) = periods.iter().find_map(fitting).filter(|_| !is_dense) else {
                if !self.attempts[last].monitoring {
                    return;
                }
                end = last;
                continue;
            };
            periods.remove(periods.iter().position(|period| *period == found).unwrap_or_default());
            for index in rhythm {
                let attempt = &mut self.attempts[index];
                if attempt.at <= times.signal {
                    continue;
                }
                if attempt.connections > 0 {
                    attempt.connections -= 1;
                    self.probe_connections += u64::from(!attempt.monitoring);
                } else {
                    attempt.resets = attempt.resets.saturating_sub(1);
                }
                self.probes += 1;
                self.last_probe = self.last_probe.max(Some(attempt.at));
            }
        }
    }

    /// How many connections, or resets, came in the time that ends with this attempt, besides those for monitoring.
    fn shortly_before(&self, last: usize) -> u64 {
        let at = self.attempts[last].at;
        let near = self.attempts[..=last].iter().rev().take_while(|attempt| at - attempt.at <= DENSE);
        let near = near.filter(|attempt| !attempt.monitoring);
        near.fold(0, |sum, attempt| sum.saturating_add(attempt.connections.max(attempt.resets)))
    }

    /// The attempts at the times of a probe with this period of which this one is the last; `None` if one is missing.
    fn rhythm(&self, last: usize, period: u64, times: Times) -> Option<Vec<usize>> {
        let at = self.attempts[last].at;
        let tolerance = (period / 8).clamp(MIN_TOLERANCE, MAX_TOLERANCE);
        let goes_on = times.any_closed.is_some_and(|closed| at.saturating_add(period + tolerance) < closed);
        if goes_on {
            return None;
        }
        let mut found = vec![last];
        let mut time = at;
        let first = times.begun.saturating_add(tolerance);
        while let Some(earlier) = time.checked_sub(period).filter(|time| *time > first) {
            time = earlier;
            found.push(self.nearest(time, tolerance)?);
        }
        Some(found)
    }

    /// The attempt that is nearest to a time.
    fn nearest(&self, time: u64, tolerance: u64) -> Option<usize> {
        let after = self.attempts.partition_point(|attempt| attempt.at < time.saturating_sub(tolerance));
        let near = self.attempts[after..].iter().take_while(|attempt| attempt.at <= time.saturating_add(tolerance));
        let near = near.enumerate().filter(|(_, attempt)| attempt.connections > 0 || attempt.resets > 0);
        near.min_by_key(|(_, attempt)| attempt.at.abs_diff(time)).map(|(index, _)| after + index)
    }
}

impl Attempt {
    fn is_refused(&self, times: Times) -> bool {
        self.at > times.signal && times.closed.is_some_and(|closed| self.at > closed)
    }

    /// Whether it has to be a probe or traffic.
    fn is_open(&self, times: Times) -> bool {
        (self.at > times.signal && self.connections > 0) || (self.is_refused(times) && self.resets > 0)
    }
}

fn attempts(samples: &[&Sample], subject: &Subject) -> Vec<Attempt> {
    let mut all = Vec::new();
    for sample in samples {
        all.extend(sample.ports.iter().map(|port| Attempt {
            at: port.node_opened_at.unwrap_or(sample.at),
            port: Some(port.port),
            connections: port.node_opened,
            resets: 0,
            monitoring: subject.monitors(port.port),
        }));
        let (unseen_at, unseen) = (sample.unseen_at.unwrap_or(sample.at), sample.unseen);
        let unknown = |at, connections, resets| Attempt { at, port: None, connections, resets, monitoring: false };
        all.extend([unknown(unseen_at, unseen, 0), unknown(sample.at, 0, sample.resets)]);
    }
    all.retain(|attempt| attempt.connections > 0 || attempt.resets > 0);
    all.sort_by_key(|attempt| attempt.at);
    all
}

/// The shortest period is one second.
pub(super) fn milliseconds(period: Seconds) -> u64 {
    period.as_i64().max(1).unsigned_abs() * 1_000
}
