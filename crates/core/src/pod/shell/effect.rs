//! What a command does.

use std::time::Duration;

/// How long a command runs, how it ends, and whether it stops the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) time: Span,
    pub(crate) status: Status,
    /// When it tells the app to stop.
    pub(crate) signal: Option<Signal>,
}

/// A duration between two limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) least: Duration,
    /// `None` if it has no known limit.
    pub(crate) most: Option<Duration>,
}

/// The exit status of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// 0.
    Succeeds,
    /// 0 if the command works as intended.
    Expected,
    /// It depends: a test.
    Either,
    /// Not 0.
    Fails(Failure),
}

/// The time at which a command tells the app to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) after: Duration,
    /// Whether it certainly does, and at that time. Otherwise it may, at that time or later.
    pub(crate) exactly: bool,
    pub(crate) by: By,
    /// Whether it goes to the first process of the container, which may be a shell in front of the app.
    pub(crate) to_first: bool,
}

/// How a command tells the app to stop. Some apps do something else on some signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Quit,
    Usr1,
    /// Another signal, or a request.
    Command,
}

/// The reason why a hook fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Neither exec, httpGet nor sleep.
    NoHandler,
    /// More than one of them.
    SeveralHandlers,
    /// An exec handler without a command.
    NoCommand,
    /// A tcpSocket handler.
    TcpSocket,
    /// An httpGet handler for an endpoint of this program, which ignores GET requests.
    NeedsPost(&'static str),
    /// An httpGet handler without host in a pod with hostNetwork.
    HostNetwork,
    /// An httpGet handler with the name of a port that the container does not declare.
    UnknownPort,
    /// An image without the program.
    NoShell,
    /// One item that contains a whole command line.
    OneWord,
    /// A word that only a shell knows.
    Builtin,
    /// An option instead of a program.
    NoProgram,
    /// `-c` without a script.
    NoScript,
    /// A command instead of the path of a script.
    NotAScript,
    /// An option that the shell does not have.
    BadOption,
    /// `-c` with a script that is only the first word of a command.
    SplitScript,
    /// Shell syntax in a command line without a shell.
    NoShellSyntax,
    /// A duration that `sleep` does not read.
    BadDuration,
    /// Every shell rejects the script.
    Syntax,
    /// `timeout` of Windows, which needs a console.
    WindowsTimeout,
    /// `timeout` ends it.
    TimedOut,
    /// Its last command fails.
    ExitStatus,
}

impl Span {
    pub(crate) const ZERO: Self = Self::exactly(Duration::ZERO);

    pub(crate) const fn exactly(time: Duration) -> Self {
        Self { least: time, most: Some(time) }
    }

    pub(crate) const fn at_least(time: Duration) -> Self {
        Self { least: time, most: None }
    }

    pub(crate) fn is_exact(self) -> bool {
        self.most == Some(self.least)
    }

    /// One after the other.
    pub(crate) fn then(self, next: Self) -> Self {
        let most = self.most.zip(next.most).map(|(first, next)| first.saturating_add(next));
        Self { least: self.least.saturating_add(next.least), most }
    }

    /// One of both.
    pub(crate) fn or(self, other: Self) -> Self {
        let most = self.most.zip(other.most).map(|(one, other)| one.max(other));
        Self { least: self.least.min(other.least), most }
    }

    /// Both at the same time.
    pub(crate) fn with(self, other: Self) -> Self {
        let most = self.most.zip(other.most).map(|(one, other)| one.max(other));
        Self { least: self.least.max(other.least), most }
    }

    /// With a time limit.
    pub(crate) fn within(self, limit: Duration) -> Self {
        Self { least: self.least.min(limit), most: Some(self.most.map_or(limit, |most| most.min(limit))) }
    }
}

impl Signal {
    /// A signal or request that reaches the app at once.
    pub(crate) const fn now(by: By) -> Self {
        Self { after: Duration::ZERO, exactly: true, by, to_first: false }
    }

    /// The same after what ran before.
    pub(crate) fn later(self, before: Span) -> Self {
        let after = before.least.saturating_add(self.after);
        Self { after, exactly: self.exactly && before.is_exact(), ..self }
    }

    /// The earlier of two signals of the same run.
    pub(crate) fn first(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if one.exactly && other.exactly => {
                Some(if one.after <= other.after { one } else { other })
            }
            (Some(one), Some(other)) => {
                let exactly = (one.exactly && one.after <= other.after) || (other.exactly && other.after <= one.after);
                // Either of them may be the one.
                let to_first = one.to_first || other.to_first;
                Some(Self { after: one.after.min(other.after), exactly, to_first, ..one })
            }
            (one, other) => one.or(other),
        }
    }

    /// The signal of one of two branches.
    pub(crate) fn either(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(Self {
                after: one.after.min(other.after),
                exactly: one.exactly && other.exactly && one.after == other.after,
                to_first: one.to_first || other.to_first,
                ..one
            }),
            (one, other) => one.or(other).map(|signal| Self { exactly: false, ..signal }),
        }
    }
}

impl Effect {
    /// A command that ends immediately.
    pub(crate) const fn immediate(status: Status) -> Self {
        Self { time: Span::ZERO, status, signal: None }
    }

    pub(crate) const fn fails(why: Failure) -> Self {
        Self::immediate(Status::Fails(why))
    }

    pub(crate) const fn sleeps(time: Duration) -> Self {
        Self { time: Span::exactly(time), status: Status::Succeeds, signal: None }
    }

    /// A command of unknown duration.
    pub(crate) const fn unknown() -> Self {
        Self { time: Span::at_least(Duration::ZERO), status: Status::Expected, signal: None }
    }

    /// A command that tells the app to stop, and then runs for that time.
    pub(crate) const fn signals(time: Span) -> Self {
        Self { time, status: Status::Expected, signal: Some(Signal::now(By::Command)) }
    }
}
