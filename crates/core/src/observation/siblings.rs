//! The pods of each workload by template, from which the cause of a deletion follows.

use std::collections::HashMap;
use std::sync::Arc;

use crate::kind::Kind;
use crate::observation::{Cause, Timestamp, WorkloadRef};

/// How many templates of a workload are told apart. There is one; two or three during rollouts.
const MAX_TEMPLATES: usize = 32;

/// The templates of each workload that has pods.
#[derive(Debug, Default)]
pub(crate) struct Siblings(HashMap<Arc<WorkloadRef>, Vec<Template>>);

#[derive(Debug)]
struct Template {
    hash: Arc<str>,
    pods: u32,
    /// Those that are not stopping.
    standing: u32,
    /// When the newest of its pods was created, also if that is gone.
    newest: Timestamp,
}

impl Siblings {
    /// Adds a pod. The returned values are shared by all pods of the workload.
    pub(crate) fn join(
        &mut self,
        workload: WorkloadRef,
        hash: &str,
        created: Timestamp,
    ) -> (Arc<WorkloadRef>, Arc<str>) {
        let workload = self.0.get_key_value(&workload).map_or_else(|| Arc::new(workload), |(known, _)| known.clone());
        let templates = self.0.entry(workload.clone()).or_insert_with(|| Vec::with_capacity(1));
        if let Some(template) = templates.iter_mut().find(|template| *template.hash == *hash) {
            template.pods = template.pods.saturating_add(1);
            template.standing = template.standing.saturating_add(1);
            template.newest = template.newest.max(created);
            return (workload, template.hash.clone());
        }
        let hash: Arc<str> = hash.into();
        if templates.len() < MAX_TEMPLATES {
            templates.push(Template { hash: hash.clone(), pods: 1, standing: 1, newest: created });
        }
        (workload, hash)
    }

    /// A pod begins to stop.
    pub(crate) fn stop(&mut self, workload: &WorkloadRef, hash: &str) {
        if let Some(template) = self.template(workload, hash) {
            template.standing = template.standing.saturating_sub(1);
        }
    }

    /// Removes a pod that has begun to stop.
    pub(crate) fn leave(&mut self, workload: &WorkloadRef, hash: &str) {
        if let Some(template) = self.template(workload, hash) {
            template.pods = template.pods.saturating_sub(1);
        }
        if let Some(templates) = self.0.get_mut(workload) {
            templates.retain(|template| template.pods > 0);
            if templates.is_empty() {
                self.0.remove(workload);
            }
        }
    }

    fn template(&mut self, workload: &WorkloadRef, hash: &str) -> Option<&mut Template> {
        self.0.get_mut(workload)?.iter_mut().find(|template| *template.hash == *hash)
    }

    /// Why a pod was deleted that was created and whose deletion was requested at these times.
    ///
    /// The controllers of `StatefulSets` and `DaemonSets` create the next pod only after the end of this one, so that a
    /// rollout, a smaller number of replicas and a deletion by hand look the same at first.
    pub(crate) fn cause(&self, workload: &WorkloadRef, hash: &str, created: Timestamp, requested: Timestamp) -> Cause {
        let templates = self.0.get(workload).map(Vec::as_slice).unwrap_or_default();
        if templates.iter().any(|template| *template.hash != *hash && template.newest > created) {
            return Cause::Rollout;
        }
        match templates.iter().find(|template| *template.hash == *hash) {
            Some(own) if own.newest > created && own.newest >= requested => Cause::PodDeletion,
            Some(own) if own.standing > 0 && workload.kind == Kind::Deployment => Cause::ScaleDown,
            _ => Cause::Deletion,
        }
    }

    /// How many workloads have pods.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, Kind, MAX_TEMPLATES, Siblings, Timestamp, WorkloadRef};

    fn workload(kind: Kind) -> WorkloadRef {
        WorkloadRef { kind, namespace: "shop".to_owned(), name: "web".to_owned() }
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
                siblings.join(workload(kind), hash, Timestamp::from_second(*created));
            }
            siblings.stop(&workload(kind), "a");
            let (created, requested) = (Timestamp::from_second(100), Timestamp::from_second(200));
            assert_eq!(siblings.cause(&workload(kind), "a", created, requested), expected, "{kind} {others:?}");
        }
    }

    #[test]
    fn nothing_remains_of_workloads_without_pods_and_templates_are_limited() {
        let (mut siblings, web, time) = (Siblings::default(), workload(Kind::Deployment), Timestamp::from_second(1));
        let hashes: Vec<_> = (0..10 * MAX_TEMPLATES).map(|hash| hash.to_string()).collect();
        for hash in &hashes {
            siblings.join(web.clone(), hash, time);
        }
        assert_eq!(siblings.0[&web].len(), MAX_TEMPLATES);
        for hash in &hashes {
            siblings.stop(&web, hash);
            siblings.leave(&web, hash);
        }
        assert_eq!(siblings.len(), 0);
    }
}
