//! The rows that changed since they were shown. Whether the query asks for one has to be looked up, which may fail.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::row::{Row, Width};
use winddown_core::observation::Timestamp;

/// Between two lookups of the same row, if the first one fails.
const RETRY: Duration = Duration::from_secs(3);
/// After these failures, only the next change of the row is another attempt.
const ATTEMPTS: u32 = 10;

/// Namespace and title.
type Key = (String, String);

/// What was shown, and what changed since.
#[derive(Debug)]
pub(super) struct Changes {
    width: Width,
    /// The rows as they were when it was known whether the query asks for them.
    shown: HashMap<Key, Row>,
    pending: HashMap<Key, Pending>,
    /// The rows to look up next, and, in the order of their times, those to look up again. They may be gone meanwhile.
    queue: VecDeque<Key>,
    again: VecDeque<(Instant, Key)>,
}

/// A row for which this is not known.
#[derive(Debug)]
struct Pending {
    row: Row,
    is_asked: bool,
    failures: u32,
}

/// Which failure of the lookups of a row it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    First,
    Another,
    /// It is not looked up again.
    Last,
}

impl Changes {
    /// `known` are all rows up to now, also those that the query leaves out.
    pub(super) fn new(width: Width, known: impl Iterator<Item = Row>) -> Self {
        let shown = known.map(|row| (key(&row), row)).collect();
        Self { width, shown, pending: HashMap::new(), queue: VecDeque::new(), again: VecDeque::new() }
    }

    /// A row as it is now.
    pub(super) fn applied(&mut self, row: Row) {
        let key = key(&row);
        if self.shown.get(&key).is_some_and(|before| !self.differs(before, &row)) {
            self.pending.remove(&key);
            return;
        }
        let is_asked = self.pending.get(&key).is_some_and(|pending| pending.is_asked);
        self.pending.insert(key.clone(), Pending { row, is_asked, failures: 0 });
        // An answer to an earlier question queues it again.
        if !is_asked {
            self.queue.push_back(key);
        }
    }

    /// If the row comes again, it is a new one.
    pub(super) fn deleted(&mut self, row: &Row) {
        let key = key(row);
        self.shown.remove(&key);
        self.pending.remove(&key);
    }

    /// The next row to look up.
    pub(super) fn next(&mut self, now: Instant) -> Option<Row> {
        loop {
            let key = match self.queue.pop_front() {
                Some(key) => key,
                None if self.due()? <= now => self.again.pop_front()?.1,
                None => return None,
            };
            if let Some(pending) = self.pending.get_mut(&key).filter(|pending| !pending.is_asked) {
                pending.is_asked = true;
                return Some(pending.row.clone());
            }
        }
    }

    /// When a row is to be looked up again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.again.front().map(|(due, _)| *due)
    }

    /// It is known whether the query asks for this row. The row, unless it changed meanwhile: then it is looked up again.
    pub(super) fn answered(&mut self, asked: &Row) -> Option<Row> {
        let key = key(asked);
        let pending = self.pending.get_mut(&key)?;
        pending.is_asked = false;
        if pending.row != *asked {
            self.queue.push_back(key);
            return None;
        }
        let row = self.pending.remove(&key)?.row;
        self.shown.insert(key, row.clone());
        Some(row)
    }

    /// The lookup failed. `None` if the row was deleted or changed meanwhile.
    pub(super) fn failed(&mut self, asked: &Row, now: Instant) -> Option<Failure> {
        let key = key(asked);
        let pending = self.pending.get_mut(&key)?;
        pending.is_asked = false;
        let is_same = pending.row == *asked;
        pending.failures += u32::from(is_same);
        let failure = match pending.failures {
            ATTEMPTS.. => Failure::Last,
            2.. => Failure::Another,
            _ => Failure::First,
        };
        if failure == Failure::Last {
            self.pending.remove(&key);
        } else {
            self.again.push_back((now + RETRY, key));
        }
        is_same.then_some(failure)
    }

    /// Whether another row would be printed, apart from its age. One that was created again is another one.
    fn differs(&self, before: &Row, after: &Row) -> bool {
        let cells = |row: &Row| row.cells(self.width, Timestamp::from_second(0));
        before.uid != after.uid || cells(before) != cells(after)
    }
}

fn key(row: &Row) -> Key {
    (row.namespace.clone(), row.title())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::row::tests::row;
    use super::*;

    /// The row of `deployment/web` with this many pods with the budget.
    fn carried(pods: u32) -> Row {
        row(&json!({"carried": format!("{pods}/3")}))
    }

    fn changes(known: &[Row]) -> Changes {
        Changes::new(Width::Narrow, known.iter().cloned())
    }

    #[test]
    fn a_row_that_changed_is_looked_up_once_and_is_then_known() {
        let (mut changes, now) = (changes(&[carried(1)]), Instant::now());
        changes.applied(carried(1));
        assert_eq!(changes.next(now), None);
        changes.applied(carried(2));
        assert_eq!(changes.next(now), Some(carried(2)));
        assert_eq!(changes.next(now), None);
        assert_eq!(changes.answered(&carried(2)), Some(carried(2)));
        changes.applied(carried(2));
        assert_eq!((changes.next(now), changes.due()), (None, None));
    }

    #[test]
    fn a_failed_lookup_is_repeated_after_a_while_and_not_without_an_end() {
        let (mut changes, mut now) = (changes(&[]), Instant::now());
        changes.applied(carried(1));
        let mut failures = Vec::new();
        while let Some(asked) = changes.next(now) {
            failures.extend(changes.failed(&asked, now));
            assert_eq!(changes.next(now), None, "not at once");
            now += RETRY;
        }
        assert_eq!(failures.len(), usize::try_from(ATTEMPTS).unwrap());
        assert_eq!(
            (failures[0], failures[1], failures.last()),
            (Failure::First, Failure::Another, Some(&Failure::Last))
        );
        assert_eq!(changes.due(), None);
        // The same state is then another attempt, because it was never shown.
        changes.applied(carried(1));
        assert_eq!(changes.next(now), Some(carried(1)));
        assert_eq!(changes.failed(&carried(1), now), Some(Failure::First));
        assert_eq!(changes.next(now + RETRY), Some(carried(1)));
        assert_eq!(changes.answered(&carried(1)), Some(carried(1)));
    }

    #[test]
    fn what_changes_during_its_lookup_is_looked_up_again() {
        let (mut changes, now) = (changes(&[]), Instant::now());
        changes.applied(carried(1));
        assert_eq!(changes.next(now), Some(carried(1)));
        changes.applied(carried(2));
        assert_eq!(changes.next(now), None, "one question at a time");
        assert_eq!(changes.answered(&carried(1)), None);
        assert_eq!(changes.next(now), Some(carried(2)));
        changes.applied(carried(3));
        assert_eq!(changes.failed(&carried(2), now), None);
        assert_eq!(changes.next(now + RETRY), Some(carried(3)));
        assert_eq!(changes.answered(&carried(3)), Some(carried(3)));
    }

    #[test]
    fn a_row_that_changed_back_or_was_deleted_is_not_shown() {
        let (mut changes, now) = (changes(&[carried(1)]), Instant::now());
        let ends: [fn(&mut Changes); 2] =
            [|changes| changes.applied(carried(1)), |changes| changes.deleted(&carried(1))];
        for ends in ends {
            changes.applied(carried(2));
            assert_eq!(changes.next(now), Some(carried(2)));
            ends(&mut changes);
            assert_eq!((changes.answered(&carried(2)), changes.failed(&carried(2), now)), (None, None));
            assert_eq!((changes.next(now), changes.due()), (None, None));
        }
    }

    #[test]
    fn a_row_that_was_created_again_is_shown_again_also_if_its_deletion_was_missed() {
        let (mut changes, now) = (changes(&[carried(1)]), Instant::now());
        changes.deleted(&carried(1));
        changes.applied(carried(1));
        assert_eq!(changes.next(now), Some(carried(1)));
        assert_eq!(changes.answered(&carried(1)), Some(carried(1)));
        let again = created_again();
        changes.applied(again.clone());
        assert_eq!(changes.next(now), Some(again));
    }

    /// The row of `carried(1)` of another workload with the same name.
    fn created_again() -> Row {
        let metadata: Value = json!({
            "name": "deployment-web", "namespace": "shop", "creationTimestamp": "2026-02-01T00:00:00Z",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "2",
                "controller": true}],
        });
        let budget = json!({"metadata": metadata, "status": {"carried": "1/3"}});
        Row::of_budget(serde_json::from_value(budget).unwrap())
    }
}
