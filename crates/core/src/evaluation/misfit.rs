//! Which template stays without an injection, because its budget did not fit when it was written.
//!
//! A policy, and a later version of Winddown, restart nothing. If the budget of an annotated workload does not fit, nothing is
//! injected, and `state.winddown.dev/settled` says so. If the budget fits later, the template stays as it is until the owner
//! changes it or the annotations.

use serde::{Deserialize, Serialize};

use super::{Changes, Existing};
use crate::annotations::{Declaration, SETTLED};
use crate::fingerprint;
use crate::injection::{BareTemplate, Record};
use crate::object::{Object, Template};

/// The state of such a workload. A forged one only keeps a template as it stands; findings do not depend on it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Misfit {
    /// The fingerprint of the whole template.
    template: String,
    /// The fingerprint of the declaration in its canonical form.
    declared: String,
    fits: bool,
}

/// Longer texts are not from Winddown.
const LONGEST: usize = 256;

impl Misfit {
    fn new(template: Template<'_>, declaration: &Declaration) -> Self {
        Self {
            template: fingerprint::of_json(template.value()),
            declared: fingerprint::of_texts(&[&declaration.to_string()]),
            fits: false,
        }
    }

    /// That of a workload, if it has one in this form.
    fn of(object: Object<'_>) -> Option<Self> {
        let text = object.annotation(SETTLED).filter(|text| text.len() <= LONGEST)?;
        serde_json::from_str(text).ok()
    }

    /// The text of the annotation.
    fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

/// Adds the state of the template that these changes lead to, if nothing is injected into that. Without a declaration, it is
/// not to be remembered.
pub(super) fn remember(
    changes: Changes,
    object: Object<'_>,
    template: Template<'_>,
    declaration: Option<&Declaration>,
) -> Changes {
    let Some(declaration) = declaration else { return changes };
    let left = changes.template(template);
    let left = Template::new(&left);
    let text = matches!(Record::of(left), Ok(None)).then(|| Misfit::new(left, declaration).to_text()).flatten();
    match text {
        Some(text) => changes.settled(object, text),
        None => changes,
    }
}

/// The state to keep, if the template stands as it was when its budget did not fit. A workload that is being created has no
/// pods.
pub(super) fn standing(
    object: Object<'_>,
    template: Template<'_>,
    bare: &BareTemplate<'_>,
    declaration: Option<&Declaration>,
    existing: Existing<'_>,
) -> Option<String> {
    if bare.record.is_some() || existing.changes_to(object, template) {
        return None;
    }
    // `kubectl replace` with the original manifest sends the same template without the state.
    let old = if let Existing::Replaced(old) = existing { old.get().map(Object::new) } else { None };
    let misfit = Misfit::new(template, declaration?);
    let is_known = [Some(object), old].into_iter().flatten().any(|object| Misfit::of(object).as_ref() == Some(&misfit));
    is_known.then(|| misfit.to_text()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::annotations::{BUDGET, SETTLED};
    use crate::duration::Seconds;
    use crate::evaluation::{Evaluation, Existing, Origin, evaluate};
    use crate::object::LazyObject;
    use crate::policy::{Governing, Limits, Policy};

    fn workload(annotations: &Value) -> Value {
        json!({
            "kind": "Deployment",
            "metadata": {"annotations": annotations},
            "spec": {"template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "shop:1"}], "terminationGracePeriodSeconds": 30},
            }},
        })
    }

    fn declared() -> Value {
        workload(&json!({"winddown.dev/deadline": "40s"}))
    }

    /// Under which 50 s are too long.
    fn strict() -> Policy {
        Policy { limits: Limits { grace_period: Some(Seconds::new(45)), ..Limits::default() }, ..Policy::default() }
    }

    fn evaluated(workload: &Value, existing: Existing<'_>, policy: &Policy) -> Evaluation {
        evaluate(workload, existing, policy, Origin::ApiServer).unwrap()
    }

    fn desired(workload: &Value, existing: Existing<'_>, policy: &Policy) -> Value {
        evaluated(workload, existing, policy).changes.apply(workload)
    }

    fn injects(workload: &Value, existing: Existing<'_>) -> bool {
        desired(workload, existing, &Policy::default())["spec"] != workload["spec"]
    }

    fn left() -> Value {
        desired(&declared(), Existing::None, &strict())
    }

    #[test]
    fn a_template_that_did_not_fit_stands_under_another_policy_until_the_owner_changes_something() {
        let left = left();
        assert_eq!(left["spec"], declared()["spec"]);
        assert_eq!(desired(&left, Existing::Unchanged, &strict()), left);
        let evaluation = evaluated(&left, Existing::Unchanged, &Policy::default());
        assert!(evaluation.fits && evaluation.waiting && evaluation.changes.is_empty());

        let old = LazyObject::from(&left);
        let changed = |pointer: &str, value: Value| {
            let mut changed = left.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            changed
        };
        let mut labelled = left.clone();
        labelled["metadata"]["labels"] = json!({"team": "shop"});
        let mut another_mode = left.clone();
        another_mode["metadata"]["annotations"]["winddown.dev/mode"] = json!("Enforce");
        for (case, request, expected) in [
            ("nothing", left.clone(), false),
            ("a label", labelled, false),
            ("the original manifest, as kubectl replace sends it", declared(), false),
            ("an image", changed("/spec/template/spec/containers/0/image", json!("shop:2")), true),
            ("a restart", changed("/spec/template/metadata", json!({"annotations": {"restartedAt": "now"}})), true),
            ("a number", changed("/metadata/annotations/winddown.dev~1deadline", json!("41s")), true),
            ("the mode", another_mode, true),
        ] {
            assert_eq!(injects(&request, Existing::Replaced(&old)), expected, "{case}");
        }
        assert!(injects(&left, Existing::None), "a copy is a new workload");
        // Controls: without the state, and one that fitted before.
        assert!(injects(&declared(), Existing::Unchanged));
    }

    #[test]
    fn only_what_annotations_declare_and_the_api_server_stores_is_remembered() {
        let remembers = |workload: &Value, opted_in: bool, origin: Origin| {
            let (policy, existing) = (strict(), Existing::None);
            let evaluation = evaluate(workload, existing, Governing { policy: &policy, opted_in }, origin).unwrap();
            assert!(evaluation.budget.is_none() || !evaluation.fits);
            evaluation.changes.apply(workload)["metadata"]["annotations"].get(SETTLED).is_some()
        };
        assert!(remembers(&declared(), false, Origin::ApiServer));
        assert!(remembers(&declared(), true, Origin::ApiServer));
        assert!(!remembers(&declared(), false, Origin::File));
        // A namespace waits without it.
        let strict_default = json!({"winddown.dev/margin": "40s"});
        assert!(!remembers(&workload(&strict_default), true, Origin::ApiServer));
        for mode in ["Off", "Audit"] {
            let declared = json!({"winddown.dev/deadline": "40s", "winddown.dev/mode": mode});
            assert!(!remembers(&workload(&declared), false, Origin::ApiServer), "{mode}");
        }
    }

    #[test]
    fn the_state_goes_with_what_it_stands_for() {
        let fits = desired(&left(), Existing::None, &Policy::default());
        assert!(
            fits["metadata"]["annotations"].get(SETTLED).is_none()
                && fits["metadata"]["annotations"][BUDGET].is_string()
        );
        let mut undeclared = left();
        undeclared["metadata"]["annotations"].as_object_mut().unwrap().shift_remove("winddown.dev/deadline");
        assert_eq!(desired(&undeclared, Existing::Unchanged, &strict())["metadata"]["annotations"].get(SETTLED), None);
    }

    #[test]
    fn a_template_that_needs_nothing_is_settled_and_not_left() {
        let mut sufficient = declared();
        let spec = &mut sufficient["spec"]["template"]["spec"];
        spec["terminationGracePeriodSeconds"] = json!(60);
        spec["containers"][0]["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 5}}});
        let left = desired(&sufficient, Existing::Unchanged, &strict());
        assert!(left["metadata"]["annotations"].get(SETTLED).is_some());
        let evaluation = evaluated(&left, Existing::Unchanged, &Policy::default());
        assert!(!evaluation.waiting && !evaluation.changes.rolls_out());
        assert!(evaluation.changes.apply(&left)["metadata"]["annotations"][BUDGET].is_string());
    }

    #[test]
    fn other_texts_are_no_state() {
        let text = left()["metadata"]["annotations"][SETTLED].as_str().unwrap().to_owned();
        for forged in
            ["", "{}", "[]", &text.replace("false", "true"), &text.replace('}', ",\"more\":1}"), &"x".repeat(300)]
        {
            let mut workload = left();
            workload["metadata"]["annotations"][SETTLED] = json!(forged);
            assert!(injects(&workload, Existing::Unchanged), "{forged}");
            assert_eq!(desired(&workload, Existing::Unchanged, &strict()), left(), "{forged}");
        }
    }
}
