//! `lifecycle.stopSignal` replaces SIGTERM (KEP-4960). SIGKILL in its place leaves the app no time at all.

use super::Subject;
use crate::duration::Seconds;
use crate::finding::{Code, Finding};
use crate::plan::container_field;

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let deadline = subject.budget.deadline;
    // Whoever has nothing to finish may as well be killed.
    if deadline == Seconds::ZERO {
        return Vec::new();
    }
    let killed = subject.workload.pod.containers.iter().filter(|container| {
        let lifecycle = container.lifecycle.as_ref();
        lifecycle.and_then(|lifecycle| lifecycle.stop_signal.as_deref()) == Some("SIGKILL")
    });
    killed
        .map(|container| {
            let message =
                format!("SIGKILL leaves nothing of the {deadline} deadline; name a signal the app can handle");
            Finding::new(Code::StopSignalKills, container_field(&container.name, "lifecycle.stopSignal"), message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::StopSignalKills;
    use crate::rules::tests::{container, fires, silent};

    #[test]
    fn sigkill_leaves_no_time_at_all() {
        let (field, message) =
            fires(&container(|app| app["lifecycle"] = json!({"stopSignal": "SIGKILL"})), StopSignalKills);
        assert_eq!(field, "spec.template.spec.containers[app].lifecycle.stopSignal");
        assert!(message.starts_with("SIGKILL leaves nothing of the 20s deadline; "), "{message}");
    }

    #[test]
    fn any_other_signal_can_be_handled() {
        for signal in ["SIGTERM", "SIGQUIT", "SIGUSR1"] {
            silent(&container(|app| app["lifecycle"] = json!({"stopSignal": signal})), StopSignalKills);
        }
        silent(&container(|_| {}), StopSignalKills);
        let mut nothing_to_finish = container(|app| app["lifecycle"] = json!({"stopSignal": "SIGKILL"}));
        nothing_to_finish["metadata"]["annotations"]["winddown.dev/deadline"] = json!("0s");
        silent(&nothing_to_finish, StopSignalKills);
    }
}
