//! Answers an `AdmissionReview`, without a clock or the network.

mod envelope;
mod scope;
mod verdict;

pub use envelope::{Answer, Request, ReviewError};
pub use scope::Scope;
pub use verdict::{Verdict, judge};

use crate::evaluation::{Evaluation, Existing, Origin, evaluate};
use crate::finding::Code;
use crate::object::{LazyObject, Object};
use crate::rules;
use envelope::Response;

/// An upper bound of the number of values in a body, to tell what its review may cost: each value but the first follows a
/// comma or an opening bracket. Those in strings are counted, too.
#[must_use]
pub fn values_at_most(body: &[u8]) -> usize {
    1 + body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count()
}

/// Answers the mutating webhook with the patch to the desired state. It does not reject a budget that does not fit; the
/// validating webhook does, after all mutating webhooks.
pub fn mutate(request: &Request<'_>, scope: Scope<'_>) -> Result<Answer, ReviewError> {
    let workload = match request.workload() {
        None => return request.answer(&Response::allowed()),
        Some(Err(too_large)) => return request.answer(&Response::not_evaluated(&too_large)),
        Some(Ok(workload)) => workload,
    };
    let object = Object::new(workload);
    let old = request.old_object();
    let existing = old.as_ref().map_or(Existing::None, Existing::Replaced);
    let governing = scope.governing(workload, old.as_ref());
    let evaluated = evaluate(workload, existing, governing, Origin::ApiServer);
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
        Err(invalid) => Response::not_evaluated(&invalid),
    };
    request.answer(&scope.explained(response))
}

/// Answers the validating webhook: rejects budgets that do not fit, and warns about other findings.
pub fn validate(request: &Request<'_>, scope: Scope<'_>) -> Result<Answer, ReviewError> {
    let workload = match request.workload() {
        None => return request.answer(&Response::allowed()),
        Some(Err(too_large)) => return request.answer(&Response::not_evaluated(&too_large)),
        Some(Ok(workload)) => workload,
    };
    let old = request.old_object();
    let existing = old.as_ref().map_or(Existing::None, Existing::Replaced);
    let governing = scope.governing(workload, old.as_ref());
    let mut evaluation = match evaluate(workload, existing, governing, Origin::ApiServer) {
        Ok(evaluation) => evaluation,
        // The same warning as that of the mutating webhook; the API server sends only one of the two to the client.
        Err(invalid) => return request.answer(&Response::not_evaluated(&invalid)),
    };
    // After the mutating webhook, which is called first, there is nothing to change.
    if evaluation.changes.replaces_pods(Object::new(workload)) {
        evaluation.findings.push(rules::not_injected::finding());
    }
    let before = || {
        let old = old.as_ref()?.get()?;
        evaluate(old, Existing::Unchanged, governing, Origin::ApiServer).ok()
    };
    let verdict = judge(evaluation, before);
    check_old_object(old)?;
    request.answer(&scope.explained(Response::judged(&verdict, request)))
}

/// An old object that was needed and cannot be parsed is an error: without it, a pre-existing problem would look new.
fn check_old_object(old: Option<LazyObject<'_>>) -> Result<(), ReviewError> {
    old.and_then(LazyObject::into_error).map_or(Ok(()), |error| Err(ReviewError::NotAReview(error)))
}

#[cfg(test)]
mod tests;
