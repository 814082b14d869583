//! The `winddown` command line: `cli` parses the arguments, `commands` run, `render` formats the output.

pub mod cli;
#[cfg(feature = "cluster")]
mod cluster;
pub mod commands;
pub mod exit;
#[cfg(all(test, feature = "cluster"))]
mod golden;
mod message;
#[cfg(feature = "cluster")]
mod question;
mod render;
#[cfg(feature = "cluster")]
pub mod rights;
#[cfg(all(feature = "sampling", target_os = "linux"))]
mod sampling;
