//! The input: a Deployment of about 20 KB with two containers, and the reviews of it as an API server sends them.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Environment variables of each container: with these, the Deployment has the size that is wanted.
const VARIABLES: [usize; 2] = [106, 44];
/// A uid as the API server makes them has 36 characters.
const UID: &str = "00000000-0000-4000-8000-000000000000";

/// A workload as its owner writes it, annotated for Winddown.
pub(crate) fn deployment(name: &str, namespace: &str) -> Value {
    let labels = json!({
        "app.kubernetes.io/name": "checkout",
        "app.kubernetes.io/instance": "checkout-production",
        "app.kubernetes.io/component": "api",
        "app.kubernetes.io/part-of": "shop",
        "app.kubernetes.io/managed-by": "Helm",
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            "annotations": {
                "meta.helm.sh/release-name": "checkout",
                "meta.helm.sh/release-namespace": namespace,
                "winddown.dev/deadline": "25s",
                "winddown.dev/drain": "5s",
            },
        },
        "spec": {
            "replicas": 3,
            // The Deployment controller makes no pods of it, so that it does not compete for the CPUs.
            "paused": true,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app.kubernetes.io/instance": "checkout-production"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": pod()},
        },
    })
}

fn pod() -> Value {
    json!({
        "containers": [
            container("checkout", 8080, VARIABLES[0]),
            container("recommendations", 9090, VARIABLES[1]),
        ],
        "serviceAccountName": "checkout",
        "automountServiceAccountToken": false,
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "fsGroup": 10001},
        "topologySpreadConstraints": [{
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": "checkout-production"}},
        }],
        "volumes": [
            {"name": "configuration", "configMap": {"name": "checkout-configuration", "defaultMode": 420}},
            {"name": "scratch", "emptyDir": {"sizeLimit": "256Mi"}},
        ],
    })
}

fn container(name: &str, port: u16, variables: usize) -> Value {
    let probe = |period: u8| {
        json!({"httpGet": {"path": "/healthz", "port": name, "scheme": "HTTP"}, "periodSeconds": period,
        "timeoutSeconds": 2, "successThreshold": 1, "failureThreshold": 3})
    };
    json!({
        "name": name,
        "image": format!("registry.example.com/shop/{name}:2026.11.3"),
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"}],
        "env": (0..variables).map(|index| variable(name, index)).collect::<Vec<_>>(),
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
        "readinessProbe": probe(5),
        "livenessProbe": probe(20),
        "startupProbe": probe(2),
        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "configuration", "mountPath": "/etc/checkout", "readOnly": true},
            {"name": "scratch", "mountPath": "/tmp"},
        ],
    })
}

/// Plain values, and every fourth one from a Secret.
fn variable(container: &str, index: usize) -> Value {
    let name = format!("{}_SETTING_{index:03}", container.to_uppercase());
    if index.is_multiple_of(4) {
        let key = format!("setting-{index:03}");
        return json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "checkout-credentials", "key": key}}});
    }
    json!({"name": name, "value": format!("https://service-{index:03}.shop.svc.cluster.local:8443/v2/{container}")})
}

/// The Deployment as the API server has it before admission: with what the API server itself adds.
fn received(mut deployment: Value) -> Value {
    let fields = owned_fields(&deployment);
    // The default of a field that the owner left out; so it is not among the owner's fields.
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(30);
    deployment["metadata"]["uid"] = json!("7c9f8a52-1d0b-4b7e-9d55-3f0f6f1c2a10");
    deployment["metadata"]["creationTimestamp"] = json!("2026-11-03T09:30:00Z");
    deployment["metadata"]["generation"] = json!(1);
    deployment["metadata"]["managedFields"] = json!([{
        "manager": "helm",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": "2026-11-03T09:30:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }]);
    deployment
}

/// `FieldsV1` of someone who set all of this: a key for each field, and for each item of a list that has names.
fn owned_fields(value: &Value) -> Value {
    let mut owned = Map::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        if ["apiVersion", "kind", "name", "namespace"].contains(&key.as_str()) && !value.is_object() {
            continue;
        }
        owned.insert(format!("f:{key}"), owned_fields(value));
    }
    for item in value.as_array().into_iter().flatten() {
        let Some(name) = item.get("name") else { continue };
        let mut fields = owned_fields(item);
        fields["."] = json!({});
        fields["f:name"] = json!({});
        owned.insert(format!("k:{}", json!({"name": name})), fields);
    }
    Value::Object(owned)
}

/// A review whose uid can be changed without writing it anew.
pub(crate) struct Review {
    body: Vec<u8>,
    uid_at: usize,
}

impl Review {
    /// The object on its way in; with an old one it is an UPDATE.
    fn new(object: &Value, old_object: &Value) -> Result<Self> {
        let (name, namespace) = (&object["metadata"]["name"], &object["metadata"]["namespace"]);
        let gvk = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
        let gvr = json!({"group": "apps", "version": "v1", "resource": "deployments"});
        let (operation, options) =
            if old_object.is_null() { ("CREATE", "CreateOptions") } else { ("UPDATE", "UpdateOptions") };
        let review = json!({
            "kind": "AdmissionReview",
            "apiVersion": "admission.k8s.io/v1",
            "request": {
                "uid": UID,
                "kind": gvk,
                "resource": gvr,
                "requestKind": gvk,
                "requestResource": gvr,
                "name": name,
                "namespace": namespace,
                "operation": operation,
                "userInfo": {
                    "username": "system:serviceaccount:deployments:pipeline",
                    "uid": "0b0f2f4e-6f0c-4c43-9c39-0c8c1a3b5d11",
                    "groups": ["system:serviceaccounts", "system:serviceaccounts:deployments", "system:authenticated"],
                },
                "object": object,
                "oldObject": old_object,
                "dryRun": false,
                "options": {"kind": options, "apiVersion": "meta.k8s.io/v1", "fieldManager": "helm"},
            },
        });
        let body = serde_json::to_vec(&review)?;
        let uid_at =
            body.windows(UID.len()).position(|window| window == UID.as_bytes()).context("the uid is missing")?;
        Ok(Self { body, uid_at })
    }

    /// The review under the uid with this number, and that uid.
    pub(crate) fn numbered(&self, number: u32) -> (Vec<u8>, String) {
        let uid = format!("{number:08x}{}", &UID[8..]);
        let mut body = self.body.clone();
        body[self.uid_at..self.uid_at + uid.len()].copy_from_slice(uid.as_bytes());
        (body, uid)
    }

    pub(crate) fn size(&self) -> usize {
        self.body.len()
    }
}

/// What happens to the Deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Operation {
    Create,
    /// As a client sends it that replaces the object with its own manifest: another image, and nothing of what was injected.
    Update,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
        }
    }

    /// The object that `/mutate` gets, and the old one.
    fn objects(self) -> (Value, Value) {
        let created = received(deployment("checkout", "shop"));
        match self {
            Self::Create => (created, Value::Null),
            Self::Update => {
                let mut updated = created.clone();
                updated["spec"]["template"]["spec"]["containers"][0]["image"] =
                    json!("registry.example.com/shop/checkout:2026.11.4");
                (updated, created)
            }
        }
    }

    /// The review for `/mutate`. `patch` is what was answered on CREATE; the old object of an UPDATE has it.
    pub(crate) fn before_mutation(self, patch: Option<&str>) -> Result<Review> {
        let (object, mut old) = self.objects();
        if let (Self::Update, Some(patch)) = (self, patch) {
            apply(&mut old, patch)?;
        }
        Review::new(&object, &old)
    }

    /// The review for `/validate`: the object as the answer of `/mutate` leaves it.
    pub(crate) fn after_mutation(self, created: &str, answered: &str) -> Result<Review> {
        let (mut object, mut old) = self.objects();
        apply(&mut object, answered)?;
        if self == Self::Update {
            apply(&mut old, created)?;
        }
        Review::new(&object, &old)
    }
}

/// Applies a patch as it is in an `AdmissionReview`: base64 of a JSON Patch.
fn apply(object: &mut Value, patch: &str) -> Result<()> {
    let patch: json_patch::Patch = serde_json::from_slice(&BASE64_STANDARD.decode(patch)?)?;
    json_patch::patch(object, &patch).context("the patch does not apply")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_those_that_the_documentation_states() {
        let object = deployment("checkout", "shop");
        let managed = received(object.clone())["metadata"]["managedFields"].to_string().len();
        assert!((19_500..20_500).contains(&object.to_string().len()), "{}", object.to_string().len());
        assert!((15_500..16_500).contains(&managed), "{managed}");
        let [create, update] =
            [Operation::Create, Operation::Update].map(|operation| operation.before_mutation(None).unwrap().size());
        assert!((37_000..40_500).contains(&create), "{create}");
        assert!((73_000..77_500).contains(&update), "{update}");
    }

    #[test]
    fn only_the_uid_differs_between_two_numbers() {
        let review = Operation::Create.before_mutation(None).unwrap();
        let [(one, uid), (two, _)] = [1, 2].map(|number| review.numbered(number));
        assert_eq!(one.iter().zip(&two).filter(|(one, two)| one != two).count(), 1);
        assert_eq!(serde_json::from_slice::<Value>(&one).unwrap()["request"]["uid"], *uid);
    }
}
