//! Scripts that are no shell scripts: one statement after the other.

use std::time::Duration;

use super::effect::{By, Effect, Signal, Span, Status};

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    Takes(Span),
    /// It tells the app to stop, and may wait for that.
    Stops,
    /// It is, or may be, the start of a block: whether the rest runs is unknown.
    Branches,
}

impl Statement {
    pub(super) const IMMEDIATE: Self = Self::Takes(Span::ZERO);
    pub(super) const UNKNOWN: Self = Self::Takes(Span::at_least(Duration::ZERO));

    pub(super) const fn sleeps(time: Duration) -> Self {
        Self::Takes(Span::exactly(time))
    }
}

/// What the statements do, one after the other.
pub(super) fn sequence(statements: impl Iterator<Item = Statement>) -> Effect {
    let (mut time, mut signal, mut is_certain) = (Span::ZERO, None, true);
    for statement in statements {
        match statement {
            Statement::Takes(span) if is_certain => time = time.then(span),
            Statement::Takes(_) => {}
            Statement::Stops => {
                let stop = Signal::now(By::Command).later(time);
                signal = signal.or(Some(Signal { exactly: stop.exactly && is_certain, ..stop }));
                time.most = None;
            }
            Statement::Branches => is_certain = false,
        }
    }
    if !is_certain {
        time.most = None;
    }
    Effect { time, status: Status::Expected, signal }
}
