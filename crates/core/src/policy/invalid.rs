//! Why a `ShutdownPolicy` is not a policy.

use crate::decode::InvalidField;
use crate::duration::{ParseSecondsError, Seconds};
use crate::sanitize::{escaped, truncated};

const LONGEST_PROBLEM: usize = 300;

/// The reason why a `ShutdownPolicy` cannot be used. The API server refuses most of these already, by the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// A field is missing or does not conform to the schema.
    #[error("{0}")]
    Field(InvalidField),
    /// Not the name of a cluster-scoped object.
    #[error("metadata.name is not a DNS subdomain name")]
    Name,
    /// A text that is not a duration.
    #[error("{field} {value:?} {problem}")]
    Duration {
        /// The field.
        field: &'static str,
        /// Its value, shortened.
        value: String,
        /// The problem: the text that follows the value in the message.
        problem: ParseSecondsError,
    },
    /// A number out of range.
    #[error("{field} is {value}; it must be from 1 to {most}")]
    Number {
        /// The field.
        field: &'static str,
        /// Its value.
        value: i32,
        /// The largest valid value.
        most: i32,
    },
    /// A selector that the API server would reject, or with too many requirements.
    #[error("spec.namespaceSelector is not a label selector with at most 100 requirements")]
    Selector,
    /// No action at all.
    #[error("spec.validationActions is empty; write Deny, Warn or Audit")]
    NoAction,
    /// A request that is rejected has no warnings.
    #[error("spec.validationActions has both Deny and Warn; write one of them")]
    DenyAndWarn,
    /// Defaults that the policy's own limit rejects.
    #[error(
        "drain {drain} + deadline {deadline} + margin {margin} of spec.defaults = {sum}, more than \
         spec.limits.gracePeriod {limit}"
    )]
    DefaultsAboveLimit {
        /// The default or built-in drain.
        drain: Seconds,
        /// The default or built-in deadline.
        deadline: Seconds,
        /// The default or built-in margin.
        margin: Seconds,
        /// Their sum.
        sum: Seconds,
        /// The limit.
        limit: Seconds,
    },
    /// A default drain that the policy's own limit rejects.
    #[error("the drain {drain} of spec.defaults is more than spec.limits.drain {limit}")]
    DrainAboveLimit {
        /// The default or built-in drain.
        drain: Seconds,
        /// The limit.
        limit: Seconds,
    },
}

impl From<InvalidField> for InvalidPolicy {
    fn from(InvalidField { field, problem }: InvalidField) -> Self {
        // It may contain a value of any length.
        let problem = truncated(&escaped(&problem), LONGEST_PROBLEM).into_owned();
        Self::Field(InvalidField { field, problem })
    }
}
