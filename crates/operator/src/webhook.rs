//! The admission webhooks: `POST /mutate` and `POST /validate`.

pub(crate) mod body;
mod body_permits;
pub(crate) mod connections;
mod permits;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod timeouts;
mod view;
