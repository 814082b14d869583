//! Where the output goes: the colours and the width of a terminal.

use super::styles::Styles;

/// The properties of standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) styles: Styles,
    /// The columns of the terminal; `None` in pipes and files.
    pub(crate) width: Option<usize>,
}

impl Screen {
    /// A pipe or a file.
    pub(crate) fn plain() -> Self {
        Self { styles: Styles::plain(), width: None }
    }

    /// The screen behind standard output.
    pub(crate) fn of(stdout: &std::io::Stdout) -> Self {
        let size = terminal_size::terminal_size_of(stdout);
        Self { styles: Styles::for_stream(stdout), width: size.map(|(width, _)| width.0.into()) }
    }
}
