//! The changes of a workload: shown as text, applied, or converted to a JSON Patch.

use std::borrow::Cow;

use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation, jsonptr::PointerBuf};
use serde_json::Value;

use super::difference::difference;
use crate::annotations::{BUDGET, INJECTED, SETTLED};
use crate::injection::{BareTemplate, Injected, Record, without_injection};
use crate::object::{Object, Template, injectable, set_annotation, set_injectable};

/// The difference between a workload and its desired state. Only the pod template and the two annotations change that
/// Winddown writes on the workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    template: TemplateChange,
    budget: AnnotationChange,
    settled: AnnotationChange,
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

/// The change of an annotation of the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum AnnotationChange {
    #[default]
    Keep,
    Set(String),
    Remove,
}

impl Changes {
    /// Sets the injectable fields of the template to `fields`.
    pub(super) fn to_fields(current: Template<'_>, fields: Value) -> Self {
        let differs = injectable(current.value()) != fields;
        Self {
            template: if differs { TemplateChange::Fields(fields) } else { TemplateChange::Keep },
            ..Self::default()
        }
    }

    /// Replaces the template.
    pub(super) fn to_template(current: Template<'_>, desired: Template<'_>) -> Self {
        let (current, desired) = (current.value(), desired.value());
        let same = std::ptr::eq(current, desired) || current == desired;
        let template = if same { TemplateChange::Keep } else { TemplateChange::Whole(desired.clone()) };
        Self { template, ..Self::default() }
    }

    /// Removes everything that Winddown wrote.
    pub(super) fn remove(object: Object<'_>, bare: &BareTemplate<'_>) -> Self {
        let injected = bare.record.is_some();
        let template = if injected { TemplateChange::Fields(without_injection(bare)) } else { TemplateChange::Keep };
        Self { template, ..Self::default() }.annotated(object, None, None)
    }

    /// Sets or removes both annotations of the workload.
    pub(super) fn annotated(mut self, object: Object<'_>, budget: Option<String>, settled: Option<String>) -> Self {
        self.budget = AnnotationChange::to(object, BUDGET, budget);
        self.settled = AnnotationChange::to(object, SETTLED, settled);
        self
    }

    /// Sets only the settled state.
    pub(super) fn settled(mut self, object: Object<'_>, text: String) -> Self {
        self.settled = AnnotationChange::to(object, SETTLED, Some(text));
        self
    }

    /// The template after the change.
    pub(super) fn template<'a>(&'a self, current: Template<'a>) -> Cow<'a, Value> {
        match &self.template {
            TemplateChange::Keep => Cow::Borrowed(current.value()),
            TemplateChange::Fields(fields) => {
                let mut template = current.value().clone();
                set_injectable(&mut template, fields);
                Cow::Owned(template)
            }
            TemplateChange::Whole(desired) => Cow::Borrowed(desired),
        }
    }

    /// Whether the workload is in its desired state.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.rolls_out() && self.annotations().iter().all(|(_, change)| **change == AnnotationChange::Keep)
    }

    /// Whether `winddown.dev/budget` already has the right value.
    #[must_use]
    pub fn keeps_budget(&self) -> bool {
        self.budget == AnnotationChange::Keep
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
        for (key, change) in self.annotations() {
            match change {
                AnnotationChange::Keep => {}
                AnnotationChange::Set(text) => set_annotation(&mut desired, key, Some(text)),
                AnnotationChange::Remove => set_annotation(&mut desired, key, None),
            }
        }
        desired
    }

    /// The JSON Patch from the workload as received to its desired state.
    ///
    /// It contains single fields, so fields that the API types do not know are not lost.
    #[must_use]
    pub fn patch(&self, object: Object<'_>) -> Patch {
        let mut operations = self.annotation_operations(object);
        if let Ok(current) = object.template() {
            let below = match &self.template {
                TemplateChange::Keep => Patch::default(),
                TemplateChange::Fields(fields) => difference(injectable(current.value()), fields.clone()),
                TemplateChange::Whole(desired) => difference(current.value().clone(), desired.clone()),
            };
            operations.extend(below.0.into_iter().map(below_template));
        }
        Patch(operations)
    }

    fn annotations(&self) -> [(&'static str, &AnnotationChange); 2] {
        [(BUDGET, &self.budget), (SETTLED, &self.settled)]
    }

    /// Adds the map together with its first annotation, and removes it together with its last one.
    fn annotation_operations(&self, object: Object<'_>) -> Vec<PatchOperation> {
        let changes = self.annotations();
        let removed = changes.iter().filter(|(_, change)| **change == AnnotationChange::Remove).count();
        let sets = changes.iter().any(|(_, change)| matches!(change, AnnotationChange::Set(_)));
        if removed > 0 && !sets && object.annotations().is_ok_and(|annotations| annotations.len() == removed) {
            let path = PointerBuf::from_tokens(["metadata", "annotations"]);
            return vec![PatchOperation::Remove(RemoveOperation { path })];
        }
        let has_map = object.value().pointer("/metadata/annotations").is_some_and(Value::is_object);
        let set = |(key, change): &(&str, &AnnotationChange)| match change {
            AnnotationChange::Set(text) => Some(((*key).to_owned(), Value::String(text.clone()))),
            AnnotationChange::Keep | AnnotationChange::Remove => None,
        };
        let added: serde_json::Map<_, _> = changes.iter().filter(|_| !has_map).filter_map(set).collect();
        if !added.is_empty() {
            let path = PointerBuf::from_tokens(["metadata", "annotations"]);
            return vec![PatchOperation::Add(AddOperation { path, value: Value::Object(added) })];
        }
        changes.into_iter().filter_map(|(key, change)| change.operation(object, key)).collect()
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

impl AnnotationChange {
    fn to(object: Object<'_>, key: &str, text: Option<String>) -> Self {
        match text {
            Some(text) if object.annotation(key) == Some(&text) => Self::Keep,
            Some(text) => Self::Set(text),
            None if object.has_annotation(key) => Self::Remove,
            None => Self::Keep,
        }
    }

    fn operation(&self, object: Object<'_>, key: &str) -> Option<PatchOperation> {
        let path = PointerBuf::from_tokens(["metadata", "annotations", key]);
        match self {
            Self::Keep => None,
            Self::Set(text) => {
                let value = Value::String(text.clone());
                Some(if object.has_annotation(key) {
                    PatchOperation::Replace(ReplaceOperation { path, value })
                } else {
                    PatchOperation::Add(AddOperation { path, value })
                })
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
