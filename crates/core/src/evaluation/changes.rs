//! The changes of a workload: shown as text, applied, or converted to a JSON Patch.

use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation, jsonptr::PointerBuf};
use serde_json::Value;

use crate::annotations::{BUDGET, INJECTED};
use crate::injection::{BareTemplate, Injected, Record};
use crate::object::{Object, Template, injectable, set_budget, set_injectable};

/// The difference between a workload and its desired state. Only the pod template and `winddown.dev/budget` change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    template: TemplateChange,
    budget: BudgetChange,
}

/// The change of the pod template.
#[derive(Clone, Debug, Default, PartialEq)]
enum TemplateChange {
    #[default]
    Keep,
    /// Sets its injectable fields to these.
    Fields(Value),
    /// Replaces it with this template of the replaced object.
    Whole(Value),
}

/// The change of `winddown.dev/budget`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum BudgetChange {
    #[default]
    Keep,
    Set(String),
    Remove,
}

impl Changes {
    /// Sets the injectable fields of the template to `fields`, and the budget if there is one.
    pub(super) fn to_fields(current: Template<'_>, fields: Value, budget: Option<&str>) -> Self {
        let differs = injectable(current.value()) != fields;
        let template = if differs { TemplateChange::Fields(fields) } else { TemplateChange::Keep };
        Self { template, budget: BudgetChange::to(budget) }
    }

    /// Replaces the template, and sets the budget if there is one.
    pub(super) fn to_template(current: Template<'_>, desired: Template<'_>, budget: Option<&str>) -> Self {
        let (current, desired) = (current.value(), desired.value());
        let same = std::ptr::eq(current, desired) || current == desired;
        let template = if same { TemplateChange::Keep } else { TemplateChange::Whole(desired.clone()) };
        Self { template, budget: BudgetChange::to(budget) }
    }

    /// Removes all injected fields and the budget.
    pub(super) fn remove(object: Object<'_>, bare: &BareTemplate<'_>) -> Self {
        let injected = bare.record.is_some();
        Self {
            template: if injected { TemplateChange::Fields(injectable(&bare.template)) } else { TemplateChange::Keep },
            budget: if object.has_annotation(BUDGET) { BudgetChange::Remove } else { BudgetChange::Keep },
        }
    }

    /// Keeps the budget if it already has the same text.
    pub(super) fn skip_budget_if_current(&mut self, object: Object<'_>) {
        if let BudgetChange::Set(budget) = &self.budget
            && object.annotation(BUDGET) == Some(budget)
        {
            self.budget = BudgetChange::Keep;
        }
    }

    /// Whether the workload is in its desired state.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.rolls_out() && self.budget == BudgetChange::Keep
    }

    /// Whether the pod template changes, so that the workload's controller rolls it out.
    #[must_use]
    pub fn rolls_out(&self) -> bool {
        self.template != TemplateChange::Keep
    }

    /// Whether the pods of the workload change apart from label and record.
    #[must_use]
    pub fn replaces_pods(&self, object: Object<'_>) -> bool {
        let Ok(current) = object.template() else { return false };
        match &self.template {
            TemplateChange::Keep => false,
            TemplateChange::Fields(fields) => {
                !Template::new(&injectable(current.value())).runs_like(Template::new(fields))
            }
            TemplateChange::Whole(desired) => !current.runs_like(Template::new(desired)),
        }
    }

    /// Whether the record of the injected fields changes.
    #[must_use]
    pub fn replaces_record(&self, object: Object<'_>) -> bool {
        let Some(desired) = self.template.desired() else { return false };
        object.template().is_ok_and(|current| current.annotation(INJECTED) != desired.annotation(INJECTED))
    }

    /// The injected fields after the change; `None` if there are none or the template does not change.
    #[must_use]
    pub fn injected(&self) -> Option<Injected> {
        let record = Record::of(self.template.desired()?).ok().flatten()?;
        Some(Injected::from(&record))
    }

    /// The workload in its desired state.
    #[must_use]
    pub fn apply(&self, workload: &Value) -> Value {
        let mut desired = workload.clone();
        if let Some(template) = desired.get_mut("spec").and_then(|spec| spec.get_mut("template")) {
            match &self.template {
                TemplateChange::Keep => {}
                TemplateChange::Fields(fields) => set_injectable(template, fields),
                TemplateChange::Whole(desired) => template.clone_from(desired),
            }
        }
        match &self.budget {
            BudgetChange::Keep => {}
            BudgetChange::Set(budget) => set_budget(&mut desired, Some(budget)),
            BudgetChange::Remove => set_budget(&mut desired, None),
        }
        desired
    }

    /// The JSON Patch from the workload as received to its desired state.
    ///
    /// It contains single fields, so fields that the API types do not know are not lost.
    #[must_use]
    pub fn patch(&self, object: Object<'_>) -> Patch {
        let mut operations = Vec::new();
        operations.extend(self.budget.operation(object));
        if let Ok(current) = object.template() {
            let below = match &self.template {
                TemplateChange::Keep => Patch::default(),
                TemplateChange::Fields(fields) => json_patch::diff(&injectable(current.value()), fields),
                TemplateChange::Whole(desired) => json_patch::diff(current.value(), desired),
            };
            operations.extend(below.0.into_iter().map(below_template));
        }
        Patch(operations)
    }
}

impl TemplateChange {
    /// The desired metadata, grace period, hooks and probes; `None` if nothing changes.
    fn desired(&self) -> Option<Template<'_>> {
        match self {
            Self::Keep => None,
            Self::Fields(desired) | Self::Whole(desired) => Some(Template::new(desired)),
        }
    }
}

impl BudgetChange {
    fn to(budget: Option<&str>) -> Self {
        budget.map_or(Self::Keep, |budget| Self::Set(budget.to_owned()))
    }

    fn operation(&self, object: Object<'_>) -> Option<PatchOperation> {
        let path = PointerBuf::from_tokens(["metadata", "annotations", BUDGET]);
        match self {
            Self::Keep => None,
            Self::Set(budget) => {
                let value = Value::String(budget.clone());
                Some(if object.has_annotation(BUDGET) {
                    PatchOperation::Replace(ReplaceOperation { path, value })
                } else {
                    PatchOperation::Add(AddOperation { path, value })
                })
            }
            Self::Remove if object.annotations().is_ok_and(|annotations| annotations.len() == 1) => {
                let path = PointerBuf::from_tokens(["metadata", "annotations"]);
                Some(PatchOperation::Remove(RemoveOperation { path }))
            }
            Self::Remove => Some(PatchOperation::Remove(RemoveOperation { path })),
        }
    }
}

fn below_template(mut operation: PatchOperation) -> PatchOperation {
    let below = |path: &mut PointerBuf| {
        let mut whole = PointerBuf::from_tokens(["spec", "template"]);
        whole.append(&*path);
        *path = whole;
    };
    match &mut operation {
        PatchOperation::Add(AddOperation { path, .. })
        | PatchOperation::Replace(ReplaceOperation { path, .. })
        | PatchOperation::Remove(RemoveOperation { path }) => below(path),
        // `json_patch::diff` returns only the three operations above.
        PatchOperation::Move(_) | PatchOperation::Copy(_) | PatchOperation::Test(_) => {}
    }
    operation
}
