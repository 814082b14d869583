//! The command line.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

#[cfg(all(feature = "sampling", target_os = "linux"))]
use crate::commands::sample;
#[cfg(feature = "cluster")]
use crate::commands::{audit, check, drill, restore, status};
#[cfg(feature = "operator")]
use crate::commands::{check_install, run};
use crate::commands::{completions, crd, explain, plan};

/// The start of `winddown --help`.
const ABOUT: &str = "\
Winddown shuts down Kubernetes workloads without dropped requests.

The grace period of a pod must be long enough for three phases:

  0            5 s                        30 s         35 s
  |-- drain ---|-------- deadline --------|-- margin --|
  preStop sleep  SIGTERM: the app           slack        SIGKILL
  endpoints and  finishes open requests
  balancers      and exits
  drop the pod

  drain + deadline + margin <= terminationGracePeriodSeconds

Set the annotations winddown.dev/drain and winddown.dev/deadline on a Deployment, StatefulSet or DaemonSet. Winddown injects \
the preStop sleep, the readiness probe and the grace period, and rejects workloads whose budget does not fit.";

const EXAMPLES: &str = "\
Examples:
  # Evaluate the workloads in a file
  winddown plan -f shop.yaml

  # Show what Winddown would change in a chart
  helm template shop | winddown plan -f - -o diff

  # Show why a finding matters and how to fix it
  winddown explain BudgetDoesNotFit";

/// The examples of the plugin: what a user of kubectl starts with.
#[cfg(feature = "cluster")]
const PLUGIN_EXAMPLES: &str = "\
Examples:
  # Show which workloads of the cluster can drop requests during a rollout, with nothing installed in it
  winddown audit

  # Evict one pod of a Deployment after you confirm, and measure how long traffic keeps arriving
  winddown drill deploy/shop --measure

  # Show why a finding matters and how to fix it
  winddown explain BudgetDoesNotFit";
#[cfg(not(feature = "cluster"))]
const PLUGIN_EXAMPLES: &str = EXAMPLES;

/// Shuts down Kubernetes workloads without dropped requests
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, long_about = ABOUT, after_help = EXAMPLES)]
pub struct Cli {
    /// The subcommand
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Evaluate all workloads of a cluster, with nothing installed in it
    ///
    /// Lists the Deployments, StatefulSets and DaemonSets, and the objects that say more about them, with the rights of the user.
    /// Shows which of them can drop requests during a rollout today, and why, the budget and the findings of each, and the changes
    /// that Winddown would make. Workloads without annotations are evaluated under assumed ones. Changes nothing.
    #[cfg(feature = "cluster")]
    Audit(Box<audit::Arguments>),
    /// Check the installation of Winddown in a cluster
    ///
    /// Looks at the operator, its webhooks and certificates and the custom resource definitions, and creates workloads as a
    /// server-side dry run, which stores nothing. Each line says what is true if the check succeeds.
    #[cfg(feature = "cluster")]
    Check(Box<check::Arguments>),
    /// Show the workloads of a cluster that Winddown manages, and how their pods stop
    ///
    /// A row for each workload, sorted by namespace and name. Needs the right to list shutdownbudgets. The chart adds it to the
    /// roles view, edit and admin.
    #[cfg(feature = "cluster")]
    Status(Box<status::Arguments>),
    /// Rehearse the shutdown of a pod, and measure how long traffic keeps arriving
    ///
    /// Evicts one pod through the eviction API, which respects disruption budgets, with the rights of the user: never two
    /// at a time, and never without confirmation or --yes. Shows what the API reports beside what was promised. With --measure, also
    /// how long connections and requests keep arriving at the pod, and the annotations that follow.
    #[cfg(feature = "cluster")]
    Drill(Box<drill::Arguments>),
    /// Remove what Winddown injected from workloads, before Winddown is uninstalled
    ///
    /// Shows the differences first, and asks. Fields that were changed after the injection are kept. A workload whose template
    /// changes replaces its pods.
    #[cfg(feature = "cluster")]
    Restore(Box<restore::Arguments>),
    /// Evaluate the workloads in files, without a cluster
    ///
    /// For each Deployment, StatefulSet and DaemonSet, shows the budget, the timeline of a pod's shutdown, the findings, and
    /// the changes that the webhook would make. Needs neither a cluster nor a kubeconfig.
    Plan(plan::Arguments),
    /// Show why a finding matters and how to fix it
    ///
    /// Without a code, lists the codes of all findings with their severity.
    Explain(explain::Arguments),
    /// Print the custom resource definitions
    Crd(crd::Arguments),
    /// Generate a shell completion script
    Completions(completions::Arguments),
    /// Run the operator: the admission webhooks and the controller
    #[cfg(feature = "operator")]
    Run(Box<run::Arguments>),
    /// Check from inside the cluster that admission works; used by helm test
    #[cfg(feature = "operator")]
    #[command(hide = true)]
    CheckInstall(check_install::Arguments),
    /// Record the TCP connections of this pod while it stops; drill --measure runs it in a container of the pod
    #[cfg(all(feature = "sampling", target_os = "linux"))]
    #[command(hide = true)]
    Sample(sample::Arguments),
}

/// The name under which the binary was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `winddown`, or any other name.
    Winddown,
    /// `kubectl-winddown`, which kubectl starts for `kubectl winddown`.
    Plugin,
}

impl Program {
    /// The program for the first word of the command line. A plugin of kubectl is an executable whose name starts with
    /// `kubectl-` (<https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>).
    #[must_use]
    pub fn named(argument: Option<&OsStr>) -> Self {
        let name = argument.map(Path::new).and_then(Path::file_stem).and_then(OsStr::to_str);
        if name.is_some_and(|name| name.starts_with("kubectl-")) { Self::Plugin } else { Self::Winddown }
    }

    /// Whether kubectl asks for the completion of `kubectl winddown`: it starts an executable whose name begins with
    /// `kubectl_complete-`.
    #[must_use]
    pub fn is_completion(argument: Option<&OsStr>) -> bool {
        let name = argument.map(Path::new).and_then(Path::file_name).and_then(OsStr::to_str);
        name.is_some_and(|name| name.starts_with("kubectl_complete-"))
    }

    /// The command line with the name that users type. What only the image needs is hidden in the plugin, where
    /// [`Cli::parse_as`] refuses it.
    #[must_use]
    pub fn command_line(self) -> clap::Command {
        match self {
            Self::Winddown => Cli::command(),
            Self::Plugin => {
                let command_line = Cli::command().name("kubectl-winddown").bin_name("kubectl winddown");
                let command_line = as_typed(command_line.after_help(PLUGIN_EXAMPLES));
                command_line.mut_subcommands(|command| {
                    let is_for_the_image = command.get_name() == "run" || command.is_hide_set();
                    let is_completions = command.get_name() == "completions";
                    let command = command.hide(is_for_the_image);
                    as_typed(if is_completions { command.after_help(completions::PLUGIN_EXAMPLES) } else { command })
                })
            }
        }
    }

    /// Whether a command is only for the image. With the rights of a user of kubectl, a second operator would change workloads.
    fn refuses(self, subcommand: &str, command_line: &clap::Command) -> bool {
        self == Self::Plugin && command_line.find_subcommand(subcommand).is_some_and(clap::Command::is_hide_set)
    }

    /// The command to name in texts.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Winddown => "winddown",
            Self::Plugin => "kubectl winddown",
        }
    }
}

/// The examples of a command as users of the plugin type them.
fn as_typed(command: clap::Command) -> clap::Command {
    let typed = |text: String| -> String {
        let is_comment = |line: &str| line.trim_start().starts_with('#');
        let line = |line: &str| {
            if is_comment(line) {
                line.to_owned()
            } else {
                line.replace(" winddown ", " kubectl winddown ").replace("(winddown ", "(kubectl winddown ")
            }
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    };
    let text = |text: Option<&clap::builder::StyledStr>| text.map(|text| typed(text.to_string()));
    let (help, long_help) = (text(command.get_after_help()), text(command.get_after_long_help()));
    let command = if let Some(help) = help { command.after_help(help) } else { command };
    if let Some(help) = long_help { command.after_long_help(help) } else { command }
}

impl Cli {
    /// Parses the command line of the process. An invalid one ends the process with 2.
    #[must_use]
    pub fn parse_as(program: Program) -> Self {
        let mut command_line = program.command_line();
        // Before its arguments are parsed, which may not be valid.
        if let Some(name) = std::env::args_os()
            .nth(1)
            .and_then(|name| name.into_string().ok())
            .filter(|name| program.refuses(name, &command_line))
        {
            let reason =
                format!("{name:?} is not a command of the plugin of kubectl; the image of the operator runs it");
            command_line.error(ErrorKind::InvalidSubcommand, reason).exit();
        }
        let matches = command_line.get_matches_mut();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command_line).exit())
    }

    /// Runs the subcommand.
    #[must_use]
    pub fn run(self, program: Program) -> ExitCode {
        match self.command {
            Command::Plan(arguments) => plan::command(&arguments, program),
            #[cfg(feature = "cluster")]
            Command::Status(arguments) => status::command(&arguments),
            #[cfg(feature = "cluster")]
            Command::Check(arguments) => check::command(&arguments),
            #[cfg(feature = "cluster")]
            Command::Restore(arguments) => restore::command(&arguments),
            #[cfg(feature = "cluster")]
            Command::Audit(arguments) => audit::command(&arguments, program),
            Command::Explain(arguments) => explain::command(&arguments),
            #[cfg(feature = "cluster")]
            Command::Drill(arguments) => drill::command(&arguments),
            Command::Crd(arguments) => crd::command(&arguments),
            Command::Completions(arguments) => completions::command(&arguments, program.command_line()),
            #[cfg(feature = "operator")]
            Command::Run(arguments) => run::command(*arguments),
            #[cfg(feature = "operator")]
            Command::CheckInstall(arguments) => check_install::command(&arguments),
            #[cfg(all(feature = "sampling", target_os = "linux"))]
            Command::Sample(arguments) => sample::command(&arguments),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use clap::{CommandFactory as _, Parser as _};

    use super::{Cli, PLUGIN_EXAMPLES, Program};

    #[test]
    fn the_definition_of_the_command_line_is_valid() {
        for program in [Program::Winddown, Program::Plugin] {
            program.command_line().debug_assert();
        }
    }

    #[test]
    fn as_a_plugin_of_kubectl_the_usage_is_what_users_type() {
        for (path, program) in [
            ("/usr/bin/winddown", Program::Winddown),
            ("/home/a/.krew/bin/kubectl-winddown", Program::Plugin),
            ("kubectl-winddown.exe", Program::Plugin),
        ] {
            assert_eq!(Program::named(Some(OsStr::new(path))), program, "{path}");
            assert!(!Program::is_completion(Some(OsStr::new(path))), "{path}");
        }
        assert!(Program::is_completion(Some(OsStr::new("/home/a/.krew/bin/kubectl_complete-winddown"))));
        let mut plugin = Program::Plugin.command_line();
        plugin.build();
        let help = plugin.render_long_help().to_string();
        assert!(help.contains("Usage: kubectl winddown <COMMAND>") && !help.contains("\n  run "), "{help}");
        #[cfg(feature = "cluster")]
        assert!(help.contains("\n  kubectl winddown audit\n\n  # "), "{help}");
        for (name, is_refused) in [("run", cfg!(feature = "operator")), ("plan", false), ("completions", false)] {
            assert_eq!(Program::Plugin.refuses(name, &plugin), is_refused, "{name}");
            assert!(!Program::Winddown.refuses(name, &Program::Winddown.command_line()), "{name}");
        }
        let plan = plugin.find_subcommand_mut("plan").unwrap().render_usage().to_string();
        assert!(plan.starts_with("Usage: kubectl winddown plan "), "{plan}");
    }

    /// The `winddown` commands in the examples of a help text, without pipes and redirections.
    fn examples(help: &str) -> Vec<String> {
        let lines = help.lines().filter(|line| line.starts_with("  ") && line.contains("winddown "));
        let commands =
            lines.flat_map(|line| line.trim().split("   ").next().unwrap_or_default().split(['|', '>', '(', ')']));
        commands.map(str::trim).filter(|command| command.starts_with("winddown ")).map(str::to_owned).collect()
    }

    #[test]
    fn every_example_of_the_help_can_be_parsed() {
        let mut cli = Cli::command();
        cli.build();
        let mut found = examples(&cli.render_long_help().to_string());
        found.extend(examples(PLUGIN_EXAMPLES));
        for command in cli.get_subcommands_mut() {
            found.extend(examples(&command.render_long_help().to_string()));
        }
        assert!(found.len() >= 15, "{found:#?}");
        for example in found {
            let words = example.split_whitespace().map(|word| word.trim_matches('\''));
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn one_namespace_and_all_of_them_are_a_contradiction() {
        for command in ["audit", "status", "restore"] {
            let parsed = Cli::try_parse_from(["winddown", command, "-n", "shop", "-A"]);
            let kind = parsed.err().map(|error| error.kind());
            assert_eq!(kind, Some(clap::error::ErrorKind::ArgumentConflict), "{command}");
        }
    }

    #[test]
    fn the_examples_of_the_plugin_are_the_same_under_its_own_name() {
        let texts = |program: Program| {
            let mut command_line = program.command_line();
            command_line.build();
            command_line.get_subcommands_mut().map(|command| command.render_long_help().to_string()).collect::<String>()
        };
        let (own, plugin) = (examples(&texts(Program::Winddown)), texts(Program::Plugin));
        let typed = plugin.matches(" kubectl winddown ").count() + plugin.matches("(kubectl winddown ").count();
        assert!(own.len() >= 15 && typed >= own.len(), "{typed} of {}", own.len());
        assert_eq!(examples(&plugin), Vec::<String>::new());
        // Also in the descriptions of commands, arguments and values.
        for command in Cli::command().get_subcommands() {
            let name = format!("winddown {}", command.get_name());
            let named = plugin.matches(&name).count();
            assert_eq!(named, plugin.matches(&format!("kubectl {name}")).count(), "{name} in {plugin}");
        }
        assert!(plugin.contains("The scripts complete the command `kubectl-winddown`"), "{plugin}");
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
