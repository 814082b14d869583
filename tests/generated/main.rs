//! Checks that the generated files are up to date. `make generate` writes them; read the differences before a commit.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod chart;
#[cfg(all(feature = "operator", feature = "cluster"))]
mod cli;
mod crds;
mod findings;
#[cfg(feature = "operator")]
mod metrics;
mod outputs;
mod presets;
#[cfg(feature = "cluster")]
mod rights;
mod values;

use std::path::{Path, PathBuf};
use std::{env, fs};

#[test]
fn the_page_of_findings_is_up_to_date() {
    check("docs/findings.md", &findings::page());
}

#[test]
fn the_page_of_presets_is_up_to_date() {
    check("docs/presets.md", &presets::page());
}

#[cfg(all(feature = "operator", feature = "cluster"))]
#[test]
fn the_reference_of_the_command_line_is_up_to_date() {
    check("docs/cli.md", &cli::page());
}

#[cfg(all(feature = "operator", feature = "cluster"))]
#[test]
fn the_reference_of_the_plugin_is_up_to_date() {
    check("docs/kubectl.md", &cli::plugin_page());
}

#[test]
fn the_pages_show_the_outputs_of_the_golden_files() {
    for page in outputs::PAGES {
        check(page, &outputs::with_outputs(&read(page)));
    }
}

#[cfg(feature = "cluster")]
#[test]
fn the_page_of_the_rights_is_up_to_date() {
    check(rights::PAGE, &rights::page());
}

#[cfg(feature = "operator")]
#[test]
fn the_table_of_metrics_is_up_to_date() {
    check(metrics::PAGE, &metrics::page());
}

#[test]
fn the_values_table_in_the_readme_of_the_chart_is_up_to_date() {
    check(chart::README, &chart::readme());
}

#[test]
fn the_schema_of_the_values_is_up_to_date() {
    check(chart::SCHEMA, &chart::schema());
}

#[test]
fn the_custom_resource_definitions_are_up_to_date_and_the_chart_has_the_same() {
    let definitions = crds::all();
    for definition in &definitions {
        check(&format!("crds/{}", definition.file), &definition.plain());
        check(&format!("charts/winddown/templates/crds/{}", definition.file), &definition.template());
    }
    for directory in ["crds", "charts/winddown/templates/crds"] {
        let files = fs::read_dir(path(directory)).unwrap().map(|entry| entry.unwrap().file_name());
        let files: Vec<_> = files.filter(|file| file.to_string_lossy().ends_with(".yaml")).collect();
        assert_eq!(files.len(), definitions.len(), "{directory}: {files:?}");
    }
}

/// Compares a file with its generated text. With `UPDATE` set, writes the file first.
fn check(name: &str, generated: &str) {
    #[expect(clippy::disallowed_methods, reason = "a switch for developers, not a setting of the product")]
    if env::var("UPDATE").is_ok() {
        fs::write(path(name), generated).unwrap();
    }
    let written = fs::read_to_string(path(name)).unwrap_or_default();
    assert_eq!(stale(name, &written, generated), None);
}

/// The message for a file that differs from its generated text.
fn stale(name: &str, written: &str, generated: &str) -> Option<String> {
    if written == generated {
        return None;
    }
    let line =
        1 + written.lines().zip(generated.lines()).take_while(|(written, generated)| written == generated).count();
    Some(format!("{name} is out of date from line {line}: run `make generate` and read the differences"))
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

#[test]
fn a_changed_file_is_reported_with_its_first_changed_line() {
    assert_eq!(stale("a.md", "1\n2\n", "1\n2\n"), None);
    for (written, line) in [("1\nx\n", 2), ("", 1), ("1\n2\n3\n", 3), ("1\n", 2)] {
        let message = stale("a.md", written, "1\n2\n").unwrap();
        assert!(message.starts_with(&format!("a.md is out of date from line {line}:")), "{written:?}: {message}");
    }
}
