//! `winddown completions`: generates shell completion scripts; and the answers to kubectl, which completes the plugin.

#[cfg(feature = "cluster")]
mod names;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap_complete::Shell;
use clap_complete::engine::{CompletionCandidate, complete};

use crate::message::message;

const EXAMPLES: &str = "\
Examples:
  # Enable completion in the current bash session
  source <(winddown completions bash)

  # Complete `kubectl winddown`, where kubectl itself is completed
  ln -s \"$(command -v kubectl-winddown)\" ~/.local/bin/kubectl_complete-winddown

  # Install completion for zsh or fish
  winddown completions zsh > \"${fpath[1]}/_winddown\"
  winddown completions fish > ~/.config/fish/completions/winddown.fish

Exit codes:
  0  the script was printed
  1  the output cannot be written
  2  the shell is unknown";

/// The same for the plugin.
pub(crate) const PLUGIN_EXAMPLES: &str = "\
Examples:
  # Complete `kubectl winddown`, where kubectl itself is completed
  ln -s \"$(command -v kubectl-winddown)\" ~/.local/bin/kubectl_complete-winddown

  # The scripts complete the command `kubectl-winddown`, and not `kubectl winddown`
  source <(winddown completions bash)
  winddown completions zsh > \"${fpath[1]}/_kubectl-winddown\"
  winddown completions fish > ~/.config/fish/completions/kubectl-winddown.fish

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
            message!("winddown: cannot write the completion script: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// What cobra calls the directives for the shell.
const NO_SPACE: u8 = 2;
const NO_FILES: u8 = 4;
/// Longer descriptions are cut by the shells.
const LONGEST_HELP: usize = 80;

/// Answers kubectl: prints the candidates for the last word, one per line with a description behind a tab, and a directive of
/// cobra as the last line. `kubectl __complete winddown ""` shows what kubectl makes of it.
#[must_use]
pub fn answer(command_line: clap::Command, words: impl Iterator<Item = OsString>) -> ExitCode {
    let text = candidates(command_line, words.collect());
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn candidates(mut command_line: clap::Command, words: Vec<OsString>) -> String {
    // The engine expects the name of the program first.
    let mut all = vec![OsString::from("kubectl-winddown")];
    all.extend(words);
    if all.len() == 1 {
        all.push(OsString::new());
    }
    let last = all.len() - 1;
    let asked = all.get(last).cloned().unwrap_or_default();
    #[cfg(feature = "cluster")]
    {
        command_line = names::with_names(command_line, all.get(..last).unwrap_or_default());
    }
    let directory = std::env::current_dir().ok();
    let found = complete(&mut command_line, all, last, directory.as_deref()).unwrap_or_default();
    let is_flag = |candidate: &CompletionCandidate| candidate.get_value().as_encoded_bytes().starts_with(b"-");
    // As in kubectl: flags where nothing else fits, or a dash is typed.
    let flags = found.iter().all(is_flag) || asked.as_encoded_bytes().starts_with(b"-");
    let is_shown = |candidate: &&CompletionCandidate| !candidate.is_hide_set() && (flags || !is_flag(candidate));
    let shown: Vec<_> = found.iter().filter(is_shown).collect();
    let is_directory = |candidate: &&&CompletionCandidate| candidate.get_value().to_string_lossy().ends_with('/');
    let directories = shown.iter().filter(is_directory).count();
    let directive = if directories > 0 { NO_SPACE | NO_FILES } else { NO_FILES };
    let lines = shown.into_iter().map(|candidate| {
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        let help: String = help.lines().next().unwrap_or_default().chars().take(LONGEST_HELP).collect();
        format!("{}\t{help}\n", candidate.get_value().to_string_lossy())
    });
    lines.chain([format!(":{directive}\n")]).collect()
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

    use super::{Shell, candidates, script};
    use crate::cli::Program;

    #[test]
    fn kubectl_gets_commands_flags_and_values_and_a_directive() {
        for (words, candidate) in [
            (&[""][..], "plan\tEvaluate the workloads in files, without a cluster\n"),
            (&["pl"], "plan\t"),
            (&["plan", "--fail"], "--fail-on\t"),
            (&["plan", "-o", "sa"], "sarif\tThe findings as SARIF 2.1.0, for code scanning\n"),
            (&["completions", "z"], "zsh\t"),
            (&["plan", ""], "--filename\t"),
            (&[], "explain\t"),
        ] {
            let words = words.iter().map(Into::into).collect();
            let answer = candidates(Program::Plugin.command_line(), words);
            assert!(answer.contains(candidate) && answer.ends_with("\n:4\n"), "{answer}");
            assert!(!answer.contains("check-install") && !answer.contains("run\t"), "{answer}");
        }
        let files = candidates(Program::Plugin.command_line(), ["plan", "-f", "sr"].map(Into::into).into());
        assert_eq!(files, "src/\t\n:6\n");
        let shells = candidates(Program::Plugin.command_line(), ["completions", ""].map(Into::into).into());
        assert!(shells.contains("zsh\t") && !shells.contains("--help"), "{shells}");
        let unknown = candidates(Program::Plugin.command_line(), ["nothing", ""].map(Into::into).into());
        assert!(unknown.ends_with(":4\n"), "{unknown}");
    }

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
