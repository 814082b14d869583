//! A kind of finding, explained: what `winddown explain` prints, and what `docs/findings.md` is made of.

use super::Code;

/// Where the documents are that pages lead to.
pub const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/");

/// The page of a kind of finding, in Markdown: its name, how grave it is, what it is, and the sections of its text. Links
/// have their whole address, as a page is read anywhere.
#[must_use]
pub fn page(code: Code) -> String {
    let text = format!("# {}\n\n{}: {}\n\n{}", code.as_str(), code.severity().as_str(), code.title(), code.sections());
    let mut parts = text.split("](");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let base = if part.starts_with("https://") { "" } else { DOCS };
        page.extend(["](", base, part]);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::{Code, page};

    #[test]
    fn a_page_begins_with_the_name_and_what_it_is() {
        let page = page(Code::RestartDelayed);
        assert!(page.starts_with("# RestartDelayed\n\ninfo: A long preStop hook also delays"), "{page}");
        assert!(page.contains("\n\n## Why\n\n") && page.contains("\n\n## Source\n\n"), "{page}");
    }

    #[test]
    fn a_link_leads_somewhere_wherever_the_page_is_read() {
        let link = "[Presets](https://github.com/winddown/winddown/blob/main/docs/presets.md#runtimes)";
        let page = page(Code::RuntimeUnbounded);
        assert!(page.contains(link), "{page}");
        assert!(page.contains("](https://kubernetes.io/"), "{page}");
    }
}
