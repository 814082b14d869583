//! One rollout at a time: whose turn it is.

use serde_json::Value;
use tokio::sync::Mutex;

use super::deployments::Deployments;
use crate::kubernetes::Error;
use crate::rollout::is_in_progress;
use crate::settlement::budget_annotation;

/// The Deployment that this controller last set rolling. A new leader knows of none and looks for one first.
#[derive(Default)]
pub(super) struct Turn(Mutex<Whose>);

#[derive(Default)]
enum Whose {
    #[default]
    Unknown,
    Nobodys,
    Of {
        namespace: String,
        name: String,
    },
}

impl Turn {
    /// Whether a rollout may begin now.
    pub(super) async fn is_free(&self, deployments: &Deployments) -> Result<bool, Error> {
        let mut whose = self.0.lock().await;
        let rolling = match &*whose {
            Whose::Nobodys => None,
            Whose::Unknown => {
                deployments
                    .find(|deployment| budget_annotation(deployment).is_some() && is_in_progress(deployment))
                    .await?
            }
            Whose::Of { namespace, name } => deployments.read(namespace, name).await?.filter(is_in_progress),
        };
        *whose = rolling.as_ref().map_or(Whose::Nobodys, Whose::of);
        Ok(rolling.is_none())
    }

    /// This Deployment was just set rolling.
    pub(super) async fn take(&self, deployment: &Value) {
        *self.0.lock().await = Whose::of(deployment);
    }
}

impl Whose {
    fn of(deployment: &Value) -> Self {
        let text = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self::Of { namespace: text("/metadata/namespace"), name: text("/metadata/name") }
    }
}
