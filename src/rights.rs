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

const WORKLOADS: &[&str] = &[Kind::Deployment.resource(), Kind::StatefulSet.resource(), Kind::DaemonSet.resource()];
const ADMISSION: &str = "admissionregistration.k8s.io";
const BUDGETS: &[&str] = &["shutdownbudgets"];

/// The commands that read a cluster.
pub const ALL: [Needs; 6] = [STATUS, CHECK, RESTORE, AUDIT, DRILL, MEASURE];

const STATUS: Needs = Needs {
    command: "status",
    also: None,
    rights: &[
        Right {
            group: "winddown.dev",
            resources: BUDGETS,
            verbs: &["list"],
            place: Place::Workloads,
            purpose: "the table",
            without: "exit 2",
        },
        Right {
            group: "winddown.dev",
            resources: BUDGETS,
            verbs: &["get"],
            place: Place::Workloads,
            purpose: "a named workload",
            without: "exit 2",
        },
        Right {
            group: "winddown.dev",
            resources: BUDGETS,
            verbs: &["watch"],
            place: Place::Workloads,
            purpose: "`-w`",
            without: "exit 2 after the table",
        },
        Right {
            group: Kind::GROUP,
            resources: WORKLOADS,
            verbs: &["list"],
            place: Place::Workloads,
            purpose: "`-l`, and clusters without the definition of ShutdownBudget",
            without: "exit 2",
        },
        Right {
            group: Kind::GROUP,
            resources: WORKLOADS,
            verbs: &["get"],
            place: Place::Workloads,
            purpose: "a named workload without a ShutdownBudget",
            without: "exit 2",
        },
    ],
};

const CHECK: Needs = Needs {
    command: "check",
    also: None,
    rights: &[
        Right {
            group: ADMISSION,
            resources: &["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
            verbs: &["list"],
            place: Place::Cluster,
            purpose: "the webhooks and their certificates",
            without: "these checks are unknown",
        },
        Right {
            group: "",
            resources: &["namespaces"],
            verbs: &["list"],
            place: Place::Cluster,
            purpose: "which namespaces are excluded",
            without: "this check is unknown",
        },
        Right {
            group: "apiextensions.k8s.io",
            resources: &["customresourcedefinitions"],
            verbs: &["get"],
            place: Place::Cluster,
            purpose: "the version of the definitions",
            without: "only whether they are installed is known",
        },
        Right {
            group: Kind::GROUP,
            resources: WORKLOADS,
            verbs: &["list"],
            place: Place::Cluster,
            purpose: "the operator; annotated workloads in excluded namespaces",
            without: "these checks are unknown; `--winddown-namespace` needs it in one namespace to find the operator",
        },
        Right {
            group: Kind::GROUP,
            resources: WORKLOADS,
            verbs: &["create"],
            place: Place::Workloads,
            purpose: "whether the webhooks answer, as dry runs in the namespace of `-n`",
            without: "these checks are unknown",
        },
        Right {
            group: "coordination.k8s.io",
            resources: &["leases"],
            verbs: &["get"],
            place: Place::Operator,
            purpose: "the leader",
            without: "this check is unknown",
        },
        Right {
            group: "",
            resources: &["secrets"],
            verbs: &["get"],
            place: Place::Operator,
            purpose: "the stored certificate",
            without: "this check is unknown",
        },
    ],
};

const RESTORE: Needs = Needs {
    command: "restore",
    also: None,
    rights: &[
        Right {
            group: Kind::GROUP,
            resources: WORKLOADS,
            verbs: &["list"],
            place: Place::Workloads,
            purpose: "`--all`",
            without: "exit 2; nothing is changed",
        },
        Right {
            group: Kind::GROUP,
            resources: WORKLOADS,
            verbs: &["get"],
            place: Place::Workloads,
            purpose: "a named workload; its rollout",
            without: "exit 2; `--wait 0` with `--all` does not need it",
        },
        Right {
            group: Kind::GROUP,
            resources: WORKLOADS,
            verbs: &["patch"],
            place: Place::Workloads,
            purpose: "the change, and its dry run before",
            without: "the workload is left as it is; exit 2",
        },
        Right {
            group: Kind::GROUP,
            resources: &["deployments"],
            verbs: &["list"],
            place: Place::Cluster,
            purpose: "without `--remove-annotations`: whether an operator runs, which would inject again",
            without: "a message; the dry run still asks the webhooks",
        },
        Right {
            group: ADMISSION,
            resources: &["mutatingwebhookconfigurations"],
            verbs: &["list"],
            place: Place::Cluster,
            purpose: "the same, for an operator without the labels of the chart",
            without: "the same",
        },
        Right {
            group: "",
            resources: &["namespaces"],
            verbs: &["get"],
            place: Place::Workloads,
            purpose: "whether the namespace opts in, if Winddown injects again",
            without: "a message",
        },
    ],
};

const AUDIT: Needs = Needs {
    command: "audit",
    also: None,
    rights: &[
        Right {
            group: Kind::GROUP,
            resources: WORKLOADS,
            verbs: &["list"],
            place: Place::Workloads,
            purpose: "the workloads",
            without: "the other kinds are shown; exit 2",
        },
        Right {
            group: "",
            resources: &["services"],
            verbs: &["list"],
            place: Place::Workloads,
            purpose: "which workloads take requests",
            without: "the findings that need it are withheld, and their codes are listed",
        },
        Right {
            group: "autoscaling",
            resources: &["horizontalpodautoscalers"],
            verbs: &["list"],
            place: Place::Workloads,
            purpose: "autoscalers",
            without: "the same",
        },
        Right {
            group: "policy",
            resources: &["poddisruptionbudgets"],
            verbs: &["list"],
            place: Place::Workloads,
            purpose: "disruption budgets",
            without: "the same",
        },
        Right {
            group: "networking.k8s.io",
            resources: &["ingresses"],
            verbs: &["list"],
            place: Place::Workloads,
            purpose: "the balancers in front",
            without: "the same",
        },
        Right {
            group: "networking.k8s.io",
            resources: &["ingressclasses"],
            verbs: &["list"],
            place: Place::Cluster,
            purpose: "the same",
            without: "the same",
        },
        Right {
            group: "keda.sh",
            resources: &["scaledobjects"],
            verbs: &["list"],
            place: Place::Workloads,
            purpose: "autoscalers, where KEDA is installed",
            without: "the same",
        },
        Right {
            group: "",
            resources: &["namespaces"],
            verbs: &["list"],
            place: Place::Cluster,
            purpose: "meshes and policies by the labels of namespaces",
            without: "the same",
        },
        Right {
            group: "",
            resources: &["namespaces"],
            verbs: &["get"],
            place: Place::Workloads,
            purpose: "the same with `-n`",
            without: "the same",
        },
        Right {
            group: "winddown.dev",
            resources: &["shutdownpolicies"],
            verbs: &["list"],
            place: Place::Cluster,
            purpose: "policies, where their definition is installed",
            without: "all budgets are under the built-in policy",
        },
    ],
};

const DRILL: Needs = Needs {
    command: "drill",
    also: None,
    rights: &[
        Right {
            group: Kind::GROUP,
            resources: WORKLOADS,
            verbs: &["get"],
            place: Place::Workloads,
            purpose: "the workload",
            without: "exit 2; no pod is evicted",
        },
        Right {
            group: "",
            resources: &["pods"],
            verbs: &["list", "watch"],
            place: Place::Workloads,
            purpose: "its pods",
            without: "exit 2; no pod is evicted",
        },
        Right {
            group: "",
            resources: &["pods/eviction"],
            verbs: &["create"],
            place: Place::Workloads,
            purpose: "the eviction, and its dry run before",
            without: "exit 2; no pod is evicted",
        },
        Right {
            group: "discovery.k8s.io",
            resources: &["endpointslices"],
            verbs: &["list", "watch"],
            place: Place::Workloads,
            purpose: "when the pod is removed from its Services",
            without: "the timeline does not have it",
        },
        Right {
            group: "",
            resources: &["events"],
            verbs: &["list", "watch"],
            place: Place::Workloads,
            purpose: "what the kubelet reports",
            without: "the timeline does not have it",
        },
    ],
};

const MEASURE: Needs = Needs {
    command: "drill --measure",
    also: Some("drill"),
    rights: &[
        Right {
            group: "",
            resources: &["pods"],
            verbs: &["get"],
            place: Place::Workloads,
            purpose: "whether the measuring container runs",
            without: "exit 2; no pod is evicted",
        },
        Right {
            group: "",
            resources: &["pods/ephemeralcontainers"],
            verbs: &["patch"],
            place: Place::Workloads,
            purpose: "the measuring container",
            without: "the traffic is not measured; the rest is reported",
        },
        Right {
            group: "",
            resources: &["pods/log"],
            verbs: &["get"],
            place: Place::Workloads,
            purpose: "what it measures",
            without: "the traffic is not measured; the rest is reported",
        },
        Right {
            group: "",
            resources: &["pods"],
            verbs: &["list"],
            place: Place::Cluster,
            purpose: "the image of the operator; `--image` does not need it",
            without: "the published image",
        },
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
