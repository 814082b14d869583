//! `docs/findings.md`: the pages of all findings.

use std::fmt::Write as _;

use winddown_core::finding::Code;
use winddown_core::rules::DOCS;

pub(crate) fn page() -> String {
    let mut text = "\
# Findings

Everything that Winddown reports about a workload. `winddown explain CODE` prints the same pages. In mode `Enforce`, a
workload with an error is rejected. A warning appears as a kubectl warning and as an Event, an info in the audit log of
the API server. `winddown plan` prints all of them.

Findings that other objects could refute (autoscalers, Services, Ingresses, PodDisruptionBudgets, Namespaces) are not
reported by the webhooks, which do not read these objects: their warnings are Events, and their infos appear only in
`winddown plan`. For a workload that existed when the controller started, only errors become Events.

| Finding | Severity | Summary |
| --- | --- | --- |
"
    .to_owned();
    for code in Code::ALL {
        let (name, severity) = (code.as_str(), code.severity().as_str());
        writeln!(text, "| [{name}](#{}) | {severity} | {} |", name.to_lowercase(), code.title()).unwrap();
    }
    for code in Code::ALL {
        write!(text, "\n{}", nest_headings(&page_in_docs(*code))).unwrap();
    }
    text
}

/// A page with links relative to `docs`.
fn page_in_docs(code: Code) -> String {
    code.page().replace(DOCS, "")
}

/// Makes every heading one level deeper. In a fenced block, `#` begins a comment.
fn nest_headings(markdown: &str) -> String {
    let mut fenced = false;
    let nested = markdown.lines().map(|line| {
        fenced ^= line.trim_start().starts_with("```");
        if line.starts_with('#') && !fenced { format!("#{line}\n") } else { format!("{line}\n") }
    });
    nested.collect()
}

#[test]
fn every_relative_link_of_a_page_has_a_target() {
    for code in Code::ALL {
        for link in page_in_docs(*code).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let text = std::fs::read_to_string(crate::path("docs").join(file)).unwrap_or_default();
            let mut headings = text.lines().filter(|line| line.starts_with('#'));
            let found = headings.any(|line| heading.is_empty() || anchor(line) == heading);
            assert!(found, "{}: {link}", code.as_str());
        }
    }
}

/// The anchor of a heading on GitHub.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    words.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-').collect()
}
