//! A kind of finding, explained: what `winddown explain` prints, and what `docs/findings.md` is made of.

use super::Code;

/// The page of a kind of finding, in Markdown: its name, how grave it is, what it is, and the sections of its text.
#[must_use]
pub fn page(code: Code) -> String {
    format!("# {}\n\n{}: {}\n\n{}", code.as_str(), code.severity().as_str(), code.title(), code.sections())
}

#[cfg(test)]
mod tests {
    use super::{Code, page};

    #[test]
    fn a_page_begins_with_the_name_and_what_it_is() {
        let page = page(Code::RestartDelayed);
        assert!(page.starts_with("# RestartDelayed\n\nwarning: A long preStop hook also delays"), "{page}");
        assert!(page.contains("\n\n## Why\n\n") && page.contains("\n\n## Source\n\n"), "{page}");
    }
}
