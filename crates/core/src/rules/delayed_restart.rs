//! A preStop hook runs before every stop, also before the restart of a container that a liveness or startup probe gave up
//! on. Who drains for long wants wedged containers back sooner than that.

use super::Subject;
use crate::duration::Seconds;
use crate::finding::{Code, Finding};
use crate::plan::container_field;

/// Below this nobody would notice: a probe takes longer to fail (`periodSeconds` 10 times `failureThreshold` 3).
const NOTICEABLE: Seconds = Seconds::new(30);

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let containers = subject.workload.pod.containers.iter().zip(subject.sleeps);
    let slow = containers.filter(|(_, sleep)| sleep.seconds > NOTICEABLE);
    slow.flat_map(|(container, sleep)| {
        let probes = [("livenessProbe", &container.liveness_probe), ("startupProbe", &container.startup_probe)];
        let unbounded = probes
            .into_iter()
            .filter(|(_, probe)| probe.as_ref().is_some_and(|probe| probe.termination_grace_period_seconds.is_none()));
        unbounded.map(|(field, _)| {
            let message = format!(
                "a wedged {} restarts only after its preStop of {}; set this probe's terminationGracePeriodSeconds",
                container.name, sleep.seconds
            );
            Finding::new(Code::RestartDelayed, container_field(&container.name, field), message)
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::finding::Code::RestartDelayed;
    use crate::rules::tests::{container, fires, silent};

    #[test]
    fn a_long_hook_delays_the_restart_of_a_wedged_container() {
        for probe in ["livenessProbe", "startupProbe"] {
            let manifest = container(|app| {
                app[probe] = json!({"httpGet": {"path": "/", "port": 80}});
                app["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 60}}});
            });
            let (field, message) = fires(&manifest, RestartDelayed);
            assert_eq!(field, format!("spec.template.spec.containers[app].{probe}"));
            assert!(message.contains("60s"), "{message}");
        }
    }

    #[test]
    fn a_probe_with_a_grace_period_of_its_own_does_not_wait() {
        silent(
            &container(|app| {
                app["livenessProbe"] = json!({"terminationGracePeriodSeconds": 5, "tcpSocket": {"port": 80}});
                app["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 60}}});
            }),
            RestartDelayed,
        );
    }

    #[test]
    fn a_short_hook_delays_nothing_that_anybody_would_notice() {
        silent(&container(|app| app["livenessProbe"] = json!({"tcpSocket": {"port": 80}})), RestartDelayed);
        silent(&container(|app| app["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 60}}})), RestartDelayed);
    }
}
