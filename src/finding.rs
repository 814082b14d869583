//! What Winddown has to say about a Deployment: computed once, shown as a denial, a warning, an event or a line of text.

use std::fmt;

use serde::Serialize;

/// One observation, with the place it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stable name of this kind of finding.
    pub code: Code,
    /// How grave it is.
    pub severity: Severity,
    /// The field as the API server would name it, e.g. `spec.template.spec.terminationGracePeriodSeconds`.
    pub field: String,
    /// What is wrong, in numbers; behind a semicolon, what else is there and the way out.
    pub message: String,
}

/// How grave a finding is, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Works, but maybe not as meant.
    Warning,
    /// The promise cannot be kept: denied where mode is Enforce.
    Error,
}

/// The kinds of findings. The names are stable: event reasons, `-o json` and people's scripts use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Code {
    /// An annotation's value cannot be read.
    InvalidAnnotation,
    /// A `winddown.dev/` key that nobody knows.
    UnknownAnnotation,
    /// Annotations that do nothing, because neither drain nor deadline is declared.
    NotOptedIn,
    /// A declaration on the pod template, where nobody looks for it.
    MisplacedAnnotation,
    /// drain + deadline + margin is more than the grace period.
    BudgetDoesNotFit,
    /// A container that is named but not there.
    ContainerNotFound,
    /// A port that is named but not there.
    PortNotFound,
    /// Several containers, and nothing says which one the probe is for.
    ReadinessContainerUnclear,
    /// A container keeps its own readiness probe.
    ReadinessKept,
    /// A container keeps a preStop hook whose length nobody can read.
    PreStopUnknown,
    /// A container's own preStop sleep is shorter than the declared drain.
    PreStopShort,
    /// A container opted out of the drain with `preStop.sleep.seconds: 0`.
    DrainOptedOut,
    /// What `winddown.dev/injected` says cannot be read, so what it changed cannot be undone.
    RecordUnreadable,
    /// The template is not as the plan wants it; the mutating webhook was not asked.
    NotInjected,
}

impl Finding {
    /// An [`Severity::Error`].
    #[must_use]
    pub fn error(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, field: field.into(), message: message.into() }
    }

    /// A [`Severity::Warning`].
    #[must_use]
    pub fn warning(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Warning, field: field.into(), message: message.into() }
    }

    /// An [`Severity::Info`].
    #[must_use]
    pub fn info(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Info, field: field.into(), message: message.into() }
    }

    /// Whether the other one is about the same thing, number for number. What stands beside it may have changed.
    #[must_use]
    pub fn is_the_same_as(&self, other: &Self) -> bool {
        let what = |finding: &Self| finding.message.split("; ").next().map(str::to_owned);
        (self.code, &self.field) == (other.code, &other.field) && what(self) == what(other)
    }

    /// Whether this denies, where mode is Enforce.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl Code {
    /// The stable name, as in events and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidAnnotation => "InvalidAnnotation",
            Self::UnknownAnnotation => "UnknownAnnotation",
            Self::NotOptedIn => "NotOptedIn",
            Self::MisplacedAnnotation => "MisplacedAnnotation",
            Self::BudgetDoesNotFit => "BudgetDoesNotFit",
            Self::ContainerNotFound => "ContainerNotFound",
            Self::PortNotFound => "PortNotFound",
            Self::ReadinessContainerUnclear => "ReadinessContainerUnclear",
            Self::ReadinessKept => "ReadinessKept",
            Self::PreStopUnknown => "PreStopUnknown",
            Self::PreStopShort => "PreStopShort",
            Self::DrainOptedOut => "DrainOptedOut",
            Self::RecordUnreadable => "RecordUnreadable",
            Self::NotInjected => "NotInjected",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity} {}: {}: {}", self.code.as_str(), self.field, self.message)
    }
}
