//! Requests to the API server as JSON, so that nothing on the way knows more fields or fewer than it does.

use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::suite::Result;

/// A request, not yet sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: http::Method,
    path: String,
    query: Vec<String>,
    content_type: &'static str,
    body: Value,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// The object, or a Status where the request was refused.
    pub(crate) object: Value,
    /// What kubectl would print as `Warning:`.
    pub(crate) warnings: Vec<String>,
    /// Under which the API server's audit log tells of the request.
    pub(crate) audit_id: String,
}

const JSON: &str = "application/json";

/// Creates an object.
pub(crate) fn create(object: &Value) -> Request {
    Request::new(http::Method::POST, collection(object), JSON, object.clone())
}

/// Replaces an object by its name.
pub(crate) fn replace(object: &Value) -> Request {
    Request::new(http::Method::PUT, path(object), JSON, object.clone())
}

/// Applies an object from the server's side, as Argo CD, Flux and Helm 4 do.
pub(crate) fn apply(object: &Value) -> Request {
    let request = Request::new(http::Method::PATCH, path(object), "application/apply-patch+yaml", object.clone());
    request.query("fieldManager=git")
}

/// Merges fields into what stands at a path.
pub(crate) fn merge(path: &str, fields: Value) -> Request {
    Request::new(http::Method::PATCH, path.to_owned(), "application/merge-patch+json", fields)
}

/// Reads what stands at a path.
pub(crate) fn get(path: &str) -> Request {
    Request::new(http::Method::GET, path.to_owned(), JSON, Value::Null)
}

/// Deletes what stands at a path.
pub(crate) fn delete(path: &str) -> Request {
    Request::new(http::Method::DELETE, path.to_owned(), JSON, json!({"propagationPolicy": "Background"}))
}

/// Sends a request and reads the answer, whatever it is.
pub(crate) async fn send(client: &Client, request: &Request) -> Result<Answer> {
    let uri = format!("{}?{}", request.path, request.query.join("&"));
    let body = if request.body.is_null() { Vec::new() } else { serde_json::to_vec(&request.body)? };
    let builder = http::Request::builder().method(&request.method).uri(uri);
    let sent = builder.header(http::header::CONTENT_TYPE, request.content_type).body(Body::from(body))?;
    let (head, body) = client.send(sent).await?.into_parts();
    let body = body.collect_bytes().await?;
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let warnings = head.headers.get_all(http::header::WARNING).iter();
    Ok(Answer {
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

    /// Everything but the last step.
    pub(crate) fn dry_run(self) -> Self {
        self.query("dryRun=All")
    }

    /// Everything but the last step, under a name that nobody has.
    pub(crate) fn dry_run_as(mut self, name: &str) -> Self {
        self.body["metadata"]["name"] = json!(name);
        self.dry_run()
    }

    /// The same in this namespace.
    pub(crate) fn within(mut self, namespace: &str) -> Self {
        self.path = self.path.replace("{namespace}", namespace);
        self
    }
}

impl Answer {
    pub(crate) fn is_accepted(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// The object, or an error that says why not.
    pub(crate) fn accepted(self) -> Result<Value> {
        if self.is_accepted() {
            return Ok(self.object);
        }
        let message = self.object["message"].as_str().map_or_else(|| self.object.to_string(), str::to_owned);
        Err(format!("the API server answered {}: {message}", self.code).into())
    }
}

fn path(object: &Value) -> String {
    format!("{}/{}", collection(object), object["metadata"]["name"].as_str().unwrap_or_default())
}

/// Where objects of this kind live; without a namespace of its own, in the one that the request is sent to.
fn collection(object: &Value) -> String {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let kind = object["kind"].as_str().unwrap_or_default();
    let plural = format!("{}s", kind.to_lowercase());
    if ["Namespace", "ClusterRole", "ClusterRoleBinding"].contains(&kind) || kind.ends_with("WebhookConfiguration") {
        return format!("{root}/{plural}");
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("{namespace}");
    format!("{root}/namespaces/{namespace}/{plural}")
}
