//! Any text at all, through `winddown plan`: from standard input to standard output, as in a pipe.

#![no_main]

use clap::Parser;
use libfuzzer_sys::{Corpus, fuzz_target};
use winddown::cli::{Cli, Command};
use winddown::commands::plan::{self, Exit};
use winddown::manifest::{ManifestError, workloads};
use winddown::settlement::Origin;
use winddown_fuzz::laws;

fuzz_target!(|data: &[u8]| -> Corpus {
    let planned = plan(data, "yaml");
    let Ok(text) = std::str::from_utf8(data) else {
        assert_eq!(planned.exit, Exit::Unusable);
        return Corpus::Reject;
    };
    let manifests = match workloads(text) {
        Ok(manifests) => manifests,
        Err(error) => {
            assert_eq!(planned.exit, Exit::Unusable);
            it_says_where(text, &error);
            return Corpus::Keep;
        }
    };
    if planned.exit != Exit::Unusable && manifests.iter().all(|manifest| manifest.object.get("metadata").and_then(|metadata| metadata.get("uid")).is_none()) {
        let desired: Vec<_> = manifests
            .iter()
            .map(|manifest| laws::settled(&manifest.object, Origin::File).expect("the plan could read it").desired)
            .collect();
        if !desired.is_empty() {
            let written: Vec<_> =
                workloads(&planned.out).expect("what was written is YAML").into_iter().map(|read| read.object).collect();
            assert_eq!(written, desired, "{} means something else", planned.out);
        }
    }
    for format in ["text", "json"] {
        assert_eq!(plan(data, format).exit, planned.exit, "{format}");
    }
    Corpus::Keep
});

struct Planned {
    exit: Exit,
    out: String,
}

fn plan(mut data: &[u8], format: &str) -> Planned {
    let cli = Cli::try_parse_from(["winddown", "plan", "-f", "-", "-o", format]).expect("these are its arguments");
    let Command::Plan(arguments) = cli.command;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = plan::run(&arguments, &mut data, &mut out, &mut err).expect("writing to memory does not fail");
    let (out, err) = (String::from_utf8(out).expect("text"), String::from_utf8(err).expect("text"));
    assert_eq!(exit == Exit::Unusable, err.starts_with("winddown: standard input: "), "{err}");
    Planned { exit, out }
}

/// An error names a line that is there.
fn it_says_where(text: &str, error: &ManifestError) {
    let lines = text.split_inclusive('\n').count() as u64 + 1;
    let line = match error {
        ManifestError::Syntax { line, .. } => *line,
        ManifestError::NotAnObject { line, .. } => *line as u64,
        ManifestError::Unreadable(_) => panic!("does not say where: {error}"),
        ManifestError::Empty => return,
    };
    assert!((1..=lines).contains(&line), "line {line} of {lines}: {error}");
}
