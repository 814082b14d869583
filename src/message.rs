//! Messages beside the output.

/// Prints a line on standard error. Unlike with `eprintln!`, a standard error that is closed is no panic.
macro_rules! message {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

pub(crate) use message;
