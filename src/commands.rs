//! What the binary can be asked to do.

pub mod plan;
