//! Checks that chart, documents, cases and code agree, where no file is generated.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use walkdir::WalkDir;
use winddown_core::annotations;
use winddown_core::catalog::runtimes::Runtime;
use winddown_core::catalog::traffic::Traffic;
use winddown_core::current_shutdown::LossCause;
use winddown_core::finding::Code;
use winddown_core::kind::Kind;
use winddown_core::policy::INJECT;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn chart_and_binary_have_the_same_version() {
    let chart = file("charts/winddown/Chart.yaml");
    for field in ["version", "appVersion"] {
        let line = chart.lines().find(|line| line.starts_with(&format!("{field}:"))).unwrap();
        assert_eq!(line.split_once(':').unwrap().1.trim().trim_matches('"'), env!("CARGO_PKG_VERSION"), "{field}");
    }
}

/// What `release/krew` prints for archives of this version.
fn krew_manifest() -> Value {
    let line = |architecture| {
        format!("{}  winddown-{}-linux-{architecture}.tar.gz\n", "0".repeat(64), env!("CARGO_PKG_VERSION"))
    };
    let mut krew = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("release/krew"))
        .arg("/dev/stdin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let checksums = ["amd64", "arm64"].map(line).concat();
    krew.stdin.take().unwrap().write_all(checksums.as_bytes()).unwrap();
    let output = krew.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_saphyr::from_str(std::str::from_utf8(&output.stdout).unwrap()).unwrap()
}

/// By validation.go of krew, and the rules of its index.
#[test]
fn the_manifest_of_the_plugin_has_what_krew_requires() {
    let manifest = krew_manifest();
    let (version, spec) = (env!("CARGO_PKG_VERSION"), &manifest["spec"]);
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!((&manifest["kind"], &manifest["metadata"]["name"]), (&json!("Plugin"), &json!("winddown")));
    assert_eq!(spec["version"], format!("v{version}"));
    let text = |field: &str| spec[field].as_str().unwrap();
    assert!((1..=60).contains(&text("shortDescription").len()) && !text("description").is_empty());
    assert!(text("homepage").starts_with("https://"));
    let platforms = spec["platforms"].as_array().unwrap();
    for (platform, architecture) in platforms.iter().zip(["amd64", "arm64"]) {
        let folder = format!("winddown-{version}-linux-{architecture}");
        let uri = format!("{}/releases/download/v{version}/{folder}.tar.gz", text("homepage"));
        let files = ["winddown", "LICENSE"].map(|name| json!({"from": format!("{folder}/{name}"), "to": "."}));
        let expected = json!({
            "selector": {"matchLabels": {"os": "linux", "arch": architecture}},
            "uri": uri, "sha256": "0".repeat(64), "files": files, "bin": "winddown",
        });
        assert_eq!(*platform, expected);
    }
    assert_eq!(platforms.len(), 2);
}

#[test]
fn the_match_conditions_of_the_chart_select_the_annotations_of_the_code() {
    let helpers = file("charts/winddown/templates/_helpers.tpl");
    assert!(helpers.contains(&format!("key.startsWith(\"{}\")", annotations::PREFIX)));
    let paths = ["mutating", "validating"]
        .map(|kind| file(&format!("charts/winddown/templates/{kind}webhookconfiguration.yaml")));
    assert!(paths[0].contains("/mutate") && paths[1].contains("/validate"));
    let written = format!(r#"[\"{}\", \"{}\"]"#, annotations::BUDGET, annotations::INJECTED);
    assert!(paths[0].contains(&written), "{written}");
    let opted_in = format!(r#"dict "key" "{INJECT}" "operator" "In" "values" (list "enabled")"#);
    assert!(helpers.contains(&opted_in));
}

#[test]
fn the_rules_of_the_chart_have_the_kinds_of_the_code_and_no_others() {
    let resources = format!("resources: [{}]", Kind::ALL.map(Kind::resource).join(", "));
    for place in ["_helpers.tpl", "clusterrole.yaml", "tests/role.yaml"] {
        let text = file(&format!("charts/winddown/templates/{place}"));
        let of_apps = text.split("- apiGroups: [apps]").skip(1).map(|rule| rule.split("- apiGroups").next().unwrap());
        let rules: Vec<_> = of_apps.collect();
        assert!(rules.len() == 1 && rules[0].contains(&resources), "{place}: {rules:?}");
    }
}

#[test]
fn the_chart_excludes_kube_system_and_passes_the_selectors_to_the_controller() {
    let selector = "namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: \
                    [kube-system]}]}";
    assert_eq!(file("charts/winddown/values.yaml").matches(selector).count(), 2);
    let deployment = file("charts/winddown/templates/deployment.yaml");
    assert!(deployment.contains(r#"range $webhook := list "mutating" "validating""#));
    assert!(deployment.contains(r#"pick (get $.Values.webhook $webhook) "namespaceSelector" "objectSelector""#));
    let cli = file("docs/cli.md");
    assert!(["mutating", "validating"].iter().all(|webhook| cli.contains(&format!("--{webhook}-selectors"))));
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
fn the_readme_has_every_annotation() {
    let readme = file("README.md");
    for key in annotations::DECLARING.into_iter().chain([annotations::BUDGET]) {
        let name = key.strip_prefix(annotations::PREFIX).unwrap();
        assert!(readme.contains(key) || readme.contains(&format!("`{name}`")), "{key}");
    }
}

#[test]
fn the_admission_policy_allows_the_keys_that_winddown_writes() {
    let policy = file("charts/winddown/templates/validatingadmissionpolicy.yaml");
    for key in [annotations::BUDGET, annotations::SETTLED, annotations::INJECTED, annotations::MANAGED] {
        assert!(policy.contains(&format!("'{key}'")), "{key}");
    }
}

#[test]
fn the_page_about_the_audit_has_every_cause() {
    let page = file("docs/audit.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let expected = LossCause::ALL.iter().map(|cause| format!("| `{}` | {} | ", cause.as_str(), cause.in_words()));
    assert_eq!(rows.len(), LossCause::ALL.len());
    for (row, expected) in rows.iter().zip(expected) {
        assert!(row.starts_with(&expected), "{row} does not start with {expected}");
    }
}

#[test]
fn the_names_in_the_documents_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for directory in ["bench", "crates", "e2e", "fuzz", "src", "tests"] {
        let entries = WalkDir::new(root.join(directory)).into_iter();
        for entry in entries.filter_entry(|entry| entry.file_name() != "target").map(Result::unwrap) {
            if is_rust(entry.path()) {
                let path = entry.path().strip_prefix(root).unwrap().display().to_string();
                sources.push((path, fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    for document in ["ARCHITECTURE.md", "docs/security.md"] {
        assert_eq!(missing_names(&file(document), &sources), Vec::<&str>::new(), "{document}");
    }
}

#[test]
fn the_page_of_the_article_has_every_row_and_its_links_and_tests_exist() {
    let page = file("docs/article.md");
    let rows: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## S")).collect();
    assert_eq!(rows, (1..=14).map(|row| row.to_string()).collect::<Vec<_>>());
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for (text, target) in links(&page) {
        let path = target.split('#').next().unwrap();
        assert!(path.is_empty() || docs.join(path).exists(), "[{text}]({target})");
        if let Some((_, test)) = text.trim_matches('`').split_once("::") {
            let source = fs::read_to_string(docs.join(path)).unwrap();
            assert!(source.contains(&format!("async fn {test}(")), "{path} has no test {test}");
        }
    }
}

/// Texts and targets of the links in a document.
fn links(document: &str) -> Vec<(&str, &str)> {
    let starts = document.match_indices("](").map(|(at, _)| (&document[..at], &document[at + 2..]));
    starts.filter_map(|(before, after)| Some((before.rsplit_once('[')?.1, after.split_once(')')?.0))).collect()
}

#[test]
fn texts_and_targets_of_links_are_found() {
    assert_eq!(links("a [`b`](../c.rs), [d](#e), (f) [g]"), [("`b`", "../c.rs"), ("d", "#e")]);
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

/// The names between backticks for which there is no file or function: paths of Rust files, and names with at least two
/// underscores. Names in capital letters are placeholders.
fn missing_names<'a>(document: &'a str, sources: &[(String, String)]) -> Vec<&'a str> {
    let is_name = |text: &str| {
        text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '/' | '.'))
            && (is_rust(Path::new(text)) || text.matches('_').count() >= 2)
    };
    let exists = |name: &str| {
        let (function, file) = (format!("fn {name}("), format!("{name}.rs"));
        let file = Path::new(if is_rust(Path::new(name)) { name } else { file.as_str() });
        sources.iter().any(|(path, source)| Path::new(path).ends_with(file) || source.contains(&function))
    };
    document.split('`').skip(1).step_by(2).filter(|text| is_name(text) && !exists(text)).collect()
}

#[test]
fn every_golden_file_is_compared_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = |directory: &str| {
        let entries = WalkDir::new(root.join(directory)).into_iter().map(Result::unwrap);
        entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect::<Vec<_>>()
    };
    let tests: Vec<_> = files("src").into_iter().filter(|path| path.ends_with("golden.rs")).collect();
    let tests: String = tests.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let golden = files("tests/golden");
    assert!(golden.len() >= 20, "only {} golden files found", golden.len());
    for path in golden {
        let name = path.strip_prefix(root.join("tests/golden")).unwrap().with_extension("").display().to_string();
        let last = name.rsplit('/').next().unwrap();
        let is_named = [name.as_str(), last].iter().any(|name| tests.contains(&format!("\"{name}\"")));
        assert!(is_named, "no test compares tests/golden/{name}.txt");
    }
}

#[test]
fn the_pieces_of_the_fuzzers_are_yaml() {
    serde_saphyr::from_str::<serde_json::Value>(&file("fuzz/src/pieces.yaml")).unwrap();
}

#[test]
fn a_name_without_a_file_or_function_is_missing() {
    let source = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let sources = [source("src/plan/a_b_c.rs", "fn d_e_f() {}\nfn the_longer_name_x() {}"), source("src/main.rs", "")];
    let found =
        "```\na_fence_is_skipped\n```\n`a_b_c`, `plan/a_b_c.rs`, `main.rs`, `d_e_f`, `NAME.rs`, `one_underscore`";
    assert_eq!(missing_names(found, &sources), Vec::<&str>::new());
    let missing = "```\nfence\n```\n`b_c.rs`, `render/a_b_c.rs`, `the_longer_name`, and `d_e_g`";
    assert_eq!(missing_names(missing, &sources), ["b_c.rs", "render/a_b_c.rs", "the_longer_name", "d_e_g"]);
}

#[test]
fn every_preset_has_a_case() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/presets");
    let inputs =
        fs::read_dir(cases).unwrap().map(|case| fs::read_to_string(case.unwrap().path().join("input.yaml")).unwrap());
    let inputs: String = inputs.collect();
    let traffic = Traffic::all().iter().map(|preset| ("traffic", &preset.name));
    for (key, name) in traffic.chain(Runtime::all().iter().map(|preset| ("runtime", &preset.name))) {
        assert!(inputs.contains(&format!("winddown.dev/{key}: {name}\n")), "no case for {name}");
    }
}

/// Findings that no case can show, each with the reason.
const WITHOUT_CASE: [(Code, &str); 1] =
    [(Code::NotInjected, "only the validating webhook reports it, if the mutating webhook was not called")];

#[test]
fn every_finding_has_a_case() {
    let mut reported = BTreeSet::new();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for group in fs::read_dir(cases).unwrap() {
        for case in fs::read_dir(group.unwrap().path()).unwrap() {
            reported.extend(codes(&fs::read_to_string(case.unwrap().path().join("plan.txt")).unwrap()));
        }
    }
    let missing: Vec<_> = Code::ALL.iter().copied().filter(|code| !reported.contains(code)).collect();
    assert_eq!(missing, WITHOUT_CASE.map(|(code, _)| code), "add a case to tests/cases/rules");
}

/// The codes of the findings in the text output of `winddown plan`.
fn codes(plan: &str) -> BTreeSet<Code> {
    let words = plan.lines().filter_map(|line| {
        let (severity, rest) = line.strip_prefix("  ")?.split_once(' ')?;
        Some((severity, rest.split_once(':')?.0))
    });
    let code = |(severity, name): (&str, &str)| {
        Code::ALL.iter().copied().find(|code| (code.severity().as_str(), code.as_str()) == (severity, name))
    };
    words.filter_map(code).collect()
}

#[test]
fn only_findings_count_as_reported() {
    let plan = "Deployment a (a.yaml:1)\n  error PortNotFound: x: y (a.yaml:2)\n  no finding: PreStopShort: z\n";
    assert_eq!(codes(plan), BTreeSet::from([Code::PortNotFound]));
}
