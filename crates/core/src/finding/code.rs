//! The kinds of findings: one line for each, and one page in `finding/pages`.

use serde::{Serialize, Serializer};

use super::Severity;

/// The one table of codes. The doc comment is the title of the finding's page; the page itself is `pages/CODE.md`.
macro_rules! codes {
    ($(#[doc = $title:literal] $code:ident: $severity:ident,)+) => {
        /// The kinds of findings. The names are stable: event reasons, `-o json` and people's scripts use them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $code,)+
        }

        impl Code {
            /// All of them, in the order of `docs/findings.md`.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The stable name, as in events and JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)+ }
            }

            /// How grave every finding of this kind is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$code => Severity::$severity,)+ }
            }

            /// What it is, in one sentence.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)+ }.trim()
            }

            /// Why it matters, what to do about it, and where the facts come from: Markdown with the sections `Why`,
            /// `What to do` and `Source`.
            pub(crate) const fn sections(self) -> &'static str {
                match self { $(Self::$code => include_str!(concat!("pages/", stringify!($code), ".md")),)+ }
            }
        }
    };
}

codes! {
    // The declaration.
    /// An annotation's value cannot be read.
    InvalidAnnotation: Error,
    /// A `winddown.dev/` key that nobody knows.
    UnknownAnnotation: Error,
    /// Annotations that do nothing, because nothing opts in.
    NotOptedIn: Warning,
    /// A declaration on the pod template, where nobody looks for it.
    MisplacedAnnotation: Warning,
    /// A container that is named but not there.
    ContainerNotFound: Error,
    // The sum.
    /// drain + deadline + margin is more than the grace period.
    BudgetDoesNotFit: Error,
    // Hooks.
    /// A container keeps a preStop hook whose length nobody can read.
    PreStopUnknown: Warning,
    /// A container's own preStop sleep is shorter than the declared drain.
    PreStopShort: Warning,
    /// A container opted out of the drain with `preStop.sleep.seconds: 0`.
    DrainOptedOut: Info,
    /// A hook runs a shell or `sleep` in an image that seems to have neither.
    HookNeedsShell: Info,
    /// An httpGet hook on the network of the node, where the kubelet does not know whom to ask.
    HookOnHostNetwork: Warning,
    /// A probe or a hook asks another host than the pod.
    HostInHandler: Warning,
    // Signals.
    /// The stop signal is SIGKILL, so there is no deadline at all.
    StopSignalKills: Warning,
    /// SIGTERM goes to a process that does not pass it on, or does not wait for the app.
    SignalLost: Warning,
    /// Whether SIGTERM reaches the app depends on what the image has.
    SignalMayBeLost: Info,
    // Several containers.
    /// A proxy that the app's connections go through stops before the app.
    SidecarStopsFirst: Warning,
    /// Native sidecars stop after the app, in what is left of the grace period.
    NativeSidecarsStopLast: Info,
    // Probes.
    /// A port that is named but not there.
    PortNotFound: Error,
    /// Several containers, and nothing says which one the probe is for.
    ReadinessContainerUnclear: Error,
    /// A container keeps its own readiness probe.
    ReadinessKept: Info,
    /// A container serves, and nobody asks whether it is ready.
    ReadinessMissing: Warning,
    /// A readiness probe that succeeds whatever the app does.
    ReadinessPlaceholder: Warning,
    /// A readiness probe takes longer to notice a refusing app than the drain lasts.
    ReadinessSlow: Info,
    /// A probe or a hook asks a port by a name that the container gives to none of its ports.
    ProbePortUndeclared: Warning,
    /// A probe or a hook asks a port that no container lists, although others are listed.
    ProbePortUnlisted: Info,
    /// A long preStop hook also delays the restart of a wedged container.
    RestartDelayed: Info,
    // Meshes.
    /// A mesh's classic proxy stops before the app.
    ProxyStopsFirst: Warning,
    /// A mesh's proxy is told to wait for longer than the pod has.
    ProxyOutlivesGracePeriod: Warning,
    /// Whether a mesh's proxy stops before the app depends on which kind of sidecar it is.
    MeshProxyUnclear: Info,
    // Rollouts.
    /// A rollout may stop all pods at once.
    RolloutTakesAllCapacity: Warning,
    /// Every rollout stops all pods before the first new one starts.
    NoPodDuringRollout: Warning,
    /// The only pod of a StatefulSet stops before its successor starts.
    SingleStatefulPod: Info,
    /// Every step of a rollout waits for stopping pods, and counts as failed before they can be gone.
    ProgressDeadlineShort: Warning,
    /// A rollout counts as failed if a step has to wait for a stopping pod, as on full nodes.
    ProgressDeadlineTight: Info,
    /// A rollout needs room for pods that take long to stop.
    SurgeCost: Info,
    // What brings the traffic, and what the app runs on.
    /// The drain ends before a balancer that polls has noticed.
    BalancerPollsSlower: Warning,
    /// New pods count as available before the balancer sends to them.
    MinReadyShort: Info,
    /// The runtime does not stop by itself in time, unless it is told to.
    RuntimeUnbounded: Info,
    /// The declared deadline is not the one that the runtime keeps to by default.
    RuntimeDeadlineDiffers: Info,
    // Where the pod runs.
    /// A place where the pod gets less time than the budget needs.
    PlatformCap: Warning,
    /// The budget is longer than the Cluster Autoscaler waits for a pod.
    AutoscalerCap: Info,
    // Winddown's own work.
    /// What `winddown.dev/injected` says cannot be read, so what it changed cannot be undone.
    RecordUnreadable: Warning,
    /// The template is not as the plan wants it; the mutating webhook was not asked.
    NotInjected: Warning,
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn every_code_has_a_page_that_says_why_what_to_do_and_where_from() {
        for code in Code::ALL {
            let (name, text) = (code.as_str(), code.sections());
            let sections: Vec<_> = text.split("## ").skip(1).filter_map(|section| section.split_once('\n')).collect();
            assert_eq!(
                sections.iter().map(|(heading, _)| *heading).collect::<Vec<_>>(),
                ["Why", "What to do", "Source"],
                "{name}"
            );
            assert!(text.starts_with("## Why\n"), "{name}");
            for (heading, text) in &sections {
                assert!(text.trim().len() > 20, "{name}: {heading} says nothing");
            }
            let source = sections[2].1;
            assert!(source.contains("](https://") || source.contains(".md"), "{name}: no link under Source");
            assert!(code.title().ends_with('.'), "{name}");
        }
    }
}
