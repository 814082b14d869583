//! The demo: the same rollouts under the same load, first without and then with Winddown's annotations.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Client, ResourceExt as _};

use crate::arm::{self, Scale};
use crate::cluster::{self, fresh_namespace};
use crate::command::{self, Line};
use crate::load;
use crate::narrator::Narrator;
use crate::release::{self, Helm};
use crate::report::{ANNOTATED, CONTROL, Report};
use crate::rollout::{self, App};

/// Where it is played.
pub const NAMESPACE: &str = "demo";

const EXAMPLE: &str = "node-http";

/// What the README tells people to type.
pub const ANNOTATE: &str = "winddown.dev/drain=5s winddown.dev/deadline=25s winddown.dev/readiness=http:3000/health";

/// What Winddown tells people to have done.
pub const BUDGET: &str = "winddown.dev/budget";

/// Long enough for the controller where the webhook was not reached.
const NOTICE: Duration = Duration::from_mins(1);

/// Why the demo has nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An arm broke off.
    #[error("the {0} arm has no result")]
    Arm(&'static str, #[source] arm::Error),
    /// The cluster does not answer.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// kubectl or helm refuse.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// The example does not come up.
    #[error(transparent)]
    Rollout(#[from] rollout::Error),
}

/// How often and how hard each arm is played.
#[derive(Clone, Copy, Debug)]
pub struct Arms {
    /// Without annotations.
    pub control: Scale,
    /// With them.
    pub annotated: Scale,
}

/// Installs Winddown and the example, and plays both arms.
pub async fn run(client: &Client, arms: Arms, narrator: Narrator) -> Result<Report, Error> {
    narrator.say("an empty namespace, and Winddown newly installed");
    let namespace = async { Ok(fresh_namespace(client, NAMESPACE, &[]).await?) };
    tokio::try_join!(namespace, install(client, narrator))?;
    let app = App::new(client, NAMESPACE, EXAMPLE);
    typed(&app.kubectl("apply --filename examples/node-http/deployment.yaml"), narrator).await?;
    app.answers(3000, "/health").await?;

    let Scale { rollouts, rate } = arms.control;
    narrator.say(format_args!(
        "control: {rollouts} rollouts without annotations, {rate} requests/s over new connections and {rate}/s over kept ones"
    ));
    let control = arm::run(client, &app, CONTROL, arms.control, narrator).await;
    let control = control.map_err(|error| Error::Arm(CONTROL, error))?;

    annotate(&app, narrator).await?;
    let Scale { rollouts, rate } = arms.annotated;
    narrator.say(format_args!("annotated: {rollouts} rollouts with annotations, the same load of {rate}/s each"));
    let annotated = arm::run(client, &app, ANNOTATED, arms.annotated, narrator).await;
    let annotated = annotated.map_err(|error| Error::Arm(ANNOTATED, error))?;

    Ok(Report { arms: control.into_iter().chain(annotated).collect() })
}

/// Shows what the annotations have come to.
pub async fn describe(client: &Client, narrator: Narrator) -> Result<(), Error> {
    let app = App::new(client, NAMESPACE, EXAMPLE);
    let description = typed(&app.kubectl("describe deployment").word(&app.name), narrator).await?;
    println!("{description}");
    Ok(())
}

/// Ends what would go on after the demo was interrupted.
pub async fn end(client: &Client) -> Result<(), load::Error> {
    load::end_all(client, NAMESPACE).await
}

async fn install(client: &Client, narrator: Narrator) -> Result<(), Error> {
    release::remove().await?;
    cluster::delete_namespace(client, release::NAME).await?;
    typed(&Helm::V4.install(""), narrator).await?;
    Ok(())
}

/// Annotates the app. The rollout that follows still stops pods that were started without, so it belongs to no arm.
async fn annotate(app: &App, narrator: Narrator) -> Result<(), Error> {
    let rollout = app.before_rollout().await?;
    typed(&app.kubectl("annotate deployment").word(&app.name).words(ANNOTATE), narrator).await?;
    let budgeted = app.until("Winddown has written its budget", NOTICE, |app| budget(app).is_some()).await?;
    narrator.say(format_args!("  {BUDGET}: {}", budget(&budgeted).unwrap_or_default()));
    let took = rollout.over().await?.as_secs_f32();
    narrator.say(format_args!(
        "  rollout of the annotations {took:5.1} s: the old pods had none yet, so it counts for neither arm"
    ));
    Ok(())
}

fn budget(deployment: &Deployment) -> Option<&str> {
    deployment.annotations().get(BUDGET).map(String::as_str)
}

/// Shows a command and runs it.
async fn typed(line: &Line, narrator: Narrator) -> Result<String, command::Error> {
    narrator.say(format_args!("$ {line}"));
    line.run().await
}
