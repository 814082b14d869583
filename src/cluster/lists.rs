//! Lists of objects, page by page, so that a large cluster costs little memory.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Cluster, Error};

/// Objects in one answer.
const PAGE: u32 = 250;
/// The maximum number of objects of one list; later ones are not read, and the list says so.
const MAX_OBJECTS: usize = 100_000;

/// A resource of the API, for example `apps/v1` `deployments`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// For example `apps/v1`; `v1` for the core.
    pub(crate) api_version: &'static str,
    /// The name in paths, for example `deployments`.
    pub(crate) plural: &'static str,
    /// Whether its objects are in namespaces.
    pub(crate) namespaced: bool,
}

/// Which namespaces to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of them.
    All,
    /// This one.
    Namespace(String),
}

/// What to list.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) scope: Scope,
    /// As in `-l`.
    pub(crate) labels: Option<String>,
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMetadata,
    /// Null in an empty list of metadata.
    #[serde(default = "Option::default")]
    items: Option<Vec<T>>,
}

/// An object of a `PartialObjectMetadataList`.
#[derive(Deserialize)]
struct OnlyMetadata {
    metadata: ObjectMeta,
}

/// Builds the request for one page.
type BuildRequest = fn(&Request, &ListParams) -> Result<http::Request<Vec<u8>>, kube::core::request::Error>;

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

impl Resource {
    /// A resource whose objects are in namespaces.
    pub(crate) const fn namespaced(api_version: &'static str, plural: &'static str) -> Self {
        Self { api_version, plural, namespaced: true }
    }

    /// A resource whose objects are in no namespace.
    pub(crate) const fn cluster_scoped(api_version: &'static str, plural: &'static str) -> Self {
        Self { api_version, plural, namespaced: false }
    }

    /// For example `deployments.apps in all namespaces`.
    pub(crate) fn described(self, scope: &Scope) -> String {
        let group = self.api_version.split_once('/').map(|(group, _)| format!(".{group}")).unwrap_or_default();
        let place = match scope {
            _ if !self.namespaced => String::new(),
            Scope::All => " in all namespaces".to_owned(),
            Scope::Namespace(namespace) => format!(" in the namespace {namespace}"),
        };
        format!("{}{group}{place}", self.plural)
    }

    pub(crate) fn path(self, scope: &Scope) -> String {
        let root = if self.api_version.contains('/') { "/apis" } else { "/api" };
        match scope {
            Scope::Namespace(namespace) if self.namespaced => {
                format!("{root}/{}/namespaces/{namespace}/{}", self.api_version, self.plural)
            }
            _ => format!("{root}/{}/{}", self.api_version, self.plural),
        }
    }
}

/// Sets version and kind, which the items of a list lack. What is no object stays as it is.
pub(crate) fn identify(object: &mut Value, api_version: &str, kind: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), api_version.into());
        fields.insert("kind".to_owned(), kind.into());
    }
}

impl Cluster {
    /// Reads what is at a path, as JSON.
    pub(crate) async fn read(&self, call: impl Into<String>, path: &str) -> Result<Value, Error> {
        let call = call.into();
        let request = http::Request::get(path).body(Vec::new());
        let request = request.map_err(|error| Error::new(&call, kube::Error::HttpError(error)))?;
        self.within(call, self.client.request(request)).await
    }

    /// Reads a Namespace.
    pub(crate) async fn namespace(&self, name: &str) -> Result<Value, Error> {
        self.read(format!("read the namespace {name}"), &format!("/api/v1/namespaces/{name}")).await
    }

    /// Whether the API server has a resource. Needs no right: every authenticated user may read which resources there are.
    pub(crate) async fn knows(&self, resource: Resource) -> Result<bool, Error> {
        let call = format!("read the resources of {}", resource.api_version);
        let listed = self.within(call, self.client.list_api_group_resources(resource.api_version)).await;
        match listed {
            Ok(list) => Ok(list.resources.iter().any(|found| found.name == resource.plural)),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Calls `each` with every object of a list, which arrives in pages. The objects of a list have neither `kind` nor
    /// `apiVersion`. A list that changes meanwhile (410 Gone between two pages) is an error.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        resource: Resource,
        selection: &Selection,
        each: impl FnMut(T),
    ) -> Result<(), Error> {
        self.list_as(resource, selection, Request::list, each).await
    }

    /// The same with the metadata of the objects only.
    pub(crate) async fn list_metadata(
        &self,
        resource: Resource,
        selection: &Selection,
        mut each: impl FnMut(ObjectMeta),
    ) -> Result<(), Error> {
        self.list_as(resource, selection, Request::list_metadata, |object: OnlyMetadata| each(object.metadata)).await
    }

    async fn list_as<T: DeserializeOwned>(
        &self,
        resource: Resource,
        selection: &Selection,
        request: BuildRequest,
        mut each: impl FnMut(T),
    ) -> Result<(), Error> {
        let call = format!("list {}", resource.described(&selection.scope));
        let mut parameters =
            ListParams { label_selector: selection.labels.clone(), ..ListParams::default() }.limit(PAGE);
        let mut read = 0;
        loop {
            let request = request(&Request::new(resource.path(&selection.scope)), &parameters);
            let request = request.map_err(|error| Error::new(&call, kube::Error::BuildRequest(error)))?;
            let page: Page<T> = self.within(&call, self.client.request(request)).await?;
            let items = page.items.unwrap_or_default();
            read += items.len();
            items.into_iter().for_each(&mut each);
            match page.metadata.next.filter(|next| !next.is_empty()) {
                Some(_) if read >= MAX_OBJECTS => return Err(Error::TooMany { call, limit: MAX_OBJECTS }),
                Some(next) => parameters.continue_token = Some(next),
                None => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_from_the_path_of_its_resource() {
        let (all, one) = (Scope::All, Scope::Namespace("web".to_owned()));
        let deployments = Resource::namespaced("apps/v1", "deployments");
        assert_eq!(deployments.path(&all), "/apis/apps/v1/deployments");
        assert_eq!(deployments.path(&one), "/apis/apps/v1/namespaces/web/deployments");
        assert_eq!(deployments.described(&all), "deployments.apps in all namespaces");
        let namespaces = Resource::cluster_scoped("v1", "namespaces");
        assert_eq!(
            (namespaces.path(&one).as_str(), namespaces.described(&one).as_str()),
            ("/api/v1/namespaces", "namespaces")
        );
    }
}
