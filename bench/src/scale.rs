//! The controller beside thousands of workloads: kube-apiserver and etcd are real, there are no nodes and no other controllers.

mod fleet;
mod installation;
mod pods;
mod requests;
pub(crate) mod restart;
mod stored;
pub(crate) mod weight;

pub(crate) use self::fleet::Fleet;
pub(crate) use self::stored::Stored;
