//! The pods of each workload by template, from which the cause of a deletion and the number of pods with a budget follow.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::kind::Kind;
use crate::observation::{Cause, Timestamp, WorkloadRef};

/// How many templates of a workload are told apart. There is one; two or three during rollouts.
const MAX_TEMPLATES: usize = 32;

/// The templates of each workload that has pods.
#[derive(Debug, Default)]
pub(crate) struct Siblings {
    workloads: HashMap<Arc<WorkloadRef>, Vec<Template>>,
    /// The workloads of which pods came, began to stop or went.
    changed: HashSet<Arc<WorkloadRef>>,
}

#[derive(Debug)]
struct Template {
    revision: Arc<Revision>,
    pods: u32,
    /// Those that are not stopping.
    standing: u32,
    /// When the newest of its pods was created, also if that is gone.
    newest: Timestamp,
}

/// A template as its pods show it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// The hash that the workload's controller set.
    pub(crate) hash: Arc<str>,
    /// The budget that was injected, as [`crate::observation::carried_hash`].
    pub(crate) carried: Option<u64>,
}

impl Siblings {
    /// Adds a pod. The returned values are shared by all pods of the workload.
    pub(crate) fn join(
        &mut self,
        workload: WorkloadRef,
        hash: &str,
        carried: Option<u64>,
        created: Timestamp,
    ) -> (Arc<WorkloadRef>, Arc<Revision>) {
        let (workload, templates) = match self.workloads.entry(Arc::new(workload)) {
            Entry::Occupied(entry) => (entry.key().clone(), entry.into_mut()),
            Entry::Vacant(entry) => (entry.key().clone(), entry.insert(Vec::with_capacity(1))),
        };
        self.changed.insert(workload.clone());
        let known = |template: &&mut Template| *template.revision.hash == *hash && template.revision.carried == carried;
        if let Some(template) = templates.iter_mut().find(known) {
            template.pods = template.pods.saturating_add(1);
            template.standing = template.standing.saturating_add(1);
            template.newest = template.newest.max(created);
            return (workload, template.revision.clone());
        }
        let revision = Arc::new(Revision { hash: hash.into(), carried });
        if templates.len() < MAX_TEMPLATES {
            templates.push(Template { revision: revision.clone(), pods: 1, standing: 1, newest: created });
        }
        (workload, revision)
    }

    /// A pod begins to stop.
    pub(crate) fn stop(&mut self, workload: &Arc<WorkloadRef>, revision: &Revision) {
        if let Some(template) = self.template(workload, revision) {
            template.standing = template.standing.saturating_sub(1);
        }
        self.changed.insert(workload.clone());
    }

    /// Removes a pod that has begun to stop.
    pub(crate) fn leave(&mut self, workload: &Arc<WorkloadRef>, revision: &Revision) {
        self.changed.insert(workload.clone());
        if let Some(template) = self.template(workload, revision) {
            template.pods = template.pods.saturating_sub(1);
        }
        if let Some(templates) = self.workloads.get_mut(workload) {
            templates.retain(|template| template.pods > 0);
            if templates.is_empty() {
                self.workloads.remove(workload);
            }
        }
    }

    /// The number of pods that are not stopping: those with this budget, and those with another one.
    pub(crate) fn standing(&self, workload: &WorkloadRef, current: u64) -> (u32, u32) {
        let templates = self.workloads.get(workload).map(Vec::as_slice).unwrap_or_default();
        templates.iter().fold((0, 0), |(same, other), template| match template.revision.carried {
            None => (same, other),
            Some(carried) if carried == current => (same.saturating_add(template.standing), other),
            Some(_) => (same, other.saturating_add(template.standing)),
        })
    }

    /// The number of pods that are stopping or have ended.
    pub(crate) fn stopping(&self, workload: &WorkloadRef) -> u32 {
        let templates = self.workloads.get(workload).map(Vec::as_slice).unwrap_or_default();
        templates.iter().fold(0, |sum, template| sum.saturating_add(template.pods.saturating_sub(template.standing)))
    }

    /// As if the pods of every workload had changed.
    pub(crate) fn change_all(&mut self) {
        self.changed.extend(self.workloads.keys().cloned());
    }

    /// The workloads of which pods came, began to stop or went since the last call.
    pub(crate) fn take_changed(&mut self) -> HashSet<Arc<WorkloadRef>> {
        std::mem::take(&mut self.changed)
    }

    fn template(&mut self, workload: &WorkloadRef, revision: &Revision) -> Option<&mut Template> {
        self.workloads.get_mut(workload)?.iter_mut().find(|template| *template.revision == *revision)
    }

    /// Why a pod was deleted that was created and whose deletion was requested at these times.
    ///
    /// The controllers of `StatefulSets` and `DaemonSets` create the next pod only after the end of this one, so that a
    /// rollout, a smaller number of replicas and a deletion by hand look the same at first.
    pub(crate) fn cause(&self, workload: &WorkloadRef, hash: &str, created: Timestamp, requested: Timestamp) -> Cause {
        let templates = self.workloads.get(workload).map(Vec::as_slice).unwrap_or_default();
        if templates.iter().any(|template| *template.revision.hash != *hash && template.newest > created) {
            return Cause::Rollout;
        }
        let mut own = templates.iter().filter(|template| *template.revision.hash == *hash);
        if own.clone().any(|own| own.newest > created && own.newest >= requested) {
            Cause::PodDeletion
        } else if workload.kind == Kind::Deployment && own.any(|own| own.standing > 0) {
            Cause::ScaleDown
        } else {
            Cause::Deletion
        }
    }

    /// How many workloads have pods.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.workloads.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Cause, Kind, MAX_TEMPLATES, Revision, Siblings, Timestamp, WorkloadRef};

    fn workload(kind: Kind) -> WorkloadRef {
        WorkloadRef { kind, namespace: "shop".to_owned(), name: "web".to_owned() }
    }

    fn revision(hash: &str, carried: Option<u64>) -> Revision {
        Revision { hash: hash.into(), carried }
    }

    #[test]
    fn the_other_pods_tell_the_cause() {
        use Cause::{Deletion, PodDeletion, Rollout, ScaleDown};
        // The pod has template a, was created at 100 and deleted at 200.
        for (kind, others, expected) in [
            (Kind::Deployment, &[("a", 100), ("b", 199)][..], Rollout),
            (Kind::Deployment, &[("a", 100), ("b", 201)], Rollout),
            // The pods of an older template that is still there.
            (Kind::Deployment, &[("b", 50), ("a", 100)], ScaleDown),
            (Kind::Deployment, &[("a", 100)], ScaleDown),
            (Kind::Deployment, &[("a", 150)], ScaleDown),
            (Kind::Deployment, &[("a", 200)], PodDeletion),
            // A scale to 0, a rollout that deletes all pods first, or a deletion of the Deployment.
            (Kind::Deployment, &[], Deletion),
            (Kind::StatefulSet, &[("a", 100)], Deletion),
            (Kind::StatefulSet, &[("a", 100), ("b", 150)], Rollout),
            (Kind::DaemonSet, &[("a", 201)], PodDeletion),
        ] {
            let mut siblings = Siblings::default();
            for (hash, created) in [("a", 100)].iter().chain(others) {
                siblings.join(workload(kind), hash, None, Timestamp::from_second(*created));
            }
            siblings.stop(&Arc::new(workload(kind)), &revision("a", None));
            let (created, requested) = (Timestamp::from_second(100), Timestamp::from_second(200));
            assert_eq!(siblings.cause(&workload(kind), "a", created, requested), expected, "{kind} {others:?}");
        }
    }

    #[test]
    fn nothing_remains_of_workloads_without_pods_and_templates_are_limited() {
        let (mut siblings, web, time) = (Siblings::default(), workload(Kind::Deployment), Timestamp::from_second(1));
        let hashes: Vec<_> = (0..10 * MAX_TEMPLATES).map(|hash| hash.to_string()).collect();
        for hash in &hashes {
            siblings.join(web.clone(), hash, None, time);
        }
        assert_eq!(siblings.workloads[&web].len(), MAX_TEMPLATES);
        let web = Arc::new(web);
        for hash in &hashes {
            siblings.stop(&web, &revision(hash, None));
            siblings.leave(&web, &revision(hash, None));
        }
        assert_eq!(siblings.len(), 0);
    }

    #[test]
    fn pods_of_one_template_can_carry_different_budgets() {
        let mut siblings = Siblings::default();
        // A DaemonSet whose pods have no revision label: the budget alone tells them apart.
        for (carried, created) in [(Some(1), 100), (Some(1), 101), (Some(2), 200), (None, 300)] {
            siblings.join(workload(Kind::DaemonSet), "", carried, Timestamp::from_second(created));
        }
        let log = Arc::new(workload(Kind::DaemonSet));
        assert_eq!(siblings.standing(&log, 1), (2, 1));
        assert_eq!(siblings.standing(&log, 2), (1, 2));
        assert_eq!(siblings.standing(&log, 3), (0, 3));
        assert_eq!(siblings.standing(&workload(Kind::Deployment), 1), (0, 0));
        siblings.stop(&log, &revision("", Some(1)));
        assert_eq!(siblings.standing(&log, 1), (1, 1));
        let time = Timestamp::from_second;
        assert_eq!(siblings.cause(&log, "", time(100), time(150)), Cause::PodDeletion, "one of any budget replaces it");
    }

    #[test]
    fn a_workload_is_reported_when_its_pods_come_begin_to_stop_and_go() {
        let mut siblings = Siblings::default();
        let (web, a) = siblings.join(workload(Kind::Deployment), "a", None, Timestamp::from_second(1));
        siblings.join(workload(Kind::Deployment), "a", None, Timestamp::from_second(1));
        assert!(siblings.take_changed().iter().eq([&web]));
        assert_eq!((siblings.stopping(&web), siblings.take_changed().len()), (0, 0));
        siblings.stop(&web, &a);
        assert_eq!((siblings.stopping(&web), siblings.take_changed().len()), (1, 1));
        siblings.leave(&web, &a);
        assert_eq!((siblings.stopping(&web), siblings.take_changed().len()), (0, 1));
        siblings.change_all();
        assert_eq!(siblings.take_changed().len(), 1);
    }
}
