//! Access to the test cluster. `e2e/cluster/in` sets KUBECONFIG and the network.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use kube::runtime::conditions::is_deleted;
use kube::runtime::wait::{Condition, await_condition};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::wait::within;

/// For the deletion of a namespace; its pods may use their whole grace period.
const LIMIT: Duration = Duration::from_mins(2);

/// A client for the cluster in KUBECONFIG.
pub async fn connect() -> Result<Client> {
    let config = kube::Config::infer().await.context("no cluster configured; run this command with e2e/cluster/in")?;
    Ok(Client::try_from(config)?)
}

/// Creates an empty namespace; deletes an existing one first.
pub async fn recreate_namespace(client: &Client, name: &str, labels: &[(&str, &str)]) -> Result<()> {
    delete_namespace(client, name).await?;
    let labels: BTreeMap<_, _> = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    let created = Api::all(client.clone()).create(&PostParams::default(), &namespace).await;
    created.with_context(|| format!("create Namespace {name}"))?;
    Ok(())
}

/// Deletes a namespace, if it exists, and waits until it and its content are removed.
pub async fn delete_namespace(client: &Client, name: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let existing = namespaces.get_opt(name).await.with_context(|| format!("get Namespace {name}"))?;
    let Some(existing) = existing else { return Ok(()) };
    let uid = existing.uid().unwrap_or_default();
    namespaces.delete(name, &DeleteParams::default()).await.with_context(|| format!("delete Namespace {name}"))?;
    watch_until(namespaces, name, &format!("Namespace {name} to be removed"), LIMIT, is_deleted(&uid)).await?;
    Ok(())
}

/// Watches an object until `condition` is met and returns the object at that time; none if it does not exist then.
/// `description` is used as in [`crate::wait::until`].
pub async fn watch_until<K>(
    api: Api<K>,
    name: &str,
    description: &str,
    limit: Duration,
    condition: impl Condition<K>,
) -> Result<Option<K>>
where
    K: Resource + Clone + fmt::Debug + DeserializeOwned + Send + 'static,
{
    // The future is large: boxed here so that callers' futures stay small.
    let watch = Box::pin(await_condition(api, name, condition));
    within(description, limit, async { watch.await.with_context(|| format!("watch for {description}")) }).await
}
