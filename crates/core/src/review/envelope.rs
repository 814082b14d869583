//! The fields of a review (`admission.k8s.io/v1`) that Winddown reads and writes.
//!
//! The old object is parsed on first use: most reviews do not need it.

use std::borrow::Cow;
use std::fmt;

use json_patch::Patch;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::verdict::Verdict;
use crate::finding::Finding;
use crate::kind::Kind;
use crate::object::{LazyObject, Object, PartialObject, TooManyValues};
use crate::sanitize::{escaped, truncated};

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";
/// "Warnings over 120 characters may be truncated" (API reference of `AdmissionResponse`); some clients do so at 256.
const LONGEST_WARNING: usize = 120;
/// The API server drops warnings beyond 4096 characters in total.
const MAX_WARNINGS: usize = 16;
/// A namespace has at most 63 characters, a name 253.
const LONGEST_NAME: usize = 320;
/// The audit annotation of a workload that was not evaluated.
const NOT_EVALUATED: &str = "not-evaluated";
/// More causes would make a denial unreadable.
const MAX_CAUSES: usize = 16;

/// The response to the API server, and the values that are logged about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The `AdmissionReview` with a response, as JSON.
    pub body: Vec<u8>,
    /// `namespace/name` of the object; the name is empty if the API server generates it.
    pub object: String,
    /// Whether the request is allowed.
    pub allowed: bool,
    /// Whether the answer has a patch.
    pub patched: bool,
}

/// The reason for an HTTP error.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// There is no body.
    #[error("the body is empty; an AdmissionReview was expected")]
    Empty,
    /// Not JSON, or not an `admission.k8s.io/v1` `AdmissionReview` with a request.
    #[error("the body is not an admission.k8s.io/v1 AdmissionReview with a request")]
    NotAReview(#[source] serde_json::Error),
    /// A review of another version.
    #[error("the body is {0}; only admission.k8s.io/v1 AdmissionReview is supported")]
    Version(String),
    /// The answer cannot be converted to JSON.
    #[error("the answer cannot be written")]
    Unwritable(#[source] serde_json::Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Incoming<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    request: Request<'a>,
}

/// The request of the API server.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: GroupVersionKind<'a>,
    #[serde(borrow, default)]
    sub_resource: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    /// Parsed immediately, because every review needs it.
    #[serde(default)]
    object: Option<PartialObject>,
    /// Whether there is one; [`old_object`] reads it.
    #[serde(default)]
    old_object: Option<IgnoredAny>,
    /// The whole review.
    #[serde(skip)]
    body: &'a [u8],
}

/// The part of a review that most reviews do not need.
#[derive(Deserialize)]
struct IncomingOld {
    request: RequestOld,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestOld {
    #[serde(default)]
    old_object: Option<PartialObject>,
}

fn old_object(body: &[u8]) -> serde_json::Result<PartialObject> {
    let IncomingOld { request } = serde_json::from_slice(body)?;
    Ok(request.old_object.unwrap_or(PartialObject::Read(Value::Null)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupVersionKind<'a> {
    #[serde(borrow)]
    group: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

impl<'a> Request<'a> {
    /// Reads a review; its old object is parsed on first use.
    pub fn read(body: &'a [u8]) -> Result<Self, ReviewError> {
        if body.is_empty() {
            return Err(ReviewError::Empty);
        }
        let Incoming { api_version, kind, mut request } =
            serde_json::from_slice(body).map_err(ReviewError::NotAReview)?;
        if api_version != API_VERSION || kind != KIND {
            let version = format!("{api_version} {kind}");
            return Err(ReviewError::Version(truncated(&escaped(&version), LONGEST_WARNING).into_owned()));
        }
        request.body = body;
        Ok(request)
    }

    /// The object, if it is a workload that is not being deleted.
    pub(super) fn workload(&self) -> Option<Result<&Value, TooManyValues>> {
        match self.object.as_ref().filter(|_| self.is_of_a_supported_kind())? {
            PartialObject::Read(object) => {
                (object.is_object() && !Object::new(object).is_deleted()).then_some(Ok(object))
            }
            PartialObject::TooLarge(error) => Some(Err(*error)),
        }
    }

    fn is_of_a_supported_kind(&self) -> bool {
        let GroupVersionKind { group, version, kind } = &self.kind;
        group == Kind::GROUP && version == Kind::VERSION && self.sub_resource.is_empty() && Kind::named(kind).is_some()
    }

    /// The object that is being replaced; `None` on CREATE.
    pub(super) fn old_object(&self) -> Option<LazyObject<'a>> {
        self.old_object.map(|IgnoredAny| LazyObject::within(self.body, old_object))
    }

    /// The namespace of the object; empty if it has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn answer(&self, response: &Response) -> Result<Answer, ReviewError> {
        let outgoing =
            Outgoing { api_version: API_VERSION, kind: KIND, response: Identified { uid: &self.uid, response } };
        Ok(Answer {
            body: serde_json::to_vec(&outgoing).map_err(ReviewError::Unwritable)?,
            object: truncated(&escaped(&format!("{}/{}", self.namespace, self.name)), LONGEST_NAME).into_owned(),
            allowed: response.allowed,
            patched: response.patch.is_some(),
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing<'a> {
    api_version: &'a str,
    kind: &'a str,
    response: Identified<'a>,
}

#[derive(Serialize)]
struct Identified<'a> {
    uid: &'a str,
    #[serde(flatten)]
    response: &'a Response,
}

/// The response to the API server.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Response {
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    /// Base64 of the JSON Patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<k8s_openapi::ByteString>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    audit_annotations: serde_json::Map<String, Value>,
}

impl Response {
    pub(crate) fn allowed() -> Self {
        Self { allowed: true, ..Self::default() }
    }

    /// A patch without operations is left out: an answer without a patch costs the API server less.
    pub(crate) fn with_patch(mut self, patch: &Patch) -> Self {
        if !patch.0.is_empty()
            && let Ok(bytes) = serde_json::to_vec(patch)
        {
            self.patch = Some(k8s_openapi::ByteString(bytes));
            self.patch_type = Some("JSONPatch");
        }
        self
    }

    pub(crate) fn with_warning(mut self, message: &str) -> Self {
        self.warnings.push(truncated(&format!("winddown: {message}"), LONGEST_WARNING).into_owned());
        self
    }

    /// A workload that was not evaluated: the client sees why, and so does the audit log.
    pub(crate) fn not_evaluated(problem: &impl fmt::Display) -> Self {
        let message = format!("skipped, unchanged: {problem}");
        let mut response = Self::allowed().with_warning(&message);
        response.audit_annotations.insert(NOT_EVALUATED.to_owned(), Value::String(message));
        response
    }

    pub(crate) fn with_finding(self, finding: &Finding) -> Self {
        self.with_warning(&format!("{}: {}", finding.field.short(), finding.message()))
    }

    pub(crate) fn judged(verdict: &Verdict, request: &Request<'_>) -> Self {
        let mut response = Self { allowed: verdict.denials.is_empty(), ..Self::default() };
        if !response.allowed {
            response.status = Some(denial(&verdict.denials, &request.kind.kind, &request.name));
        }
        for finding in verdict.warnings.iter().take(MAX_WARNINGS) {
            response = response.with_finding(finding);
        }
        let omitted = verdict.warnings.len().saturating_sub(MAX_WARNINGS);
        if omitted > 0 {
            response = response.with_warning(&format!("and {omitted} more; `winddown plan` lists all"));
        }
        if !verdict.notes.is_empty() {
            let mut notes: Vec<_> = verdict.notes.iter().take(MAX_WARNINGS).map(ToString::to_string).collect();
            if verdict.notes.len() > notes.len() {
                notes.push(format!("and {} more", verdict.notes.len() - notes.len()));
            }
            response.audit_annotations.insert("findings".to_owned(), Value::String(notes.join("; ")));
        }
        response
    }
}

/// A `Status` like that of the API server for an invalid object: code 422, reason Invalid, a cause for each field.
fn denial(denials: &[Finding], kind: &str, name: &str) -> Value {
    let named = &denials[..denials.len().min(MAX_CAUSES)];
    let mut sentences: Vec<_> =
        named.iter().map(|finding| format!("{}: {}", finding.field, finding.message())).collect();
    if denials.len() > named.len() {
        sentences.push(format!("and {} more", denials.len() - named.len()));
    }
    let causes: Vec<_> = named
        .iter()
        .map(|finding| {
            let (field, message) = (finding.field.to_string(), finding.message());
            json!({"reason": "FieldValueInvalid", "field": field, "message": message})
        })
        .collect();
    json!({
        "status": "Failure",
        "code": 422,
        "reason": "Invalid",
        "message": sentences.join("; "),
        "details": {"group": Kind::GROUP, "kind": kind, "name": name, "causes": causes},
    })
}
