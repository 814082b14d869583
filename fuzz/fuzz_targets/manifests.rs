//! Any text at all, through `winddown plan`: from standard input to standard output, as in a pipe.

#![no_main]

use clap::Parser;
use libfuzzer_sys::{Corpus, fuzz_target};
use winddown::cli::{Cli, Command};
use winddown::commands::plan::{self, Exit};
use winddown::manifest::{Manifest, ManifestError, workloads};
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
    if planned.exit != Exit::Unusable {
        what_is_written_means_what_was_planned(&manifests, &planned.out);
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

/// `winddown plan -o yaml | kubectl apply -f -` brings the plan, and not what YAML makes of it.
fn what_is_written_means_what_was_planned(manifests: &[Manifest], out: &str) {
    let from_cluster = |manifest: &Manifest| manifest.object.pointer("/metadata/uid").is_some();
    // Those are settled as an API server's, and nobody applies them.
    if manifests.is_empty() || manifests.iter().any(from_cluster) {
        return;
    }
    let settled = |manifest: &Manifest| laws::settled(&manifest.object, Origin::File).expect("the plan could read it");
    let desired: Vec<_> = manifests.iter().map(|manifest| settled(manifest).desired).collect();
    let written = workloads(out).expect("what was written is YAML");
    let written: Vec<_> = written.into_iter().map(|manifest| manifest.object).collect();
    assert_eq!(written, desired, "this means something else:\n{out}");
}

/// An error names a line that is there.
fn it_says_where(text: &str, error: &ManifestError) {
    // For YAML, a carriage return alone ends a line, too.
    let lines = text.split_inclusive(['\n', '\r']).count() as u64 + 1;
    let line = match error {
        ManifestError::Syntax { line, .. } => *line,
        ManifestError::NotAnObject { line, .. } => *line as u64,
        ManifestError::Unreadable(_) => panic!("does not say where: {error}"),
        ManifestError::Empty => return,
    };
    assert!((1..=lines).contains(&line), "line {line} of {lines}: {error}");
}
