//! Which template is kept, so that a later version of Winddown replaces no pods of an unchanged workload.

use serde_json::Value;

use super::settled::{Settled, numbers_in_text};
use super::{Existing, with_fields};
use crate::annotations::{BUDGET, SETTLED};
use crate::duration::Seconds;
use crate::injection::{BareTemplate, FieldOwners, Record, undo};
use crate::object::{Object, Template};
use crate::policy::{Numbers, Policy, Resolved, TooSmall};

/// A template that stays as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept<'a> {
    pub(super) template: Template<'a>,
    /// The numbers that it was made for.
    pub(super) numbers: Option<Numbers>,
    /// Whether its own record shows that it was made for the declaration; otherwise the workload has to.
    pub(super) by_record: bool,
}

impl<'a> Kept<'a> {
    /// The template as received, or from the replaced object, if neither it nor the declaration changed since it was
    /// injected or settled.
    pub(super) fn unchanged(
        object: Object<'a>,
        template: Template<'a>,
        bare: &BareTemplate<'_>,
        resolved: &Resolved<'_>,
        existing: Existing<'a>,
    ) -> Option<Self> {
        if let Some(kept) = Self::standing(object, template, bare, resolved) {
            return Some(kept);
        }
        // `kubectl replace` with the original manifest sends the same template without the record.
        let Existing::Replaced(old) = existing else { return None };
        let old = Object::new(old.get()?);
        let old_template = old.template().ok()?;
        let old_bare = undo(old_template, Record::of(old_template).ok()?, &FieldOwners::of(old));
        if old_bare.record.is_none() && !old.has_annotation(SETTLED) || old_bare.fingerprint() != bare.fingerprint() {
            return None;
        }
        // The old record is older than its template if an update did not reach the webhook.
        Self::standing(old, old_template, &old_bare, resolved)
    }

    fn standing(
        object: Object<'_>,
        template: Template<'a>,
        bare: &BareTemplate<'_>,
        resolved: &Resolved<'_>,
    ) -> Option<Self> {
        let record =
            bare.record.as_ref().filter(|record| bare.intact && record.was_written_for(bare.fingerprint(), resolved));
        if let Some(record) = record.filter(|record| record.declares(resolved.declaration)) {
            return Some(Self { template, numbers: record.numbers(), by_record: true });
        }
        let settled = Settled::of(object).filter(|settled| settled.is_for(template, resolved.declaration));
        if let Some(settled) = settled {
            return Some(Self { template, numbers: Some(settled.numbers()), by_record: false });
        }
        // Another declaration with the same numbers.
        record.map(|_| Self { template, numbers: Some(resolved.numbers()), by_record: false })
    }

    /// The template that pods run already, if injection changes only label and record. A record that lacks an injected field
    /// is replaced nevertheless: the owner removed that value from the manifest, and only a record leads to its removal.
    pub(super) fn running(
        running: Option<Template<'a>>,
        bare: &BareTemplate<'_>,
        fields: &Value,
        resolved: &Resolved<'_>,
    ) -> Option<Self> {
        let template = running?;
        let injected = with_fields(bare, fields);
        if !template.runs_like(Template::new(&injected)) {
            return None;
        }
        let record = Record::of(template).ok().flatten();
        let needed = Record::of(Template::new(fields)).ok().flatten();
        let recorded = needed.is_none_or(|needed| needed.injects_no_more_than(record.as_ref()));
        // Then the next review of it finds that the record is enough.
        let own = record.as_ref().filter(|record| {
            record.was_written_for(bare.fingerprint(), resolved) && record.declares(resolved.declaration)
        });
        let numbers = own.map_or_else(|| Some(resolved.numbers()), Record::numbers);
        recorded.then_some(Self { template, numbers, by_record: own.is_some() })
    }

    /// The running template without a record, if an earlier version, which wrote no settled state, found a sufficient grace
    /// period with its own numbers, and today's would only raise it.
    pub(super) fn of_earlier_version(
        object: Object<'_>,
        template: Template<'_>,
        running: Option<Template<'a>>,
        injected: (&BareTemplate<'_>, &Value),
        resolved: &Resolved<'_>,
        existing: Existing<'_>,
    ) -> Option<Self> {
        let (running, (bare, fields)) = (running?, injected);
        if bare.record.is_some() || object.has_annotation(SETTLED) || !running.runs_like(template) {
            return None;
        }
        if !existing.declares_like(object) {
            return None;
        }
        let numbers = numbers_in_text(object.annotation(BUDGET)?, template, resolved)?;
        let mut injected = with_fields(bare, fields);
        injected
            .get_mut("spec")?
            .as_object_mut()?
            .insert(crate::object::GRACE_PERIOD_FIELD.to_owned(), template.grace_period()?.clone());
        let only_raised = template.runs_like(Template::new(&injected));
        only_raised.then_some(Self { template: running, numbers: Some(numbers), by_record: false })
    }

    /// Whether it was made for other numbers than those that count today.
    pub(super) fn has_other_numbers(&self, resolved: &Resolved<'_>) -> bool {
        self.numbers.is_some_and(|numbers| resolved.with_numbers(numbers) != *resolved)
    }

    /// Its grace period, if that is an explicit one that was raised, and this policy raises none.
    pub(super) fn raised_by_earlier(&self, policy: &Policy) -> Option<Seconds> {
        if policy.when_grace_period_too_small == TooSmall::Raise {
            return None;
        }
        let record = Record::of(self.template).ok().flatten()?;
        let raised = record.grace_period.is_some_and(|change| change.explicit);
        let seconds = self.template.grace_period().filter(|_| raised)?;
        seconds.as_i64().map(Seconds::from_api)
    }

    /// The settled state to write on the workload.
    pub(super) fn settled(&self, resolved: &Resolved<'_>) -> Option<String> {
        let numbers = self.numbers.filter(|_| !self.by_record)?;
        Settled::new(self.template, resolved.declaration, numbers).to_text()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Existing, Origin, evaluate};
    use crate::annotations::{BUDGET, INJECTED, SETTLED};
    use crate::duration::Seconds;
    use crate::object::LazyObject;
    use crate::policy::Policy;

    /// A Deployment with its own hook, and with the default grace period.
    fn hooked(annotations: &Value) -> Value {
        json!({
            "kind": "Deployment",
            "metadata": {"annotations": annotations},
            "spec": {"template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {
                    "terminationGracePeriodSeconds": 30,
                    "containers": [{"name": "app", "lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}],
                },
            }},
        })
    }

    fn declared() -> Value {
        hooked(&json!({"winddown.dev/deadline": "20s"}))
    }

    /// The numbers of a version after which the same declaration needs 40 seconds.
    fn later() -> Policy {
        Policy { margin: Seconds::new(15), ..Policy::default() }
    }

    fn desired(workload: &Value, existing: Existing<'_>, policy: &Policy) -> Value {
        evaluate(workload, existing, policy, Origin::ApiServer).unwrap().changes.apply(workload)
    }

    fn settled() -> Value {
        desired(&declared(), Existing::Unchanged, &Policy::default())
    }

    fn touched(workload: &Value) -> Value {
        let mut touched = workload.clone();
        touched["metadata"]["labels"] = json!({"touched": "yes"});
        touched
    }

    #[test]
    fn a_template_without_a_record_is_kept_by_a_later_version() {
        let settled = settled();
        assert_eq!(settled["spec"], declared()["spec"], "no record, because that alone would replace the pods");
        assert_eq!(desired(&settled, Existing::Unchanged, &later()), settled);
        let (touched, old) = (touched(&settled), LazyObject::from(&settled));
        assert_eq!(desired(&touched, Existing::Replaced(&old), &later()), touched);
        // `kubectl replace` with the original manifest.
        assert_eq!(desired(&declared(), Existing::Replaced(&old), &later()), settled);
        // Control: the later version raises the grace period of a template that was never settled.
        assert_ne!(desired(&declared(), Existing::Unchanged, &later())["spec"], declared()["spec"]);
    }

    /// The removal of the annotations would leave a part of the probe.
    #[test]
    fn a_running_template_whose_record_lacks_a_field_of_the_probe_gets_another_record() {
        let bare = || {
            let mut bare = hooked(&json!({"winddown.dev/drain": "5s", "winddown.dev/readiness": "grpc:9090/shop"}));
            bare["spec"]["template"]["spec"]["containers"][0].as_object_mut().unwrap().remove("lifecycle");
            bare
        };
        let mut old = desired(&bare(), Existing::None, &Policy::default());
        let record = &mut old["spec"]["template"]["metadata"]["annotations"][INJECTED];
        let lacking = record.as_str().unwrap().replace("\"port\":9090,", "");
        assert_ne!(*record, lacking);
        *record = json!(lacking);
        let lazy = LazyObject::from(&old);
        let current = desired(&bare(), Existing::Replaced(&lazy), &Policy::default());
        assert_eq!(desired(&current, Existing::Replaced(&lazy), &Policy::default()), current);
        assert_eq!(current["spec"], desired(&bare(), Existing::None, &Policy::default())["spec"]);
    }

    /// The record contains nothing that the probe has, so that nothing is removed from it.
    #[test]
    fn an_incomplete_probe_is_completed_once() {
        let mut foreign = desired(&declared(), Existing::None, &Policy::default());
        let template = &mut foreign["spec"]["template"];
        let record = &mut template["metadata"]["annotations"][INJECTED];
        let probe = r#""readiness":{"app":{"httpGet":{"path":"/health","port":3000,"scheme":"HTTP"}}},"made":"#;
        *record = json!(record.as_str().unwrap().replace("\"made\":", probe));
        template["spec"]["containers"][0]["readinessProbe"] = json!({"httpGet": {"httpHeaders": []}});
        let completed = desired(&foreign, Existing::None, &Policy::default());
        assert_eq!(completed["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"], 3000);
        assert_eq!(desired(&completed, Existing::None, &Policy::default()), completed);
    }

    #[test]
    fn a_record_of_another_declaration_is_kept_by_a_later_version() {
        let traffic = json!({"winddown.dev/deadline": "20s", "winddown.dev/traffic": "service"});
        let created = desired(&hooked(&json!({"winddown.dev/deadline": "40s"})), Existing::None, &Policy::default());
        for (case, annotations) in [("the same numbers", traffic), ("others", json!({"winddown.dev/deadline": "35s"}))]
        {
            let mut other = created.clone();
            other["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(60);
            other["metadata"]["annotations"] = annotations;
            let current = desired(&other, Existing::Unchanged, &Policy::default());
            assert_eq!(current["spec"], other["spec"], "{case}");
            assert!(current["metadata"]["annotations"][SETTLED].is_string(), "{case}");
            assert_eq!(desired(&current, Existing::Unchanged, &later()), current, "{case}");
        }
    }

    #[test]
    fn a_changed_template_or_declaration_is_not_settled() {
        let mut image = settled();
        image["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop:2");
        let mut deadline = settled();
        deadline["metadata"]["annotations"]["winddown.dev/deadline"] = json!("22s");
        for changed in [image, deadline] {
            let desired = desired(&changed, Existing::Replaced(&LazyObject::from(&settled())), &later());
            let grace_period = &desired["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
            assert!(grace_period.as_i64() >= Some(40), "{grace_period}");
            assert_eq!(desired["metadata"]["annotations"].get(SETTLED), None);
            assert!(desired["spec"]["template"]["metadata"]["annotations"][INJECTED].is_string());
        }
    }

    #[test]
    fn settled_state_goes_with_the_declaration() {
        for annotations in [json!({}), json!({"winddown.dev/drain": "5s", "winddown.dev/mode": "Audit"})] {
            let mut undeclared = settled();
            for key in [BUDGET, SETTLED] {
                let text = undeclared["metadata"]["annotations"][key].clone();
                undeclared["metadata"]["annotations"][key] = text;
            }
            let kept = undeclared["metadata"]["annotations"].as_object_mut().unwrap();
            kept.retain(|key, _| key == BUDGET || key == SETTLED);
            kept.extend(annotations.as_object().unwrap().clone());
            let removed = desired(&undeclared, Existing::Unchanged, &Policy::default());
            let mut expected = hooked(&annotations);
            if annotations == json!({}) {
                expected["metadata"].as_object_mut().unwrap().shift_remove("annotations");
            }
            assert_eq!(removed, expected);
        }
    }

    #[test]
    fn a_template_that_an_earlier_version_found_sufficient_is_kept() {
        let text = |text: &str| hooked(&json!({"winddown.dev/deadline": "20s", BUDGET: text}));
        for (budget, kept) in [
            ("drain 5s (preStop of app) + deadline 20s + margin 3s = 28s of 30s", true),
            ("drain 4s (default) + deadline 20s + margin 3s = 27s of 30s", true),
            ("drain 5s (preStop of app) + deadline 21s + margin 3s = 29s of 30s", false),
            ("drain 5s (preStop of app) + deadline 20s + margin 3s = 27s of 30s", false),
            ("drain 5s (preStop of app) + deadline 20s + margin 3s = 28s of 60s", false),
            ("drain 5s (preStop of app) + deadline 20s + margin 13s = 38s of 30s", false),
            ("reviewed by security", false),
        ] {
            let earlier = text(budget);
            let now = desired(&earlier, Existing::Unchanged, &later());
            assert_eq!(now["spec"] == earlier["spec"], kept, "{budget}");
            assert_eq!(now["metadata"]["annotations"].get(SETTLED).is_some(), kept, "{budget}");
            assert_eq!(desired(&now, Existing::Unchanged, &later()), now, "{budget}");
        }
    }

    #[test]
    fn a_forged_budget_text_is_restored() {
        let mut recorded = hooked(&json!({"winddown.dev/deadline": "40s"}));
        recorded = desired(&recorded, Existing::None, &Policy::default());
        for (workload, policies) in
            [(settled(), [Policy::default(), later()]), (recorded, [Policy::default(), later()])]
        {
            for policy in policies {
                for text in ["reviewed by security\n\u{1b}[2Jok", "", "drain 0s + deadline 0s + margin 0s = 0s of 30s"]
                {
                    let mut forged = workload.clone();
                    forged["metadata"]["annotations"][BUDGET] = json!(text);
                    for existing in [Existing::Unchanged, Existing::Replaced(&LazyObject::from(&workload))] {
                        assert_eq!(desired(&forged, existing, &policy), workload, "{text:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn other_texts_are_not_settled_state() {
        let text = settled()["metadata"]["annotations"][SETTLED].as_str().unwrap().to_owned();
        for forged in ["", "{}", "[]", &text.replace('}', ",\"more\":1}"), &text.replace("\"drain\"", "\"dry\"")] {
            let mut workload = settled();
            workload["metadata"]["annotations"][SETTLED] = json!(forged);
            let restored = desired(&workload, Existing::Unchanged, &Policy::default());
            assert_eq!(restored, settled(), "{forged}");
        }
    }
}
