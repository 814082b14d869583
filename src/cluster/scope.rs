//! Which namespaces: the flags `-n` and `-A`.

use clap::Args;

use super::Cluster;
use super::lists::Scope;

/// The flags that choose namespaces.
#[derive(Clone, Debug, Args)]
pub(crate) struct ScopeArguments {
    /// Namespace; by default that of the context
    #[arg(short, long, value_name = "NAME", value_parser = parse_namespace, conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
}

impl ScopeArguments {
    /// The namespaces.
    pub(crate) fn scope(&self, cluster: &Cluster) -> Scope {
        if self.all_namespaces { Scope::All } else { Scope::Namespace(self.namespace(cluster)) }
    }

    /// The namespace of objects that are named without one.
    pub(crate) fn namespace(&self, cluster: &Cluster) -> String {
        self.namespace.clone().unwrap_or_else(|| cluster.default_namespace.clone())
    }
}

/// The name of a namespace, which becomes a part of a path.
pub(crate) fn parse_namespace(text: &str) -> Result<String, String> {
    let is_valid = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-';
    if text.is_empty() || text.len() > 63 || !text.chars().all(is_valid) {
        return Err("is not the name of a namespace, which has 1 to 63 lowercase letters, digits and -".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_namespace;

    #[test]
    fn a_namespace_has_a_name_that_is_a_part_of_a_path() {
        assert_eq!(parse_namespace("kube-system").as_deref(), Ok("kube-system"));
        for text in ["", "a/b", "..", "A", &"a".repeat(64)] {
            assert!(parse_namespace(text).is_err(), "{text}");
        }
    }
}
