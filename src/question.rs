//! Questions to the user.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

/// What the user answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// Standard input is not a terminal, so nothing was asked.
    NoTerminal,
}

/// Asks on standard error, and waits on a thread of its own, so that Ctrl-C is seen. A question that cannot be written is an
/// error.
pub(crate) async fn ask(question: String) -> io::Result<Answer> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(Answer::NoTerminal);
    }
    let answer = tokio::task::spawn_blocking(move || {
        let mut err = io::stderr();
        write!(err, "{question}")?;
        err.flush()?;
        let mut line = String::new();
        stdin.lock().read_line(&mut line)?;
        Ok(Answer::of(&line))
    });
    answer.await.map_err(io::Error::other)?
}

impl Answer {
    /// Only a clear yes is one.
    fn of(line: &str) -> Self {
        if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") { Self::Yes } else { Self::No }
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn only_a_clear_yes_is_one() {
        for line in ["y\n", "Yes\r\n", " YES"] {
            assert_eq!(Answer::of(line), Answer::Yes, "{line:?}");
        }
        for line in ["", "\n", "n\n", "yeah\n"] {
            assert_eq!(Answer::of(line), Answer::No, "{line:?}");
        }
    }
}
