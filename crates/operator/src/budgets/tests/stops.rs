//! Stops that are not counted, and what comes first.

use super::*;
use crate::telemetry::captured::capture;

#[tokio::test(start_paused = true)]
async fn stops_of_a_clock_that_is_ahead_are_refused_and_told() {
    let (output, _guard) = capture();
    let operator = Operator::start(&FakeApiServer::default()).await;
    operator.evaluate("web", &drain(5));
    pass(40).await;
    for number in 0..3 {
        let mut ahead = stopped("web", number);
        let at = Timestamp::from_second(jiff::Timestamp::now().as_second() + 3600);
        (ahead.at, ahead.end) = (at, End { earliest: at, latest: at });
        operator.budgets.stopped(ahead);
    }
    pass(60).await;
    assert_eq!(operator.status("web")["shutdowns"]["count"], 0);
    assert!(operator.exports("winddown_shutdowns_lost_total{reason=\"clock\"} 3"));
    assert!(operator.exports("winddown_shutdowns_lost_total{reason=\"backlog\"} 0"));
    assert_eq!(output.lines("observed shutdowns are not counted"), 1, "{}", output.text());
}

#[tokio::test(start_paused = true)]
async fn what_ends_before_the_first_write_is_counted_from_the_first_evaluation_on() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    operator.server.fail(Method::POST, BUDGETS, Some(StatusCode::GATEWAY_TIMEOUT));
    operator.evaluate("web", &drain(5));
    pass(30).await;
    operator.evaluate("web", &drain(6));
    // By the clock of the API, which the paused one does not move.
    for (number, seconds) in [(1, 20), (2, 300)] {
        let at = Timestamp::from_second(jiff::Timestamp::now().as_second() - seconds);
        operator.budgets.stopped(Stop { at, end: End { earliest: at, latest: at }, ..stopped("web", number) });
    }
    operator.server.fail(Method::POST, BUDGETS, None);
    pass(61).await;
    let status = operator.status("web");
    assert_eq!((&status["phases"]["drain"], &status["shutdowns"]["count"]), (&json!("6s"), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn stops_of_a_workload_without_a_budget_are_given_up_and_told() {
    let (output, _guard) = capture();
    let operator = Operator::start(&FakeApiServer::default()).await;
    for number in 0..3 {
        operator.budgets.stopped(killed("web", number));
    }
    pass(590).await;
    assert_eq!(output.lines("not counted"), 0, "{}", output.text());
    pass(30).await;
    assert!(operator.exports("winddown_shutdowns_lost_total{reason=\"without_budget\"} 3"));
    assert_eq!(output.lines("not counted"), 1, "{}", output.text());
}

#[tokio::test(start_paused = true)]
async fn a_kill_is_reported_before_other_events_of_the_same_write() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    // All but one of the Events that one workload may have at once.
    for change in 0..15 {
        operator.evaluate("web", &drain(5 + change % 2));
        pass(1).await;
    }
    assert_eq!(operator.events(), ["BudgetApplied"; 15]);
    let status = format!("{}/status", path("web"));
    operator.server.fail(Method::PUT, &status, Some(StatusCode::INTERNAL_SERVER_ERROR));
    operator.evaluate("web", &drain(9));
    operator.budgets.stopped(killed("web", 1));
    pass(2).await;
    operator.server.fail(Method::PUT, &status, None);
    pass(5).await;
    assert_eq!(operator.status("web")["phases"]["drain"], "9s");
    let kills = operator.events().iter().filter(|event| *event == "ShutdownKilled").count();
    assert_eq!((operator.events().len(), kills), (16, 1));
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_not_answered_is_given_up_and_delays_no_other() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    operator.evaluate("web", &drain(5));
    operator.evaluate_as("db", "of-db", &drain(5), true);
    pass(2).await;
    operator.server.silence(&format!("{}/status", path("web")), true);
    operator.evaluate("web", &drain(6));
    pass(1).await;
    for seconds in [7, 8] {
        operator.evaluate_as("db", "of-db", &drain(seconds), false);
        pass(6).await;
        assert_eq!(operator.status("db")["phases"]["drain"], format!("{seconds}s"));
    }
    operator.server.silence(&format!("{}/status", path("web")), false);
    pass(20).await;
    assert_eq!(operator.status("web")["phases"]["drain"], "6s");
}

#[tokio::test(start_paused = true)]
async fn in_a_namespace_that_is_terminating_nothing_is_retried_or_logged() {
    let (output, _guard) = capture();
    let operator = Operator::start(&FakeApiServer::default()).await;
    operator.server.terminate(BUDGETS);
    operator.evaluate("web", &drain(5));
    for number in 0..10 {
        operator.budgets.stopped(killed("web", number));
    }
    pass(900).await;
    assert_eq!(operator.server.requests(&Method::POST, BUDGETS), 1);
    assert_eq!(output.lines("WARN"), 0, "{}", output.text());
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_another_version_is_reset_once() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    operator.evaluate("web", &drain(5));
    operator.budgets.stopped(stopped("web", 1));
    pass(40).await;
    let mut edited = operator.budget("web");
    edited["status"]["checkpoint"] = json!("{\"v\":2,\"text\":\"of a later version\"}");
    operator.server.put(&path("web"), edited);
    let after = |seconds: i64, number: u32| {
        let at = Timestamp::from_second(jiff::Timestamp::now().as_second() + seconds);
        Stop { at, end: End { earliest: at, latest: at }, ..stopped("web", number) }
    };
    // By the clock of the API, which the paused one does not move.
    for (number, seconds) in [(2, 0), (3, 250)] {
        operator.budgets.stopped(after(seconds, number));
        pass(40).await;
    }
    assert_eq!(operator.status("web")["shutdowns"]["count"], 0);
    assert_eq!(operator.events(), ["BudgetApplied", "StatusReset"]);
    operator.evaluate_as("web", "u", &drain(5), false);
    pass(40).await;
    assert_eq!(operator.events(), ["BudgetApplied", "StatusReset"]);
}

#[tokio::test(start_paused = true)]
async fn pods_without_a_budget_are_those_of_the_workload_that_carry_none() {
    let server = FakeApiServer::default();
    let workload = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "status": {"replicas": 3}});
    server.put("/apis/apps/v1/namespaces/shop/deployments/web", workload);
    let operator = Operator::start(&server).await;
    operator.observation.list_no_pods();
    operator.evaluate("web", &drain(5));
    pass(40).await;
    assert_eq!(operator.status("web")["pods"], json!({"current": 0, "old": 0, "none": 3}));
    assert_eq!(operator.status("web")["carried"], "0/3");
    // No watch reports them, but the number of all pods changes.
    let path = "/apis/apps/v1/namespaces/shop/deployments/web";
    for (replicas, reads) in [(1, 1), (1, 0), (0, 1), (0, 0)] {
        let before = server.requests(&Method::GET, path);
        let mut workload = server.get(path).unwrap();
        workload["status"]["replicas"] = json!(replicas);
        server.put(path, workload);
        operator.budgets.has_pods(&self::workload("web"), replicas);
        pass(60).await;
        assert_eq!(operator.status("web")["carried"], format!("0/{replicas}"));
        assert_eq!(server.requests(&Method::GET, path) - before, reads, "{replicas}");
    }
}
