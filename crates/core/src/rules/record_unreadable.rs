//! The record of the injected fields cannot be read, so they cannot be removed.

use crate::annotations::INJECTED;
use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::injection::UnreadableRecord;
use crate::rule::{Check, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code::RecordUnreadable,
    severity: Severity::Warning,
    title: "`winddown.dev/injected` cannot be read, so what it records cannot be undone.",
    page: PAGE,
    check: Check::Reported,
};

pub(crate) fn finding(error: &UnreadableRecord) -> Finding {
    let finding = RULE.finding(FieldPath::template_annotation(INJECTED), error.to_string());
    match error {
        UnreadableRecord::Malformed | UnreadableRecord::TooLarge(_) => finding,
        UnreadableRecord::Version(version) => finding.fact(version.to_string()),
    }
}

const PAGE: &str = r#"## Why

Winddown records in `winddown.dev/injected`, on the pod template, what it changed and what the values were before. From
this record it removes exactly its own changes when the declaration changes or is removed. Here the record cannot be read.

- If it is **not a record that Winddown wrote**, or longer than 64 KiB, it was edited or copied with a template. Then everything in the template
  counts as written by you: hooks and a grace period that Winddown injected are kept.
- If it is **of another version**, a newer Winddown wrote it. The template is not changed, and no new budget is
  computed, until that version runs again.

## What to do

For a record of another version, run that version of Winddown again. Otherwise replace the object with the original
manifest; Winddown then makes a new plan. (`kubectl apply` is not enough: it does not remove what it did not write.)

```sh
kubectl replace --filename shop.yaml
```

If there is no such manifest, remove the annotation and everything that was injected with it: one line for each container
with an injected hook or probe, and one for the grace period. If a line names a field that does not exist, the whole patch
fails.

```sh
kubectl patch deployment shop --type=json --patch '[
  {"op": "remove", "path": "/spec/template/metadata/annotations/winddown.dev~1injected"},
  {"op": "remove", "path": "/spec/template/spec/containers/0/lifecycle/preStop"},
  {"op": "remove", "path": "/spec/template/spec/containers/0/readinessProbe"},
  {"op": "replace", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 30}
]'
```

Never copy the annotation into Git: it belongs to the live object.

## Source

- [How it works](how-it-works.md#what-is-changed-and-what-is-not)
"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{UnreadableRecord, finding};
    use crate::finding::Code::RecordUnreadable;
    use crate::rules::tests::{deployment, fires, silent};

    fn with_record(record: &str) -> Value {
        deployment(|deployment| {
            deployment["spec"]["template"]["metadata"]["annotations"] = json!({"winddown.dev/injected": record});
        })
    }

    #[test]
    fn a_record_that_cannot_be_read_is_reported() {
        for record in ["", "{}", "a hook", "{\"v\": 99}"] {
            let (field, _) = fires(&with_record(record), RecordUnreadable);
            assert_eq!(field, "spec.template.metadata.annotations[winddown.dev/injected]");
        }
        let (_, problem) = fires(&with_record(&"x".repeat(70_000)), RecordUnreadable);
        assert!(problem.starts_with("has 70000 bytes, more than the limit of 65536 for a record"), "{problem}");
        silent(&deployment(|_| {}), RecordUnreadable);
    }

    #[test]
    fn another_version_is_another_finding() {
        let version = |version| finding(&UnreadableRecord::Version(version));
        assert!(version(2).is_same_as(&version(2)));
        assert!(!version(2).is_same_as(&version(3)));
        assert!(!version(2).is_same_as(&finding(&UnreadableRecord::Malformed)));
    }
}
