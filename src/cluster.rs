//! A cluster, as the commands of `kubectl winddown` see it: with the rights of the user, through the API server only.

pub(crate) mod budgets;
pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod lists;
mod overrides;
pub(crate) mod scope;
pub(crate) mod workloads;

pub(crate) use connection::Cluster;
pub(crate) use error::Error;
