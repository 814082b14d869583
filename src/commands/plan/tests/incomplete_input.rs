//! A part of the input cannot be used: the rest is evaluated, the part is named, and the exit code is 2.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::{fs, process};

use serde_json::Value;

use super::{Exit, FITS, Screen, plan, plan_with};

#[test]
fn invalid_input_exits_2_and_names_the_line() {
    for (input, place) in [
        ("", "standard input: is empty"),
        ("kind: [", "standard input: line 1"),
        ("{\"kind\": \"Deployment\"}", "line 1: document 1 is not a Kubernetes object"),
        (&FITS.replace("drain: 5s", "drain: 5"), "metadata.annotations[winddown.dev/drain] is not a string"),
        (
            &FITS.replace("- name: app", "- {}\n      - name: app"),
            "spec.template.spec.containers must have at least one container",
        ),
        (
            &FITS.replace("- name: app", "- name: app\n        tty: yes please"),
            "line 14: Deployment web/shop in document 1: spec.template.spec.containers[0].tty cannot be read: invalid type",
        ),
    ] {
        let (exit, out, err) = plan(input, &[]);
        assert_eq!((exit, out.as_str()), (Exit::Unusable, ""), "{err}");
        assert!(err.contains(place), "{place} is missing in: {err}");
    }
}

#[test]
fn all_errors_are_reported_together_and_the_rest_is_evaluated() {
    let broken = format!("just text\n---\n{FITS}---\nkind: [\n---\napiVersion: apps/v1\nkind: Deployment\n");
    let (exit, out, err) = plan(&broken, &["no-such-file.yaml", "-"]);
    assert_eq!(exit, Exit::Unusable);
    assert!(out.contains("Deployment web/shop") && out.contains("SIGTERM"), "{out}");
    let lines: Vec<_> = err.lines().collect();
    for (line, expected) in lines.iter().zip([
        "winddown: standard input: line 1: document 1 is not a Kubernetes object",
        "winddown: standard input: line 19, column 7: document 3 cannot be read: ",
        "winddown: no-such-file.yaml: cannot be read: No such file",
        "winddown: standard input: can only be read once",
        "winddown: standard input: line 21: Deployment without a name in document 4: spec.template is missing",
    ]) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert_eq!(lines.len(), 5, "{err}");
}

/// A directory with one good workload and these files, deleted at the end of the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let directory = std::env::temp_dir().join(format!("winddown-{}-{name}", process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        for (file, text) in [("shop.yaml", FITS)].iter().chain(files) {
            fs::write(directory.join(file), text).unwrap();
        }
        Self(directory)
    }

    fn plan(&self, file: &str, more: &[&str]) -> (Exit, String, String) {
        let path = self.0.join(file).display().to_string();
        plan_with(&Screen::plain(), "", &[&["-f", &path], more].concat())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn one_file_that_cannot_be_used_does_not_suppress_the_others() {
    for (case, file, text) in [
        ("patch", "patch.yaml", "- op: replace\n  path: /spec/replicas\n  value: 3\n"),
        ("merge", "merge.yaml", "spec:\n  replicas: 3\n"),
        ("values", "values.yaml", "replicaCount: 3\n"),
        ("chart", "Chart.yaml", "apiVersion: v2\nname: shop\n"),
        ("template", "template.yaml", "kind: {{ .Values.kind }}\n"),
        ("list", "list.json", "[1, 2]"),
        ("text", "notes.yml", "Thank you for installing.\n"),
        ("empty", "empty.yaml", ""),
        ("binary", "binary.yaml", "\u{0}\u{1}"),
    ] {
        let directory = Directory::new(case, &[(file, text)]);
        let (exit, out, err) = directory.plan("", &[]);
        assert_eq!(exit, Exit::Unusable, "{case}: {err}");
        assert!(out.contains("Deployment web/shop"), "{case}: {out}");
        assert!(err.lines().count() == 1 && err.contains(file), "{case}: {err}");
    }
}

#[test]
fn a_policy_file_needs_a_policy_or_a_namespace_with_labels() {
    let labelled = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web, labels: {winddown.dev/inject: enabled}}\n";
    for (case, text, expected) in [("labelled", labelled, Exit::Success), ("service", SERVICE, Exit::Unusable)] {
        let directory = Directory::new(case, &[("policy.yaml", text)]);
        let policy = directory.0.join("policy.yaml").display().to_string();
        let (exit, _, err) = directory.plan("shop.yaml", &["--policy", &policy]);
        assert_eq!((exit, err.contains("contains neither")), (expected, expected == Exit::Unusable), "{case}: {err}");
    }
}

#[test]
fn broken_links_pipes_and_other_encodings_do_not_suppress_the_others() {
    let directory = Directory::new("files", &[]);
    symlink("nowhere", directory.0.join("gone.yaml")).unwrap();
    symlink("/dev/zero", directory.0.join("endless.yaml")).unwrap();
    fs::write(directory.0.join("latin1.yaml"), b"kind: Caf\xe9\n").unwrap();
    let (exit, out, err) = directory.plan("", &[]);
    assert_eq!(exit, Exit::Unusable);
    assert!(out.contains("Deployment web/shop"), "{out}");
    for problem in
        ["endless.yaml: is not a regular file", "gone.yaml: cannot be read: ", "latin1.yaml: line 1: invalid"]
    {
        assert!(err.contains(problem), "{err}");
    }
    assert_eq!(directory.plan("*.yaml", &[]), (exit, out, err));
}

#[test]
fn every_format_has_the_results_of_the_rest() {
    let directory = Directory::new("formats", &[("patch.yaml", "spec: {}\n")]);
    for format in ["text", "table", "yaml", "diff", "json", "sarif", "svg"] {
        let (exit, out, err) = directory.plan("", &["-o", format]);
        assert_eq!(exit, Exit::Unusable, "{format}");
        assert!(err.contains("patch.yaml: line 1: document 1 is not a Kubernetes object"), "{format}: {err}");
        assert!(out.contains("shop") || format == "sarif", "{format}: {out}");
        if ["json", "sarif"].contains(&format) {
            serde_json::from_str::<Value>(&out).unwrap();
        }
    }
    let (exit, out, _) = directory.plan("patch.yaml", &["-o", "json"]);
    assert_eq!((exit, out.as_str()), (Exit::Unusable, "[]\n"));
}

#[test]
fn the_kustomization_of_a_directory_is_skipped_and_an_error_if_named() {
    let without_header = "resources:\n- shop.yaml\n";
    let header = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
    for text in [without_header, &format!("{header}{without_header}")] {
        let directory = Directory::new("kustomization", &[("kustomization.yaml", text)]);
        for arguments in [&[][..], &["-o", "yaml", "--all"]] {
            let (exit, out, err) = directory.plan("", arguments);
            assert_eq!(exit, Exit::Success, "{err}");
            assert!(out.contains("shop") && !out.contains("Kustomization"), "{out}");
            assert!(err.contains("kustomization.yaml: skipped: kustomize reads it"), "{err}");
        }
    }
    let directory = Directory::new("kustomization", &[("kustomization.yaml", without_header)]);
    assert_eq!(directory.plan("kustomization.yaml", &[]).0, Exit::Unusable);
}

#[test]
fn a_patch_of_a_kustomization_is_named_and_the_rest_is_evaluated() {
    let kustomization = "resources: [shop.yaml]\npatches: [{path: ./grace.yaml}]\n";
    let patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\n\
                 spec: {template: {spec: {terminationGracePeriodSeconds: 5, containers: [{name: app}]}}}\n";
    let directory = Directory::new("patches", &[("kustomization.yaml", kustomization), ("grace.yaml", patch)]);
    for arguments in [&[][..], &["--assume", "drain=5s"], &["-o", "yaml"]] {
        let (exit, out, err) = directory.plan("", arguments);
        assert_eq!(exit, Exit::Unusable, "{err}");
        assert!(out.contains("web/shop") || out.contains("namespace: web"), "{out}");
        assert!(!out.contains("grace.yaml") && !out.contains("Seconds: 5\n"), "{out}");
        assert!(err.contains("grace.yaml: line 1: Deployment shop is a patch of a kustomization"), "{err}");
    }
    let (_, out, _) = directory.plan("", &["-o", "yaml", "--all"]);
    assert!(out.contains("terminationGracePeriodSeconds: 5\n"), "{out}");
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: shop\nspec:\n  ports:\n  - port: 80\n";
const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop\ndata:\n  on: 'yes'\n  a: '0777'\n  b: \"1e3\"\n  \
                      c: \"\"\n  d: \"line\\n  two \\n\\n\"\n  e: '12:30:00'\n  f: \"~\"\n  g: \"# no comment\"\n  h: \"a: b\"\n";

#[test]
fn yaml_output_says_what_it_leaves_out() {
    let input = format!("{SERVICE}---\n{FITS}---\n{SERVICE}---\n{CONFIG}");
    let (exit, out, err) = plan(&input, &["-o", "yaml"]);
    assert_eq!(exit, Exit::Success);
    assert!(!out.contains("Service"), "{out}");
    assert_eq!(err, "winddown: not in the output: ConfigMap 1, Service 2; --all keeps them\n");
    let old = FITS.replace("apps/v1", "apps/v1beta2");
    let (_, _, err) = plan(&format!("{FITS}---\n{old}"), &["-o", "yaml"]);
    assert!(err.contains("not in the output: Deployment 1;"), "{err}");
    assert_eq!(plan(&input, &["-o", "text"]).2, "");
    assert_eq!(plan(FITS, &["-o", "yaml"]).2, "");
}

/// The documents of a YAML stream.
fn documents(text: &str) -> Vec<Value> {
    winddown_core::manifest::read_all(text).documents
}

#[test]
fn with_all_every_object_is_in_the_output_in_its_place() {
    let input = format!("{SERVICE}---\n{FITS}---\n{CONFIG}");
    let (exit, out, err) = plan(&input, &["-o", "yaml", "--all"]);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    let (given, written) = (documents(&input), documents(&out));
    assert_eq!((written.len(), &written[0], &written[2]), (3, &given[0], &given[2]), "{out}");
    assert!(out.contains("terminationGracePeriodSeconds: 35"), "{out}");
    let workloads = winddown_core::manifest::read(&plan(&input, &["-o", "yaml"]).1).workloads;
    assert_eq!(winddown_core::manifest::read(&out).workloads[0].object, workloads[0].object);
    assert_eq!(plan(&out, &["-o", "yaml", "--all"]).1, out);
}

#[test]
fn with_all_lists_stay_lists() {
    let item = |text: &str| format!("- {}", text.trim_end().replace('\n', "\n  "));
    let list = |items: &[String]| format!("apiVersion: v1\nkind: List\nitems:\n{}\n", items.join("\n"));
    let inner = list(&[item(SERVICE), item(FITS)]);
    let input = format!("{}---\n{CONFIG}", list(&[item(CONFIG), item(FITS), item(&inner)]));
    let (exit, out, err) = plan(&input, &["-o", "yaml", "--all"]);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    let written = documents(&out);
    assert_eq!(
        (written.len(), &written[0]["items"][0], &written[1]),
        (2, &documents(CONFIG)[0], &documents(CONFIG)[0])
    );
    assert_eq!(out.matches("terminationGracePeriodSeconds: 35").count(), 2, "{out}");
    let kinds =
        |list: &Value| list["items"].as_array().unwrap().iter().map(|item| item["kind"].clone()).collect::<Vec<_>>();
    assert_eq!(
        kinds(&written[0]),
        ["ConfigMap", "", "List"].map(|kind| if kind.is_empty() { Value::Null } else { kind.into() })
    );
}

#[test]
fn with_all_a_workload_that_cannot_be_evaluated_is_passed_through() {
    let invalid = FITS.replace("drain: 5s", "drain: 5").replace("name: shop", "name: odd");
    let (exit, out, err) = plan(&format!("{invalid}---\n{FITS}---\nspec: {{}}\n"), &["-o", "yaml", "--all"]);
    assert_eq!(exit, Exit::Unusable, "{err}");
    let names: Vec<_> = winddown_core::manifest::read(&out)
        .workloads
        .into_iter()
        .map(|found| found.object["metadata"]["name"].clone())
        .collect();
    assert_eq!(names, ["odd", "shop"]);
}

#[test]
fn all_is_only_for_yaml() {
    let (exit, out, err) = plan(FITS, &["--all"]);
    assert_eq!((exit, out.as_str(), err.as_str()), (Exit::Unusable, "", "winddown: --all is only for --output yaml\n"));
}
