//! Fields about the shutdown in a place where the API does not have them. Typed decoding drops them, as the API server
//! does, so they are read from the JSON.

use serde_json::{Map, Value};

use crate::field_path::{FieldPath, Segment};
use crate::suggestion::nearest;

/// A field that the API does not have in that place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misplaced {
    /// Where it stands.
    pub(crate) field: FieldPath,
    /// The name of the field that is meant.
    pub(crate) name: &'static str,
    /// The place where the API has it.
    pub(crate) home: &'static str,
}

/// The fields that are looked for, and the places where the API has them.
const KNOWN: [(&str, &str); 6] = [
    ("terminationGracePeriodSeconds", "spec.template.spec"),
    ("lifecycle", "a container"),
    ("preStop", "lifecycle of a container"),
    ("stopSignal", "lifecycle of a container"),
    ("minReadySeconds", "spec"),
    ("progressDeadlineSeconds", "spec of a Deployment"),
];

/// More of them are one mistake, repeated by a generator.
const MOST: usize = 10;

/// The misplaced and misspelt fields of a workload.
pub(crate) fn misplaced(workload: &Value) -> Vec<Misplaced> {
    let (mut found, mut deeper) = (Vec::new(), Vec::new());
    let mut check = |object: Option<&Value>, path: FieldPath, known: &[&str]| {
        if let Some(Value::Object(fields)) = object {
            found.extend(in_place(fields, &path, known));
        }
    };
    let template = "spec.template";
    for (pointer, path, known) in [
        ("", "", [].as_slice()),
        ("/metadata", "metadata", &["deletionGracePeriodSeconds"]),
        ("/spec", "spec", &["minReadySeconds", "progressDeadlineSeconds"]),
        ("/spec/strategy", "spec.strategy", &[]),
        ("/spec/updateStrategy", "spec.updateStrategy", &[]),
        ("/spec/template", template, &[]),
        ("/spec/template/metadata", "spec.template.metadata", &["deletionGracePeriodSeconds"]),
        ("/spec/template/spec", "spec.template.spec", &["terminationGracePeriodSeconds"]),
    ] {
        check(workload.pointer(pointer), FieldPath::new(path), known);
    }
    for list in ["containers", "initContainers"] {
        let containers =
            workload.pointer("/spec/template/spec").and_then(|pod| pod.get(list)).and_then(Value::as_array);
        for (at, container) in containers.into_iter().flatten().enumerate() {
            let path = FieldPath::pod(list);
            let path = match container.get("name").and_then(Value::as_str) {
                Some(name) => path.key(name),
                None => path.push(Segment::Index(at)),
            };
            check(Some(container), path.clone(), &["lifecycle"]);
            deeper.extend(indented(container, &path));
            let path = path.join("lifecycle");
            check(container.get("lifecycle"), path.clone(), &["preStop", "stopSignal"]);
            let Some(hook) = container.pointer("/lifecycle/preStop") else { continue };
            let path = path.join("preStop");
            check(Some(hook), path.clone(), &[]);
            for handler in ["sleep", "exec", "httpGet"] {
                check(hook.get(handler), path.clone().join(handler), &[]);
            }
        }
    }
    if let Some(pod) = workload.pointer("/spec/template/spec") {
        deeper.extend(indented(pod, &FieldPath::new("spec.template.spec")));
    }
    found.extend(deeper);
    found.truncate(MOST);
    found
}

/// Fields that are indented too far, so that they belong to a field above them: `resources`, `securityContext`.
fn indented(object: &Value, path: &FieldPath) -> Vec<Misplaced> {
    // These have such fields or keys of the user, or are looked at themselves.
    const OTHERS: [&str; 8] = [
        "nodeSelector",
        "containers",
        "initContainers",
        "ephemeralContainers",
        "lifecycle",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
    ];
    let fields = object.as_object().into_iter().flatten();
    let inner = fields.filter(|(name, _)| !OTHERS.contains(&name.as_str())).filter_map(|(name, value)| {
        let path = path.clone().push(Segment::Field(name.clone().into()));
        let fields = value.as_object()?;
        Some(KNOWN.into_iter().filter(|(name, _)| fields.contains_key(*name)).map(move |(name, home)| Misplaced {
            field: path.clone().join(name),
            name,
            home,
        }))
    });
    inner.flatten().collect()
}

/// The misplaced fields of one object, which may have these fields.
fn in_place(fields: &Map<String, Value>, path: &FieldPath, known: &[&str]) -> Vec<Misplaced> {
    let is_wrong = |(written, value): (&String, &Value)| {
        if value.is_null() || known.contains(&written.as_str()) {
            return None;
        }
        let (name, home) = meant(written)?;
        let field = path.clone().push(Segment::Field(written.clone().into()));
        Some(Misplaced { field, name, home })
    };
    fields.iter().filter_map(is_wrong).collect()
}

/// The field that a name stands for, correctly written or not. No other field of these objects is similar.
fn meant(written: &str) -> Option<(&'static str, &'static str)> {
    /// Longer names are no typo, and are not compared.
    const LONGEST: usize = 60;
    if written.len() > LONGEST {
        return None;
    }
    let letters: String = written.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let [grace_period, ..] = KNOWN;
    if letters.contains("graceperiod") || letters.contains("terminationgrace") {
        return Some(grace_period);
    }
    // The length is compared first: an object may have many fields.
    let similar = KNOWN.into_iter().filter(|(name, _)| name.len().abs_diff(letters.len()) <= 2);
    similar.into_iter().find(|(name, _)| nearest(&letters, [name.to_ascii_lowercase().as_str()]).is_some())
}
