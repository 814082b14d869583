//! Workloads as the API server writes them: JSON, with the fields that no type of ours knows.

use std::fmt;
use std::time::Duration;

use json_patch::jsonptr::PointerBuf;
use json_patch::{Patch as JsonPatch, PatchOperation, RemoveOperation, TestOperation};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{DynamicObject, Request};
use kube::{Client, Resource};
use serde::Deserialize;
use serde_json::Value;

use crate::kubernetes::{Error, api_resource, within, within_limit};
use winddown_core::kind::Kind;

/// What the API server knows changes of ours by.
const FIELD_MANAGER: &str = "winddown";
/// How many workloads are listed at once.
const PAGE: u32 = 100;
/// How long a patch may take. The API server waits for webhooks in vain before it goes on without them, 34 seconds in
/// all (`requestTimeoutUpperBound`), and a webhook out of reach is what patches are for.
const PATCH_LIMIT: Duration = Duration::from_secs(40);

/// Which workload: what every message and every path is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reference {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

#[derive(Clone)]
pub(super) struct Workloads {
    client: Client,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Value>,
    metadata: ListMeta,
}

impl Workloads {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// `None` where it is gone.
    pub(super) async fn read(&self, name: &Reference) -> Result<Option<Value>, Error> {
        let request = request(name).get(&name.name, &kube::api::GetParams::default());
        match within(format!("read {name}"), self.send(request)).await {
            Ok(workload) => Ok(Some(workload)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first one of a kind in the cluster that is like that, read page by page: all at once may be more than fits into
    /// memory.
    pub(super) async fn find(&self, kind: Kind, like: impl Fn(&Value) -> bool) -> Result<Option<Value>, Error> {
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let request = Request::new(DynamicObject::url_path(&api_resource(kind), None)).list(&page);
            let List { items, metadata } = within(format!("list {}", kind.resource()), self.send(request)).await?;
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
    pub(super) async fn patch(&self, name: &Reference, patch: JsonPatch) -> Result<Value, Error> {
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let request = request(name).patch(&name.name, &parameters, &Patch::Json::<()>(patch));
        within_limit(PATCH_LIMIT, format!("patch {name}"), self.send(request)).await
    }

    /// Gives up the fields that a direct patch made ours, so that whoever applies the workload from Git never meets us in
    /// a conflict. Nothing is asked of the API server where there are none.
    pub(super) async fn disown(&self, name: &Reference, workload: &Value) -> Result<(), Error> {
        let managers = workload.pointer("/metadata/managedFields").and_then(Value::as_array);
        let ours = |entry: &Value| entry.get("manager").and_then(Value::as_str) == Some(FIELD_MANAGER);
        let Some(index) = managers.and_then(|managers| managers.iter().position(ours)) else { return Ok(()) };
        let entry = PointerBuf::from_tokens(["metadata", "managedFields", &index.to_string()]);
        let mut manager = entry.clone();
        manager.push_back("manager");
        // Others come and go in that list: the test fails where another one has moved there.
        let test = TestOperation { path: manager, value: Value::String(FIELD_MANAGER.to_owned()) };
        let remove = RemoveOperation { path: entry };
        let patch = JsonPatch(vec![PatchOperation::Test(test), PatchOperation::Remove(remove)]);
        self.patch(name, patch).await.map(drop)
    }

    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> kube::Result<T> {
        self.client.request(request.map_err(kube::Error::BuildRequest)?).await
    }
}

fn request(name: &Reference) -> Request {
    Request::new(DynamicObject::url_path(&api_resource(name.kind), Some(&name.namespace)))
}
