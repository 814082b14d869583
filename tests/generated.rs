//! Documents that are made of code and data. `UPDATE=1 cargo test --test generated` writes them anew; read the difference
//! before committing it.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use serde::Deserialize;
use winddown_core::catalog::presets::{Runtime, Traffic};
use winddown_core::finding::{Code, DOCS, page};
use winddown_core::policy::Policy;

#[test]
fn the_findings_are_those_of_the_code() {
    check("docs/findings.md", &findings());
}

#[test]
fn the_presets_are_those_of_the_data() {
    check("docs/presets.md", &presets());
}

#[test]
fn every_link_from_a_page_into_the_docs_leads_somewhere() {
    for code in Code::ALL {
        for link in page_in_docs(*code).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let text =
                fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file)).unwrap_or_default();
            let found = text
                .lines()
                .filter(|line| line.starts_with('#'))
                .any(|line| heading.is_empty() || anchor(line) == heading);
            assert!(found, "{}: {link}", code.as_str());
        }
    }
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-').collect()
}

fn check(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    #[expect(clippy::disallowed_methods, reason = "whether to write the documents anew")]
    if env::var("UPDATE").is_ok() {
        fs::write(&path, generated).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == generated, "{name} is out of date: `UPDATE=1 cargo test --test generated` writes it anew");
}

fn findings() -> String {
    let mut text = "\
# Findings

Everything that Winddown can have to say about a workload; `winddown explain CODE` prints the same pages. An error is
denied where mode is `Enforce`, a warning is shown to whoever applies the workload, an info is only in the audit log.
`winddown plan` prints all of them.

| | | |
| --- | --- | --- |
"
    .to_owned();
    for code in Code::ALL {
        let (name, severity) = (code.as_str(), code.severity().as_str());
        writeln!(text, "| [{name}](#{}) | {severity} | {} |", name.to_lowercase(), code.title()).unwrap();
    }
    for code in Code::ALL {
        write!(text, "\n{}", one_level_deeper(&page_in_docs(*code))).unwrap();
    }
    text
}

fn page_in_docs(code: Code) -> String {
    page(code).replace(DOCS, "")
}

/// Headings, that is; what begins with a # inside a fence is a comment.
fn one_level_deeper(markdown: &str) -> String {
    let mut fenced = false;
    let deeper = markdown.lines().map(|line| {
        fenced ^= line.trim_start().starts_with("```");
        if line.starts_with('#') && !fenced { format!("#{line}\n") } else { format!("{line}\n") }
    });
    deeper.collect()
}

fn presets() -> String {
    let example = Policy::default().deadline;
    let mut text = "\
# Presets

Numbers for those who have none of their own yet. `winddown.dev/traffic` proposes the drain, `winddown.dev/runtime` the
deadline; what you write in `winddown.dev/drain` and `winddown.dev/deadline` always wins.

## Traffic

How long traffic keeps coming after a pod is told to stop. Each number is the upper end of what people saw in practice,
not a promise: measure your own, and write it down.

| `winddown.dev/traffic` | drain | why | sources |
| --- | --- | --- | --- |
"
    .to_owned();
    for Traffic { name, drain, why, polls, sources, .. } in Traffic::all() {
        let asks = polls.map_or(String::new(), |polls| {
            format!(" It asks every {}, and {} failures count.", polls.period, polls.failures)
        });
        writeln!(text, "| `{name}` | {drain} | {}.{asks} | {} |", sentence(why), links(sources)).unwrap();
    }
    write!(
        text,
        "
## Runtimes

What the app's runtime does by itself after SIGTERM, and how to make it keep to a deadline of {example}. Where there is
none, `winddown.dev/deadline` or the default of {example} is a promise that only the app can keep.

| `winddown.dev/runtime` | deadline | by default it | for {example} | sources |
| --- | --- | --- | --- | --- |
"
    )
    .unwrap();
    for runtime in Runtime::all() {
        let Runtime { name, deadline, by_default, sources, .. } = runtime;
        let deadline = deadline.map_or_else(|| "none".to_owned(), |deadline| deadline.to_string());
        let setting = runtime.setting(example);
        writeln!(text, "| `{name}` | {deadline} | {by_default} | {setting} | {} |", links(sources)).unwrap();
    }
    text + &platforms().unwrap_or_default()
}

/// A place that gives a pod less time than it asks for.
#[derive(Deserialize)]
struct Platform {
    name: String,
    cap: u32,
    known_by: Option<Label>,
    why: String,
    sources: Vec<String>,
}

#[derive(Deserialize)]
struct Label {
    key: String,
    value: String,
}

fn platforms() -> Option<String> {
    let data =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/core/data/platforms.yaml")).ok()?;
    let platforms: Vec<Platform> = serde_saphyr::from_str(&data).unwrap();
    let mut text = "
## Platforms

Where a pod gets less time than it asks for, whatever its grace period says.

| | known by the label | at most | why | sources |
| --- | --- | --- | --- | --- |
"
    .to_owned();
    for Platform { name, cap, known_by, why, sources } in platforms {
        let label = known_by.map_or_else(String::new, |Label { key, value }| format!("`{key}: {value}`"));
        writeln!(text, "| {name} | {label} | {cap}s | {}. | {} |", sentence(&why), links(&sources)).unwrap();
    }
    Some(text)
}

fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn links(sources: &[String]) -> String {
    let linked: Vec<_> = (1..).zip(sources).map(|(number, source)| format!("[{number}]({source})")).collect();
    linked.join(" ")
}
