//! Chart, documents and code speak of the same things.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::path::Path;

use winddown_core::annotations;
use winddown_core::catalog::presets::{Runtime, Traffic};
use winddown_core::kind::Kind;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_chart_is_of_the_version_of_the_binary() {
    let chart = file("charts/winddown/Chart.yaml");
    for field in ["version", "appVersion"] {
        let line = chart.lines().find(|line| line.starts_with(&format!("{field}:"))).unwrap();
        assert_eq!(line.split_once(':').unwrap().1.trim().trim_matches('"'), env!("CARGO_PKG_VERSION"), "{field}");
    }
}

#[test]
fn the_chart_lets_through_what_the_code_reads() {
    let helpers = file("charts/winddown/templates/_helpers.tpl");
    assert!(helpers.contains(&format!("key.startsWith(\"{}\")", annotations::PREFIX)));
    let paths = ["mutating", "validating"]
        .map(|kind| file(&format!("charts/winddown/templates/{kind}webhookconfiguration.yaml")));
    assert!(paths[0].contains("/mutate") && paths[1].contains("/validate"));
}

#[test]
fn the_chart_asks_for_the_kinds_that_the_code_plans_and_no_others() {
    let resources = format!("resources: [{}]", Kind::ALL.map(Kind::resource).join(", "));
    for place in ["_helpers.tpl", "clusterrole.yaml", "tests/role.yaml"] {
        let text = file(&format!("charts/winddown/templates/{place}"));
        let of_apps = text.split("- apiGroups: [apps]").skip(1).map(|rule| rule.split("- apiGroups").next().unwrap());
        let rules: Vec<_> = of_apps.collect();
        assert!(rules.len() == 1 && rules[0].contains(&resources), "{place}: {rules:?}");
    }
}

#[test]
fn the_chart_never_sets_a_ca_bundle() {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/winddown/templates");
    for entry in fs::read_dir(templates).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        let text = fs::read_to_string(entry.path()).unwrap();
        assert!(!text.lines().any(|line| line.trim_start().starts_with("caBundle:")), "{:?}", entry.path());
    }
}

#[test]
fn the_readme_names_every_annotation() {
    let readme = file("README.md");
    for key in annotations::DECLARING.into_iter().chain([annotations::BUDGET]) {
        let name = key.strip_prefix(annotations::PREFIX).unwrap();
        assert!(readme.contains(key) || readme.contains(&format!("`{name}`")), "{key}");
    }
}

#[test]
fn every_preset_has_a_case() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/presets");
    let traffic = Traffic::all().iter().map(|preset| ("traffic", &preset.name));
    for (key, name) in traffic.chain(Runtime::all().iter().map(|preset| ("runtime", &preset.name))) {
        let case = fs::read_to_string(cases.join(name).join("input.yaml")).unwrap_or_default();
        assert!(case.contains(&format!("winddown.dev/{key}: {name}\n")), "no case for {name}");
    }
}
