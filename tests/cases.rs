//! Golden cases: the output of `winddown plan` for a manifest, in several formats. `make generate` writes the expected
//! files; read the differences before a commit.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Formats that every case has, with their files.
const REQUIRED: [(&str, &str); 2] = [("text", "plan.txt"), ("yaml", "output.yaml")];
/// Formats that are compared if the file exists.
const OPTIONAL: [(&str, &str); 5] = [
    ("table", "table.txt"),
    ("diff", "changes.diff"),
    ("json", "plan.json"),
    ("sarif", "findings.sarif"),
    ("svg", "timeline.svg"),
];
/// The file with more arguments of the command, if a case needs some.
const ARGUMENTS: &str = "arguments";

#[test]
fn every_case_has_the_expected_output() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let cases: Vec<_> = directories(&cases).iter().flat_map(|group| directories(group)).collect();
    assert!(cases.len() >= 10, "only {} cases found", cases.len());
    let mut differences = Vec::new();
    for case in cases {
        let optional = OPTIONAL.into_iter().filter(|(_, file)| case.join(file).exists());
        for (format, file) in REQUIRED.into_iter().chain(optional) {
            if let Some(difference) = check(&case, format, file) {
                differences.push(difference);
            }
        }
    }
    assert!(differences.is_empty(), "{}\n(`make generate` writes the expected files)", differences.join("\n"));
}

/// The subdirectories, sorted.
fn directories(directory: &Path) -> Vec<PathBuf> {
    let mut directories: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    directories.retain(|path| path.is_dir());
    directories.sort();
    directories
}

fn check(case: &Path, format: &str, file: &str) -> Option<String> {
    let more = fs::read_to_string(case.join(ARGUMENTS)).unwrap_or_default();
    let output = Command::new(env!("CARGO_BIN_EXE_winddown"))
        .args(["plan", "-f", "input.yaml", "-o", format])
        .args(more.split_whitespace())
        .current_dir(case)
        .output()
        .unwrap();
    let has_findings_on_stderr = matches!(format, "yaml" | "diff" | "svg");
    assert!(
        output.stderr.is_empty() || has_findings_on_stderr,
        "{}: {}",
        case.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let mut actual = String::from_utf8(output.stdout).unwrap();
    if format == "text" {
        actual = format!("{actual}\nexit {}\n", output.status.code().unwrap());
    }
    // The version of the package is not part of the expectation.
    actual = actual.replace(concat!("\"", env!("CARGO_PKG_VERSION"), "\""), "\"VERSION\"");
    let expected = case.join(file);
    #[expect(clippy::disallowed_methods, reason = "a switch for developers, not a setting of the product")]
    if env::var("UPDATE").is_ok() {
        fs::write(&expected, &actual).unwrap();
    }
    let written = fs::read_to_string(&expected).unwrap_or_default();
    (written != actual).then(|| format!("--- {}\n{written}\n+++ now\n{actual}", expected.display()))
}
