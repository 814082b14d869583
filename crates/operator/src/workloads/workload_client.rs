//! Reads and patches workloads as JSON, because types would lose unknown fields.

use std::time::Duration;

use json_patch::jsonptr::PointerBuf;
use json_patch::{Patch as JsonPatch, PatchOperation, RemoveOperation, TestOperation};
use kube::Client;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde_json::Value;

use crate::kubernetes::{Error, within, within_limit};
use crate::trimming::Trimming;
use winddown_core::object::{self, PartialObject};
use winddown_core::observation::WorkloadRef;

pub(super) const FIELD_MANAGER: &str = "winddown";
/// Timeout of a patch. While webhooks are unreachable, which is when the controller patches, the API server can wait 34
/// seconds (`requestTimeoutUpperBound`) before it continues without them.
const PATCH_TIMEOUT: Duration = Duration::from_secs(40);

#[derive(Clone)]
pub(super) struct WorkloadClient {
    client: Client,
    trimming: Trimming,
}

/// A larger answer in bytes may leave unused memory behind.
const LARGE: usize = 256 * 1024;

impl WorkloadClient {
    pub(super) fn new(client: Client, trimming: Trimming) -> Self {
        Self { client, trimming }
    }

    /// A workload as the webhooks receive it; `None` if it does not exist.
    pub(super) async fn read(&self, workload: &WorkloadRef) -> Result<Option<PartialObject>, Error> {
        self.read_as(workload, object::parse).await
    }

    /// The whole workload with its status; `None` if it does not exist.
    pub(super) async fn read_with_status(&self, workload: &WorkloadRef) -> Result<Option<Value>, Error> {
        self.read_as(workload, |text| serde_json::from_str(text)).await
    }

    async fn read_as<T>(
        &self,
        workload: &WorkloadRef,
        parse: fn(&str) -> serde_json::Result<T>,
    ) -> Result<Option<T>, Error> {
        let request = request(workload).get(&workload.name, &kube::api::GetParams::default());
        let read = async {
            let text = self.client.request_text(request.map_err(kube::Error::BuildRequest)?).await?;
            if text.len() > LARGE {
                self.trimming.request();
            }
            parse(&text).map_err(kube::Error::SerdeError)
        };
        match within(format!("read {workload}"), read).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Patches a workload and returns it as stored, after admission.
    pub(super) async fn patch(&self, workload: &WorkloadRef, patch: JsonPatch) -> Result<Value, Error> {
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let request = request(workload).patch(&workload.name, &parameters, &Patch::Json::<()>(patch));
        within_limit(PATCH_TIMEOUT, format!("patch {workload}"), self.send(request)).await
    }

    /// Removes Winddown from the field managers after a direct patch, so that a later apply of the workload from Git has no
    /// conflict. Sends no request if Winddown manages no fields.
    pub(super) async fn release_fields(&self, workload: &WorkloadRef, object: &Value) -> Result<(), Error> {
        let Some(index) = managed_by_winddown(object) else { return Ok(()) };
        let entry = PointerBuf::from_tokens(["metadata", "managedFields", &index.to_string()]);
        let mut manager = entry.clone();
        manager.push_back("manager");
        // The list may have changed since: the test fails if the index now belongs to another manager.
        let test = TestOperation { path: manager, value: Value::String(FIELD_MANAGER.to_owned()) };
        let remove = RemoveOperation { path: entry };
        let patch = JsonPatch(vec![PatchOperation::Test(test), PatchOperation::Remove(remove)]);
        self.patch(workload, patch).await.map(drop)
    }

    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> kube::Result<T> {
        self.client.request(request.map_err(kube::Error::BuildRequest)?).await
    }
}

/// Whether Winddown manages fields of a workload, after a direct patch.
pub(super) fn is_managed(object: &Value) -> bool {
    managed_by_winddown(object).is_some()
}

/// The entry of Winddown in `managedFields`.
fn managed_by_winddown(object: &Value) -> Option<usize> {
    let managers = object.pointer("/metadata/managedFields")?.as_array()?;
    managers.iter().position(|entry| entry.get("manager").and_then(Value::as_str) == Some(FIELD_MANAGER))
}

fn request(workload: &WorkloadRef) -> Request {
    Request::new(workload.kind.path(&workload.namespace))
}
