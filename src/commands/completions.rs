//! `winddown completions`: generates shell completion scripts.

use std::io::{self, Write};
use std::process::ExitCode;

use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  # Enable completion in the current bash session
  source <(winddown completions bash)

  # Install completion for zsh or fish
  winddown completions zsh > \"${fpath[1]}/_winddown\"
  winddown completions fish > ~/.config/fish/completions/winddown.fish

Exit codes:
  0  the script was printed
  1  the output cannot be written
  2  the shell is unknown";

/// Flags of `winddown completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Shell to generate the script for
    shell: Shell,
}

/// Prints the completion script of a command line.
#[must_use]
pub fn command(arguments: &Arguments, command_line: clap::Command) -> ExitCode {
    // The generator panics if the pipe is closed, so the script is generated first and written afterwards.
    match io::stdout().write_all(&script(arguments.shell, command_line)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("winddown: cannot write the completion script: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn script(shell: Shell, mut command_line: clap::Command) -> Vec<u8> {
    let name = command_line.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command_line, name, &mut script);
    script
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command, ValueEnum as _};

    use super::{Shell, script};

    #[test]
    fn every_shell_gets_a_script_with_the_commands() {
        let format = Arg::new("output").long("output").value_parser(["text", "sarif"]);
        let command_line = Command::new("winddown").subcommand(Command::new("plan").arg(format));
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell, command_line.clone())).unwrap();
            assert!(script.contains("plan"), "{shell}");
            if let Shell::Bash | Shell::Zsh = shell {
                assert!(script.contains("sarif"), "{shell}");
            }
        }
    }
}
