//! When workloads are looked at, and which of them are read for it.

use super::*;

/// A controller that leads, with Deployments that are right.
async fn with_right_workloads(number: usize) -> Controller {
    let controller = Controller::start(true, Selection::default()).await;
    for web in 0..number {
        let name = format!("web-{web}");
        let mut deployment = annotated(&name);
        deployment["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        controller.put(&name, deployment);
    }
    pass(120).await;
    for web in 0..number {
        assert!(controller.deployment(&format!("web-{web}"))["metadata"]["annotations"].get(BUDGET).is_some());
    }
    controller
}

fn all_reads(controller: &Controller) -> u64 {
    controller.server.requests(&Method::GET, NAMESPACE)
}

#[tokio::test(start_paused = true)]
async fn workloads_that_are_right_are_looked_at_without_a_request_for_each() {
    // Several pages.
    const WORKLOADS: usize = 25;
    let controller = with_right_workloads(WORKLOADS).await;
    for cause in ["a list", "a new leader"] {
        let (reads, looks) = (all_reads(&controller), controller.looks());
        if cause == "a list" {
            controller.server.expire("/apis/apps/v1/deployments", |_| {});
        } else {
            controller.leading.send_replace(false);
            pass(1).await;
            controller.leading.send_replace(true);
        }
        pass(60).await;
        assert!(controller.looks() >= looks + WORKLOADS as u64, "{cause}");
        assert_eq!(all_reads(&controller), reads, "{cause}");
    }
    // Control: one that is not right is read.
    let reads = all_reads(&controller);
    let mut changed = controller.deployment("web-7");
    changed["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(29);
    next_generation(&mut changed);
    controller.put("web-7", changed);
    pass(60).await;
    assert!(all_reads(&controller) > reads);
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_updates_workloads_that_the_previous_one_did_not() {
    let controller = Controller::start(false, Selection::default()).await;
    controller.put("web", annotated("web"));
    pass(60).await;
    let is_updated = || controller.deployment("web")["metadata"]["annotations"].get(BUDGET).is_some();
    assert!(!is_updated(), "it does not lead");
    controller.leading.send_replace(true);
    pass(60).await;
    assert!(is_updated());
}

#[tokio::test(start_paused = true)]
async fn a_list_is_completed_however_often_there_is_a_reason_for_the_next_one() {
    let controller = with_right_workloads(25).await;
    let looks = controller.looks();
    // Each one is a reason.
    for _ in 0..100 {
        controller.leading.send_replace(false);
        tokio::time::sleep(Duration::from_millis(1)).await;
        controller.leading.send_replace(true);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    pass(10).await;
    assert!(controller.looks() >= looks + 25);
    let looks = controller.looks();
    pass(60).await;
    assert_eq!(controller.looks(), looks, "it comes to an end");
}

#[tokio::test(start_paused = true)]
async fn a_first_annotation_is_a_change_that_is_reported() {
    let controller = Controller::start(true, Selection::default()).await;
    let mut plain = annotated("web");
    plain["metadata"]["annotations"] = json!({});
    plain["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    controller.put("web", plain);
    pass(30).await;
    assert_eq!((controller.reads("web"), events(&controller, "").len()), (0, 0));
    let mut first = annotated("web");
    first["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    controller.put("web", first);
    pass(60).await;
    assert_eq!(events(&controller, "BudgetApplied").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_not_answered_is_requested_again() {
    const DEPLOYMENTS: &str = "/apis/apps/v1/deployments";
    let controller = with_right_workloads(1).await;
    controller.server.silence(DEPLOYMENTS, true);
    // It has to be listed, and no answer comes.
    controller.server.expire(DEPLOYMENTS, |_| {});
    pass(30).await;
    controller.server.silence(DEPLOYMENTS, false);
    let looks = controller.looks();
    pass(90).await;
    assert!(controller.looks() > looks);
}
