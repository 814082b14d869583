//! What each command asks of the API server, and so the rights that its user needs. `docs/rights.md` is generated from it, and
//! an API test gives a user the rights of that page, and takes away each one.

use winddown_core::kind::Kind;

/// The rights of one command.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The command, for example `drill --measure`.
    pub command: &'static str,
    /// The command whose rights it needs as well.
    pub also: Option<&'static str>,
    /// In the order of the page.
    pub rights: &'static [Right],
}

/// Verbs on resources of one API group, and what they are for.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resources, for example `pods/eviction`.
    pub resources: &'static [&'static str],
    /// The verbs.
    pub verbs: &'static [&'static str],
    /// Where.
    pub place: Place,
    /// What they are for.
    pub purpose: &'static str,
    /// What happens without them.
    pub without: &'static str,
}

/// Where a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the namespaces of the workloads; without `-n`, in those of `-A`.
    Workloads,
    /// In the whole cluster, also with `-n`.
    Cluster,
    /// In the namespace of the operator.
    Operator,
}

const fn right(
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    place: Place,
) -> Right {
    Right { group, resources, verbs, place, purpose: "", without: "" }
}

impl Right {
    /// What it is for, and what happens without it.
    const fn means(self, purpose: &'static str, without: &'static str) -> Self {
        Self { purpose, without, ..self }
    }
}

const WORKLOADS: &[&str] = &[Kind::Deployment.resource(), Kind::StatefulSet.resource(), Kind::DaemonSet.resource()];
const ADMISSION: &str = "admissionregistration.k8s.io";
/// What follows for the audit if objects beside the workloads cannot be read.
const WITHHELD: &str = "the findings that need it are withheld, and their codes are listed";
const BUDGETS: &[&str] = &["shutdownbudgets"];

/// The commands that read a cluster.
pub const ALL: [Needs; 6] = [STATUS, CHECK, RESTORE, AUDIT, DRILL, MEASURE];

const STATUS: Needs = Needs {
    command: "status",
    also: None,
    rights: &[
        right("winddown.dev", BUDGETS, &["list"], Place::Workloads).means("the table", "exit 2"),
        right("winddown.dev", BUDGETS, &["get"], Place::Workloads).means("a named workload", "exit 2"),
        right("winddown.dev", BUDGETS, &["watch"], Place::Workloads).means("`-w`", "exit 2 after the table"),
        right(Kind::GROUP, WORKLOADS, &["list"], Place::Workloads)
            .means("`-l`, and clusters without the definition of ShutdownBudget", "exit 2"),
        right(Kind::GROUP, WORKLOADS, &["get"], Place::Workloads)
            .means("a named workload without a ShutdownBudget", "exit 2"),
    ],
};

const CHECK: Needs = Needs {
    command: "check",
    also: None,
    rights: &[
        right(
            ADMISSION,
            &["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
            &["list"],
            Place::Cluster,
        )
        .means("the webhooks and their certificates", "these checks are unknown"),
        right("", &["namespaces"], &["list"], Place::Cluster)
            .means("which namespaces are excluded", "this check is unknown"),
        right("apiextensions.k8s.io", &["customresourcedefinitions"], &["get"], Place::Cluster)
            .means("the version of the definitions", "only whether they are installed is known"),
        right(Kind::GROUP, WORKLOADS, &["list"], Place::Cluster).means(
            "the operator; annotated workloads in excluded namespaces",
            "these checks are unknown; `--winddown-namespace` needs it in one namespace to find the operator",
        ),
        right(Kind::GROUP, WORKLOADS, &["create"], Place::Workloads)
            .means("whether the webhooks answer, as dry runs in the namespace of `-n`", "these checks are unknown"),
        right("winddown.dev", &["shutdownpolicies"], &["list"], Place::Cluster)
            .means("which policy raises a grace period", "only whether one does is known"),
        right("coordination.k8s.io", &["leases"], &["get"], Place::Operator)
            .means("the leader", "this check is unknown"),
        right("", &["secrets"], &["get"], Place::Operator).means("the stored certificate", "this check is unknown"),
    ],
};

const RESTORE: Needs = Needs {
    command: "restore",
    also: None,
    rights: &[
        right(Kind::GROUP, WORKLOADS, &["list"], Place::Workloads).means("`--all`", "exit 2; nothing is changed"),
        right(Kind::GROUP, WORKLOADS, &["get"], Place::Workloads)
            .means("a named workload; its rollout", "exit 2; `--wait 0` with `--all` does not need it"),
        right(Kind::GROUP, WORKLOADS, &["patch"], Place::Workloads)
            .means("the change, and its dry run before", "the workload is left as it is; exit 2"),
        right(Kind::GROUP, &["deployments"], &["list"], Place::Cluster).means(
            "without `--remove-annotations`: whether an operator runs, which would inject again",
            "a message; the dry run still asks the webhooks",
        ),
        right(ADMISSION, &["mutatingwebhookconfigurations"], &["list"], Place::Cluster).means(
            "where the operator is, which `--all` leaves out, and which would inject again without `--remove-annotations`",
            "a message; `--all` leaves out every Deployment with its labels and flags, which others may set; exit 1",
        ),
        right("", &["namespaces"], &["get"], Place::Workloads)
            .means("whether the namespace opts in, if Winddown injects again", "a message"),
    ],
};

const AUDIT: Needs = Needs {
    command: "audit",
    also: None,
    rights: &[
        right(Kind::GROUP, WORKLOADS, &["list"], Place::Workloads)
            .means("the workloads", "the other kinds are shown; exit 2"),
        right("", &["services"], &["list"], Place::Workloads).means("which workloads take requests", WITHHELD),
        right("autoscaling", &["horizontalpodautoscalers"], &["list"], Place::Workloads).means("autoscalers", WITHHELD),
        right("policy", &["poddisruptionbudgets"], &["list"], Place::Workloads).means("disruption budgets", WITHHELD),
        right("networking.k8s.io", &["ingresses"], &["list"], Place::Workloads)
            .means("the balancers in front", WITHHELD),
        right("networking.k8s.io", &["ingressclasses"], &["list"], Place::Cluster)
            .means("the controllers of these balancers", WITHHELD),
        right("keda.sh", &["scaledobjects"], &["list"], Place::Workloads)
            .means("autoscalers, where KEDA is installed", WITHHELD),
        right("", &["namespaces"], &["list"], Place::Cluster)
            .means("meshes and policies by the labels of namespaces", WITHHELD),
        right("", &["namespaces"], &["get"], Place::Workloads)
            .means("with `-n`: meshes and policies by the labels of the namespace", WITHHELD),
        right("winddown.dev", &["shutdownpolicies"], &["list"], Place::Cluster)
            .means("policies, where their definition is installed", "all budgets are under the built-in policy"),
    ],
};

const DRILL: Needs = Needs {
    command: "drill",
    also: None,
    rights: &[
        right(Kind::GROUP, WORKLOADS, &["get"], Place::Workloads).means("the workload", "exit 2; no pod is evicted"),
        right("", &["pods"], &["list", "watch"], Place::Workloads).means("its pods", "exit 2; no pod is evicted"),
        right("", &["pods/eviction"], &["create"], Place::Workloads)
            .means("the eviction, and its dry run before", "exit 2; no pod is evicted"),
        right("discovery.k8s.io", &["endpointslices"], &["list", "watch"], Place::Workloads)
            .means("when the pod is removed from its Services", "a message; the timeline does not have it"),
        right("", &["events"], &["list", "watch"], Place::Workloads)
            .means("what the kubelet reports", "a message; the timeline does not have it"),
    ],
};

const MEASURE: Needs = Needs {
    command: "drill --measure",
    also: Some("drill"),
    rights: &[
        right("", &["pods"], &["get"], Place::Workloads)
            .means("whether the measuring container runs", "exit 2; no pod is evicted"),
        right("", &["pods/ephemeralcontainers"], &["patch"], Place::Workloads)
            .means("the measuring container", "the traffic is not measured; the rest is reported"),
        right("", &["pods/log"], &["get"], Place::Workloads)
            .means("what it measures", "the traffic is not measured; the rest is reported"),
        right(ADMISSION, &["mutatingwebhookconfigurations"], &["list"], Place::Cluster)
            .means("where the operator is; `--image` does not need it", "a message; the published image"),
        right(Kind::GROUP, &["deployments"], &["list"], Place::Operator)
            .means("the image of the operator; `--image` does not need it", "a message; the published image"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_right_is_listed_twice_for_a_command() {
        for needs in ALL {
            let mut seen = std::collections::HashSet::new();
            for right in needs.rights {
                for resource in right.resources {
                    for verb in right.verbs {
                        let is_new = seen.insert((right.group, *resource, *verb, right.place == Place::Cluster));
                        assert!(is_new, "{}: {verb} {resource}", needs.command);
                    }
                }
            }
        }
    }
}
