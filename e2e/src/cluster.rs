//! The running cluster, as `e2e/cluster/in` lets it be reached.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use kube::runtime::conditions::is_deleted;
use kube::runtime::wait::{self, Condition, await_condition};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::until::{Elapsed, within};

/// Why the cluster does not do as it is asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there.
    #[error("no cluster is in reach; run this with e2e/cluster/in")]
    Infer(#[from] kube::config::InferConfigError),
    /// It refuses, or is not there any more.
    #[error("the API server does not answer as it should")]
    Kube(#[from] kube::Error),
    /// A watch ended.
    #[error(transparent)]
    Watch(#[from] wait::Error),
    /// It did not come true in time.
    #[error(transparent)]
    Elapsed(#[from] Elapsed),
}

/// Pods in it get as long as their grace period.
const LIMIT: Duration = Duration::from_mins(2);

/// A client for the cluster that KUBECONFIG names.
pub async fn connect() -> Result<Client, Error> {
    let config = kube::Config::infer().await?;
    Ok(Client::try_from(config)?)
}

/// An empty namespace of that name: what was in one from before is gone.
pub async fn fresh_namespace(client: &Client, name: &str, labels: &[(&str, &str)]) -> Result<(), Error> {
    delete_namespace(client, name).await?;
    let labels: BTreeMap<_, _> = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    Ok(())
}

/// Deletes a namespace if there is one, and waits until it is gone with all that was in it.
pub async fn delete_namespace(client: &Client, name: &str) -> Result<(), Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let Some(there) = namespaces.get_opt(name).await? else { return Ok(()) };
    let uid = there.uid().unwrap_or_default();
    namespaces.delete(name, &DeleteParams::default()).await?;
    watch_until(namespaces, name, &format!("the namespace {name} is gone"), LIMIT, is_deleted(&uid)).await?;
    Ok(())
}

/// Watches an object until something holds of it, and gives back what it is then.
pub async fn watch_until<K>(
    api: Api<K>,
    name: &str,
    what: &str,
    limit: Duration,
    holds: impl Condition<K>,
) -> Result<Option<K>, Error>
where
    K: Resource + Clone + fmt::Debug + DeserializeOwned + Send + 'static,
{
    // A watch has much to remember; here and not in everyone who waits for it.
    let wait = Box::pin(await_condition(api, name, holds));
    within(what, limit, async { Ok::<_, Error>(wait.await?) }).await
}
