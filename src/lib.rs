//! The `winddown` command line: `cli` parses the arguments, `commands` run, `render` formats the output.

pub mod cli;
#[cfg(feature = "cluster")]
mod cluster;
pub mod commands;
pub mod exit;
#[cfg(all(test, feature = "cluster"))]
mod golden;
#[cfg(feature = "cluster")]
mod message;
mod render;
#[cfg(all(feature = "sampling", target_os = "linux"))]
mod sampling;
