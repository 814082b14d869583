//! The few things that Winddown ever changes in a pod template.

use k8s_openapi::api::core::v1::Probe;

use crate::duration::Seconds;

/// One change to a pod template. Each fills a gap: nothing that a user wrote is ever overwritten.
#[derive(Clone, Debug, PartialEq)]
pub enum Mutation {
    /// `terminationGracePeriodSeconds`, raised from the default that nobody asked for.
    SetGracePeriod(Seconds),
    /// `lifecycle.preStop.sleep` of a container without a preStop.
    SetPreStopSleep {
        /// The container's name.
        container: String,
        /// How long it sleeps before SIGTERM; never zero.
        sleep: Seconds,
    },
    /// `readinessProbe` of a container without one.
    SetReadinessProbe {
        /// The container's name.
        container: String,
        /// The probe, with every default written out, so that the API server adds nothing and it can be recognised.
        probe: Box<Probe>,
    },
}
