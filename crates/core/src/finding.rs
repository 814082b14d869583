//! The findings about a workload, shown as a denial, a warning, an Event or a line of text.

mod code;

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

pub use code::Code;
pub(crate) use code::for_each_code;

use crate::duration::Seconds;
use crate::field_path::FieldPath;
use crate::fingerprint::number_of_texts;
use crate::sanitize::escaped;

/// A finding about one field.
///
/// Its identity is its code, its field and its facts, not its text: see [`Finding::is_same_as`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The stable name of this kind of finding.
    pub code: Code,
    /// The severity of its code.
    pub severity: Severity,
    /// The field that it is about.
    pub field: FieldPath,
    /// The numbers and names that it depends on.
    facts: Vec<Fact>,
    /// The problem, with the numbers, in one line.
    pub problem: String,
    /// The solution, if the field does not show it, in one line.
    pub hint: Option<String>,
}

/// A value that distinguishes a finding from others with the same code and field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fact {
    Seconds(Seconds),
    Number(i64),
    Text(String),
}

/// See [`Finding::identity`].
pub(crate) type Identity<'a> = (Code, &'a FieldPath, &'a [Fact]);

/// The severity of a finding, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// For information.
    Info,
    /// Works, but probably not as intended.
    Warning,
    /// The budget cannot be kept: rejected in mode Enforce.
    Error,
}

impl Severity {
    /// The name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Finding {
    /// A finding without facts and hint.
    pub(crate) fn new(code: Code, severity: Severity, field: FieldPath, problem: impl Into<String>) -> Self {
        let problem: String = problem.into();
        Self { code, severity, field, facts: Vec::new(), problem: escaped(&problem).into_owned(), hint: None }
    }

    /// Adds a value that the finding depends on. If a change of the value makes it a new finding, the value must be a fact.
    #[must_use]
    pub(crate) fn fact(mut self, fact: impl Into<Fact>) -> Self {
        self.facts.push(fact.into());
        self
    }

    /// Adds the solution.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint: String = hint.into();
        self.hint = Some(escaped(&hint).into_owned());
        self
    }

    /// The same with another severity.
    #[must_use]
    pub(crate) fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// Whether both report the same problem with the same numbers. Text and hint are not compared.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    /// What [`Self::is_same_as`] compares, to find equal findings among many.
    pub(crate) fn identity(&self) -> Identity<'_> {
        (self.code, &self.field, &self.facts)
    }

    /// A hash of the identity, which is the same in every process and version.
    pub(crate) fn hash(&self) -> u64 {
        let facts = self.facts.iter().map(|fact| match fact {
            Fact::Seconds(seconds) => format!("seconds {}", seconds.as_i64()),
            Fact::Number(number) => format!("number {number}"),
            Fact::Text(text) => format!("text {text}"),
        });
        let parts: Vec<_> = [self.code.as_str().to_owned(), self.field.to_string()].into_iter().chain(facts).collect();
        number_of_texts(&parts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Whether this is rejected in mode Enforce.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Problem and hint in one line.
    #[must_use]
    pub fn message(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.problem),
            None => self.problem.clone(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}: {}", self.severity.as_str(), self.code.as_str(), self.field, self.message())
    }
}

impl Serialize for Finding {
    /// `{"code", "severity", "field", "message"}`: the keys of `winddown plan -o json`. They are stable.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Finding", 4)?;
        fields.serialize_field("code", &self.code)?;
        fields.serialize_field("severity", &self.severity)?;
        fields.serialize_field("field", &self.field.to_string())?;
        fields.serialize_field("message", &self.message())?;
        fields.end()
    }
}

impl From<Seconds> for Fact {
    fn from(seconds: Seconds) -> Self {
        Self::Seconds(seconds)
    }
}

impl From<u32> for Fact {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<i32> for Fact {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for Fact {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Finding, Severity};
    use crate::duration::Seconds;
    use crate::field_path::FieldPath;

    fn finding(problem: &str) -> Finding {
        Finding::new(Code::PreStopShort, Severity::Warning, FieldPath::container("app", "lifecycle.preStop"), problem)
    }

    #[test]
    fn a_finding_is_one_line() {
        let finding = Finding::new(
            Code::PreStopUnknown,
            Severity::Warning,
            FieldPath::pod("containers").key("a\u{1b}[31m"),
            "of a\r\nb and ü\u{85}",
        );
        let text = "warning PreStopUnknown: spec.template.spec.containers[a\\u{1b}[31m]: of a\\r\\nb and ü\\u{85}";
        assert_eq!(finding.to_string(), text);
    }

    #[test]
    fn identity_depends_on_facts_and_not_on_wording() {
        let three = finding("sleeps 3s").fact(Seconds::new(3));
        assert!(three.is_same_as(&finding("its sleep is 3s").fact(Seconds::new(3)).hint("raise it")));
        assert!(!three.is_same_as(&finding("sleeps 3s").fact(Seconds::new(4))));
    }

    #[test]
    fn the_hash_is_the_one_that_an_earlier_version_stored() {
        let plain = finding("sleeps 3s");
        let with = |fact: super::Fact| plain.clone().fact(fact).hash();
        assert_eq!(with(Seconds::new(3).into()), 12_592_731_711_318_480_152);
        assert_eq!(plain.clone().hint("raise it").hash(), plain.hash());
        let hashes = [plain.hash(), with(Seconds::new(3).into()), with(3_u32.into()), with("3".into())];
        assert_eq!(std::collections::BTreeSet::from(hashes).len(), hashes.len());
    }

    #[test]
    fn the_json_keys_are_stable() {
        let json = serde_json::to_value(finding("a problem").hint("a hint")).unwrap();
        let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["code", "severity", "field", "message"]);
        assert_eq!(json["message"], "a problem; a hint");
    }
}
