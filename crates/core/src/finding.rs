//! What Winddown has to say about a workload: computed once, shown as a denial, a warning, an event or a line of text.

mod code;
mod page;

use std::fmt;

use serde::Serialize;

pub use code::Code;
pub use page::{DOCS, page};

/// One observation, with the place it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stable name of this kind of finding.
    pub code: Code,
    /// How grave it is: that of its code.
    pub severity: Severity,
    /// The field as the API server would name it, e.g. `spec.template.spec.terminationGracePeriodSeconds`.
    pub field: String,
    /// What is wrong, in numbers; behind a semicolon, what else is there and the way out.
    pub message: String,
}

/// How grave a finding is, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Works, but maybe not as meant.
    Warning,
    /// The promise cannot be kept: denied where mode is Enforce.
    Error,
}

impl Severity {
    /// In lower case, as in text.
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
    /// A finding of this kind at that place. One line, whatever the names in it: it goes into HTTP headers, logs and
    /// terminals, and a manifest can name things as it likes.
    #[must_use]
    pub fn new(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, severity: code.severity(), field: on_one_line(field.into()), message: on_one_line(message.into()) }
    }

    /// Whether the other one is about the same thing, number for number. What stands beside it may have changed.
    #[must_use]
    pub fn is_the_same_as(&self, other: &Self) -> bool {
        let what = |finding: &Self| finding.message.split("; ").next().map(str::to_owned);
        (self.code, &self.field) == (other.code, &other.field) && what(self) == what(other)
    }

    /// Whether this denies, where mode is Enforce.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}: {}", self.severity.as_str(), self.code.as_str(), self.field, self.message)
    }
}

/// The text with its control characters escaped.
fn on_one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let escaped = |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::{Code, Finding};

    #[test]
    fn a_finding_is_one_line_whatever_the_names_in_it() {
        let finding = Finding::new(Code::PreStopUnknown, "containers[a\u{1b}[31m]", "of a\r\nb and ü\u{85}");
        assert_eq!(finding.to_string(), "warning PreStopUnknown: containers[a\\u{1b}[31m]: of a\\r\\nb and ü\\u{85}");
    }
}
