//! What can be read from a pod spec.

pub(crate) mod command;
pub(crate) mod exec_sleep;
pub(crate) mod handlers;
pub(crate) mod ports;
