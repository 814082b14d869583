use super::{Arguments, Exit, Styles, run};
use clap::{Args, FromArgMatches};
use serde_json::Value;

fn plan(input: &str, more: &[&str]) -> (Exit, String, String) {
    plan_with(&Styles::plain(), input, more)
}

fn plan_with(styles: &Styles, input: &str, more: &[&str]) -> (Exit, String, String) {
    let command = Arguments::augment_args(clap::Command::new("plan"));
    let words = ["plan", "-f", "-"].iter().chain(more);
    let arguments = Arguments::from_arg_matches(&command.get_matches_from(words)).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(&arguments, styles, &mut input.as_bytes(), &mut out, &mut err).unwrap();
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
fn null_is_what_the_api_server_makes_of_it() {
    let (exit, _, err) = plan(&FITS.replace("drain: 5s", "drain: 5s\n    owner: ~"), &[]);
    assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
    let (exit, out, _) = plan(&FITS.replace("drain: 5s", "drain:"), &[]);
    assert_eq!(exit, Exit::Errors);
    assert!(out.contains("InvalidAnnotation"), "{out}");
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
        (&FITS.replace("- name: app", "- {}\n      - name: app"), "spec.template.spec.containers cannot be read"),
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
fn all_that_cannot_be_used_is_told_at_once() {
    let broken = format!("just text\n---\n{FITS}---\nkind: [\n---\napiVersion: apps/v1\nkind: Deployment\n");
    let (exit, out, err) = plan(&broken, &["no-such-file.yaml", "-"]);
    assert_eq!((exit, out.as_str()), (Exit::Unusable, ""));
    let told: Vec<_> = err.lines().collect();
    for (told, expected) in told.iter().zip([
        "winddown: standard input: line 1: document 1 is not a Kubernetes object",
        "winddown: standard input: line 19, column 7: document 3 cannot be read: ",
        "winddown: standard input: line 21: Deployment without a name in document 4: spec.template is not an object",
        "winddown: no-such-file.yaml: cannot be read: No such file",
        "winddown: standard input: standard input can be read only once",
    ]) {
        assert!(told.starts_with(expected), "{told}");
    }
    assert_eq!(told.len(), 5, "{err}");
}

#[test]
fn what_is_not_for_kubernetes_is_passed_over_in_a_folder_and_an_error_by_name() {
    let folder = std::env::temp_dir().join(format!("winddown-{}-foreign", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    std::fs::write(file("shop.yaml"), FITS).unwrap();
    std::fs::write(file("kustomization.yaml"), "resources:\n- shop.yaml\n").unwrap();
    let run = |path: &str| {
        let command = Arguments::augment_args(clap::Command::new("plan"));
        let arguments = Arguments::from_arg_matches(&command.get_matches_from(["plan", "-f", path])).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = super::piped(&arguments, &mut [].as_slice(), &mut out, &mut err).unwrap();
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    let (exit, out, err) = run(&folder.display().to_string());
    assert_eq!(exit, Exit::Fine, "{err}");
    assert!(out.contains("Deployment web/shop"), "{out}");
    assert!(err.contains("kustomization.yaml: line 1: document 1 is not a Kubernetes object"), "{err}");
    assert_eq!(run(&file("kustomization.yaml")).0, Exit::Unusable);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_same_kinds_of_an_old_api_are_passed_over_aloud() {
    let (exit, _, err) = plan(&format!("{FITS}---\n{}", FITS.replace("apps/v1", "apps/v1beta2")), &[]);
    assert_eq!(exit, Exit::Fine);
    assert_eq!(
        err,
        "winddown: standard input: line 17: Deployment shop of apps/v1beta2 is passed over with its winddown.dev \
         annotations, only a Deployment, StatefulSet or DaemonSet of apps/v1 is planned\n"
    );
}

#[test]
fn workloads_that_declare_nothing_take_a_line_each() {
    let undeclared = FITS.replace("winddown.dev", "example.com");
    let off = FITS.replace("winddown.dev/drain", "winddown.dev/mode: \"Off\"\n    winddown.dev/drain");
    let (_, out, _) = plan(&format!("{undeclared}---\n{undeclared}---\n{off}"), &[]);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    for key in ["winddown.dev/drain", "winddown.dev/deadline", "winddown.dev/traffic", "winddown.dev/runtime"] {
        assert!(lines[0].contains("(standard input:1): nothing declared") && lines[0].contains(key), "{out}");
    }
    assert_eq!((lines[2].ends_with("winddown.dev/mode is Off"), lines[4]), (true, "3 workloads: no findings"));
}

#[test]
fn a_pod_of_a_thousand_containers_does_not_flood_the_terminal() {
    let more: Vec<_> = (0..999).map(|number| format!("      - name: c{number}\n")).collect();
    let (_, out, _) = plan(&format!("{FITS}{}", more.concat()), &[]);
    let bars = out.lines().filter(|line| line.ends_with("SIGTERM 5s")).count();
    assert!(bars == 12 && out.contains("and 988 more"), "{out}");
}

#[test]
fn colours_are_for_terminals_and_change_no_word() {
    let misfit = FITS.replace("    spec:\n", "    spec:\n      terminationGracePeriodSeconds: 30\n");
    for format in ["text", "diff"] {
        let plain = plan(&misfit, &["-o", format]).1;
        let coloured = plan_with(&Styles::coloured(), &misfit, &["-o", format]).1;
        assert!(!plain.contains('\u{1b}'), "{plain}");
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
        assert!(format == "diff" || coloured.contains("\u{1b}[1m\u{1b}[31merror"), "{coloured:?}");
    }
}

#[test]
fn names_of_strangers_move_no_cursor_and_open_no_tag() {
    let hostile = FITS.replace("name: shop", "name: \"<script>\\e[31m&\"").replace("name: app", "name: \"<b>\\e\\n\"");
    let (_, out, _) = plan(&hostile, &[]);
    assert!(
        out.contains("web/<script>\u{fffd}[31m&") && out.contains("<b>\u{fffd}\u{fffd}") && !out.contains('\u{1b}'),
        "{out}"
    );
    let (_, picture, _) = plan(&hostile, &["-o", "svg"]);
    assert!(picture.contains("web/&lt;script&gt;\u{fffd}[31m&amp;") && picture.contains("&lt;b&gt;"), "{picture}");
    assert!(!picture.contains("<script") && !picture.contains("<b>") && !picture.contains('\u{1b}'), "{picture}");
}

#[test]
fn a_diff_shows_what_would_change_and_nothing_where_nothing_would() {
    let (exit, out, err) = plan(FITS, &["-o", "diff"]);
    assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
    assert!(
        out.starts_with("--- Deployment web/shop (standard input:1)\n+++ Deployment web/shop (planned)\n@@ -"),
        "{out}"
    );
    assert!(out.contains("\n+      terminationGracePeriodSeconds: 35\n") && !out.contains("\n-"), "{out}");
    let settled = plan(FITS, &["-o", "yaml"]).1;
    assert_eq!(plan(&settled, &["-o", "diff"]).1, "");
}

/// Place, rule and fingerprint of each result.
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
fn sarif_names_the_line_of_each_field_and_knows_a_finding_again_elsewhere() {
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
