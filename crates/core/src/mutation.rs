//! The changes that Winddown makes to a pod template.

use k8s_openapi::api::core::v1::Probe;

use crate::duration::Seconds;
use crate::variables::Variables;

/// One change to a pod template. It only sets fields that are not set, and never overwrites a value of the user,
/// except a grace period that a policy raises.
#[derive(Clone, Debug, PartialEq)]
pub enum Mutation {
    /// `terminationGracePeriodSeconds`, raised from the default, or from an explicit value if the policy says so.
    SetGracePeriod {
        /// The new value.
        to: Seconds,
        /// Whether the user set the one before.
        explicit: bool,
    },
    /// `lifecycle.preStop.sleep` of a container without a preStop.
    SetPreStopSleep {
        /// The container's name.
        container: String,
        /// How long it sleeps before SIGTERM; not zero.
        sleep: Seconds,
    },
    /// `readinessProbe` of a container without one.
    SetReadinessProbe {
        /// The container's name.
        container: String,
        /// The probe with all defaults, so that the API server adds nothing and the probe can be recognised.
        probe: Box<Probe>,
    },
    /// Entries of `env` in a container that has none with these names.
    SetVariables {
        /// The container's name.
        container: String,
        /// At least one.
        variables: Variables,
    },
}
