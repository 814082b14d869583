//! The command line.

use clap::{Parser, Subcommand};

/// What `winddown --help` says before its commands.
const PICTURE: &str = "\
Kubernetes workloads that shut down without dropping a request

A pod that is to go has its grace period, and three things have to fit into it:

  0            5 s                        30 s         35 s
  |-- drain ---|-------- deadline --------|-- margin --|
  preStop sleep  SIGTERM: the app           slack        SIGKILL
  endpoints and  finishes what is open
  balancers      and exits 0
  forget the pod

  drain + deadline + margin <= terminationGracePeriodSeconds

Two annotations, winddown.dev/drain and winddown.dev/deadline, say how long a team needs. Winddown injects the rest, denies what \
cannot fit and explains why.";

const EXAMPLES: &str = "\
Examples:
  winddown plan -f shop.yaml                        add it all up, with no cluster at all
  helm template shop | winddown plan -f - -o diff   see what Winddown would change in a chart
  winddown explain BudgetDoesNotFit                 know what a finding means and what to do";

/// Kubernetes workloads that shut down without dropping a request
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, long_about = PICTURE, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what Winddown makes of the workloads in files, with no cluster at all
    ///
    /// Adds up drain, deadline and margin of every Deployment, StatefulSet and DaemonSet, draws the last seconds of its pods,
    /// and says what Winddown would change, warn of or deny. Needs neither cluster nor kubeconfig.
    Plan(crate::commands::plan::Arguments),
    /// Explain a finding: why it matters, what to do, where that comes from
    Explain(crate::commands::explain::Arguments),
    /// Print the completions of a shell
    Completions(crate::commands::completions::Arguments),
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
    use clap::{CommandFactory as _, Parser as _};

    use super::Cli;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// The `winddown` commands of the help of a command: what stands between pipes and redirections.
    fn examples(help: &str) -> Vec<String> {
        let lines = help.lines().filter(|line| line.starts_with("  ") && line.contains("winddown "));
        let commands =
            lines.flat_map(|line| line.trim().split("   ").next().unwrap_or_default().split(['|', '>', '(', ')']));
        commands.map(str::trim).filter(|command| command.starts_with("winddown ")).map(str::to_owned).collect()
    }

    #[test]
    fn every_example_of_the_help_is_a_command_line() {
        let mut cli = Cli::command();
        cli.build();
        let mut found = examples(&cli.render_long_help().to_string());
        for command in cli.get_subcommands_mut() {
            found.extend(examples(&command.render_long_help().to_string()));
        }
        assert!(found.len() >= 15, "{found:#?}");
        for example in found {
            let words = example.split_whitespace().map(|word| word.trim_matches('\''));
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
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
