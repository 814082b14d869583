//! The workloads of a cluster, as the command line names them.

use std::fmt;
use std::str::FromStr;

use super::lists::Resource;
use super::object_name::is_object_name;
use winddown_core::kind::Kind;

/// A workload on the command line: `deploy/web`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WorkloadName {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

/// Why a text does not name a workload.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("name the workload as TYPE/NAME, for example deploy/{0}")]
    NoType(String),
    #[error("the type {0:?} is not deployment, statefulset or daemonset (deploy, sts, ds)")]
    UnknownType(String),
    #[error("{0:?} is not the name of an object")]
    InvalidName(String),
}

impl WorkloadName {
    /// As kubectl prints it without the group: `deployment/web`. It can be given to the next command.
    pub(crate) fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// As `kubectl get -o name` prints it: `deployment.apps/web`.
    pub(crate) fn qualified(&self) -> String {
        format!("{}.{}/{}", self.kind.as_str().to_lowercase(), Kind::GROUP, self.name)
    }

    /// The command that shows it.
    pub(crate) fn shown_by(&self, namespace: &str) -> String {
        format!("kubectl get {self} -n {namespace} -o yaml")
    }
}

impl fmt::Display for WorkloadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str().to_lowercase(), self.name)
    }
}

impl FromStr for WorkloadName {
    type Err = ParseError;

    /// The names of types that kubectl accepts.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (type_, name) = text.split_once('/').ok_or_else(|| ParseError::NoType(text.to_owned()))?;
        let lower = type_.to_lowercase();
        let short = lower.strip_suffix(".v1.apps").or(lower.strip_suffix(".apps")).unwrap_or(&lower);
        let named = Kind::ALL.into_iter().find(|kind| type_names(*kind).contains(&short));
        let kind = named.ok_or_else(|| ParseError::UnknownType(type_.to_owned()))?;
        if !is_object_name(name) {
            return Err(ParseError::InvalidName(name.to_owned()));
        }
        Ok(Self::new(kind, name))
    }
}

/// The names of a kind that kubectl accepts, without the group.
pub(crate) const fn type_names(kind: Kind) -> [&'static str; 3] {
    match kind {
        Kind::Deployment => ["deployment", "deploy", "deployments"],
        Kind::StatefulSet => ["statefulset", "sts", "statefulsets"],
        Kind::DaemonSet => ["daemonset", "ds", "daemonsets"],
    }
}

/// The resource of a kind.
pub(crate) const fn resource(kind: Kind) -> Resource {
    Resource::namespaced(Kind::API_VERSION, kind.resource())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::lists::Scope;

    #[test]
    fn a_kind_has_the_path_of_its_resource() {
        for kind in Kind::ALL {
            assert_eq!(kind.path("shop"), resource(kind).path(&Scope::Namespace("shop".to_owned())));
        }
    }

    #[test]
    fn the_types_that_kubectl_accepts_name_a_workload() {
        for (text, expected) in [
            ("deploy/web", "deployment/web"),
            ("Deployments.apps/web", "deployment/web"),
            ("sts/db.eu", "statefulset/db.eu"),
            ("daemonset.v1.apps/agent", "daemonset/agent"),
        ] {
            assert_eq!(text.parse::<WorkloadName>().unwrap().to_string(), expected, "{text}");
        }
        assert_eq!("sts/db".parse::<WorkloadName>().unwrap().qualified(), "statefulset.apps/db");
    }

    #[test]
    fn other_texts_are_refused_with_what_to_write() {
        for (text, message) in [
            ("web", "name the workload as TYPE/NAME, for example deploy/web"),
            ("pod/web", "the type \"pod\" is not deployment, statefulset or daemonset (deploy, sts, ds)"),
            ("deploy/", "\"\" is not the name of an object"),
            ("deploy/a/b", "\"a/b\" is not the name of an object"),
            ("deploy/../x", "\"../x\" is not the name of an object"),
            ("deploy/..", "\"..\" is not the name of an object"),
        ] {
            assert_eq!(text.parse::<WorkloadName>().unwrap_err().to_string(), message);
        }
    }
}
