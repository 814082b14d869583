//! Requests to an API server, with untyped bodies.

use anyhow::{Context as _, Result, ensure};
use http::{Method, Request, StatusCode, header};
use kube::Client;
use kube::client::Body;
use serde_json::Value;

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// A client with all rights.
#[derive(Clone)]
pub(crate) struct Api(pub(crate) Client);

impl Api {
    /// Sends a request and returns the status and the body.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(StatusCode, Vec<u8>)> {
        let content_type = if method == Method::PATCH { MERGE_PATCH } else { JSON };
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, content_type);
        let (head, body) = self.0.send(request.body(Body::from(body))?).await?.into_parts();
        Ok((head.status, body.collect_bytes().await?.to_vec()))
    }

    /// Sends a request that has to succeed, and returns the body.
    pub(crate) async fn succeed(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let (status, body) = self.send(method.clone(), path, body).await?;
        ensure!(status.is_success(), "{method} {path}: {status}, {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    /// The body of a path as text.
    pub(crate) async fn text(&self, path: &str) -> Result<String> {
        Ok(String::from_utf8(self.succeed(Method::GET, path, Vec::new()).await?)?)
    }

    /// The object at a path.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        serde_json::from_slice(&self.succeed(Method::GET, path, Vec::new()).await?)
            .context("the API server answered no JSON")
    }

    /// Applies a merge patch.
    pub(crate) async fn merge(&self, path: &str, fields: &Value) -> Result<()> {
        self.succeed(Method::PATCH, path, serde_json::to_vec(fields)?).await.map(drop)
    }

    /// Creates an object in a collection.
    pub(crate) async fn create(&self, collection: &str, object: &Value) -> Result<Value> {
        serde_json::from_slice(&self.succeed(Method::POST, collection, serde_json::to_vec(object)?).await?)
            .context("the API server answered no JSON")
    }
}
