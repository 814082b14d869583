//! `winddown completions`: what a shell has to know to complete the command line.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;

const EXAMPLES: &str = "\
Examples:
  source <(winddown completions bash)
  winddown completions zsh > \"${fpath[1]}/_winddown\"
  winddown completions fish > ~/.config/fish/completions/winddown.fish";

/// Flags of `winddown completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints the script.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    // Written to memory first: the generator would panic where nobody reads on.
    match io::stdout().write_all(&script(arguments.shell)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("winddown: cannot write the completions: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "winddown", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::{Shell, script};

    #[test]
    fn every_shell_completes_commands_and_those_that_can_findings_too() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).unwrap();
            assert!(script.contains("explain"), "{shell}");
            if let Shell::Bash | Shell::Zsh = shell {
                assert!(script.contains("sarif") && script.contains("BudgetDoesNotFit"), "{shell}");
            }
        }
    }
}
