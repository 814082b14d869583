//! Failures of the API server, a missing CRD, shutdown.

use super::*;
use crate::telemetry::captured::capture;

#[tokio::test(start_paused = true)]
async fn while_the_api_server_fails_everything_waits_and_nothing_is_lost() {
    for failure in [StatusCode::TOO_MANY_REQUESTS, StatusCode::INTERNAL_SERVER_ERROR, StatusCode::GATEWAY_TIMEOUT] {
        let operator = Operator::start(&FakeApiServer::default()).await;
        operator.evaluate("web", &drain(5));
        pass(1).await;
        let status = format!("{}/status", path("web"));
        operator.server.fail(Method::PUT, &status, Some(failure));
        operator.evaluate_as("web", "u", &drain(6), false);
        for number in 0..3 {
            operator.budgets.stopped(stopped("web", number));
        }
        pass(300).await;
        let attempts = operator.requests("web")[1];
        assert!((6..=14).contains(&attempts), "{failure}: {attempts}");
        assert!(operator.exports("winddown_status_backlog 1"), "{failure}");
        assert_eq!(operator.events(), ["BudgetApplied"], "{failure}: not before it is stored");
        operator.server.fail(Method::PUT, &status, None);
        pass(61).await;
        let stored = operator.status("web");
        assert_eq!((&stored["phases"]["drain"], &stored["shutdowns"]["count"]), (&json!("6s"), &json!(3)), "{failure}");
        assert_eq!(operator.events(), ["BudgetApplied", "BudgetApplied"], "{failure}");
        pass(1).await;
        assert!(operator.exports("winddown_status_backlog 0"), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_although_the_answer_was_lost_is_reported_and_counted_once() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    let (status, lose) = (format!("{}/status", path("web")), |method, path: &str, lost| {
        operator.server.lose_answers(method, path, lost);
    });
    lose(Method::POST, BUDGETS, true);
    lose(Method::PUT, &status, true);
    operator.evaluate("web", &drain(5));
    pass(1).await;
    lose(Method::POST, BUDGETS, false);
    pass(2).await;
    assert_eq!((operator.status("web")["phases"]["drain"].as_str(), operator.events()), (Some("5s"), vec![]));
    lose(Method::PUT, &status, false);
    pass(10).await;
    assert_eq!(operator.events(), ["BudgetApplied"]);

    lose(Method::PUT, &status, true);
    operator.budgets.stopped(killed("web", 1));
    pass(1).await;
    assert_eq!(operator.status("web")["shutdowns"]["killed"], 1);
    // More comes before the next attempt.
    operator.budgets.stopped(killed("web", 2));
    lose(Method::PUT, &status, false);
    pass(40).await;
    assert_eq!(operator.status("web")["shutdowns"]["killed"], 2);
    assert_eq!(operator.counted("Killed"), 2);
    assert_eq!(operator.events(), ["BudgetApplied", "ShutdownKilled"]);

    lose(Method::DELETE, &path("web"), true);
    operator.evaluate("web", &json!({}));
    pass(10).await;
    assert_eq!(operator.budget("web"), Value::Null);
    assert_eq!(operator.events(), ["BudgetApplied", "BudgetRemoved", "ShutdownKilled"]);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_and_that_was_not_stored_is_repeated() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    operator.evaluate("web", &drain(5));
    pass(40).await;
    operator.server.fail(Method::PUT, &format!("{}/status", path("web")), Some(StatusCode::GATEWAY_TIMEOUT));
    operator.budgets.stopped(killed("web", 1));
    pass(1).await;
    operator.server.fail(Method::PUT, &format!("{}/status", path("web")), None);
    pass(10).await;
    assert_eq!((operator.counted("Killed"), operator.status("web")["shutdowns"]["killed"].as_u64()), (1, Some(1)));
    assert_eq!(operator.events(), ["BudgetApplied", "ShutdownKilled"]);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_cannot_be_written_delays_no_other_and_is_logged_once() {
    let (output, _guard) = capture();
    let operator = Operator::start(&FakeApiServer::default()).await;
    let status = format!("{}/status", path("web"));
    operator.server.fail(Method::PUT, &status, Some(StatusCode::INTERNAL_SERVER_ERROR));
    operator.evaluate("web", &drain(5));
    for change in 0..12 {
        operator.evaluate_as("db", "of-db", &drain(5 + change % 2), false);
        pass(1).await;
        assert_eq!(operator.status("db")["phases"]["drain"], format!("{}s", 5 + change % 2), "{change}");
        pass(5).await;
    }
    assert_eq!(output.lines("written"), 1, "{}", output.text());
    assert_eq!(output.lines("the ShutdownBudget was not written workload=Deployment shop/web"), 1, "{}", output.text());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_logged_once_whatever_its_errors_are() {
    let (output, _guard) = capture();
    let operator = Operator::start(&FakeApiServer::default()).await;
    let namespaces = ["a", "b", "c", "d"];
    let budget = |namespace: &str| format!("{}/deployment-web", BUDGETS.replace("shop", namespace));
    let failures = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    for (namespace, failure) in namespaces.iter().zip(failures.iter().cycle()) {
        operator.server.fail(Method::PUT, &format!("{}/status", budget(namespace)), Some(*failure));
        let workload = WorkloadRef { namespace: (*namespace).to_owned(), ..workload("web") };
        operator.budgets.evaluated(&workload, namespace, computed("web", &drain(5)), (Reported::default(), true));
    }
    pass(300).await;
    for namespace in namespaces {
        operator.server.fail(Method::PUT, &format!("{}/status", budget(namespace)), None);
    }
    pass(120).await;
    for namespace in namespaces {
        assert_eq!(operator.server.get(&budget(namespace)).unwrap()["status"]["phases"]["drain"], "5s");
    }
    assert_eq!(output.lines("written"), 2, "{}", output.text());
    assert_eq!(output.lines("ShutdownBudgets were not written"), 1, "{}", output.text());
    assert_eq!(output.lines("ShutdownBudgets are written again"), 1, "{}", output.text());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_could_not_be_published_is_published_later() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    operator.server.fail(Method::POST, EVENTS, Some(StatusCode::INTERNAL_SERVER_ERROR));
    operator.evaluate("web", &drain(5));
    pass(30).await;
    assert_eq!(operator.status("web")["phases"]["drain"], "5s");
    operator.server.fail(Method::POST, EVENTS, None);
    pass(120).await;
    assert_eq!(operator.events(), ["BudgetApplied"]);
}

#[tokio::test(start_paused = true)]
async fn without_the_crd_nothing_is_written_until_it_is_installed() {
    let server = FakeApiServer::default();
    server.fail(Method::GET, COLLECTION, Some(StatusCode::NOT_FOUND));
    let operator = Operator::start(&server).await;
    operator.budgets.listed().await;
    let mut all_altered = Box::pin(operator.budgets.all_altered());
    assert!(!operator.budgets.available());
    pass(600).await;
    let looked = server.requests(&Method::GET, COLLECTION);
    assert!((15..=30).contains(&looked), "{looked}");
    server.fail(Method::GET, COLLECTION, None);
    pass(61).await;
    assert!(operator.budgets.available() && all_altered.next().await.is_some());
    operator.evaluate_as("web", "u", &drain(5), false);
    pass(1).await;
    assert_eq!(operator.status("web")["phases"]["drain"], "5s");
    // Deleted with everything in it.
    server.fail(Method::GET, COLLECTION, Some(StatusCode::NOT_FOUND));
    server.expire(COLLECTION, |objects| objects.retain(|path, _| !path.contains("shutdownbudgets")));
    pass(10).await;
    assert!(!operator.budgets.available() && all_altered.next().await.is_some());
    assert!(!operator.budgets.has(&workload("web")));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_not_answered_is_requested_again() {
    let server = FakeApiServer::default();
    server.silence(COLLECTION, true);
    let operator = Operator::start(&server).await;
    pass(10).await;
    assert!(operator.budgets.installed_is_unknown());
    server.silence(COLLECTION, false);
    pass(60).await;
    assert!(!operator.budgets.installed_is_unknown(), "{}", server.lists());
    operator.evaluate("web", &drain(5));
    pass(1).await;
    assert_eq!(operator.status("web")["phases"]["drain"], "5s");
}

#[tokio::test(start_paused = true)]
async fn without_the_rights_the_operator_works_as_without_the_crd() {
    let server = FakeApiServer::default();
    server.fail(Method::GET, COLLECTION, Some(StatusCode::FORBIDDEN));
    let operator = Operator::start(&server).await;
    operator.budgets.listed().await;
    assert!(!operator.budgets.available());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_writes_what_waits() {
    let server = FakeApiServer::default();
    let operator = Operator::start(&server).await;
    operator.evaluate("web", &drain(5));
    pass(40).await;
    operator.budgets.stopped(stopped("web", 1));
    pass(1).await;
    assert_eq!(operator.status("web")["shutdowns"]["count"], 0);
    operator.shut_down().await;
    assert_eq!(server.get(&path("web")).unwrap()["status"]["shutdowns"]["count"], 1);
}

#[tokio::test(start_paused = true)]
async fn flapping_annotations_delay_only_their_own_budget() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    for change in 0..600 {
        operator.evaluate("web", &drain(5 + change % 2));
        pass(1).await;
    }
    assert!((16..=30).contains(&operator.events().len()), "{}", operator.events().len());
    operator.evaluate_as("db", "of-db", &drain(5), true);
    pass(1).await;
    assert_eq!(operator.status("db")["phases"]["drain"], "5s");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_not_found_once_is_listed_anew() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    operator.evaluate("web", &drain(5));
    pass(1).await;
    let mut altered = Box::pin(operator.budgets.altered());
    operator.server.fail(Method::GET, COLLECTION, Some(StatusCode::NOT_FOUND));
    operator.server.disconnect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    operator.server.fail(Method::GET, COLLECTION, None);
    pass(5).await;
    assert!(operator.budgets.available() && operator.budgets.has(&workload("web")));
    operator.server.remove(&path("web"));
    pass(1).await;
    assert_eq!(*soon(altered.next()).await, workload("web"), "the watch runs");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_deleted_while_a_stop_waits_is_created_again_with_it() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    operator.evaluate("web", &drain(5));
    pass(40).await;
    let mut altered = Box::pin(operator.budgets.altered());
    operator.budgets.stopped(stopped("web", 1));
    operator.server.remove(&path("web"));
    pass(1).await;
    assert_eq!(*soon(altered.next()).await, workload("web"));
    operator.evaluate("web", &drain(5));
    pass(1).await;
    assert_eq!(operator.status("web")["shutdowns"]["count"], 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_there_are_no_series_about_it() {
    let operator = Operator::start(&FakeApiServer::default()).await;
    let mut misfit = drain(5);
    misfit["winddown.dev/mode"] = json!("Off");
    operator.evaluate("web", &misfit);
    operator.budgets.stopped(stopped("web", 1));
    pass(15).await;
    let exported = || text(&operator.metrics, true).lines().any(|line| line.contains("name=\"web\""));
    assert!(exported());
    operator.evaluate("web", &json!({}));
    pass(2).await;
    assert_eq!(operator.budget("web"), Value::Null);
    assert!(!exported());
}
