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
    ///
    /// Reads YAML or JSON, several documents and Lists; other kinds are passed over. Needs neither cluster nor kubeconfig.
    ///
    /// Exits 0 if all is well, 1 if a finding is an error, 2 if the input cannot be used.
    Plan(crate::commands::plan::Arguments),
    /// Run the operator: admission webhooks and controller
    #[cfg(feature = "operator")]
    Run(Box<crate::commands::run::Arguments>),
    /// Check, from inside the cluster, that admission works; `helm test` runs it
    #[cfg(feature = "operator")]
    #[command(hide = true)]
    CheckInstall(crate::commands::check_install::Arguments),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[cfg(feature = "operator")]
    #[test]
    fn every_flag_of_the_operator_has_an_environment_variable_and_a_help_text() {
        let cli = Cli::command();
        let run = cli.find_subcommand("run").unwrap();
        for flag in run.get_arguments() {
            assert!(flag.get_env().is_some() && flag.get_help().is_some(), "{flag}");
        }
    }
}
