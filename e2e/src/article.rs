//! docs/article.md: the rows of the article, and what the tests measured of each.
//!
//! The tests write docs/article.json. The page is made from it and from [`ROWS`].

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

pub use self::rows::{ROWS, Row};

/// What one arm of a row showed, in words.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Facts {
    /// Requests, `WebSocket`s and health checks.
    pub clients: String,
    /// Exit codes and log.
    pub process: String,
    /// What the `ShutdownBudget` shows.
    pub operator: String,
}

/// All that was measured, by the id of the row.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Figures(BTreeMap<String, Measured>);

/// One row: the arms without a mistake first.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct Measured(Vec<Arm>);

/// What an app, right or with a mistake, showed of a row.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Arm {
    /// The id of the row.
    #[serde(skip)]
    pub row: String,
    /// The mistake, or what is special.
    pub name: String,
    /// Whether it is a control.
    pub mistake: bool,
    /// Date, versions and sample size.
    pub on: String,
    /// What it showed.
    #[serde(flatten)]
    pub facts: Facts,
}

const FIGURES: &str = "docs/article.json";
const PAGE: &str = "docs/article.md";

/// Where the figures of a run are if it does not update the documents.
const LAST_RUN: &str = "target/article.json";

impl Figures {
    /// The figures in the documents; none if there are none yet.
    pub fn read() -> Result<Self> {
        let path = root().join(FIGURES);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&path).with_context(|| format!("read {FIGURES}"))?;
        serde_json::from_str(&text).with_context(|| format!("parse {FIGURES}"))
    }

    /// Replaces the arms that were measured, and keeps the others.
    pub fn replace(&mut self, measured: Vec<Arm>) {
        for arm in measured {
            let Measured(arms) = self.0.entry(arm.row.clone()).or_default();
            arms.retain(|old| old.name != arm.name);
            arms.push(arm);
            // Tests run at the same time.
            arms.sort_by(|a, b| (a.mistake, &a.name).cmp(&(b.mistake, &b.name)));
        }
    }

    /// Writes figures and page: with `UPDATE` into docs, otherwise only the figures, into target.
    pub fn write(&self) -> Result<()> {
        let figures = serde_json::to_string_pretty(self)? + "\n";
        if env::var_os("UPDATE").is_none() {
            return fs::write(root().join(LAST_RUN), figures).with_context(|| format!("write {LAST_RUN}"));
        }
        fs::write(root().join(FIGURES), figures).with_context(|| format!("write {FIGURES}"))?;
        fs::write(root().join(PAGE), self.page()).with_context(|| format!("write {PAGE}"))
    }

    /// The text of the page.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = rows::INTRODUCTION.to_owned();
        for row in &ROWS {
            let summary = self.0.get(row.id).map(Measured::summary).unwrap_or_default();
            let _ = writeln!(page, "| [{}](#{}) | {} | {summary} |", row.id, row.id.to_lowercase(), row.point);
        }
        page.push_str(rows::BEFORE_ROWS);
        for row in &ROWS {
            let _ = write!(page, "\n## {}\n\n{}", row.id, wrapped(row.text));
            if let Some(measured) = self.0.get(row.id) {
                page.push_str(&measured.table());
            }
            let tests: Vec<_> = row.tests.iter().map(Row::test_link).collect();
            let code: Vec<_> = row.code.iter().map(|path| link(path)).collect();
            let _ = write!(page, "\n- Test: {}\n- Code: {}\n", tests.join(",\n  "), code.join(",\n  "));
        }
        page.push_str(rows::LIMITS);
        page
    }
}

impl Measured {
    /// The cells of the first table: what clients saw, or else the process, without and with mistakes.
    fn summary(&self) -> String {
        let text = |Facts { clients, process, .. }: &Facts| if clients.is_empty() { process } else { clients }.clone();
        let cell = |mistake| {
            let arms = self.0.iter().filter(|arm| arm.mistake == mistake);
            arms.map(|arm| text(&arm.facts)).collect::<Vec<_>>().join("<br>")
        };
        format!("{} | {}", cell(false), cell(true))
    }

    fn table(&self) -> String {
        let mut table = String::from("\n| | clients | process | operator |\n| --- | --- | --- | --- |\n");
        for Arm { name, facts: Facts { clients, process, operator }, .. } in &self.0 {
            let _ = writeln!(table, "| {name} | {clients} | {process} | {operator} |");
        }
        let on: BTreeSet<_> = self.0.iter().map(|arm| arm.on.as_str()).collect();
        let _ = writeln!(table, "\n{}.", on.into_iter().collect::<Vec<_>>().join("; "));
        table
    }
}

/// Lines of at most 120 characters.
fn wrapped(text: &str) -> String {
    let mut wrapped = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        if width > 0 && width + 1 + word.len() > 120 {
            wrapped.push('\n');
            width = 0;
        } else if width > 0 {
            wrapped.push(' ');
            width += 1;
        }
        wrapped.push_str(word);
        width += word.len();
    }
    wrapped + "\n"
}

/// A link from docs to a file of the repository.
fn link(path: &str) -> String {
    format!("[{path}](../{path})")
}

impl Row {
    /// `module::test`, as a link to its file.
    fn test_link(test: &&str) -> String {
        let module = test.split("::").next().unwrap_or_default();
        format!("[`{test}`](../e2e/tests/article/{module}.rs)")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Arm, Facts, Figures, PAGE, root};

    #[test]
    fn the_page_has_the_figures_and_the_rows() {
        let figures = Figures::read().unwrap();
        if std::env::var_os("UPDATE").is_some() {
            figures.write().unwrap();
        }
        let page = fs::read_to_string(root().join(PAGE)).unwrap();
        assert!(page == figures.page(), "{PAGE} is stale: UPDATE=1 cargo test -p winddown-e2e --lib article");
    }

    #[test]
    fn an_arm_that_is_measured_again_is_replaced() {
        let arm = |row: &str, mistake, name: &str, on: &str, clients: &str| Arm {
            row: row.to_owned(),
            name: name.to_owned(),
            mistake,
            on: on.to_owned(),
            facts: Facts { clients: clients.to_owned(), ..Facts::default() },
        };
        let mut figures = Figures::default();
        figures.replace(vec![
            arm("S1", true, "wrong", "monday", "10 dropped"),
            arm("S1", false, "right", "monday", "replaced figure"),
        ]);
        figures.replace(vec![arm("S1", false, "right", "tuesday", "0 dropped")]);
        let page = figures.page();
        assert!(page.contains("| 0 dropped | 10 dropped |") && !page.contains("replaced figure"), "{page}");
        assert!(page.contains("\nmonday; tuesday.\n"), "{page}");
    }
}
