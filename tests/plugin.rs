//! The binary under the name of the plugin.
#![cfg(all(feature = "operator", unix))]
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};

fn run(name: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_winddown")).arg0(name).args(arguments).output().unwrap()
}

#[test]
fn commands_of_the_image_are_refused_in_the_plugin() {
    for arguments in [&["run"][..], &["run", "--help"], &["run", "--no-such-flag"], &["check-install"]] {
        let refused = run("kubectl-winddown", arguments);
        let reason = format!("error: {:?} is not a command of the plugin of kubectl", arguments[0]);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && text.starts_with(&reason), "{arguments:?}: {refused:?}");
    }
    assert!(run("winddown", &["run", "--help"]).status.success());
}
