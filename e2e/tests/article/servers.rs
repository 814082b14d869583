//! The servers of the service: two that all arms share, and a Redis for each arm.

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use winddown_e2e::cluster::{self, delete_namespace, recreate_namespace};
use winddown_e2e::environment::Environment;
use winddown_e2e::rollout::App;

/// One server in one pod, with an empty folder.
struct Server {
    name: &'static str,
    port: u16,
    /// Its share of a busy node. All arms wait for a shared server, also while the pods of others start.
    cpu: &'static str,
}

const REDIS: Server = Server { name: "redis", port: 6379, cpu: "50m" };
const SHARED: [Server; 2] =
    [Server { name: "mongodb", port: 27017, cpu: "400m" }, Server { name: "kafka", port: 9092, cpu: "400m" }];

const NAMESPACE: &str = "article-servers";

/// The user of the images.
const USER: u32 = 65532;

static STARTED: OnceCell<()> = OnceCell::const_new();

/// Makes `redis`, `mongodb` and `kafka` reachable under these names in the namespace of an arm.
pub(crate) async fn start(environment: &Environment) -> Result<()> {
    let namespace = environment.in_namespace(NAMESPACE);
    let start_shared = async || {
        recreate_namespace(&namespace.client, NAMESPACE, &[]).await?;
        let [mongodb, kafka] = SHARED.map(|server| server.start(&namespace));
        tokio::try_join!(mongodb, kafka).map(drop)
    };
    // The futures are large: boxed, so that those of the tests stay small.
    let shared = Box::pin(STARTED.get_or_try_init(start_shared));
    tokio::try_join!(shared, Box::pin(REDIS.start(environment)))?;
    let services: Api<Service> = Api::namespaced(environment.client.clone(), &environment.namespace);
    for Server { name, .. } in SHARED {
        let host = format!("{name}.{NAMESPACE}.svc.cluster.local");
        let alias = json!({"metadata": {"name": name}, "spec": {"type": "ExternalName", "externalName": host}});
        create(&services, alias).await?;
    }
    Ok(())
}

/// Stops the Redis of an arm.
pub(crate) async fn stop_redis(environment: &Environment) -> Result<()> {
    let redis = App::new(&environment.client, &environment.namespace, REDIS.name);
    redis.kubectl("delete deployment redis --wait --cascade=foreground").run().await?;
    Ok(())
}

/// Removes the servers that the arms share, if they were started.
pub(crate) async fn remove() -> Result<()> {
    if !STARTED.initialized() {
        return Ok(());
    }
    delete_namespace(&cluster::connect().await?, NAMESPACE).await
}

impl Server {
    async fn start(self, environment: &Environment) -> Result<()> {
        let (client, namespace) = (environment.client.clone(), &environment.namespace);
        create(&Api::<Service>::namespaced(client.clone(), namespace), self.service()).await?;
        create(&Api::<Deployment>::namespaced(client.clone(), namespace), self.deployment()).await?;
        App::new(&client, namespace, self.name).wait_until_available().await
    }

    fn service(&self) -> Value {
        let Self { name, port, .. } = self;
        json!({"metadata": {"name": name}, "spec": {"selector": {"server": name}, "ports": [{"port": port}]}})
    }

    fn deployment(&self) -> Value {
        let Self { name, port, cpu } = self;
        let container = json!({
            "name": name,
            "image": format!("winddown.local/{name}:dev"),
            "imagePullPolicy": "IfNotPresent",
            "ports": [{"containerPort": port}],
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1, "failureThreshold": 60},
            "resources": {"requests": {"cpu": cpu, "memory": "16Mi"}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        });
        json!({
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": {"server": name}},
                "template": {
                    "metadata": {"labels": {"server": name}},
                    "spec": {
                        "automountServiceAccountToken": false,
                        "enableServiceLinks": false,
                        "terminationGracePeriodSeconds": 1,
                        "securityContext": {"runAsNonRoot": true, "runAsUser": USER, "fsGroup": USER},
                        "containers": [container],
                        "volumes": [{"name": "data", "emptyDir": {}}],
                    },
                },
            },
        })
    }
}

async fn create<K>(api: &Api<K>, object: Value) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    let created = api.create(&PostParams::default(), &serde_json::from_value(object.clone())?).await;
    created.map(drop).with_context(|| format!("create {object}"))
}
