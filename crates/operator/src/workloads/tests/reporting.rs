//! What is reported while it becomes known whether `ShutdownBudget`s are installed.

use super::*;
use crate::observation::Observation;

const BUDGETS: &str = "/apis/winddown.dev/v1alpha1/shutdownbudgets";
const BUDGETS_OF_NAMESPACE: &str = "/apis/winddown.dev/v1alpha1/namespaces/shop/shutdownbudgets";

/// A controller that leads, with the tasks of its budgets.
async fn start(server: &FakeApiServer) -> (Controller, JoinSet<()>) {
    let mut tasks = JoinSet::new();
    let controller =
        Controller::start_with(server.clone(), true, Selection::default(), |server, publisher, leading| {
            let clients = Clients { short: server.client(), watching: server.client() };
            let (publisher, metrics) = (publisher.clone(), Metrics::default());
            let (budgets, watch, writer) = Budgets::new(&clients, leading, publisher, Observation::default(), metrics);
            tasks.spawn(watch.run());
            tasks.spawn(writer.run(CancellationToken::new(), Duration::from_secs(1)));
            budgets
        });
    let controller = controller.await;
    (controller, tasks)
}

fn misfit() -> Value {
    let mut misfit = annotated("web");
    misfit["metadata"]["annotations"]["winddown.dev/mode"] = json!("Audit");
    misfit["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(10);
    misfit
}

#[tokio::test(start_paused = true)]
async fn events_wait_until_it_is_known_whether_budgets_are_installed() {
    for is_installed in [false, true] {
        let server = FakeApiServer::default();
        server.fail(Method::GET, BUDGETS, Some(StatusCode::SERVICE_UNAVAILABLE));
        let (controller, _tasks) = start(&server).await;
        controller.put("web", misfit());
        pass(60).await;
        assert_eq!(events(&controller, "BudgetDoesNotFit").len(), 0);
        server.fail(Method::GET, BUDGETS, Some(StatusCode::NOT_FOUND).filter(|_| !is_installed));
        pass(60).await;
        assert_eq!(events(&controller, "BudgetDoesNotFit").len(), 1, "{is_installed}");
        assert_eq!(server.under(BUDGETS_OF_NAMESPACE).len(), usize::from(is_installed));
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_wait_for_a_budget_are_published_when_budgets_turn_out_to_be_absent() {
    let server = FakeApiServer::default();
    let (controller, _tasks) = start(&server).await;
    server.fail(Method::POST, BUDGETS_OF_NAMESPACE, Some(StatusCode::INTERNAL_SERVER_ERROR));
    controller.put("web", misfit());
    pass(10).await;
    assert_eq!(events(&controller, "BudgetDoesNotFit").len(), 0);
    server.fail(Method::POST, BUDGETS_OF_NAMESPACE, Some(StatusCode::NOT_FOUND));
    server.fail(Method::GET, BUDGETS, Some(StatusCode::NOT_FOUND));
    server.expire(BUDGETS, |_| {});
    pass(60).await;
    assert_eq!(events(&controller, "BudgetDoesNotFit").len(), 1);
    // Installed again.
    server.fail(Method::POST, BUDGETS_OF_NAMESPACE, None);
    server.fail(Method::GET, BUDGETS, None);
    pass(60).await;
    assert_eq!(server.under(BUDGETS_OF_NAMESPACE).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_declaration_that_is_removed_before_its_budget_was_written_has_none() {
    let server = FakeApiServer::default();
    let (controller, _tasks) = start(&server).await;
    server.fail(Method::POST, BUDGETS_OF_NAMESPACE, Some(StatusCode::INTERNAL_SERVER_ERROR));
    controller.put("web", misfit());
    pass(10).await;
    let mut removed = misfit();
    removed["metadata"]["annotations"] = json!({});
    removed["metadata"]["generation"] = json!(2);
    controller.put("web", removed);
    pass(10).await;
    server.fail(Method::POST, BUDGETS_OF_NAMESPACE, None);
    pass(120).await;
    assert_eq!(server.under(BUDGETS_OF_NAMESPACE).len(), 0);
}
