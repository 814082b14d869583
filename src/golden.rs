//! Golden files: the outputs of commands that need a cluster, from values. `tests/golden` has them, and the pages in `docs`
//! include some. `make generate` writes them; read the differences before a commit.

#![expect(clippy::unwrap_used, reason = "only tests use this")]

use std::path::Path;
use std::{env, fs, io};

/// Compares a text with its golden file, for example `status/table`.
#[track_caller]
pub(crate) fn check(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).with_extension("txt");
    #[expect(clippy::disallowed_methods, reason = "a switch for developers, not a setting of the product")]
    if env::var("UPDATE").is_ok() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == actual, "`make generate` writes {}\n{written}\n+++ now\n{actual}", path.display());
}

/// What is written to an output that is no terminal.
pub(crate) fn text_of(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}
