//! Answers an `AdmissionReview`, without a clock or the network.

mod envelope;
mod verdict;

pub use envelope::{Answer, ReviewError};
pub use verdict::{Verdict, judge};

use crate::evaluation::{Evaluation, Existing, Origin, evaluate};
use crate::finding::Code;
use crate::object::{LazyObject, Object};
use crate::policy::Policies;
use crate::rules;
use envelope::{Request, Response};

/// Answers the mutating webhook with the patch to the desired state. It does not reject a budget that does not fit; the
/// validating webhook does, after all mutating webhooks.
pub fn mutate(body: &[u8], policies: &Policies) -> Result<Answer, ReviewError> {
    let request = Request::read(body)?;
    let Some(workload) = request.workload() else { return request.answer(&Response::allowed()) };
    let object = Object::new(workload);
    let old = request.old_object();
    let existing = old.as_ref().map_or(Existing::None, Existing::Replaced);
    let policy = policies.for_namespace(request.namespace());
    let evaluated = evaluate(workload, existing, policy, Origin::ApiServer);
    check_old_object(old)?;
    let response = match evaluated {
        Ok(Evaluation { changes, findings, .. }) => {
            let response = Response::allowed().with_patch(&changes.patch(object));
            match findings.iter().find(|finding| finding.code == Code::RecordUnreadable) {
                // The validating webhook does not receive this record.
                Some(finding) if changes.replaces_record(object) => response.with_finding(finding),
                _ => response,
            }
        }
        Err(invalid) => Response::allowed().with_warning(&format!("skipped, unchanged: {invalid}")),
    };
    request.answer(&response)
}

/// Answers the validating webhook: rejects budgets that do not fit, and warns about other findings.
pub fn validate(body: &[u8], policies: &Policies) -> Result<Answer, ReviewError> {
    let request = Request::read(body)?;
    let Some(workload) = request.workload() else { return request.answer(&Response::allowed()) };
    let old = request.old_object();
    let existing = old.as_ref().map_or(Existing::None, Existing::Replaced);
    let policy = policies.for_namespace(request.namespace());
    let Ok(mut evaluation) = evaluate(workload, existing, policy, Origin::ApiServer) else {
        // The mutating webhook has warned about it.
        return request.answer(&Response::allowed());
    };
    // After the mutating webhook, which is called first, there is nothing to change.
    if evaluation.changes.replaces_pods(Object::new(workload)) {
        evaluation.findings.push(rules::not_injected::finding());
    }
    let before = || {
        let old = old.as_ref()?.get()?;
        evaluate(old, Existing::Unchanged, policy, Origin::ApiServer).ok()
    };
    let verdict = judge(evaluation, before);
    check_old_object(old)?;
    request.answer(&Response::judged(&verdict, &request))
}

/// An old object that was needed and cannot be parsed is an error: without it, a pre-existing problem would look new.
fn check_old_object(old: Option<LazyObject<'_>>) -> Result<(), ReviewError> {
    old.and_then(LazyObject::into_error).map_or(Ok(()), |error| Err(ReviewError::NotAReview(error)))
}

#[cfg(test)]
mod tests;
