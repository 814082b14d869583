//! Errors as one line, at the edges where they are shown.

use std::error::Error;
use std::fmt;

/// Shows an error and everything behind it: `cannot read Secret a/b: forbidden: …`. Our errors' own `Display` leaves the
/// source out, so that nothing is said twice.
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            // Libraries often repeat their source in their own text.
            if !said.contains(&text) {
                said = format!("{said}: {text}");
            }
            next = error.source();
        }
        f.write_str(&said)
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorChain;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot start")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("i/o: {0}")]
    struct Inner(#[source] std::io::Error);

    #[test]
    fn every_cause_is_said_once() {
        let error = Outer(Inner(std::io::Error::other("no space")));
        assert_eq!(ErrorChain(&error).to_string(), "cannot start: i/o: no space");
    }
}
