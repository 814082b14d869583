//! Terminal colours, from the palette of the terminal so that every background works; none in pipes and files.

use anstyle::{AnsiColor, Style};

use winddown_core::finding::Severity;
use winddown_core::plan::timeline::Activity;

/// The style of each part of the output.
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
    /// Without colours.
    pub(crate) fn plain() -> Self {
        Self::default()
    }

    /// With colours.
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

    /// The styles for a stream, from `NO_COLOR` and the capabilities of the terminal.
    pub(crate) fn for_stream(stream: &impl anstream::stream::RawStream) -> Self {
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
            Activity::Stopping | Activity::UnknownStop => self.stopping,
            Activity::Serving | Activity::Slack => self.dim,
        }
    }

    /// SIGKILL, and every phase after it.
    pub(crate) fn kill(&self) -> Style {
        self.error
    }
}
