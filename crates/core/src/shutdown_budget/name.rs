//! The name of a `ShutdownBudget`.

use crate::fingerprint::of_texts;
use crate::kind::Kind;

/// The limit of Kubernetes for the name of an object.
const LONGEST: usize = 253;
/// Hexadecimal digits of the hash that ends a name which was cut.
const DIGITS: usize = 10;

/// The name of the budget of a workload: `deployment-web`. A longer one than Kubernetes permits is cut, and ends with a hash of
/// all of it.
#[must_use]
pub fn name(kind: Kind, workload: &str) -> String {
    let name = format!("{}-{workload}", kind.as_str().to_lowercase());
    if name.len() <= LONGEST {
        return name;
    }
    let start = &name[..name.floor_char_boundary(LONGEST - 1 - DIGITS)];
    // A label of a name ends with a letter or digit.
    let start = start.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let hash = of_texts(&[&name]);
    format!("{start}-{}", &hash[..DIGITS])
}

#[cfg(test)]
mod tests {
    use super::{Kind, name};

    #[test]
    fn kind_and_name_of_the_workload_are_the_name() {
        assert_eq!(name(Kind::Deployment, "web"), "deployment-web");
        assert_eq!(name(Kind::StatefulSet, "db.eu"), "statefulset-db.eu");
        let longest = "a".repeat(253 - "daemonset-".len());
        assert_eq!(name(Kind::DaemonSet, &longest), format!("daemonset-{longest}"));
    }

    #[test]
    fn a_long_name_is_cut_and_still_the_name_of_one_workload() {
        let long = |end: &str| name(Kind::StatefulSet, &format!("{}{end}", "a".repeat(250)));
        assert_eq!(long("x").len(), 253);
        assert_ne!(long("x"), long("y"));
        // "deployment-" has 11 characters: the name would be cut after the dots.
        let dots = name(Kind::Deployment, &format!("{}..{}", "a".repeat(229), "b".repeat(20)));
        assert!(dots.starts_with("deployment-aaa") && dots.contains("a-") && !dots.contains('.'), "{dots}");
        assert!(name(Kind::Deployment, &"\u{1f600}".repeat(300)).len() <= 253);
    }
}
