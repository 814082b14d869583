//! Workloads as the API server writes them: JSON, with the fields that no type of ours knows.

use std::fmt;
use std::time::Duration;

use json_patch::jsonptr::PointerBuf;
use json_patch::{Patch as JsonPatch, PatchOperation, RemoveOperation, TestOperation};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::api::{GetParams, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, Request};
use kube::{Client, Resource};
use serde::Deserialize;
use serde_json::Value;

use super::Watched;
use crate::kubernetes::{Error, within, within_limit};
use crate::workload::Kind;

/// What the API server knows changes of ours by.
const FIELD_MANAGER: &str = "winddown";
/// How many workloads are listed at once.
const PAGE: u32 = 100;
/// How long a patch may take. The API server waits for webhooks in vain before it goes on without them, 34 seconds in
/// all (`requestTimeoutUpperBound`), and a webhook out of reach is what patches are for.
const PATCH_LIMIT: Duration = Duration::from_secs(40);

/// All that there are, of every kind.
pub(super) struct Workloads {
    client: Client,
}

/// Which workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Name {
    /// `None` for what the API server never sends: a workload without a name or a namespace.
    pub(super) fn of(kind: Kind, watched: &Watched) -> Option<Self> {
        let (namespace, name) = (watched.metadata.namespace.clone()?, watched.metadata.name.clone()?);
        Some(Self { kind, namespace, name })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name } = self;
        write!(f, "{kind} {namespace}/{name}")
    }
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
    pub(super) async fn read(&self, name: &Name) -> Result<Option<Value>, Error> {
        let request = request(name).get(&name.name, &GetParams::default());
        match within(format!("read {name}"), self.send(request)).await {
            Ok(workload) => Ok(Some(workload)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first one of this kind in the cluster that is like that, read page by page: all at once may be more than fits
    /// into memory.
    pub(super) async fn find(&self, kind: Kind, like: impl Fn(&Value) -> bool) -> Result<Option<Name>, Error> {
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let request = Request::new(DynamicObject::url_path(&api_resource(kind), None)).list(&page);
            let List { items, metadata } = within(format!("list {}", kind.resource()), self.send(request)).await?;
            if let Some(found) = items.iter().find(|item| like(item)) {
                let text =
                    |pointer: &str| found.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
                return Ok(Some(Name { kind, namespace: text("/metadata/namespace"), name: text("/metadata/name") }));
            }
            match metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(None),
            }
        }
    }

    /// Patches, and gives back what came of it once all admission webhooks had their say.
    pub(super) async fn patch(&self, name: &Name, patch: JsonPatch) -> Result<Value, Error> {
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let request = request(name).patch(&name.name, &parameters, &Patch::Json::<()>(patch));
        within_limit(PATCH_LIMIT, format!("patch {name}"), self.send(request)).await
    }

    /// Gives up the fields that a direct patch made ours, so that whoever applies the workload from Git never meets us in
    /// a conflict. Nothing is asked of the API server where there are none.
    pub(super) async fn disown(&self, name: &Name, workload: &Value) -> Result<(), Error> {
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

/// The kind as the client knows it.
pub(super) fn api_resource(kind: Kind) -> ApiResource {
    ApiResource {
        group: Kind::GROUP.to_owned(),
        version: Kind::VERSION.to_owned(),
        api_version: Kind::API_VERSION.to_owned(),
        kind: kind.as_str().to_owned(),
        plural: kind.resource().to_owned(),
    }
}

fn request(name: &Name) -> Request {
    Request::new(DynamicObject::url_path(&api_resource(name.kind), Some(&name.namespace)))
}
