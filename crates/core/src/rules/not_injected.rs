//! The template does not have the fields that the mutating webhook injects.

use crate::field_path::FieldPath;
use crate::finding::{Code, Finding, Severity};
use crate::rule::{Check, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code::NotInjected,
    severity: Severity::Warning,
    title: "The template is not as planned, because the mutating webhook was not called.",
    page: PAGE,
    check: Check::Reported,
};

pub(crate) fn finding() -> Finding {
    RULE.finding(
        FieldPath::new("spec.template"),
        "mutating webhook was not called; the controller will update this, causing one rollout",
    )
}

const PAGE: &str = r"## Why

When the validating webhook saw this workload, the template was not as planned. The API server calls the mutating webhook
first, and it would have injected what is missing. So it was not reached: it was starting, a network policy blocked the
request, or the timeout of the API server expired. Both webhooks let requests pass in that case, because an outage of
Winddown must never block a deployment.

The workload is stored as it was sent. Its pods have no drain until the controller has updated the template, which causes
one more rollout.

## What to do

Nothing at first. Soon there should be an Event, and the annotation `winddown.dev/budget`:

```sh
kubectl describe deployment shop
```

If it happens again, find out why the webhook cannot be reached:

```sh
kubectl get pods --namespace winddown
helm test winddown --namespace winddown
kubectl get --raw /metrics | grep 'apiserver_admission_webhook.*winddown'
```

If another webhook changes the template after Winddown's, each undoes the changes of the other: leave these fields to one
of them.

## Source

- [How it works](how-it-works.md#when-winddown-is-unavailable)
- [Failure policy of webhooks](https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#failure-policy)
";

#[cfg(test)]
mod tests {
    use super::finding;

    #[test]
    fn the_field_is_the_template() {
        assert_eq!(
            finding().to_string(),
            "warning NotInjected: spec.template: mutating webhook was not called; the controller will update this, causing \
             one rollout"
        );
    }
}
