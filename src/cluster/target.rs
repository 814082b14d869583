//! A workload as users name it: `deploy/shop`.

use std::fmt;
use std::str::FromStr;

use winddown_core::kind::Kind;

/// The kind and name of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

/// Why a text names no workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseTargetError {
    #[error("is not of the form TYPE/NAME, for example deploy/shop")]
    Form,
    #[error("{0:?} is not a type that Winddown supports: deployment (deploy), statefulset (sts) or daemonset (ds)")]
    Kind(String),
    #[error("{0:?} is not a valid name")]
    Name(String),
}

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = text.split_once('/').ok_or(ParseTargetError::Form)?;
        let kind = match kind.strip_suffix(".apps").unwrap_or(kind).to_ascii_lowercase().as_str() {
            "deploy" | "deployment" | "deployments" => Kind::Deployment,
            "sts" | "statefulset" | "statefulsets" => Kind::StatefulSet,
            "ds" | "daemonset" | "daemonsets" => Kind::DaemonSet,
            _ => return Err(ParseTargetError::Kind(kind.to_owned())),
        };
        // A name is a part of a path.
        let is_allowed = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '.';
        if name.is_empty() || name.len() > 253 || !name.chars().all(is_allowed) {
            return Err(ParseTargetError::Name(name.to_owned()));
        }
        Ok(Self { kind, name: name.to_owned() })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str().to_ascii_lowercase(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_named_as_in_kubectl() {
        for (text, expected) in [
            ("deploy/shop", Ok("deployment/shop")),
            ("Deployment.apps/shop", Ok("deployment/shop")),
            ("sts/db-0.a", Ok("statefulset/db-0.a")),
            ("ds/agent", Ok("daemonset/agent")),
            ("shop", Err("is not of the form TYPE/NAME, for example deploy/shop")),
            ("deploy/", Err("\"\" is not a valid name")),
            ("deploy/a/../b", Err("\"a/../b\" is not a valid name")),
        ] {
            let parsed = text.parse::<Target>().map(|target| target.to_string()).map_err(|error| error.to_string());
            assert_eq!(parsed, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
        assert!("job/x".parse::<Target>().is_err());
    }
}
