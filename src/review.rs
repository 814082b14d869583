//! An `AdmissionReview` in, an `AdmissionReview` out: bytes to bytes, no clock, no network.

use crate::policy::Policy;

/// What goes back to the API server, and what the log should say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The `AdmissionReview` with a response, as JSON.
    pub body: Vec<u8>,
    /// `namespace/name` of the object, for the log; empty where unknown.
    pub object: String,
    /// Whether the request passes.
    pub allowed: bool,
    /// Whether a patch is in the answer.
    pub patched: bool,
}

/// Why a body gets no answer but an HTTP error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// Nothing was sent.
    #[error("the body is empty; an AdmissionReview was expected")]
    Empty,
    /// Not JSON, or JSON that is no `admission.k8s.io/v1` `AdmissionReview` with a request.
    #[error("the body is not an admission.k8s.io/v1 AdmissionReview: {0}")]
    NotAReview(String),
}

/// Answers the mutating webhook: the patch that brings the object to plan. Never denies on policy.
pub fn mutate(body: &[u8], policy: &Policy) -> Result<Answer, ReviewError> {
    let _ = (body, policy);
    Err(ReviewError::Empty)
}

/// Answers the validating webhook: denies what does not fit, warns of what is unwise.
pub fn validate(body: &[u8], policy: &Policy) -> Result<Answer, ReviewError> {
    let _ = (body, policy);
    Err(ReviewError::Empty)
}
