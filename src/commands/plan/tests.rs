mod image;
mod incomplete_input;
mod survey;

use super::{Arguments, Exit, Program, Screen, run};
use crate::render::styles::Styles;
use clap::{Args, FromArgMatches};
use serde_json::Value;

fn plan(input: &str, more: &[&str]) -> (Exit, String, String) {
    plan_with(&Screen::plain(), input, &[&["-f", "-"], more].concat())
}

fn plan_with(screen: &Screen, input: &str, words: &[&str]) -> (Exit, String, String) {
    let command = Arguments::augment_args(clap::Command::new("plan").no_binary_name(true));
    let arguments = Arguments::from_arg_matches(&command.get_matches_from(words)).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(&arguments, Program::Winddown, screen, &mut input.as_bytes(), &mut out, &mut err).unwrap();
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

const FITS: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  namespace: web
  annotations:
    winddown.dev/drain: 5s
    winddown.dev/deadline: 25s
spec:
  template:
    spec:
      containers:
      - name: app
        image: shop:1
        someFutureField: {kept: [1, two]}
";

#[test]
fn a_deployment_whose_budget_fits_exits_0() {
    let (exit, out, err) = plan(FITS, &[]);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    for part in ["Deployment web/shop", "drain 5s + deadline 25s + margin 5s = 35s of 35s", "SIGTERM", "SIGKILL"] {
        assert!(out.contains(part), "{part} is missing in:\n{out}");
    }
}

#[test]
fn the_next_step_names_the_program_that_was_started() {
    let misfit = FITS.replace("    spec:\n", "    spec:\n      terminationGracePeriodSeconds: 30\n");
    let command = Arguments::augment_args(clap::Command::new("plan").no_binary_name(true));
    for (format, program) in [("text", Program::Plugin), ("table", Program::Plugin), ("text", Program::Winddown)] {
        let words = ["-f", "-", "-o", format];
        let arguments = Arguments::from_arg_matches(&command.clone().get_matches_from(words)).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        run(&arguments, program, &Screen::plain(), &mut misfit.as_bytes(), &mut out, &mut err).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains(&format!("for details run {} explain CODE", program.command())), "{format}: {out}");
    }
}

#[test]
fn a_deployment_whose_budget_does_not_fit_exits_1() {
    let misfit = FITS.replace("    spec:\n", "    spec:\n      terminationGracePeriodSeconds: 30\n");
    let (exit, out, _) = plan(&misfit, &[]);
    assert_eq!(exit, Exit::Findings);
    assert!(out.contains("error BudgetDoesNotFit"), "{out}");
    let (exit, _, err) = plan(&misfit, &["-o", "yaml"]);
    assert_eq!(exit, Exit::Findings);
    assert!(err.contains("web/shop: error BudgetDoesNotFit"), "{err}");
    let audit = misfit.replace("winddown.dev/drain", "winddown.dev/mode: Audit\n    winddown.dev/drain");
    assert_eq!(plan(&audit, &[]).0, Exit::Findings, "errors count in audit mode, too");
}

#[test]
fn json_has_the_documented_fields() {
    let undeclared = FITS.replace("winddown.dev", "example.com");
    let (exit, out, _) = plan(&format!("{FITS}---\n{undeclared}"), &["-o", "json"]);
    assert_eq!(exit, Exit::Success);
    let rows: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        rows[0]["budget"],
        serde_json::json!({
            "drain": 5, "deadline": 25, "margin": 5, "gracePeriod": 35,
            "drainFrom": "declared", "deadlineFrom": "declared", "marginFrom": "default",
        })
    );
    assert_eq!((&rows[0]["namespace"], &rows[0]["name"]), (&"web".into(), &"shop".into()));
    assert!(rows[0]["patch"].as_array().is_some_and(|patch| !patch.is_empty()));
    assert_eq!((&rows[1]["budget"], &rows[1]["patch"]), (&Value::Null, &serde_json::json!([])));
}

#[test]
fn yaml_is_the_mutated_deployment_and_planning_it_again_changes_nothing() {
    let (exit, out, err) = plan(FITS, &["-o", "yaml"]);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    for part in ["someFutureField", "terminationGracePeriodSeconds: 35", "seconds: 5", "winddown.dev/injected"] {
        assert!(out.contains(part), "{part} is missing in:\n{out}");
    }
    assert_eq!(plan(&out, &["-o", "yaml"]).1, out);
}

#[test]
fn numbers_are_parsed_like_kubectl_does() {
    let octal = FITS
        .replace("    spec:\n", "    spec:\n      volumes: [{name: v, secret: {secretName: s, defaultMode: 0400}}]\n");
    let (exit, out, err) = plan(&octal, &["-o", "yaml"]);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert!(out.contains("defaultMode: 256"), "{out}");
}

#[test]
fn null_has_the_meaning_it_has_for_the_api_server() {
    let (exit, _, err) = plan(&FITS.replace("drain: 5s", "drain: 5s\n    owner: ~"), &[]);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    let (exit, out, _) = plan(&FITS.replace("drain: 5s", "drain:"), &[]);
    assert_eq!(exit, Exit::Findings);
    assert!(out.contains("InvalidAnnotation"), "{out}");
}

#[test]
fn input_without_workloads_is_reported() {
    let (exit, out, err) = plan("apiVersion: v1\nkind: Service\n", &["-o", "json"]);
    assert_eq!((exit, out.as_str()), (Exit::Success, "[]\n"));
    assert!(err.contains("no apps/v1 Deployments, StatefulSets or DaemonSets found"), "{err}");
}

#[test]
fn workloads_of_an_old_api_version_are_skipped_with_a_message() {
    let (exit, _, err) = plan(&format!("{FITS}---\n{}", FITS.replace("apps/v1", "apps/v1beta2")), &[]);
    assert_eq!(exit, Exit::Success);
    assert_eq!(
        err,
        "winddown: standard input: line 17: Deployment shop (apps/v1beta2) skipped: only apps/v1 Deployments, StatefulSets \
         and DaemonSets are supported; its winddown.dev annotations have no effect\n"
    );
}

#[test]
fn workloads_without_annotations_take_one_line_each() {
    let undeclared = FITS.replace("winddown.dev", "example.com");
    let off = FITS.replace("winddown.dev/drain", "winddown.dev/mode: \"Off\"\n    winddown.dev/drain");
    let (_, out, _) = plan(&format!("{undeclared}---\n{undeclared}---\n{off}"), &[]);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    for key in ["winddown.dev/drain", "winddown.dev/deadline", "winddown.dev/traffic", "winddown.dev/runtime"] {
        assert!(lines[0].contains("(standard input:1): not opted in") && lines[0].contains(key), "{out}");
    }
    assert_eq!((lines[2].ends_with("winddown.dev/mode is Off"), lines[4]), (true, "3 workloads: no findings"));
}

#[test]
fn the_number_of_lanes_is_limited() {
    let more: Vec<_> = (0..999).map(|number| format!("      - name: c{number}\n")).collect();
    let (_, out, _) = plan(&format!("{FITS}{}", more.concat()), &[]);
    let bars = out.lines().filter(|line| line.ends_with("SIGTERM 5s")).count();
    assert!(bars == 12 && out.contains("and 988 more"), "{out}");
}

#[test]
fn colours_do_not_change_the_text() {
    let misfit = FITS.replace("    spec:\n", "    spec:\n      terminationGracePeriodSeconds: 30\n");
    for format in ["text", "diff"] {
        let plain = plan(&misfit, &["-o", format]).1;
        let screen = Screen { styles: Styles::coloured(), width: None };
        let coloured = plan_with(&screen, &misfit, &["-f", "-", "-o", format]).1;
        assert!(!plain.contains('\u{1b}'), "{plain}");
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
        assert!(format == "diff" || coloured.contains("\u{1b}[1m\u{1b}[31merror"), "{coloured:?}");
    }
}

#[test]
fn names_cannot_inject_control_characters_or_tags() {
    let hostile = FITS.replace("name: shop", "name: \"<script>\\e[31m&\"").replace("name: app", "name: \"<b>\\e\\n\"");
    let (_, out, _) = plan(&hostile, &[]);
    assert!(
        out.contains("web/<script>\u{fffd}[31m&") && out.contains("<b>\u{fffd}\u{fffd}") && !out.contains('\u{1b}'),
        "{out}"
    );
    let (_, image, _) = plan(&hostile, &["-o", "svg"]);
    assert!(image.contains("web/&lt;script&gt;\u{fffd}[31m&amp;") && image.contains("&lt;b&gt;"), "{image}");
    assert!(!image.contains("<script") && !image.contains("<b>") && !image.contains('\u{1b}'), "{image}");
}

#[test]
fn a_diff_shows_the_changes_and_is_empty_without_changes() {
    let (exit, out, err) = plan(FITS, &["-o", "diff"]);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert!(
        out.starts_with("--- Deployment web/shop (standard input:1)\n+++ Deployment web/shop (planned)\n@@ -"),
        "{out}"
    );
    assert!(out.contains("\n+      terminationGracePeriodSeconds: 35\n") && !out.contains("\n-"), "{out}");
    let mutated = plan(FITS, &["-o", "yaml"]).1;
    assert_eq!(plan(&mutated, &["-o", "diff"]).1, "");
}

/// Line, rule and fingerprint of each result.
fn results(input: &str) -> Vec<(u64, String, String)> {
    let (_, out, err) = plan(input, &["-o", "sarif"]);
    assert_eq!(err, "");
    let log: Value = serde_json::from_str(&out).unwrap();
    let rules: Vec<_> =
        log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let result = |result: &Value| {
        assert_eq!(rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()], &result["ruleId"]);
        let line = &result["locations"][0]["physicalLocation"]["region"]["startLine"];
        let fingerprint = text(&result["partialFingerprints"]["primaryLocationLineHash"]);
        (line.as_u64().unwrap(), text(&result["ruleId"]), fingerprint)
    };
    results.iter().map(result).collect()
}

#[test]
fn sarif_has_the_line_of_each_field_and_a_stable_fingerprint() {
    let misfit = FITS
        .replace("    spec:\n", "    spec:\n      terminationGracePeriodSeconds: 30\n")
        .replace("winddown.dev/drain", "winddown.dev/drian: 5s\n    winddown.dev/drain");
    let typo = results(&misfit);
    assert_eq!((typo.len(), typo[0].0, typo[0].1.as_str()), (1, 7, "UnknownAnnotation"));
    let misfit = misfit.replace("    winddown.dev/drian: 5s\n", "");
    let here = results(&misfit);
    assert_eq!((here[0].0, here[0].1.as_str()), (12, "BudgetDoesNotFit"));
    let there = results(&format!("# a comment\n---\n{}", misfit.replace("drain: 5s", "drain: 6s")));
    assert_eq!((there[0].0, &there[0].2), (14, &here[0].2));
    let twice = results(&format!("{misfit}---\n{misfit}"));
    assert_ne!(twice[0].2, twice[1].2);
    assert_eq!(results(FITS), []);
}
