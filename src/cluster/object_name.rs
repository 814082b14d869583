//! The names of objects, which become a part of a path.

/// The longest name of an object.
const LONGEST: usize = 253;

/// Whether a text is a DNS subdomain name, as the names of workloads, Leases and Secrets are.
pub(crate) fn is_object_name(text: &str) -> bool {
    let is_valid = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-';
    let is_label = |label: &str| {
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(is_valid)
    };
    text.len() <= LONGEST && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::is_object_name;

    #[test]
    fn a_name_is_a_dns_subdomain_name() {
        for (text, expected) in [
            ("web", true),
            ("db.eu-1", true),
            ("1", true),
            ("", false),
            (".", false),
            ("..", false),
            (".web", false),
            ("web.", false),
            ("a..b", false),
            ("-web", false),
            ("web-", false),
            ("Web", false),
            ("a/b", false),
            ("a b", false),
            (&"a".repeat(253), true),
            (&"a".repeat(254), false),
        ] {
            assert_eq!(is_object_name(text), expected, "{text}");
        }
    }
}
