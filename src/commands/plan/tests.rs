use super::{Arguments, Exit, Palette, run};
use clap::{Args, FromArgMatches};
use serde_json::Value;

fn plan(input: &str, more: &[&str]) -> (Exit, String, String) {
    plan_with(&Palette::plain(), input, more)
}

fn plan_with(palette: &Palette, input: &str, more: &[&str]) -> (Exit, String, String) {
    let command = Arguments::augment_args(clap::Command::new("plan"));
    let words = ["plan", "-f", "-"].iter().chain(more);
    let arguments = Arguments::from_arg_matches(&command.get_matches_from(words)).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(&arguments, palette, &mut input.as_bytes(), &mut out, &mut err).unwrap();
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
fn a_deployment_that_fits_is_explained_and_exits_0() {
    let (exit, out, err) = plan(FITS, &[]);
    assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
    for part in ["Deployment web/shop", "drain 5s + deadline 25s + margin 5s = 35s of 35s", "SIGTERM", "SIGKILL"] {
        assert!(out.contains(part), "{part} is missing in:\n{out}");
    }
}

#[test]
fn a_deployment_that_does_not_fit_exits_1_with_the_numbers() {
    let misfit = FITS.replace("    spec:\n", "    spec:\n      terminationGracePeriodSeconds: 30\n");
    let (exit, out, _) = plan(&misfit, &[]);
    assert_eq!(exit, Exit::Errors);
    assert!(out.contains("error BudgetDoesNotFit"), "{out}");
    let (exit, _, err) = plan(&misfit, &["-o", "yaml"]);
    assert_eq!(exit, Exit::Errors);
    assert!(err.contains("web/shop: error BudgetDoesNotFit"), "{err}");
    let audit = misfit.replace("winddown.dev/drain", "winddown.dev/mode: Audit\n    winddown.dev/drain");
    assert_eq!(plan(&audit, &[]).0, Exit::Errors, "an error is an error, though nothing would be denied");
}

#[test]
fn json_has_the_agreed_form() {
    let undeclared = FITS.replace("winddown.dev", "example.com");
    let (exit, out, _) = plan(&format!("{FITS}---\n{undeclared}"), &["-o", "json"]);
    assert_eq!(exit, Exit::Fine);
    let rows: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        rows[0]["budget"],
        serde_json::json!({"drain": 5, "deadline": 25, "margin": 5, "gracePeriod": 35, "drainFrom": "declared", "deadlineFrom": "declared"})
    );
    assert_eq!((&rows[0]["namespace"], &rows[0]["name"]), (&"web".into(), &"shop".into()));
    assert!(rows[0]["patch"].as_array().is_some_and(|patch| !patch.is_empty()));
    assert_eq!((&rows[1]["budget"], &rows[1]["patch"]), (&Value::Null, &serde_json::json!([])));
}

#[test]
fn yaml_is_the_deployment_as_the_webhook_would_leave_it_and_planning_it_again_changes_nothing() {
    let (exit, out, err) = plan(FITS, &["-o", "yaml"]);
    assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
    for part in ["someFutureField", "terminationGracePeriodSeconds: 35", "seconds: 5", "winddown.dev/injected"] {
        assert!(out.contains(part), "{part} is missing in:\n{out}");
    }
    assert_eq!(plan(&out, &["-o", "yaml"]).1, out);
}

#[test]
fn numbers_are_read_as_kubectl_reads_them() {
    let octal = FITS
        .replace("    spec:\n", "    spec:\n      volumes: [{name: v, secret: {secretName: s, defaultMode: 0400}}]\n");
    let (exit, out, err) = plan(&octal, &["-o", "yaml"]);
    assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
    assert!(out.contains("defaultMode: 256"), "{out}");
}

#[test]
fn other_kinds_are_passed_over_and_said_so() {
    let (exit, out, err) = plan("apiVersion: v1\nkind: Service\n", &["-o", "json"]);
    assert_eq!((exit, out.as_str()), (Exit::Fine, "[]\n"));
    assert!(err.contains("no Deployment, StatefulSet or DaemonSet"), "{err}");
}

#[test]
fn unusable_input_exits_2_and_names_the_place() {
    for (input, place) in [
        ("", "standard input: is empty"),
        ("kind: [", "standard input: line 1"),
        ("{\"kind\": \"Deployment\"}", "line 1: document 1 is not a Kubernetes object"),
        (
            &format!("{FITS}---\napiVersion: apps/v1\nkind: Deployment\nspec: {{}}\n"),
            "line 19: Deployment without a name in document 2",
        ),
        (&FITS.replace("drain: 5s", "drain: 5"), "metadata.annotations[winddown.dev/drain] is not a string"),
        (&FITS.replace("- name: app", "- {}\n      - name: app"), "spec.template.spec cannot be read"),
    ] {
        let (exit, out, err) = plan(input, &[]);
        assert_eq!((exit, out.as_str()), (Exit::Unusable, ""), "{err}");
        assert!(err.contains(place), "{place} is missing in: {err}");
    }
}
