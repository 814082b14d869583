//! An `AdmissionReview` in, an `AdmissionReview` out: bytes to bytes, no clock, no network.

mod envelope;
pub mod verdict;

use serde_json::Value;

use crate::annotations::INJECTED;
use crate::evaluation::{Before, Origin, Settlement, UnreadableWorkload, replaces_pods, settle};
use crate::finding::{Code, Finding};
use crate::patch;
use crate::policy::Policy;
use envelope::{Request, Response};
use verdict::judge;

/// What goes back to the API server, and what the log should say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The `AdmissionReview` with a response, as JSON.
    pub body: Vec<u8>,
    /// `namespace/name` of the object, for the log; the name is empty where the API server makes it up.
    pub object: String,
    /// Whether the request passes.
    pub allowed: bool,
    /// Whether a patch is in the answer.
    pub patched: bool,
}

/// Why a body gets no answer but an HTTP error.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// Nothing was sent.
    #[error("the body is empty; an AdmissionReview was expected")]
    Empty,
    /// Not JSON, or JSON that is no `admission.k8s.io/v1` `AdmissionReview` with a request.
    #[error("the body is not an admission.k8s.io/v1 AdmissionReview with a request")]
    NotAReview(#[source] serde_json::Error),
    /// A review of a version that was never registered for.
    #[error("the body is of {0}; only admission.k8s.io/v1 AdmissionReview is understood")]
    Version(String),
    /// The answer has no JSON form.
    #[error("the answer cannot be written")]
    Unwritable(#[source] serde_json::Error),
}

/// Answers the mutating webhook: the patch that brings the object to plan. Never denies on policy; the validating
/// webhook does, once every other webhook had its say.
pub fn mutate(body: &[u8], policy: &Policy) -> Result<Answer, ReviewError> {
    let request = Request::read(body)?;
    let Some(workload) = request.workload() else { return request.answer(&Response::allowed()) };
    let response = match settle(workload, request.before(), policy, Origin::ApiServer) {
        Ok(settlement) => {
            let response = Response::allowed().with_patch(&patch::between(workload, &settlement.desired));
            let unreadable = settlement.findings.iter().find(|finding| finding.code == Code::RecordUnreadable);
            match unreadable {
                // The validating webhook will not see it any more.
                Some(finding) if record(workload) != record(&settlement.desired) => response.with_finding(finding),
                _ => response,
            }
        }
        Err(unreadable) => Response::allowed().with_warning(&passed_over(&unreadable)),
    };
    request.answer(&response)
}

/// Answers the validating webhook: denies what does not fit, warns of what is unwise.
pub fn validate(body: &[u8], policy: &Policy) -> Result<Answer, ReviewError> {
    let request = Request::read(body)?;
    let Some(workload) = request.workload() else { return request.answer(&Response::allowed()) };
    let before = request.before();
    let Ok(mut settlement) = settle(workload, before, policy, Origin::ApiServer) else {
        // The mutating webhook has said so.
        return request.answer(&Response::allowed());
    };
    settlement.findings.extend(not_injected(workload, &settlement));
    let before = match before {
        Before::Object(before) => settle(before, Before::Itself, policy, Origin::ApiServer).ok(),
        Before::Nothing | Before::Itself => None,
    };
    request.answer(&Response::judged(&judge(&settlement, before.as_ref()), &request))
}

/// The template is not what the plan wants, although the mutating webhook is asked first: it was not reached.
fn not_injected(workload: &Value, settlement: &Settlement) -> Option<Finding> {
    replaces_pods(workload, &settlement.desired).then(|| {
        let message = "is not as planned: the mutating webhook was not reached; the controller will see to it";
        Finding::new(Code::NotInjected, "spec.template", message)
    })
}

/// What Winddown wrote down on the template.
fn record(workload: &Value) -> Option<&Value> {
    workload.pointer("/spec/template/metadata/annotations")?.get(INJECTED)
}

fn passed_over(unreadable: &UnreadableWorkload) -> String {
    format!("passed over unchanged: {unreadable}")
}

#[cfg(test)]
mod tests;
