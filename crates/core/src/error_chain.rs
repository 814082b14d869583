//! Formats an error and its sources as one line.

use std::error::Error;
use std::fmt;

/// Displays an error followed by its sources: `cannot read Secret a/b: forbidden: …`. The `Display` of Winddown's own
/// errors omits the source, so each source appears once.
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chain = self.0.to_string();
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            // Libraries often repeat the source in their own text.
            if !chain.contains(&text) {
                chain = format!("{chain}: {text}");
            }
            next = error.source();
        }
        f.write_str(&chain)
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
    fn every_source_appears_once() {
        let error = Outer(Inner(std::io::Error::other("no space")));
        assert_eq!(ErrorChain(&error).to_string(), "cannot start: i/o: no space");
    }
}
