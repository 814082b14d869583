//! `winddown crd`: prints the custom resource definitions.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::message::message;

/// The files in `crds/`, which are generated.
pub(super) const DEFINITIONS: [&str; 2] = [
    include_str!("../../crds/shutdownbudgets.winddown.dev.yaml"),
    include_str!("../../crds/shutdownpolicies.winddown.dev.yaml"),
];

const EXAMPLES: &str = "\
Examples:
  # Install the custom resource definitions without the chart
  winddown crd | kubectl apply --server-side -f -

Exit codes:
  0  the definitions were printed
  1  the output cannot be written
  2  the command line is invalid";

/// Flags of `winddown crd`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {}

/// Prints all definitions, as YAML documents.
#[must_use]
pub fn command(_: &Arguments) -> ExitCode {
    match print(&mut io::stdout().lock()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            message!("winddown: cannot write the output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn print(out: &mut impl Write) -> io::Result<()> {
    out.write_all(DEFINITIONS.join("---\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    #[test]
    fn every_file_of_a_definition_is_printed() {
        let mut printed = Vec::new();
        super::print(&mut printed).unwrap();
        let printed = String::from_utf8(printed).unwrap();
        let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let files: Vec<_> =
            files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")).collect();
        assert_eq!(printed.matches("kind: CustomResourceDefinition\n").count(), files.len());
        for file in files {
            assert!(printed.contains(&fs::read_to_string(&file).unwrap()), "{}", file.display());
        }
    }
}
