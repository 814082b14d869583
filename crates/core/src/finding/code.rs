//! The codes of findings. Each line contains the name of the file in `rules/` and the code.

use serde::{Serialize, Serializer};

/// Calls a macro with every `file_name Code`, in the order in which findings are reported.
///
/// To add a rule, add a file in `rules/` and a line here.
macro_rules! for_each_code {
    ($apply:ident) => {
        $apply! {
            // The declaration.
            unknown_annotation UnknownAnnotation,
            misplaced_annotation MisplacedAnnotation,
            invalid_annotation InvalidAnnotation,
            not_opted_in NotOptedIn,
            misplaced_field MisplacedField,
            // The record of the injected fields.
            record_unreadable RecordUnreadable,
            // Hooks and the budget.
            container_not_found ContainerNotFound,
            pre_stop_unknown PreStopUnknown,
            pre_stop_short PreStopShort,
            hook_ends_drain HookEndsDrain,
            drain_opted_out DrainOptedOut,
            budget_does_not_fit BudgetDoesNotFit,
            helper_does_not_fit HelperDoesNotFit,
            drain_above_limit DrainAboveLimit,
            grace_period_above_limit GracePeriodAboveLimit,
            variable_differs VariableDiffers,
            // The readiness probe to inject.
            port_not_found PortNotFound,
            readiness_container_unclear ReadinessContainerUnclear,
            readiness_kept ReadinessKept,
            // Hooks that fail.
            hook_fails HookFails,
            hook_needs_shell HookNeedsShell,
            hook_on_host_network HookOnHostNetwork,
            host_in_handler HostInHandler,
            // Signals.
            stop_signal_kills StopSignalKills,
            signal_lost SignalLost,
            signal_may_be_lost SignalMayBeLost,
            wrapper_kills_early WrapperKillsEarly,
            restarts_on_sigterm RestartsOnSigterm,
            stop_signal_without_os StopSignalWithoutOs,
            // Several containers.
            sidecar_stops_first SidecarStopsFirst,
            native_sidecars_stop_last NativeSidecarsStopLast,
            // Probes.
            readiness_missing ReadinessMissing,
            readiness_placeholder ReadinessPlaceholder,
            readiness_slow ReadinessSlow,
            probe_port_undeclared ProbePortUndeclared,
            probe_port_unlisted ProbePortUnlisted,
            restart_delayed RestartDelayed,
            // Meshes.
            proxy_stops_first ProxyStopsFirst,
            proxy_outlives_grace_period ProxyOutlivesGracePeriod,
            mesh_proxy_unclear MeshProxyUnclear,
            // Rollouts.
            rollout_takes_all_capacity RolloutTakesAllCapacity,
            no_pod_during_rollout NoPodDuringRollout,
            single_stateful_pod SingleStatefulPod,
            node_without_pod NodeWithoutPod,
            eviction_never_allowed EvictionNeverAllowed,
            progress_deadline_short ProgressDeadlineShort,
            progress_deadline_tight ProgressDeadlineTight,
            surge_cost SurgeCost,
            // Traffic and runtime presets.
            traffic_contradicted TrafficContradicted,
            traffic_drain_short TrafficDrainShort,
            balancer_polls_slower BalancerPollsSlower,
            min_ready_short MinReadyShort,
            runtime_unbounded RuntimeUnbounded,
            runtime_deadline_differs RuntimeDeadlineDiffers,
            runtime_timeout_differs RuntimeTimeoutDiffers,
            // Platforms.
            platform_cap PlatformCap,
            autoscaler_cap AutoscalerCap,
            windows_stop_timeout WindowsStopTimeout,
            // Admission.
            not_injected NotInjected,
        }
    };
}
pub(crate) use for_each_code;

macro_rules! code_enum {
    ($($file:ident $code:ident,)+) => {
        /// The kinds of findings. The names are stable: Event reasons, `-o json` and scripts use them.
        ///
        /// Severity, title, page and check of each are in its file in `rules/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the title of each code is in its rule")]
        pub enum Code {
            $($code,)+
        }

        impl Code {
            /// Every code, in the order of `docs/findings.md`.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The stable name, as in Events and JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)+ }
            }
        }
    };
}
for_each_code!(code_enum);

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
