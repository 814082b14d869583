//! Collects the workloads of all inputs, and every problem with an input.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;

use super::input::Input;
use crate::render::sanitize::sanitize;
use crate::render::workload::qualified_name;
use winddown_core::kind::Kind;
use winddown_core::manifest::{self, Manifest, Skipped, Stream, kustomization};
use winddown_core::policy::Policy;
use winddown_core::related::Related;

/// What the inputs contain. An input that cannot be used does not affect the others.
#[derive(Default)]
pub(super) struct Loaded {
    /// Each with the name of its file.
    pub(super) workloads: Vec<(Rc<str>, Manifest)>,
    /// All documents without their workloads, if they are kept.
    pub(super) documents: Vec<Value>,
    /// The objects of all files that say more about the workloads.
    pub(super) related: Related,
    /// The policies of all files.
    pub(super) policies: Vec<Policy>,
    /// The number of other objects by kind.
    pub(super) others: BTreeMap<String, usize>,
    /// Skipped objects and files, one line each.
    pub(super) notes: Vec<String>,
    /// Problems that make the result incomplete, one line each.
    pub(super) errors: Vec<String>,
}

/// Whether a file is the one that every directory of kustomize has.
fn is_kustomization(name: &str) -> bool {
    let file = Path::new(name).file_name();
    ["kustomization.yaml", "kustomization.yml", "Kustomization"].into_iter().any(|known| file == Some(known.as_ref()))
}

/// A path without `.` and `..`, as far as that is possible without reading the file system.
fn normalized(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if normalized.file_name().is_some() => {
                normalized.pop();
            }
            part => normalized.push(part),
        }
    }
    normalized
}

impl Loaded {
    /// Reads the inputs one after another. `keep_all`: also keeps the objects that are no workloads.
    pub(super) fn read(
        inputs: impl Iterator<Item = Input>,
        policies: impl Iterator<Item = Input>,
        keep_all: bool,
    ) -> Self {
        let (mut loaded, mut patches) = (Self::default(), HashSet::new());
        for Input { name, discovered, text } in inputs {
            let file: Rc<str> = sanitize(&name).into();
            if discovered && is_kustomization(&name) {
                loaded.notes.push(format!("{file}: skipped: kustomize reads it, and it describes no object"));
                let files = text.as_deref().map(kustomization::patches).unwrap_or_default();
                patches.extend(files.iter().map(|patch| normalized(&Path::new(&name).with_file_name(patch))));
                continue;
            }
            match text {
                Ok(text) => {
                    let stream = if keep_all { manifest::read_all(&text) } else { manifest::read(&text) };
                    loaded.add(&file, stream);
                }
                Err(error) => loaded.errors.push(format!("{file}: {error}")),
            }
        }
        loaded.leave_out(&patches);
        policies.for_each(|input| loaded.add_policies(input));
        loaded.related.place_unnamed();
        loaded
    }

    /// Leaves out the workloads in these files, each of which is only a part of one.
    fn leave_out(&mut self, patches: &HashSet<PathBuf>) {
        let is_patch = |file: &str| patches.contains(&normalized(Path::new(file)));
        let (parts, workloads) = std::mem::take(&mut self.workloads).into_iter().partition(|(file, _)| is_patch(file));
        self.workloads = workloads;
        for (file, part) in parts {
            let Manifest { lines, kind, object, slot, .. } = part;
            let (line, name) = (lines.first(), qualified_name(&object));
            self.errors.push(format!(
                "{file}: line {line}: {kind} {name} is a patch of a kustomization, and no whole object; evaluate the output \
                 of kustomize build"
            ));
            slot.fill(&mut self.documents, object);
        }
    }

    fn add(&mut self, file: &Rc<str>, stream: Stream) {
        let first_document = self.documents.len();
        self.errors.extend(stream.errors.iter().map(|error| format!("{file}: {error}")));
        self.documents.extend(stream.documents);
        self.related.extend(stream.related);
        self.policies.extend(stream.policies);
        for mut workload in stream.workloads {
            workload.slot.document += first_document;
            self.workloads.push((Rc::clone(file), workload));
        }
        for (kind, count) in stream.others {
            *self.others.entry(kind).or_default() += count;
        }
        self.notes.extend(stream.skipped.into_iter().map(|skipped| format!("{file}: {}", describe(&skipped))));
    }

    /// Adds policies and namespaces of a file with nothing else of interest.
    fn add_policies(&mut self, Input { name, text, .. }: Input) {
        let file = sanitize(&name);
        let stream = match text {
            Ok(text) => manifest::read(&text),
            Err(error) => return self.errors.push(format!("{file}: {error}")),
        };
        self.errors.extend(stream.errors.iter().map(|error| format!("{file}: {error}")));
        if stream.policies.is_empty() && !stream.related.has_labelled_namespace() && stream.errors.is_empty() {
            self.errors.push(format!("{file}: contains neither a ShutdownPolicy nor a Namespace with labels"));
        }
        self.related.extend(stream.related);
        self.policies.extend(stream.policies);
    }

    /// The number of other objects by kind, for example `ConfigMap 1, Service 3`.
    pub(super) fn others(&self) -> String {
        const SHOWN: usize = 20;
        let counts = self.others.iter().take(SHOWN).map(|(kind, count)| format!("{kind} {count}"));
        let shown = counts.collect::<Vec<_>>().join(", ");
        match self.others.len().saturating_sub(SHOWN) {
            0 => shown,
            more => format!("{shown} and {more} more kinds"),
        }
    }
}

fn describe(skipped: &Skipped) -> String {
    let Skipped { line, api_version, kind, name, has_annotations } = skipped;
    let supported = Kind::API_VERSION;
    let no_effect = if *has_annotations { "; its winddown.dev annotations have no effect" } else { "" };
    format!(
        "line {line}: {kind} {name} ({api_version}) skipped: only {supported} Deployments, StatefulSets and DaemonSets are \
         supported{no_effect}"
    )
}
