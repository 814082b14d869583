//! The workloads of one kind that exist: of each one, what tells whether there is something to do.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;

use super::watched::Watched;

/// By namespace, then by name.
#[derive(Debug, Default)]
pub(super) struct Table {
    namespaces: HashMap<Box<str>, HashMap<Box<str>, Entry>>,
    /// The number of the current list.
    list: u32,
}

/// Small, because most of ten thousand workloads have no annotations.
#[derive(Debug)]
struct Entry {
    uid: Box<str>,
    generation: Option<i64>,
    created: Option<Timestamp>,
    is_deleted: bool,
    annotations: Option<u64>,
    labels: u64,
    /// The newest version that was evaluated.
    evaluated: u64,
    /// The list that last had it, or that came before its last change.
    list: u32,
}

/// What a workload was before a change.
#[derive(Clone, Debug)]
pub(super) enum Before {
    /// It did not exist.
    New,
    /// Another one had its name.
    Replaced(Watched),
    /// Itself.
    Same(Watched),
}

impl Table {
    pub(super) fn begin_list(&mut self) {
        self.list = self.list.wrapping_add(1);
    }

    /// Returns the workloads that the list does not have: while a watch is interrupted, deletions are not reported.
    pub(super) fn end_list(&mut self) -> Vec<Watched> {
        let list = self.list;
        let mut gone = Vec::new();
        self.namespaces.retain(|namespace, workloads| {
            let missing = workloads.extract_if(|_, entry| entry.list != list);
            gone.extend(missing.map(|(name, entry)| entry.watched(namespace, &name)));
            !workloads.is_empty()
        });
        gone
    }

    /// A workload is new or has changed.
    pub(super) fn insert(&mut self, watched: &Watched) -> Before {
        let metadata = &watched.metadata;
        let (Some(namespace), Some(name)) = (metadata.namespace.as_deref(), metadata.name.as_deref()) else {
            return Before::New;
        };
        let mut entry = Entry::new(watched, self.list);
        if !self.namespaces.contains_key(namespace) {
            self.namespaces.insert(namespace.into(), HashMap::new());
        }
        let Some(workloads) = self.namespaces.get_mut(namespace) else { return Before::New };
        let Some(known) = workloads.get_mut(name) else {
            workloads.insert(name.into(), entry);
            return Before::New;
        };
        let before = known.watched(namespace, name);
        if known.uid == entry.uid {
            entry.evaluated = known.evaluated;
            *known = entry;
            Before::Same(before)
        } else {
            *known = entry;
            Before::Replaced(before)
        }
    }

    pub(super) fn remove(&mut self, watched: &Watched) {
        let metadata = &watched.metadata;
        let (Some(namespace), Some(name)) = (metadata.namespace.as_deref(), metadata.name.as_deref()) else { return };
        if let Some(workloads) = self.namespaces.get_mut(namespace) {
            workloads.remove(name);
            if workloads.is_empty() {
                self.namespaces.remove(namespace);
            }
        }
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Watched> {
        Some(self.namespaces.get(namespace)?.get(name)?.watched(namespace, name))
    }

    pub(super) fn in_namespace(&self, namespace: &str) -> Vec<Watched> {
        let workloads = self.namespaces.get(namespace).into_iter().flatten();
        workloads.map(|(name, entry)| entry.watched(namespace, name)).collect()
    }

    /// Whether the workload still exists, not only another one with its name.
    pub(super) fn has(&self, watched: &Watched) -> bool {
        self.entry(watched).is_some()
    }

    /// Asks to report what was found in this version of a workload; `false` if a newer one was evaluated. A watch can be behind
    /// a read, and a read can end after the next event of the watch. `resourceVersion`s of one object increase (KEP-5504).
    pub(super) fn claim(&mut self, watched: &Watched, version: Option<&str>) -> bool {
        let (Some(entry), Some(version)) = (self.entry_mut(watched), version.and_then(|text| text.parse().ok())) else {
            return true;
        };
        let is_newest = version >= entry.evaluated;
        entry.evaluated = entry.evaluated.max(version);
        is_newest
    }

    fn entry(&self, watched: &Watched) -> Option<&Entry> {
        let ObjectMeta { namespace, name, uid, .. } = &watched.metadata;
        let entry = self.namespaces.get(namespace.as_deref()?)?.get(name.as_deref()?)?;
        (Some(&*entry.uid) == uid.as_deref()).then_some(entry)
    }

    fn entry_mut(&mut self, watched: &Watched) -> Option<&mut Entry> {
        let ObjectMeta { namespace, name, uid, .. } = &watched.metadata;
        let entry = self.namespaces.get_mut(namespace.as_deref()?)?.get_mut(name.as_deref()?)?;
        (Some(&*entry.uid) == uid.as_deref()).then_some(entry)
    }
}

impl Entry {
    fn new(watched: &Watched, list: u32) -> Self {
        let Watched { metadata, annotations, labels, .. } = watched;
        Self {
            uid: metadata.uid.as_deref().unwrap_or_default().into(),
            generation: metadata.generation,
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            is_deleted: metadata.deletion_timestamp.is_some(),
            annotations: *annotations,
            labels: *labels,
            evaluated: 0,
            list,
        }
    }

    /// Without the number of pods.
    fn watched(&self, namespace: &str, name: &str) -> Watched {
        let metadata = ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            uid: Some(self.uid.to_string()),
            generation: self.generation,
            creation_timestamp: self.created.map(Time),
            // Only whether there is one counts.
            deletion_timestamp: self.is_deleted.then_some(Time(Timestamp::UNIX_EPOCH)),
            ..ObjectMeta::default()
        };
        Watched { metadata, annotations: self.annotations, labels: self.labels, pods: 0, object: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(name: &str, uid: &str) -> Watched {
        let text = |text: &str| Some(text.to_owned());
        let metadata =
            ObjectMeta { namespace: text("shop"), name: text(name), uid: text(uid), ..ObjectMeta::default() };
        Watched { metadata, annotations: Some(1), labels: 2, pods: 0, object: None }
    }

    fn names(found: &[Watched]) -> Vec<&str> {
        let mut names: Vec<_> = found.iter().filter_map(|watched| watched.metadata.name.as_deref()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_a_reconciliation_needs_is_kept() {
        let mut table = Table::default();
        let mut web = watched("web", "1");
        web.metadata.generation = Some(7);
        web.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        web.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert!(matches!(table.insert(&web), Before::New));
        let kept = table.get("shop", "web").unwrap();
        assert_eq!(kept.metadata, web.metadata);
        assert_eq!(kept.relevant(true), web.relevant(true));
        assert!(matches!(table.insert(&watched("web", "1")), Before::Same(before) if before.metadata == web.metadata));
        assert!(matches!(table.insert(&watched("web", "2")), Before::Replaced(_)));
        assert_eq!((table.has(&watched("web", "1")), table.has(&watched("web", "2"))), (false, true));
    }

    #[test]
    fn a_complete_list_shows_what_is_gone() {
        let mut table = Table::default();
        for name in ["api", "db", "web"] {
            table.insert(&watched(name, name));
        }
        table.begin_list();
        table.insert(&watched("web", "web"));
        // It ended early.
        table.begin_list();
        table.insert(&watched("api", "api"));
        assert_eq!(names(&table.in_namespace("shop")), ["api", "db", "web"]);
        assert_eq!(names(&table.end_list()), ["db", "web"]);
        assert_eq!(names(&table.in_namespace("shop")), ["api"]);
        table.remove(&watched("api", "api"));
        assert!(table.namespaces.is_empty());
    }

    #[test]
    fn an_older_version_is_not_reported_after_a_newer_one() {
        let mut table = Table::default();
        let web = watched("web", "1");
        table.insert(&web);
        for (version, is_newest) in [(Some("9"), true), (Some("10"), true), (Some("9"), false), (Some("10"), true)] {
            assert_eq!(table.claim(&web, version), is_newest, "{version:?}");
        }
        table.insert(&web);
        assert!(!table.claim(&web, Some("9")), "after another change");
        for unknown in [None, Some(""), Some("x")] {
            assert!(table.claim(&web, unknown), "{unknown:?}");
        }
        assert!(table.claim(&watched("web", "2"), Some("1")), "another one");
    }
}
