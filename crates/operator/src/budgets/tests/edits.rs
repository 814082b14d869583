//! Budgets that somebody else deletes or changes.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_budget_that_somebody_deletes_or_changes_is_reported_to_the_controller() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    let mut altered = Box::pin(operator.budgets.altered());
    operator.evaluate("web", &drain(5));
    pass(40).await;
    assert!(futures::poll!(altered.next()).is_pending(), "its own write is none of somebody else");
    operator.server.remove(&path("web"));
    pass(1).await;
    assert_eq!(*soon(altered.next()).await, workload("web"));
    operator.evaluate_as("web", "u", &drain(5), false);
    pass(40).await;
    assert_eq!(operator.status("web")["phases"]["drain"], "5s");
    assert_eq!(operator.events(), ["BudgetApplied"]);
    assert!(futures::poll!(altered.next()).is_pending());
    for nonsense in [
        json!(null),
        json!("text"),
        json!({"budget": 7, "checkpoint": "x", "conditions": [{"type": 7}], "pods": [], "reported": {"a": 1}}),
        json!({"phases": {"drain": "1h"}, "conditions": "many", "findings": vec!["x"; 10_000]}),
    ] {
        let mut edited = operator.budget("web");
        edited["status"] = nonsense.clone();
        operator.server.put(&path("web"), edited);
        pass(1).await;
        assert_eq!(*soon(altered.next()).await, workload("web"), "{nonsense}");
        operator.evaluate_as("web", "u", &drain(5), false);
        pass(1).await;
        assert_eq!(operator.status("web")["phases"]["drain"], "5s", "{nonsense}");
        assert_eq!(operator.status("web")["conditions"].as_array().unwrap().len(), 4, "{nonsense}");
    }
    assert!(operator.events().iter().all(|event| event != "BudgetRemoved"), "{:?}", operator.events());
}

#[tokio::test(start_paused = true)]
async fn a_change_by_somebody_else_while_something_waits_or_is_written_is_not_forgotten() {
    let edit = |operator: &Operator| {
        let mut edited = operator.budget("web");
        edited["status"]["budget"] = json!("reviewed");
        operator.server.put(&path("web"), edited);
    };
    let operator = Operator::start(&FakeApiServer::default()).await;
    let mut altered = Box::pin(operator.budgets.altered());
    // Its status is stored, and its Event is being published.
    operator.server.silence(EVENTS, true);
    operator.evaluate("web", &drain(5));
    pass(1).await;
    edit(&operator);
    operator.server.silence(EVENTS, false);
    pass(10).await;
    assert_eq!(*soon(altered.next()).await, workload("web"));
    operator.evaluate_as("web", "u", &drain(5), false);
    pass(100).await;
    assert_eq!(operator.status("web")["budget"], "drain 5s + deadline 25s + margin 5s = 35s of 35s");
    assert!(futures::poll!(altered.next()).is_pending());
    // Changes of the pods wait, which turn out to be none.
    operator.budgets.pods_changed(&workload("web"));
    edit(&operator);
    pass(1).await;
    assert_eq!(*soon(altered.next()).await, workload("web"));
}
