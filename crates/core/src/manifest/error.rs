//! Why a text cannot be read.

use crate::policy::InvalidPolicy;

/// A text that is not a manifest, or a document that is not a Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Neither YAML nor JSON, or YAML that has no equivalent in JSON.
    #[error("line {line}, column {column}: document {document} cannot be read: {message}")]
    Syntax {
        /// The number of the document, from 1.
        document: usize,
        /// The line in the file, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// The error of the parser.
        message: String,
    },
    /// Only white space.
    #[error("is empty")]
    Empty,
    /// YAML that is not for Kubernetes, such as the values of a chart.
    #[error("line {line}: document {document} is not a Kubernetes object: it has neither apiVersion nor kind")]
    Foreign {
        /// The number of the document, from 1.
        document: usize,
        /// The line where it starts, from 1.
        line: usize,
    },
    /// A policy that cannot be used.
    #[error("line {line}: ShutdownPolicy {name} in document {document}: {problem}")]
    Policy {
        /// The number of the document, from 1.
        document: usize,
        /// The line where it starts, from 1.
        line: usize,
        /// Its name, if it has one.
        name: String,
        /// The problem.
        problem: Box<InvalidPolicy>,
    },
    /// YAML, but not a Kubernetes object.
    #[error("line {line}: document {document} is not a Kubernetes object: {reason}")]
    NotAnObject {
        /// The number of the document, from 1.
        document: usize,
        /// The line where it starts, from 1.
        line: usize,
        /// The missing or invalid field.
        reason: &'static str,
    },
}
