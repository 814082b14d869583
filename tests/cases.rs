//! Whole cases: what `winddown plan` says of a manifest, and the manifest it leaves. `UPDATE=1 cargo test --test cases`
//! writes the expectations anew; read the difference before committing it.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What every case has.
const ALWAYS: [(&str, &str); 2] = [("text", "plan.txt"), ("yaml", "output.yaml")];
/// What is held where the file is there.
const SOMETIMES: [(&str, &str); 4] =
    [("diff", "changes.diff"), ("json", "plan.json"), ("sarif", "findings.sarif"), ("svg", "timeline.svg")];

#[test]
fn every_case_is_planned_as_expected() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let cases: Vec<_> = folders(&cases).iter().flat_map(|shelf| folders(shelf)).collect();
    assert!(cases.len() >= 10, "only {} cases found", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let held = SOMETIMES.into_iter().filter(|(_, file)| case.join(file).exists());
        for (format, file) in ALWAYS.into_iter().chain(held) {
            if let Some(difference) = check(&case, format, file) {
                wrong.push(difference);
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n(UPDATE=1 writes what is said now)", wrong.join("\n"));
}

/// The folders in a folder, in order.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

fn check(case: &Path, format: &str, file: &str) -> Option<String> {
    let ran = Command::new(env!("CARGO_BIN_EXE_winddown"))
        .args(["plan", "-f", "input.yaml", "-o", format])
        .current_dir(case)
        .output()
        .unwrap();
    let findings_go_to_stderr = matches!(format, "yaml" | "diff" | "svg");
    assert!(
        ran.stderr.is_empty() || findings_go_to_stderr,
        "{}: {}",
        case.display(),
        String::from_utf8_lossy(&ran.stderr)
    );
    let mut said = String::from_utf8(ran.stdout).unwrap();
    if format == "text" {
        said = format!("{said}\nexit {}\n", ran.status.code().unwrap());
    }
    // A new version alone changes nothing.
    said = said.replace(concat!("\"", env!("CARGO_PKG_VERSION"), "\""), "\"VERSION\"");
    let expected = case.join(file);
    #[expect(clippy::disallowed_methods, reason = "whether to write the expectations anew")]
    if env::var("UPDATE").is_ok() {
        fs::write(&expected, &said).unwrap();
    }
    let written = fs::read_to_string(&expected).unwrap_or_default();
    (written != said).then(|| format!("--- {}\n{written}\n+++ now\n{said}", expected.display()))
}
