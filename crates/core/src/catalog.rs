//! What is known of load balancers, runtimes, platforms, sidecars and meshes: data with sources.

pub(crate) mod meshes;
pub(crate) mod platforms;
pub mod presets;
pub(crate) mod sidecars;
