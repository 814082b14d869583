//! promtool, which has the parser, the linter and the query engine of Prometheus.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use winddown_e2e::tools::Tools;

use crate::namespace::Namespace;

pub(super) struct Promtool {
    tools: Tools,
    directory: TempDir,
}

impl Promtool {
    pub(super) fn new(namespace: &Namespace) -> Result<Self> {
        Ok(Self { tools: namespace.environment.server.tools().clone(), directory: tempfile::tempdir()? })
    }

    /// The series of an `OpenMetrics` text and their values, as Prometheus stores them. Labels are sorted.
    pub(super) fn parse(&self, text: &str) -> Result<BTreeMap<String, f64>> {
        // Blocks need a time for each sample.
        let with_time = |line: &str| line.to_owned() + if line.starts_with('#') { "\n" } else { " 1\n" };
        let text: String = text.lines().map(with_time).collect();
        let (file, blocks) = (self.write("metrics.txt", &text)?, self.path("blocks"));
        if blocks.exists() {
            fs::remove_dir_all(&blocks)?;
        }
        let mut import = self.command(&["tsdb", "create-blocks-from", "openmetrics"])?;
        successful(import.arg(file).arg(&blocks), &text)?;
        // A database always has one, and the import does not create it.
        fs::create_dir(blocks.join("wal"))?;
        let dumped = successful(self.command(&["tsdb", "dump"])?.arg(blocks), &text)?;
        let dumped = String::from_utf8(dumped.stdout)?;
        dumped.lines().map(|line| series(line).with_context(|| format!("unexpected line: {line}"))).collect()
    }

    /// Checks names, types and descriptions against the conventions of Prometheus.
    pub(super) fn lint(&self, text: &str) -> Result<()> {
        // The linter reads the older format, in which the header of a counter also has the suffix.
        let counters: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
        let older = |line: &str| {
            let name =
                line.strip_prefix("# TYPE ").or(line.strip_prefix("# HELP ")).and_then(|line| line.split(' ').next());
            match name.filter(|name| counters.contains(name)) {
                Some(name) => line.replacen(name, &format!("{name}_total"), 1) + "\n",
                None => line.to_owned() + "\n",
            }
        };
        let text: String = text.lines().map(older).collect();
        let file = self.write("older.txt", &text)?;
        let mut command = self.command(&["check", "metrics"])?;
        successful(command.stdin(Stdio::from(File::open(file)?)), &text)?;
        Ok(())
    }

    /// Runs tests of promtool on the `spec` of a `PrometheusRule`. They refer to it as `alerts.json`.
    pub(super) fn test_rules(&self, rules: &Value, tests: &str) -> Result<()> {
        let rules = self.write("alerts.json", &rules.to_string())?;
        successful(self.command(&["check", "rules", "--lint=all", "--lint-fatal"])?.arg(rules), tests)?;
        let tests = self.write("alerts.test.yaml", tests)?;
        successful(self.command(&["test", "rules"])?.arg(tests), "")?;
        Ok(())
    }

    /// Checks that queries are valid.
    pub(super) fn check_queries(&self, queries: &[String]) -> Result<()> {
        let rules = queries.iter().enumerate();
        let rules: Vec<_> =
            rules.map(|(index, query)| json!({"record": format!("query:{index}"), "expr": query})).collect();
        let rules = json!({"groups": [{"name": "queries", "rules": rules}]}).to_string();
        let file = self.write("queries.json", &rules)?;
        successful(self.command(&["check", "rules", "--lint=none"])?.arg(file), &rules)?;
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.tools.command("promtool")?;
        command.args(arguments);
        Ok(command)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

/// Runs a command; its failure shows the input.
fn successful(command: &mut Command, input: &str) -> Result<Output> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?} failed ({}):\n{out}{error}\n{input}", output.status);
    Ok(output)
}

/// A line like `{__name__="a", b="c"} 1 1700000000000`, as `a{b="c"}` and its value.
fn series(line: &str) -> Option<(String, f64)> {
    let (labels, rest) = line.strip_prefix("{__name__=\"")?.rsplit_once("} ")?;
    let value = rest.split(' ').next()?.parse().ok()?;
    let (name, labels) = labels.split_once('"')?;
    let series = match labels.strip_prefix(", ") {
        Some(labels) => format!("{name}{{{labels}}}"),
        None => name.to_owned(),
    };
    Some((series, value))
}
