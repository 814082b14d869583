//! Information from a pod spec.

pub(crate) mod command;
pub(crate) mod environment;
pub(crate) mod handlers;
pub(crate) mod hooks;
pub(crate) mod image;
pub(crate) mod placement;
pub(crate) mod ports;
pub(crate) mod settings;
pub(crate) mod shell;
pub(crate) mod sidecars;
pub(crate) mod signals;
pub(crate) mod words;
pub(crate) mod wrappers;
