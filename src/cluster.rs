//! A cluster, as the commands of `kubectl winddown` see it: with the rights of the user, through the API server only.

pub(crate) mod budgets;
pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod lists;
pub(crate) mod scope;
pub(crate) mod workloads;

pub(crate) use connection::Cluster;
pub(crate) use error::Error;

use kube::core::{ApiResource, GroupVersionKind};
use winddown_core::kind::Kind;

/// A kind in the form of kube's dynamic types.
pub(crate) fn api_resource(kind: Kind) -> ApiResource {
    let gvk = GroupVersionKind::gvk(Kind::GROUP, Kind::VERSION, kind.as_str());
    ApiResource::from_gvk_with_plural(&gvk, kind.resource())
}
