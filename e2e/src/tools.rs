//! The programs that the tests run: kubectl, helm, etcd and the control plane.
//!
//! `e2e/tools/get` builds missing programs once. The folder in `KUBEBUILDER_ASSETS` (set by envtest) takes precedence;
//! programs found there are not built.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// The folders that contain the programs.
#[derive(Clone, Debug)]
pub struct Tools {
    directories: Vec<PathBuf>,
    path: OsString,
}

/// Gets programs by the names that `e2e/tools/get` accepts. The first call on a machine may take minutes.
pub(crate) fn get(names: &[&str]) -> Result<Tools> {
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let in_assets = |name: &&str| assets.as_ref().is_some_and(|assets| assets.join(name).is_file());
    let missing: Vec<_> = names.iter().filter(|name| !in_assets(name)).copied().collect();
    let mut directories: Vec<_> = assets.into_iter().collect();
    if !missing.is_empty() {
        directories.extend(build(&missing)?);
    }
    let inherited = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(directories.iter().cloned().chain(env::split_paths(&inherited)))
        .context("a tools folder has ':' in its name")?;
    Ok(Tools { directories, path })
}

/// The operator of an earlier commit, with other numbers. The first call on a machine takes minutes.
pub(crate) fn earlier_operator() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/earlier");
    let output = Command::new(&script).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("run {}", script.display()))?;
    ensure!(output.status.success(), "e2e/tools/earlier failed ({})", output.status);
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Runs `e2e/tools/get` and returns the folders that it prints.
fn build(names: &[&str]) -> Result<Vec<PathBuf>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/get");
    let output = Command::new(&script).args(names).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("run {}", script.display()))?;
    ensure!(output.status.success(), "e2e/tools/get {} failed ({})", names.join(" "), output.status);
    let path = String::from_utf8_lossy(&output.stdout);
    Ok(env::split_paths(path.trim()).collect())
}

impl Tools {
    /// A command that runs one of the programs, with all of them in its `PATH`.
    pub fn command(&self, program: &str) -> Result<Command> {
        let mut files = self.directories.iter().map(|directory| directory.join(program));
        let file = files.find(|file| file.is_file());
        let mut command = Command::new(file.with_context(|| format!("no {program} in {:?}", self.directories))?);
        command.env("PATH", &self.path);
        Ok(command)
    }
}
