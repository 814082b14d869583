//! Requests to the API server with untyped JSON bodies, so that no client type adds or drops fields.

use anyhow::{Context as _, Result, bail};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// A request that was not sent yet.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: http::Method,
    path: String,
    query: Vec<String>,
    content_type: &'static str,
    body: Value,
}

/// A response of the API server.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) code: u16,
    /// The object, or a Status if the request failed.
    pub(crate) object: Value,
    /// The `Warning` headers.
    pub(crate) warnings: Vec<String>,
    /// The `Audit-Id` header: the ID of the request in the audit log.
    pub(crate) audit_id: String,
}

const JSON: &str = "application/json";

/// A create request (POST).
pub(crate) fn create(object: &Value) -> Request {
    Request::new(http::Method::POST, collection(object), JSON, object.clone())
}

/// A replace request (PUT).
pub(crate) fn replace(object: &Value) -> Request {
    Request::new(http::Method::PUT, path(object), JSON, object.clone())
}

/// A server-side apply request, as Argo CD, Flux and Helm 4 send it.
pub(crate) fn apply(object: &Value) -> Request {
    let request = Request::new(http::Method::PATCH, path(object), "application/apply-patch+yaml", object.clone());
    request.query("fieldManager=git")
}

/// A merge patch request.
pub(crate) fn merge(path: &str, fields: Value) -> Request {
    Request::new(http::Method::PATCH, path.to_owned(), "application/merge-patch+json", fields)
}

/// A JSON Patch request.
pub(crate) fn json_patch(path: &str, operations: Value) -> Request {
    Request::new(http::Method::PATCH, path.to_owned(), "application/json-patch+json", operations)
}

pub(crate) fn get(path: &str) -> Request {
    Request::new(http::Method::GET, path.to_owned(), JSON, Value::Null)
}

/// A delete request with background propagation.
pub(crate) fn delete(path: &str) -> Request {
    Request::new(http::Method::DELETE, path.to_owned(), JSON, json!({"propagationPolicy": "Background"}))
}

/// A delete request with a grace period in seconds.
pub(crate) fn delete_within(path: &str, grace_period: i64) -> Request {
    Request::new(http::Method::DELETE, path.to_owned(), JSON, json!({"gracePeriodSeconds": grace_period}))
}

/// Sends a request and returns the response, whatever its status is.
pub(crate) async fn send(client: &Client, request: &Request) -> Result<Response> {
    let uri = format!("{}?{}", request.path, request.query.join("&"));
    let body = if request.body.is_null() { Vec::new() } else { serde_json::to_vec(&request.body)? };
    let builder = http::Request::builder().method(&request.method).uri(uri);
    let http_request = builder.header(http::header::CONTENT_TYPE, request.content_type).body(Body::from(body))?;
    let (head, body) =
        client.send(http_request).await.with_context(|| format!("{} {}", request.method, request.path))?.into_parts();
    let body = body.collect_bytes().await?;
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let warnings = head.headers.get_all(http::header::WARNING).iter();
    Ok(Response {
        code: head.status.as_u16(),
        object: serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))),
        warnings: warnings.map(text).collect(),
        audit_id: head.headers.get("audit-id").map(text).unwrap_or_default(),
    })
}

impl Request {
    fn new(method: http::Method, path: String, content_type: &'static str, body: Value) -> Self {
        Self { method, path, query: Vec::new(), content_type, body }
    }

    fn query(mut self, parameter: &str) -> Self {
        self.query.push(parameter.to_owned());
        self
    }

    /// Adds `dryRun=All`.
    pub(crate) fn dry_run(self) -> Self {
        self.query("dryRun=All")
    }

    /// Adds `dryRun=All` and replaces the name, which may already exist.
    pub(crate) fn dry_run_as(mut self, name: &str) -> Self {
        self.body["metadata"]["name"] = json!(name);
        self.dry_run()
    }

    /// Sets the namespace, unless the object has one.
    pub(crate) fn within(mut self, namespace: &str) -> Self {
        self.path = self.path.replace("{namespace}", namespace);
        self
    }
}

impl Response {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// The object, or an error with the message of the Status.
    pub(crate) fn into_object(self) -> Result<Value> {
        if self.is_success() {
            return Ok(self.object);
        }
        let message = self.object["message"].as_str().map_or_else(|| self.object.to_string(), str::to_owned);
        bail!("the API server returned {}: {message}", self.code)
    }
}

fn path(object: &Value) -> String {
    format!("{}/{}", collection(object), object["metadata"]["name"].as_str().unwrap_or_default())
}

/// The API path of the object's collection. `{namespace}` is a placeholder for [`Request::within`].
fn collection(object: &Value) -> String {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let kind = object["kind"].as_str().unwrap_or_default();
    let plural = kind.to_lowercase();
    let plural = plural.strip_suffix('y').map_or_else(|| format!("{plural}s"), |stem| format!("{stem}ies"));
    let cluster_scoped =
        ["Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "ShutdownPolicy"];
    let is_cluster_scoped = cluster_scoped.contains(&kind)
        || kind.ends_with("WebhookConfiguration")
        || kind.starts_with("ValidatingAdmissionPolicy");
    if is_cluster_scoped {
        return format!("{root}/{plural}");
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("{namespace}");
    format!("{root}/namespaces/{namespace}/{plural}")
}
