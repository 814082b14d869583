//! The admission webhooks: `POST /mutate` and `POST /validate`.

pub(crate) mod body;
mod connections;
mod permits;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod timeouts;
mod trimming;
