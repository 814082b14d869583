//! What has to change in a workload, as a value: shown as words, as a JSON Patch, or applied.

use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation, jsonptr::PointerBuf};
use serde_json::Value;

use crate::annotations::{BUDGET, INJECTED};
use crate::injection::{Bare, Injected, Record};
use crate::object::{Object, Template, set_budget, set_template};

/// The difference between a workload and its desired state. Only the pod template and `winddown.dev/budget` ever change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The pod template as it should be, where that is another one.
    template: Option<Value>,
    budget: BudgetChange,
}

/// What happens to `winddown.dev/budget`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum BudgetChange {
    #[default]
    Keep,
    Set(String),
    Remove,
}

impl Changes {
    /// The template is to be replaced by `desired`, and the budget to be set if there is one.
    pub(super) fn new(current: Template<'_>, desired: &Value, budget: Option<&str>) -> Self {
        Self {
            template: (current.value() != desired).then(|| desired.clone()),
            budget: budget.map_or(BudgetChange::Keep, |budget| BudgetChange::Set(budget.to_owned())),
        }
    }

    /// Everything of Winddown's is to be removed.
    pub(super) fn remove(object: Object<'_>, bare: Bare<'_>) -> Self {
        Self {
            template: bare.record.is_some().then(|| bare.template.into_owned()),
            budget: if object.has_annotation(BUDGET) { BudgetChange::Remove } else { BudgetChange::Keep },
        }
    }

    /// Leaves the budget alone where it is already set to the same text.
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
        self.template.is_none() && self.budget == BudgetChange::Keep
    }

    /// Whether the pod template changes, so that the workload's controller rolls it out.
    #[must_use]
    pub fn rolls_out(&self) -> bool {
        self.template.is_some()
    }

    /// Whether the pods of the workload change in more than label and record.
    #[must_use]
    pub fn replaces_pods(&self, object: Object<'_>) -> bool {
        let Some(desired) = &self.template else { return false };
        object.template().is_ok_and(|current| !current.runs_like(Template::new(desired)))
    }

    /// Whether the record of what was injected changes.
    #[must_use]
    pub fn replaces_record(&self, object: Object<'_>) -> bool {
        let Some(desired) = &self.template else { return false };
        object
            .template()
            .is_ok_and(|current| current.annotation(INJECTED) != Template::new(desired).annotation(INJECTED))
    }

    /// What the template has from Winddown once it is changed; `None` where nothing of Winddown's is left, or where the
    /// template does not change.
    #[must_use]
    pub fn injected(&self) -> Option<Injected> {
        let record = Record::of(Template::new(self.template.as_ref()?)).ok().flatten()?;
        Some(Injected::from(&record))
    }

    /// The workload in its desired state.
    #[must_use]
    pub fn apply(&self, workload: &Value) -> Value {
        let mut desired = workload.clone();
        if let Some(template) = &self.template {
            set_template(&mut desired, template.clone());
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
    /// It names single fields, so fields that no type of ours knows are neither in it nor lost.
    #[must_use]
    pub fn patch(&self, object: Object<'_>) -> Patch {
        let mut operations = Vec::new();
        operations.extend(self.budget.operation(object));
        if let (Some(desired), Ok(current)) = (&self.template, object.template()) {
            let below = json_patch::diff(current.value(), desired).0;
            operations.extend(below.into_iter().map(below_template));
        }
        Patch(operations)
    }
}

impl BudgetChange {
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
        // A difference consists of the three above.
        PatchOperation::Move(_) | PatchOperation::Copy(_) | PatchOperation::Test(_) => {}
    }
    operation
}
