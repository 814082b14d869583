use serde_json::json;

use super::*;
use winddown_core::kind::Kind;

fn web() -> Arc<WorkloadRef> {
    Arc::new(WorkloadRef { kind: Kind::Deployment, namespace: "shop".to_owned(), name: "web".to_owned() })
}

fn computed() -> Computed {
    Computed::not_evaluated(&json!({"kind": "Deployment", "metadata": {"name": "web", "generation": 1}}), "too large")
}

fn budget(version: &str, says: Option<&str>) -> Budget {
    Budget {
        namespace: "shop".to_owned(),
        name: name(Kind::Deployment, "web"),
        uid: Some("1".to_owned()),
        resource_version: Some(version.to_owned()),
        owner: Some("u".to_owned()),
        workload: Some(web()),
        status: ShutdownBudgetStatus { budget: says.map(str::to_owned), ..ShutdownBudgetStatus::default() },
    }
}

/// A table that listed a budget with this version.
fn listed(version: &str) -> Table {
    let mut table = Table::default();
    table.apply(&Event::Init);
    table.apply(&Event::InitApply(budget(version, None)));
    table.apply(&Event::InitDone);
    table
}

#[test]
fn what_was_written_is_right_until_somebody_changes_it() {
    let mut table = listed("99");
    table.stored(&web(), &budget("99", None), &budget("100", Some("ours")), Some(&computed()));
    assert!(table.is_right(&web()));
    table.apply(&Event::Apply(budget("99", Some("before"))));
    assert_eq!(table.apply(&Event::Apply(budget("100", Some("ours")))), []);
    assert_eq!(table.apply(&Event::Apply(budget("101", Some("edited")))), [web()]);
    assert!(!table.is_right(&web()));
}

#[test]
fn a_change_that_the_watch_reports_before_the_answer_to_a_write_stays_known() {
    let mut table = listed("9");
    table.apply(&Event::Apply(budget("10", Some("ours"))));
    table.apply(&Event::Apply(budget("11", Some("edited"))));
    table.stored(&web(), &budget("9", None), &budget("10", Some("ours")), Some(&computed()));
    assert!(!table.is_right(&web()));
}

#[test]
fn a_deletion_that_the_watch_reports_before_the_answer_to_a_write_stays_known() {
    let mut table = listed("9");
    table.apply(&Event::Apply(budget("10", Some("ours"))));
    table.apply(&Event::Delete(budget("11", Some("ours"))));
    table.stored(&web(), &budget("9", None), &budget("10", Some("ours")), Some(&computed()));
    assert!(!table.has(&web()));
    // One that was created meanwhile, and that the watch has not reported yet.
    table.stored(&web(), &budget("12", None), &budget("13", Some("ours")), Some(&computed()));
    assert!(table.has(&web()) && table.is_right(&web()));
}
