//! How long traffic keeps arriving at a pod that stops, measured in the network namespace of the pod.
//!
//! ```text
//! sockets and counters, every 25 ms -> Recorder -> Line (the log of a container in the pod)
//! lines, and what the pod declares  -> Measurement -> Advice (over all pods)
//! ```
//!
//! An ephemeral container joins the pod before its eviction and samples it (`winddown sample`). The kubelet sends SIGTERM to
//! that container at once, because it has no preStop hook: this is the start of the termination, and time 0 here. The app gets
//! its SIGTERM when the preStop hooks have ended. Seen on Kubernetes 1.37: the container started in 2 s, and the pod was
//! removed as soon as the app had exited.
//!
//! Like the rest of the core, this module has no clock: every snapshot comes with its time.

mod advice;
mod conclusion;
mod counters;
mod ending;
mod line;
mod listeners;
mod probes;
mod proc_sockets;
mod recorder;
mod route;
mod socket;

pub use advice::Advice;
pub use conclusion::{LastRequest, Measurement, Subject, TooShort};
pub use counters::{Counters, ParseCountersError};
pub use ending::Ending;
pub use line::{EndReason, Line, PortSample, Sample, Start, milliseconds};
pub use proc_sockets::parse as parse_sockets;
pub use recorder::{Recorder, Snapshot};
pub use route::default_gateways;
pub use socket::{Socket, State};

#[cfg(test)]
mod tests;
