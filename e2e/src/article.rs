//! docs/article.md: the rows of the article, and what the tests measured of each.
//!
//! The tests write docs/article.json. The page is made from it and from [`ROWS`].

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

pub use self::rows::{RIGHT, ROWS, Row};

/// What one arm of a row showed, in words.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Facts {
    /// Of how many rollouts or pods.
    pub sample: String,
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
    /// Date, version of Kubernetes, and commit.
    pub on: String,
    /// What it showed.
    #[serde(flatten)]
    pub facts: Facts,
}

const FIGURES: &str = "docs/article.json";
const PAGE: &str = "docs/article.md";

/// Where the figures of a run are, in the target folder, if it does not update the documents.
const LAST_RUN: &str = "article.json";

/// A row whose arms have no client and no `ShutdownBudget`: nothing runs.
const DRY_RUN: &str = "S7";

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
            arms.retain(|old| old.name != arm.name && is_listed(&arm.row, old));
            arms.push(arm);
            // Whatever the order of the tests is.
            arms.sort_by(|a, b| (a.mistake, &a.name).cmp(&(b.mistake, &b.name)));
        }
    }

    /// Writes figures and page: with `UPDATE` into docs, otherwise only the figures, into target.
    pub fn write(&self) -> Result<()> {
        let figures = serde_json::to_string_pretty(self)? + "\n";
        if env::var_os("UPDATE").is_none() {
            let target = root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
            fs::create_dir_all(&target).with_context(|| format!("create {}", target.display()))?;
            return fs::write(target.join(LAST_RUN), figures).with_context(|| format!("write {LAST_RUN}"));
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

impl Arm {
    /// The arm is in [`ROWS`], and no cell of its table is empty.
    pub fn check(&self) -> Result<()> {
        ensure!(is_listed(&self.row, self), "not in rows.rs: {self:?}");
        let Facts { sample, clients, process, operator } = &self.facts;
        let views = [clients, operator].into_iter().filter(|_| self.row != DRY_RUN);
        let is_filled = [sample, process].into_iter().chain(views).all(|cell| !cell.is_empty());
        ensure!(is_filled, "a cell is empty: {self:?}");
        Ok(())
    }
}

/// Whether a row has this arm.
fn is_listed(row: &str, arm: &Arm) -> bool {
    ROWS.iter().any(|listed| listed.id == row && listed.arms(arm.mistake).contains(&arm.name.as_str()))
}

impl Measured {
    /// The cells of the first table: what clients saw and how the process ended, without and with mistakes.
    fn summary(&self) -> String {
        let text = |Facts { clients, process, .. }: &Facts| {
            let end = process.split(';').next().unwrap_or_default();
            if clients.is_empty() { end.to_owned() } else { format!("{clients}; {end}") }
        };
        let cell = |mistake| {
            let arms = self.0.iter().filter(|arm| arm.mistake == mistake);
            arms.map(|arm| text(&arm.facts)).collect::<Vec<_>>().join("<br>")
        };
        format!("{} | {}", cell(false), cell(true))
    }

    fn table(&self) -> String {
        let mut table =
            String::from("\n| | sample | clients | process | operator |\n| --- | --- | --- | --- | --- |\n");
        for Arm { name, facts: Facts { sample, clients, process, operator }, .. } in &self.0 {
            let _ = writeln!(table, "| {name} | {sample} | {clients} | {process} | {operator} |");
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
    /// The names of its arms, without or with a mistake.
    fn arms(&self, mistake: bool) -> &[&str] {
        if mistake { self.mistakes } else { self.right }
    }

    /// `module::test`, as a link to its file.
    fn test_link(test: &&str) -> String {
        format!("[`{test}`](../{})", Self::test_file(test))
    }

    fn test_file(test: &str) -> String {
        let module = test.split("::").next().unwrap_or_default();
        format!("e2e/tests/article/{module}.rs")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::{Arm, Facts, Figures, PAGE, RIGHT, ROWS, Row, root};

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
    fn each_row_has_figures_of_each_of_its_arms() {
        let arms = |row: &Row, mistake| {
            row.arms(mistake).iter().map(|name| (row.id.to_owned(), mistake, (*name).to_owned())).collect::<Vec<_>>()
        };
        let listed: BTreeSet<_> = ROWS.iter().flat_map(|row| [arms(row, false), arms(row, true)].concat()).collect();
        let Figures(rows) = Figures::read().unwrap();
        let measured = rows
            .iter()
            .flat_map(|(row, measured)| measured.0.iter().map(|arm| (row.clone(), arm.mistake, arm.name.clone())));
        assert_eq!(measured.collect::<BTreeSet<_>>(), listed);
        assert!(ROWS.iter().all(|row| !row.right.is_empty() && !row.mistakes.is_empty()));
    }

    #[test]
    fn the_tests_of_a_row_record_its_arms() {
        for row in &ROWS {
            let sources = row.tests.iter().map(|test| fs::read_to_string(root().join(Row::test_file(test))).unwrap());
            let sources: String = sources.collect();
            for name in row.right.iter().chain(row.mistakes) {
                let recorded = if *name == RIGHT { "RIGHT".to_owned() } else { format!("\"{name}\"") };
                assert!(sources.contains(&recorded), "{}: {name}", row.id);
            }
        }
    }

    fn arm(mistake: bool, name: &str, on: &str, clients: &str) -> Arm {
        let text = |text: &str| text.to_owned();
        Arm {
            row: text("S1"),
            name: text(name),
            mistake,
            on: text(on),
            facts: Facts {
                clients: text(clients),
                process: text("code 0; log"),
                sample: text("1 pod"),
                operator: text("clean"),
            },
        }
    }

    const MISTAKE: &str = "no handler, under an init";

    #[test]
    fn an_arm_that_is_measured_again_is_replaced() {
        let mut figures = Figures::default();
        figures.replace(vec![
            arm(true, MISTAKE, "monday", "10 dropped"),
            arm(false, RIGHT, "monday", "replaced figure"),
            arm(false, "an arm of the past", "sunday", "nothing"),
        ]);
        // The file has the row only once, not in each arm.
        let mut figures: Figures = serde_json::from_value(serde_json::to_value(figures).unwrap()).unwrap();
        figures.replace(vec![arm(false, RIGHT, "tuesday", "0 dropped")]);
        let page = figures.page();
        assert!(page.contains("| 0 dropped; code 0 | 10 dropped; code 0 |"), "{page}");
        assert!(!page.contains("replaced figure") && !page.contains("an arm of the past"), "{page}");
        assert!(page.contains("| 1 pod | 0 dropped | code 0; log | clean |"), "{page}");
        assert!(page.contains("\nmonday; tuesday.\n"), "{page}");
    }

    #[test]
    fn an_arm_is_listed_and_has_no_empty_cell() {
        arm(false, RIGHT, "", "0 dropped").check().unwrap();
        for wrong in [arm(true, RIGHT, "", "0 dropped"), arm(false, RIGHT, "", "")] {
            wrong.check().unwrap_err();
        }
        let dry_run = Facts { process: "30 s".to_owned(), sample: "dry run".to_owned(), ..Facts::default() };
        Arm { row: "S7".to_owned(), facts: dry_run, ..arm(false, RIGHT, "", "") }.check().unwrap();
    }
}
