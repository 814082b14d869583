//! The command line.

use clap::{Parser, Subcommand};

/// Kubernetes Deployments that shut down without dropping a request
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what Winddown would make of the Deployments in a file, with no cluster at all
    Plan(crate::commands::plan::Arguments),
    /// Run the operator: admission webhooks and controller
    #[cfg(feature = "operator")]
    Run(crate::commands::run::Arguments),
    /// Check, from inside the cluster, that admission works; `helm test` runs it
    #[cfg(feature = "operator")]
    #[command(hide = true)]
    CheckInstall(crate::commands::check_install::Arguments),
}
