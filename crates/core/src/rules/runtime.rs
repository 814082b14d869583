//! What an app's runtime does by itself after SIGTERM, against the deadline that Winddown plans with. Winddown cannot see
//! how the app is configured, so it says what holds where nobody configured anything.

use super::Subject;
use crate::annotations::{self, DEADLINE, RUNTIME};
use crate::finding::{Code, Finding};

pub(crate) fn rule(subject: &Subject<'_>) -> Vec<Finding> {
    let deadline = subject.budget.deadline;
    let Some(runtime) = subject.declaration.runtime else { return Vec::new() };
    let (name, setting) = (&runtime.name, runtime.setting(deadline));
    let finding = match (runtime.deadline, subject.declaration.deadline) {
        (None, _) => Finding::new(
            Code::RuntimeUnbounded,
            annotations::field(RUNTIME),
            format!("{name} {}, so the deadline of {deadline} is only a promise; {setting}", runtime.by_default),
        ),
        (Some(own), Some(declared)) if own != declared => Finding::new(
            Code::RuntimeDeadlineDiffers,
            annotations::field(DEADLINE),
            format!("{name} stops after {own} by default, the declared deadline is {declared}; {setting}"),
        ),
        (Some(_), _) => return Vec::new(),
    };
    vec![finding]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::{RuntimeDeadlineDiffers, RuntimeUnbounded};
    use crate::rules::tests::{deployment, fires, silent};

    fn app(runtime: &str, deadline: Option<&str>) -> Value {
        deployment(|deployment| {
            let mut annotations = json!({"winddown.dev/runtime": runtime});
            if let Some(deadline) = deadline {
                annotations["winddown.dev/deadline"] = json!(deadline);
            }
            deployment["metadata"]["annotations"] = annotations;
        })
    }

    #[test]
    fn a_runtime_that_waits_for_ever_makes_the_deadline_a_mere_promise() {
        for (deadline, seconds) in [(Some("45s"), "45"), (None, "25")] {
            let (field, message) = fires(&app("uvicorn", deadline), RuntimeUnbounded);
            assert_eq!(field, "metadata.annotations[winddown.dev/runtime]");
            let setting =
                format!("the deadline of {seconds}s is only a promise; set --timeout-graceful-shutdown {seconds}");
            assert!(message.ends_with(&setting), "{message}");
        }
    }

    #[test]
    fn a_runtime_that_does_not_wait_does_not_keep_the_promise_either() {
        for runtime in ["node", "go", "axum", "quarkus"] {
            fires(&app(runtime, Some("20s")), RuntimeUnbounded);
        }
    }

    #[test]
    fn a_deadline_that_is_not_the_runtimes_own_has_to_be_set_there() {
        for (deadline, default) in [("45s", "30s"), ("10s", "30s")] {
            let (field, message) = fires(&app("gunicorn", Some(deadline)), RuntimeDeadlineDiffers);
            assert_eq!(field, "metadata.annotations[winddown.dev/deadline]");
            let differs = format!("gunicorn stops after {default} by default, the declared deadline is {deadline}; ");
            assert!(message.starts_with(&differs), "{message}");
        }
    }

    #[test]
    fn a_runtime_that_stops_in_time_by_itself_needs_no_word() {
        for manifest in [app("gunicorn", Some("30s")), app("gunicorn", None), deployment(|_| ())] {
            silent(&manifest, RuntimeDeadlineDiffers);
            silent(&manifest, RuntimeUnbounded);
        }
    }
}
