//! The result for one setting, as it is kept between runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::cost::Cost;
use super::setting::{FORMS, NETWORKS, Setting};
use crate::load::{Connections, Counts};

/// The result for one setting.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Measurement {
    pub(super) setting: Setting,
    /// Such as `2026-11-26`.
    pub(super) date: String,
    /// Such as `Kubernetes v1.37.2`.
    pub(super) versions: Vec<String>,
    /// Requests per second of each kind.
    pub(super) rate: u32,
    /// One for each rollout.
    pub(super) costs: Vec<Cost>,
    pub(super) rows: Vec<(Connections, Counts)>,
}

impl Measurement {
    /// Replaces the file of an earlier run.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let file = file(folder, self.setting);
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        fs::write(&file, serde_json::to_string_pretty(self)? + "\n")
            .with_context(|| format!("write {}", file.display()))
    }

    /// All settings that were measured, in this run or an earlier one.
    pub(super) fn read_all(folder: &Path) -> Result<Vec<Self>> {
        let settings = NETWORKS.iter().flat_map(|network| FORMS.map(|form| Setting { network: *network, form }));
        settings.filter_map(|setting| read(&file(folder, setting)).transpose()).collect()
    }
}

fn file(folder: &Path, setting: Setting) -> PathBuf {
    folder.join(setting.to_string().replace('/', "-")).with_extension("json")
}

fn read(file: &Path) -> Result<Option<Measurement>> {
    match fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("parse {}", file.display())).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}
