//! The `winddown` command line: `cli` parses the arguments, `commands` run, `render` formats the output.

pub mod cli;
pub mod commands;
mod render;
