//! A cluster, as the commands of `kubectl winddown` see it: with the rights of the user, through the API server only.

mod address;
pub(crate) mod budgets;
pub(crate) mod connection;
mod credentials;
pub(crate) mod error;
mod impersonation;
mod kubeconfig;
pub(crate) mod lists;
pub(crate) mod object_name;
mod overrides;
mod proxies;
pub(crate) mod scope;
pub(crate) mod workloads;

pub(crate) use connection::Cluster;
pub(crate) use error::Error;
