//! Whether the promise was honoured.

use std::fmt;

use crate::observation::{Outcome, Promise, Stop};

/// The result of a rehearsal.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The app exited in time.
    Honoured(Stop),
    /// It was killed, failed, or ran longer than its deadline.
    Broken(Stop),
    /// The stop says nothing about the app.
    Unclear(Stop),
    /// The end was not seen.
    Unseen,
}

impl Verdict {
    /// The name in JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Honoured(_) => "honoured",
            Self::Broken(_) => "broken",
            Self::Unclear(_) => "unclear",
            Self::Unseen => "unseen",
        }
    }

    /// From the stop that the observer reports; `None` if it reports none.
    #[must_use]
    pub fn of(stop: Option<Stop>) -> Self {
        match stop {
            None => Self::Unseen,
            Some(stop) => match stop.promise() {
                Promise::Honoured => Self::Honoured(stop),
                Promise::Killed | Promise::Failed | Promise::Overran => Self::Broken(stop),
                // A SIGKILL of another process, or the memory limit, is a failure in a rehearsal, too.
                Promise::NotJudged
                    if matches!(stop.outcome, Outcome::KilledOtherwise | Outcome::OutOfMemory)
                        && !stop.cause.is_node() =>
                {
                    Self::Broken(stop)
                }
                Promise::NotJudged => Self::Unclear(stop),
            },
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Honoured(stop) => write!(f, "honoured: {stop}"),
            Self::Broken(stop) => write!(f, "broken: {stop}"),
            Self::Unclear(stop) => write!(f, "unclear: {stop}"),
            Self::Unseen => f.write_str("unseen: the end of the pod was not seen"),
        }
    }
}
