//! Colours of the terminal's own, so that they can be read on every background; none where nobody looks.

use anstyle::{AnsiColor, Style};

use winddown_core::finding::Severity;
use winddown_core::timeline::Activity;

/// How parts of the text are drawn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Styles {
    pub(crate) heading: Style,
    pub(crate) dim: Style,
    error: Style,
    warning: Style,
    info: Style,
    hook: Style,
    stopping: Style,
    pub(crate) added: Style,
    pub(crate) removed: Style,
}

impl Styles {
    /// No colour at all.
    pub(crate) fn plain() -> Self {
        Self::default()
    }

    /// For a terminal.
    pub(crate) fn coloured() -> Self {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        Self {
            heading: Style::new().bold(),
            dim: Style::new().dimmed(),
            error: colour(AnsiColor::Red).bold(),
            warning: colour(AnsiColor::Yellow),
            info: colour(AnsiColor::Cyan),
            hook: colour(AnsiColor::Blue),
            stopping: colour(AnsiColor::Green),
            added: colour(AnsiColor::Green),
            removed: colour(AnsiColor::Red),
        }
    }

    /// The styles for a stream: honours `NO_COLOR` and what the terminal can do.
    pub(crate) fn of(stream: &impl anstream::stream::RawStream) -> Self {
        match anstream::AutoStream::choice(stream) {
            anstream::ColorChoice::Never => Self::plain(),
            _ => Self::coloured(),
        }
    }

    pub(crate) fn severity(&self, severity: Severity) -> Style {
        match severity {
            Severity::Error => self.error,
            Severity::Warning => self.warning,
            Severity::Info => self.info,
        }
    }

    pub(crate) fn activity(&self, activity: Activity) -> Style {
        match activity {
            Activity::PreStop | Activity::UnknownPreStop => self.hook,
            Activity::Stopping => self.stopping,
            Activity::Serving | Activity::Slack => self.dim,
        }
    }

    /// SIGKILL, and what comes too late.
    pub(crate) fn kill(&self) -> Style {
        self.error
    }
}
