//! Pods and endpoint slices as resources of the API, without the fields that are not read.

use std::borrow::Cow;

use kube::Resource;
use kube::api::ObjectMeta;
use kube::core::NamespaceResourceScope;
use serde::Deserialize;
use winddown_core::observation::{EndpointSliceView, PodView};

/// A view as a resource.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Watched<V>(pub(super) V);

/// Some of the fields of a namespaced resource.
pub(super) trait View {
    const GROUP: &str;
    const VERSION: &str = "v1";
    const KIND: &str;
    const PLURAL: &str;

    fn metadata(&self) -> &ObjectMeta;
    fn metadata_mut(&mut self) -> &mut ObjectMeta;
}

impl View for PodView {
    const GROUP: &str = "";
    const KIND: &str = "Pod";
    const PLURAL: &str = "pods";

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl View for EndpointSliceView {
    const GROUP: &str = "discovery.k8s.io";
    const KIND: &str = "EndpointSlice";
    const PLURAL: &str = "endpointslices";

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<V: View> Resource for Watched<V> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        V::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        V::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        V::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        V::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.metadata()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.metadata_mut()
    }
}
