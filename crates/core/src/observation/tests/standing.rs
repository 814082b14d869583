//! How many pods carry the current budget.

use serde_json::json;

use super::super::carried_hash;
use super::{Event, Value, Watch, container, deleted, ended, running, view, with};
use crate::kind::Kind;
use crate::observation::WorkloadRef;

fn web() -> WorkloadRef {
    WorkloadRef { kind: Kind::Deployment, namespace: "shop".to_owned(), name: "web".to_owned() }
}

fn carrying(uid: &str, record: &str) -> Value {
    with(running(), &json!({"metadata": {"uid": uid, "annotations": {"winddown.dev/injected": record}}}))
}

impl Watch {
    fn pods(&self) -> Option<(u32, u32)> {
        self.observer.pods(&web(), carried_hash("new"))
    }

    fn changes(&mut self) -> usize {
        self.observer.take_changed().len()
    }
}

#[test]
fn pods_count_by_their_budget_until_they_stop() {
    let mut watch = Watch::new();
    watch.list(
        -100.0,
        &[&carrying("1", "new"), &carrying("2", "old"), &with(running(), &json!({"metadata": {"uid": "3"}}))],
    );
    assert_eq!((watch.pods(), watch.changes()), (Some((1, 1)), 1));
    watch.apply(-50.0, &carrying("4", "new"));
    assert_eq!((watch.pods(), watch.changes()), (Some((2, 1)), 1));
    // An annotation that somebody edits does not change the hooks of the pod.
    watch.apply(-40.0, &carrying("2", "new"));
    assert_eq!((watch.pods(), watch.changes()), (Some((2, 1)), 0));
    let deleted = deleted(carrying("2", "old"), 15);
    watch.apply(0.1, &deleted);
    assert_eq!((watch.pods(), watch.changes()), (Some((2, 0)), 1));
    assert_eq!(watch.observer.stopping(&web()), 1);
    watch.delete(12.0, &deleted);
    assert_eq!((watch.pods(), watch.changes()), (Some((2, 0)), 1));
    assert_eq!(watch.observer.stopping(&web()), 0);
    // One that is terminal without a deletion.
    watch.apply(20.0, &ended(carrying("1", "new"), &[container("app", 137, "Error", 19)]));
    assert_eq!((watch.pods(), watch.changes()), (Some((1, 0)), 1));
}

#[test]
fn nothing_is_said_of_pods_until_the_list_is_complete() {
    let mut watch = Watch::new();
    let (first, second) = (carrying("1", "new"), carrying("2", "new"));
    assert_eq!(watch.pods(), None);
    watch.see(0.0, Event::Init);
    watch.see(0.0, Event::InitApply(&view(&first)));
    assert_eq!((watch.pods(), watch.changes()), (None, 0));
    watch.see(0.0, Event::InitDone);
    assert_eq!((watch.pods(), watch.changes()), (Some((1, 0)), 1));
    // The first one is gone, but that is known only at the end of the next list. The first try of that fails.
    watch.see(9.0, Event::Init);
    watch.see(9.0, Event::Init);
    watch.see(9.0, Event::InitApply(&view(&second)));
    assert_eq!((watch.pods(), watch.changes()), (None, 0));
    watch.see(9.0, Event::InitDone);
    assert_eq!((watch.pods(), watch.changes()), (Some((1, 0)), 1));
    assert_eq!(watch.observer.counts().relists, 1);
    // Nothing changed, but who asked while the list was not complete has no answer yet.
    watch.list(20.0, &[&second]);
    assert_eq!(watch.changes(), 1);
}
