//! The command lines that run for real.

/// A command line, and the files that it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) command: &'static [&'static str],
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Programs that it needs besides the first.
    pub(crate) programs: &'static [&'static str],
    /// See `Case::prefer`.
    pub(crate) prefer: Option<&'static str>,
    /// Whether it changes the user.
    pub(crate) changes_user: bool,
}

/// The scripts of a package: `start` is run by a shell, and `exec` replaces it.
const PACKAGE: &[(&str, &str)] =
    &[("package.json", r#"{"name": "app", "version": "1.0.0", "scripts": {"start": "./app", "exec": "exec ./app"}}"#)];

const fn row(command: &'static [&'static str]) -> Row {
    Row { command, files: &[], programs: &[], prefer: None, changes_user: false }
}

const fn package(command: &'static [&'static str]) -> Row {
    Row { files: PACKAGE, programs: &["npm"], ..row(command) }
}

/// Programs that every machine with these tests has: rows that start with them are never skipped.
pub(crate) const ALWAYS: &[&str] = &["./app", "sh", "bash"];

/// What `ROWS[0]` is not: the app is killed.
pub(crate) const CONTROL_KILLED: Row = row(&["sh", "-c", "true; ./app"]);

pub(crate) const ROWS: &[Row] = &[
    // Shells.
    row(&["./app"]),
    row(&["sh", "-c", "./app"]),
    row(&["sh", "-c", "true; ./app"]),
    row(&["sh", "-c", "true && ./app"]),
    row(&["sh", "-c", "exec ./app"]),
    row(&["sh", "-c", "true && exec ./app"]),
    row(&["sh", "-c", "./app & wait"]),
    row(&["sh", "-c", "./app | cat"]),
    row(&["bash", "-c", "./app"]),
    row(&["bash", "-c", "true && ./app"]),
    row(&["bash", "-c", "./app > log"]),
    row(&["bash", "-c", "./app & wait"]),
    row(&["bash", "-c", "trap 'kill $pid; wait $pid' TERM; ./app & pid=$!; wait $pid"]),
    // Init processes.
    row(&["tini", "--", "./app"]),
    row(&["tini", "-g", "--", "sh", "-c", "true; ./app"]),
    package(&["tini", "--", "npm", "start"]),
    package(&["tini", "-g", "--", "npm", "start"]),
    // Package managers.
    package(&["npm", "start"]),
    package(&["npx", "-c", "./app"]),
    package(&["pnpm", "start"]),
    package(&["pnpm", "exec", "./app"]),
];
