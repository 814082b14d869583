//! A stop for tests.

use std::sync::Arc;
use std::time::Duration;

use crate::duration::Seconds;
use crate::kind::Kind;
use crate::observation::{Cause, ContainerStop, End, Outcome, Stop, Timestamp, WorkloadRef};
use crate::plan::lanes::Role;

/// Seconds after a time in 2026.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + second)
}

/// A stop that ended at this second, with a grace period of 35 s and a preStop sleep of 5 s.
pub(crate) fn stop(second: i64, outcome: Outcome, app_time: u32) -> Stop {
    let (duration, app_time) = (Some(Seconds::new(app_time + 5)), Some(Seconds::new(app_time)));
    let code = match outcome {
        Outcome::Clean => 0,
        Outcome::Failed => 1,
        _ => 137,
    };
    let app = ContainerStop {
        name: "app".to_owned(),
        role: Role::App,
        outcome: Some(outcome),
        exit_code: Some(code),
        out_of_memory: false,
        duration,
        after_signal: app_time,
    };
    let workload = WorkloadRef { kind: Kind::Deployment, namespace: "shop".to_owned(), name: "web".to_owned() };
    Stop {
        uid: format!("uid {second} {outcome} {duration:?}"),
        pod: format!("web-7d9f-{second}"),
        workload: Arc::new(workload),
        created: at(0),
        template: "7d9f".into(),
        budget: None,
        at: at(second),
        end: End { earliest: at(second), latest: at(second) },
        cause: Cause::Rollout,
        outcome,
        containers: vec![app],
        grace_period: Some(Seconds::new(35)),
        own_grace_period: Some(Seconds::new(35)),
        duration,
        app_time,
        latency: Some(Seconds::ZERO),
        clocks_disagree: false,
        withdrawal: Some(Duration::from_millis(120)),
    }
}
