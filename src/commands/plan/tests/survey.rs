//! A survey before adoption: assumed annotations, the table, objects from a cluster.

use serde_json::{Value, json};

use super::{Exit, FITS, Screen, plan, plan_with};
use crate::render::styles::Styles;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const ASSUMED: [&str; 2] = ["--assume", "drain=5s,deadline=25s"];

/// A workload without annotations, as kubectl apply sends it.
fn workload(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut workload = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "web"},
        "spec": {"replicas": 3, "template": {"spec": {"containers": [{
            "name": "app",
            "image": "shop:1",
            "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 5, "failureThreshold": 1},
        }]}}},
    });
    change(&mut workload);
    workload
}

/// The same as stored by the API server, which has set the default grace period.
fn stored(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    workload(name, |workload| {
        workload["metadata"]["uid"] = json!("1b6c");
        workload["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(30);
        change(workload);
    })
}

fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn rows(input: &str, more: &[&str]) -> Vec<Value> {
    let (_, out, _) = plan(input, &[&["-o", "json"], more].concat());
    serde_json::from_str(&out).unwrap()
}

#[test]
fn workloads_without_annotations_are_evaluated_with_the_assumed_ones() {
    let plain = FITS.replace("winddown.dev", "example.com");
    let off = FITS.replace("winddown.dev/drain", "winddown.dev/mode: \"Off\"\n    winddown.dev/drain");
    let own = FITS.replace("drain: 5s", "drain: 7s");
    let rows = rows(&format!("{plain}---\n{off}---\n{own}"), &ASSUMED);
    let found: Vec<_> = rows.iter().map(|row| (&row["assumed"], &row["budget"]["drain"])).collect();
    let (null, declared, assumed) = (Value::Null, json!(7), json!(5));
    assert_eq!(found, [(&json!("drain=5s,deadline=25s"), &assumed), (&null, &null), (&null, &declared)]);
}

#[test]
fn presets_can_be_assumed() {
    let rows = rows(&list(&[workload("shop", |_| ())]), &["--assume", "traffic=alb-ip,runtime=spring-boot,margin=2s"]);
    assert_eq!(rows[0]["budget"]["margin"], 2);
    assert_eq!(rows[0]["budget"]["drainFrom"], json!({"preset": "alb-ip"}));
}

#[test]
fn the_output_says_which_budgets_are_assumed() {
    let plain = FITS.replace("winddown.dev", "example.com");
    let input = format!("{plain}---\n{FITS}");
    let (_, text, _) = plan(&input, &ASSUMED);
    assert_eq!(text.matches(", assumed drain=5s,deadline=25s\n").count(), 1, "{text}");
    let (_, table, _) = plan(&input, &[&["-o", "table"], ASSUMED.as_slice()].concat());
    let column = |word: &str| table.lines().filter(|line| line.split_whitespace().nth(2) == Some(word)).count();
    assert_eq!((column("assumed"), column("annotation"), column("FROM")), (1, 1, 1), "{table}");
    assert!(table.contains("1 workload with assumed drain=5s,deadline=25s\n"), "{table}");
    let (_, svg, _) = plan(&input, &[&["-o", "svg"], ASSUMED.as_slice()].concat());
    assert_eq!(svg.matches("), assumed<").count(), 1, "{svg}");
}

#[test]
fn the_patch_and_the_manifest_contain_the_assumed_annotations() {
    let given = workload("shop", |_| ());
    let rows = rows(&list(std::slice::from_ref(&given)), &ASSUMED);
    let patch: json_patch::Patch = serde_json::from_value(rows[0]["patch"].clone()).unwrap();
    let mut patched = given.clone();
    json_patch::patch(&mut patched, &patch).unwrap();
    let (_, yaml, _) = plan(&given.to_string(), &[&["-o", "yaml"], ASSUMED.as_slice()].concat());
    assert_eq!(winddown_core::manifest::read(&yaml).workloads[0].object, patched);
    assert_eq!(patched["metadata"]["annotations"]["winddown.dev/drain"], "5s");
    let (_, diff, _) = plan(&given.to_string(), &[&["-o", "diff"], ASSUMED.as_slice()].concat());
    assert!(diff.contains("+    winddown.dev/drain: 5s"), "{diff}");
}

#[test]
fn warnings_fail_only_if_asked_for() {
    let warned = list(&[workload("shop", |shop| shop["spec"]["strategy"] = json!({"type": "Recreate"}))]);
    assert_eq!(plan(&warned, &ASSUMED).0, Exit::Success);
    assert_eq!(plan(&warned, &[&ASSUMED, ["--fail-on", "warning"].as_slice()].concat()).0, Exit::Findings);
    assert_eq!(plan(&warned, &["--fail-on", "warning"]).0, Exit::Success, "nothing is declared");
}

#[test]
fn thirty_seconds_from_a_cluster_are_unset_unless_somebody_owns_them() {
    let managed = |operation: &str| {
        let owned = json!({"f:spec": {"f:template": {"f:spec": {"f:terminationGracePeriodSeconds": {}}}}});
        json!([{"manager": "m", "operation": operation, "fieldsV1": owned}])
    };
    let applied = |grace_period: Value| {
        json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": grace_period}}}}).to_string()
    };
    for (case, workload, explicit, note) in [
        (
            "a file",
            workload("a", |it| it["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(30)),
            true,
            false,
        ),
        ("applied on the server", stored("a", |it| it["metadata"]["managedFields"] = managed("Apply")), true, false),
        (
            "created or updated: the entry lists defaults",
            stored("a", |it| it["metadata"]["managedFields"] = managed("Update")),
            false,
            false,
        ),
        ("nothing known", stored("a", |_| ()), false, true),
        (
            "last applied with it",
            stored("a", |it| it["metadata"]["annotations"] = json!({LAST_APPLIED: applied(json!(30))})),
            true,
            false,
        ),
        (
            "last applied without it",
            stored("a", |it| it["metadata"]["annotations"] = json!({LAST_APPLIED: applied(Value::Null)})),
            false,
            false,
        ),
        (
            "another number",
            stored("a", |it| it["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(20)),
            true,
            false,
        ),
    ] {
        let (exit, _, err) = plan(&workload.to_string(), &ASSUMED);
        assert_eq!(exit == Exit::Findings, explicit, "{case}");
        let expected = "winddown: 1 workload from a cluster without managedFields: a grace period of 30s counts as unset; \
                        kubectl get --show-managed-fields shows who set it\n";
        assert_eq!(err, if note { expected } else { "" }, "{case}");
    }
}

/// Five workloads of different states, with the best first.
fn several() -> String {
    let misfit = |it: &mut Value| it["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(20);
    list(&[
        workload("fine", |_| ()),
        workload("zero", |it| it["metadata"]["annotations"] = json!({"winddown.dev/mode": "Off"})),
        workload("warned", |it| it["spec"]["strategy"] = json!({"type": "Recreate"})),
        workload("misfit", misfit),
        workload(&"long-name-".repeat(12), |it| it["kind"] = json!("StatefulSet")),
    ])
}

#[test]
fn the_table_has_the_worst_first_and_the_counts_last() {
    let (exit, table, _) = plan(&several(), &[&["-o", "table"], ASSUMED.as_slice()].concat());
    assert_eq!(exit, Exit::Findings);
    let words: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        words[0],
        ["NAMESPACE/NAME", "KIND", "FROM", "NEEDS", "GRACE", "FITS", "ERRORS", "WARNINGS", "FIRST", "FINDING"]
    );
    assert_eq!(
        words[1][..9],
        ["web/misfit", "Deployment", "assumed", "35s", "20s", "no", "1", "0", "BudgetDoesNotFit:"]
    );
    assert_eq!(
        words[2][..9],
        ["web/warned", "Deployment", "assumed", "35s", "35s", "yes", "0", "1", "NoPodDuringRollout:"]
    );
    let names: Vec<_> = words[3..6].iter().map(|words| words[0].get(..8).unwrap()).collect();
    assert_eq!((names[0], names[1], names[2]), ("web/fine", "web/long", "web/zero"), "{table}");
    assert_eq!(words[5][2..], ["-", "-", "-", "-", "0", "0", "mode", "Off"]);
    assert!(
        table.contains(
            "\n1 budget does not fit\n4 workloads with assumed drain=5s,deadline=25s\n5 workloads: 1 error, 1 warning"
        ),
        "{table}"
    );
    let starts: std::collections::BTreeSet<_> =
        table.lines().take(4).map(|line| line.find("Deployment").or(line.find("KIND"))).collect();
    assert_eq!(starts.len(), 1, "columns are aligned: {table}");
}

#[test]
fn no_line_of_the_table_is_longer_than_the_terminal() {
    for width in [1, 20, 40, 60, 80, 120, 200] {
        let screen = Screen { styles: Styles::plain(), width: Some(width) };
        let words = [&["-f", "-", "-o", "table"], ASSUMED.as_slice()].concat();
        let (_, table, _) = plan_with(&screen, &several(), &words);
        for line in table.lines().take(6) {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        assert!(width < 80 || table.contains("BudgetDoes"), "{width}: {table}");
    }
}

#[test]
fn hundreds_of_workloads_from_a_cluster_are_one_line_each() {
    let items: Vec<_> = (0..300)
        .map(|number| {
            stored(&format!("shop-{number}"), |it| {
                it["status"] = json!({"conditions": vec![json!({"message": "x".repeat(200)}); 20]});
                it["metadata"]["managedFields"] =
                    json!([{"operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
            })
        })
        .collect();
    let (exit, table, err) = plan(&list(&items), &[&["-o", "table"], ASSUMED.as_slice()].concat());
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert_eq!(table.lines().count(), 1 + 300 + 1 + 2, "{table}");
}
