//! Deployments as the API server writes them: JSON, with the fields that no type of ours knows.

use std::time::Duration;

use json_patch::jsonptr::PointerBuf;
use json_patch::{Patch as JsonPatch, PatchOperation, RemoveOperation, TestOperation};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde::Deserialize;
use serde_json::Value;

use crate::kubernetes::{Error, within, within_limit};

/// What the API server knows changes of ours by.
const FIELD_MANAGER: &str = "winddown";
/// How many Deployments are listed at once.
const PAGE: u32 = 100;
/// How long a patch may take. The API server waits for webhooks in vain before it goes on without them, 34 seconds in
/// all (`requestTimeoutUpperBound`), and a webhook out of reach is what patches are for.
const PATCH_LIMIT: Duration = Duration::from_secs(40);

#[derive(Clone)]
pub(super) struct Deployments {
    client: Client,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Value>,
    metadata: ListMeta,
}

impl Deployments {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// `None` where it is gone.
    pub(super) async fn read(&self, namespace: &str, name: &str) -> Result<Option<Value>, Error> {
        let call = format!("read Deployment {namespace}/{name}");
        let request = request(namespace).get(name, &kube::api::GetParams::default());
        match within(call.clone(), self.send(request)).await {
            Ok(deployment) => Ok(Some(deployment)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first one of the cluster that is like that, read page by page: all at once may be more than fits into memory.
    pub(super) async fn find(&self, like: impl Fn(&Value) -> bool) -> Result<Option<Value>, Error> {
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let request = Request::new(Deployment::url_path(&(), None)).list(&page);
            let List { items, metadata } = within("list Deployments", self.send(request)).await?;
            if let Some(found) = items.into_iter().find(&like) {
                return Ok(Some(found));
            }
            match metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(None),
            }
        }
    }

    /// Patches, and gives back what came of it once all admission webhooks had their say.
    pub(super) async fn patch(&self, namespace: &str, name: &str, patch: JsonPatch) -> Result<Value, Error> {
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let request = request(namespace).patch(name, &parameters, &Patch::Json::<()>(patch));
        within_limit(PATCH_LIMIT, format!("patch Deployment {namespace}/{name}"), self.send(request)).await
    }

    /// Gives up the fields that a direct patch made ours, so that whoever applies the Deployment from Git never meets us in
    /// a conflict. Nothing is asked of the API server where there are none.
    pub(super) async fn disown(&self, namespace: &str, name: &str, deployment: &Value) -> Result<(), Error> {
        let managers = deployment.pointer("/metadata/managedFields").and_then(Value::as_array);
        let ours = |entry: &Value| entry.get("manager").and_then(Value::as_str) == Some(FIELD_MANAGER);
        let Some(index) = managers.and_then(|managers| managers.iter().position(ours)) else { return Ok(()) };
        let entry = PointerBuf::from_tokens(["metadata", "managedFields", &index.to_string()]);
        let mut manager = entry.clone();
        manager.push_back("manager");
        // Others come and go in that list: the test fails where another one has moved there.
        let test = TestOperation { path: manager, value: Value::String(FIELD_MANAGER.to_owned()) };
        let remove = RemoveOperation { path: entry };
        let patch = JsonPatch(vec![PatchOperation::Test(test), PatchOperation::Remove(remove)]);
        self.patch(namespace, name, patch).await.map(drop)
    }

    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> kube::Result<T> {
        self.client.request(request.map_err(kube::Error::BuildRequest)?).await
    }
}

fn request(namespace: &str) -> Request {
    Request::new(Deployment::url_path(&(), Some(namespace)))
}
