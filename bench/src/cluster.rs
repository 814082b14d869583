//! The API server of `creates`, and the admission configurations in it.

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use winddown_e2e::api_server::ApiServer;
use winddown_e2e::operator_process::{Ports, render};

use crate::api::Api;

/// A real kube-apiserver with etcd; dropping it ends both.
pub(crate) struct Cluster {
    server: ApiServer,
    pub(crate) api: Api,
    ca_bundle: String,
}

impl Cluster {
    /// Starts it. `certificate` is what the webhooks serve.
    pub(crate) async fn start(certificate: &str) -> Result<Self> {
        let server = ApiServer::start().await?;
        let api = Api(server.client());
        Ok(Self { server, api, ca_bundle: BASE64_STANDARD.encode(certificate) })
    }

    /// The chart's webhook configurations, the mutating and the validating one, for one namespace and the webhook at a port.
    fn configurations(&self, name: &str, namespace: &str, port: u16) -> Result<Vec<Value>> {
        let manifests = render(&self.server, Ports { webhook: port, health: port, metrics: port })?;
        let mut configurations = manifests.webhook_configurations(port);
        ensure!(configurations.len() == 2, "the chart has {} webhook configurations", configurations.len());
        for configuration in &mut configurations {
            configuration["metadata"]["name"] = json!(name);
            let webhooks = configuration["webhooks"].as_array_mut().context("a configuration has no webhooks")?;
            for webhook in webhooks {
                webhook["clientConfig"]["caBundle"] = json!(self.ca_bundle);
                webhook["namespaceSelector"] = only(namespace);
            }
        }
        Ok(configurations)
    }

    /// Sends the Deployments of a namespace to a webhook: to `/mutate`, and to `/validate` too if that is wanted.
    pub(crate) async fn call_webhook(&self, name: &str, namespace: &str, port: u16, validate: bool) -> Result<()> {
        let configurations = self.configurations(name, namespace, port)?;
        for configuration in configurations {
            let resource = match configuration["kind"].as_str() {
                Some("MutatingWebhookConfiguration") => "mutatingwebhookconfigurations",
                Some("ValidatingWebhookConfiguration") if validate => "validatingwebhookconfigurations",
                Some("ValidatingWebhookConfiguration") => continue,
                other => bail!("the chart renders {other:?} as a webhook configuration"),
            };
            self.api.create(&format!("/apis/admissionregistration.k8s.io/v1/{resource}"), &configuration).await?;
        }
        Ok(())
    }

    /// Lets the API server itself change the Deployments of a namespace, with the chart's rules and conditions.
    pub(crate) async fn apply_policy(&self, name: &str, namespace: &str, mutation: &Value) -> Result<()> {
        let configurations = self.configurations(name, namespace, 1)?;
        let webhook = &configurations[0]["webhooks"][0];
        let group = "/apis/admissionregistration.k8s.io/v1";
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "reinvocationPolicy": webhook["reinvocationPolicy"],
                "matchConstraints": {"namespaceSelector": only(namespace), "resourceRules": webhook["rules"]},
                "matchConditions": webhook["matchConditions"],
                "variables": variables(),
                "mutations": [mutation],
            },
        });
        self.api.create(&format!("{group}/mutatingadmissionpolicies"), &policy).await?;
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name},
        });
        self.api.create(&format!("{group}/mutatingadmissionpolicybindings"), &binding).await?;
        Ok(())
    }
}

fn only(namespace: &str) -> Value {
    json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}})
}

/// What both forms of the policy compute from the annotations. The sums are Winddown's; the record, which only Winddown
/// reads, is a constant of the same length.
fn variables() -> Value {
    let seconds = |name: &str| {
        let annotation = format!("object.metadata.annotations[\"winddown.dev/{name}\"]");
        json!({"name": name, "expression": format!("duration({annotation}).getSeconds()")})
    };
    let record = crate::constant::record().to_string();
    json!([
        seconds("drain"),
        seconds("deadline"),
        {"name": "sum", "expression": "variables.drain + variables.deadline + 5"},
        {"name": "budget", "expression": "\"drain \" + string(variables.drain) + \"s + deadline \" + string(variables.deadline) + \
            \"s + margin 5s = \" + string(variables.sum) + \"s of \" + string(variables.sum) + \"s\""},
        {"name": "record", "expression": Value::String(record).to_string()},
    ])
}

/// The hook, as a CEL object.
const LIFECYCLE: &str = "Object.spec.template.spec.containers.lifecycle{preStop: \
    Object.spec.template.spec.containers.lifecycle.preStop{sleep: \
    Object.spec.template.spec.containers.lifecycle.preStop.sleep{seconds: variables.drain}}}";

/// The rule as a JSON Patch.
pub(crate) fn json_patch() -> Value {
    let expression = format!(
        "[JSONPatch{{op: \"add\", path: \"/metadata/annotations/winddown.dev~1budget\", value: variables.budget}}, \
        JSONPatch{{op: \"add\", path: \"/spec/template/metadata/labels/winddown.dev~1managed\", value: \"true\"}}, \
        JSONPatch{{op: \"add\", path: \"/spec/template/metadata/annotations\", \
            value: {{\"winddown.dev/injected\": variables.record}}}}, \
        JSONPatch{{op: \"add\", path: \"/spec/template/spec/terminationGracePeriodSeconds\", value: variables.sum}}] + \
        [0, 1, 2, 3].filter(index, index < size(object.spec.template.spec.containers)).map(index, JSONPatch{{op: \"add\", \
            path: \"/spec/template/spec/containers/\" + string(index) + \"/lifecycle\", value: {LIFECYCLE}}})"
    );
    json!({"patchType": "JSONPatch", "jsonPatch": {"expression": expression}})
}

/// The rule as an apply configuration.
pub(crate) fn apply_configuration() -> Value {
    let expression = format!(
        "Object{{metadata: Object.metadata{{annotations: {{\"winddown.dev/budget\": variables.budget}}}}, \
        spec: Object.spec{{template: Object.spec.template{{\
            metadata: Object.spec.template.metadata{{labels: {{\"winddown.dev/managed\": \"true\"}}, \
                annotations: {{\"winddown.dev/injected\": variables.record}}}}, \
            spec: Object.spec.template.spec{{terminationGracePeriodSeconds: variables.sum, \
                containers: object.spec.template.spec.containers.map(container, \
                    Object.spec.template.spec.containers{{name: container.name, lifecycle: {LIFECYCLE}}})}}}}}}}}"
    );
    json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}})
}
