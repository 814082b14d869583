//! The programs that the tests need: kubectl, helm, etcd, the control plane.
//!
//! `e2e/tools/get` builds what is missing, once; folders that are given in `KUBEBUILDER_ASSETS` (as envtest does) come
//! first, and what is there is not built.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, io};

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    directories: Vec<PathBuf>,
    path: OsString,
}

/// Why there are no tools.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The script that builds them is not to be started.
    #[error("cannot run {}", .0.display())]
    Script(PathBuf, #[source] io::Error),
    /// It says itself why.
    #[error("e2e/tools/get could not get {0}; its last words are above")]
    Get(String),
    /// Two lists of folders that cannot be one.
    #[error("a folder of tools has a ':' in its name")]
    Path(#[from] env::JoinPathsError),
    /// It is in none of the folders.
    #[error("there is no {program} in {}", .path.display())]
    Missing {
        /// The program.
        program: String,
        /// The folders.
        path: OsString,
    },
}

/// Gets tools by the names that `e2e/tools/get` knows; the first call on a machine may take minutes, and says so.
pub fn get(names: &[&str]) -> Result<Tools, Error> {
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let is_there = |name: &&str| assets.as_ref().is_some_and(|assets| assets.join(name).is_file());
    let missing: Vec<_> = names.iter().filter(|name| !is_there(name)).copied().collect();
    let mut directories: Vec<_> = assets.into_iter().collect();
    if !missing.is_empty() {
        directories.extend(built(&missing)?);
    }
    let inherited = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(directories.iter().cloned().chain(env::split_paths(&inherited)))?;
    Ok(Tools { directories, path })
}

fn built(names: &[&str]) -> Result<Vec<PathBuf>, Error> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/get");
    let output = Command::new(&script)
        .args(names)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Error::Script(script, error))?;
    if !output.status.success() {
        return Err(Error::Get(names.join(", ")));
    }
    let path = String::from_utf8_lossy(&output.stdout);
    Ok(env::split_paths(path.trim()).collect())
}

impl Tools {
    /// A command that runs one of the tools, and finds all of them on its `PATH`.
    pub fn command(&self, program: &str) -> Result<Command, Error> {
        let mut command = Command::new(self.file(program)?);
        command.env("PATH", &self.path);
        Ok(command)
    }

    /// Where a tool is.
    pub fn file(&self, program: &str) -> Result<PathBuf, Error> {
        let found = self.directories.iter().map(|directory| directory.join(program)).find(|file| file.is_file());
        found.ok_or_else(|| Error::Missing { program: program.to_owned(), path: self.path() })
    }

    /// The tools' folders and those of the inherited `PATH`, for a `PATH` of one's own.
    #[must_use]
    pub fn path(&self) -> OsString {
        self.path.as_os_str().to_owned()
    }
}
