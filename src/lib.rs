//! The `winddown` command line: arguments, commands and what they print.

pub mod cli;
pub mod commands;
mod render;
