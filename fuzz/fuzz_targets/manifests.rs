//! Arbitrary text as the standard input of `winddown plan`, in every output format.

#![no_main]

use std::sync::LazyLock;

use clap::Parser;
use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};
use serde_json::Value;
use winddown::cli::{Cli, Command};
use winddown::commands::plan::{self, Arguments};
use winddown::exit::Exit;
use winddown_core::evaluation::{Existing, Origin, evaluate};
use winddown_core::manifest::{self, Manifest, ManifestError, Stream};
use winddown_core::object::Object;
use winddown_core::policy::Policies;
use winddown_fuzz::mutation;

const FORMATS: [&str; 7] = ["text", "yaml", "diff", "json", "sarif", "svg", "table"];

/// The parsed arguments of `winddown plan -f - -o FORMAT`. Parsing takes longer than a plan, so it is done once.
static ARGUMENTS: LazyLock<[Arguments; 7]> = LazyLock::new(|| {
    FORMATS.map(|format| {
        let cli = Cli::try_parse_from(["winddown", "plan", "-f", "-", "-o", format]).expect("valid arguments");
        let Command::Plan(arguments) = cli.command else { unreachable!("the command is plan") };
        arguments
    })
});

fuzz_target!(|data: &[u8]| -> Corpus {
    let planned: [Planned; 7] = std::array::from_fn(|at| plan(data, FORMATS[at], &ARGUMENTS[at]));
    for (format, other) in FORMATS.iter().zip(&planned) {
        assert_eq!(other.exit, planned[0].exit, "{format}");
    }
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    let stream = manifest::read(text);
    // In YAML, a single carriage return also ends a line.
    let lines = text.split_inclusive(['\n', '\r']).count() + 1;
    for error in &stream.errors {
        assert_eq!(planned[0].exit, Exit::Unusable, "{error}");
        errors_name_an_existing_line(lines, error);
    }
    let [_, yaml, _, json, sarif, ..] = &planned;
    let rows: Value = serde_json::from_str(&json.out).expect("JSON");
    for line in rows.as_array().into_iter().flatten().filter_map(|row| row["line"].as_u64()) {
        assert!((1..=lines as u64).contains(&line), "line {line} of {lines}");
    }
    let _: Value = serde_json::from_str(&sarif.out).expect("SARIF is JSON");
    if planned[0].exit != Exit::Unusable {
        the_yaml_output_equals_the_plan(stream, &yaml.out);
    }
    Corpus::Keep
});

struct Planned {
    exit: Exit,
    out: String,
}

fn plan(mut data: &[u8], format: &str, arguments: &Arguments) -> Planned {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = plan::piped(arguments, &mut data, &mut out, &mut err).expect("writing to memory does not fail");
    let (out, err) = (String::from_utf8(out).expect("text"), String::from_utf8(err).expect("text"));
    if exit == Exit::Unusable {
        assert!(!err.is_empty(), "{out}");
    }
    // Output for people must not contain control characters. YAML and JSON must contain the exact values.
    let visible = if matches!(format, "text" | "diff" | "svg" | "table") { out.as_str() } else { "" };
    for line in visible.lines().chain(err.lines()) {
        assert!(!line.chars().any(|char| char.is_control() && char != '\t'), "{format}: {line:?}");
    }
    Planned { exit, out }
}

/// `winddown plan -o yaml | kubectl apply -f -` applies exactly the planned objects.
fn the_yaml_output_equals_the_plan(stream: Stream, out: &str) {
    let Stream { workloads: manifests, related, policies, .. } = stream;
    let policies = Policies::new(policies);
    let from_cluster = |manifest: &Manifest| manifest.object.pointer("/metadata/uid").is_some();
    // Objects from a cluster are evaluated differently and are not applied.
    if manifests.is_empty() || manifests.iter().any(from_cluster) {
        return;
    }
    let desired = |Manifest { object, .. }: &Manifest| {
        let governing = policies.for_namespace(&related.namespace_of(Object::new(object)));
        let evaluation =
            evaluate(object, Existing::None, governing, Origin::File).expect("the plan was able to read it");
        evaluation.changes.apply(object)
    };
    let desired: Vec<_> = manifests.iter().map(desired).collect();
    let written = manifest::read(out);
    assert_eq!(written.errors, [], "{out}");
    let written: Vec<_> = written.workloads.into_iter().map(|manifest| manifest.object).collect();
    assert_eq!(written, desired, "the output is a different object:\n{out}");
}

fn errors_name_an_existing_line(lines: usize, error: &ManifestError) {
    let line = match error {
        ManifestError::Syntax { line, .. } => usize::try_from(*line).unwrap_or_default(),
        ManifestError::Foreign { line, .. }
        | ManifestError::NotAnObject { line, .. }
        | ManifestError::Policy { line, .. } => *line,
        ManifestError::Empty => return,
    };
    assert!((1..=lines).contains(&line), "line {line} of {lines}: {error}");
}

// Mutations of the text test the YAML parser; mutations of the workload (as JSON, which is YAML) test the output.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed.is_multiple_of(2) {
        fuzzer_mutate(data, size, max_size)
    } else {
        mutation::mutate(data, size, max_size, seed)
    }
});
