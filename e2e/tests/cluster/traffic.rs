//! Rollouts under load: the demo, shortened, and what the app itself has to do.

use winddown_e2e::arm::{self, Row, Scale};
use winddown_e2e::cluster::fresh_namespace;
use winddown_e2e::demo::{self, Arms};
use winddown_e2e::narrator::Narrator;
use winddown_e2e::rollout::App;

use crate::suite::{Result, Test, tests};
use crate::world::World;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        rollouts_drop_requests_without_the_annotations_and_none_with_them,
        a_readiness_probe_without_a_drain_is_not_enough,
        an_app_that_exits_at_once_drops_what_is_under_way_whatever_the_drain,
    ]
}

const RATE: u32 = 200;

async fn rollouts_drop_requests_without_the_annotations_and_none_with_them(world: World) -> Result {
    // The demo brings its own.
    // Some control rollouts drop nothing over kept connections; not all of ten. They are quick.
    let control = Scale { rollouts: 10, rate: RATE };
    let annotated = Scale { rollouts: 3, rate: RATE };
    let report = demo::run(&world.client, Arms { control, annotated }, Narrator::begin()).await?;
    eprintln!("{report}");
    report.verdict()?;
    Ok(fresh_namespace(&world.client, demo::NAMESPACE, &[]).await?)
}

/// The control for the drain: the annotated arm, but without it, and with an app that does not make up for it by a wait
/// of its own.
async fn a_readiness_probe_without_a_drain_is_not_enough(world: World) -> Result {
    let annotations = "winddown.dev/drain=0s winddown.dev/deadline=25s winddown.dev/readiness=http:3000/health";
    // Kept connections are told to close in time, most of them.
    let [new, _] = restarted(&world, annotations, "SHUTDOWN_WAIT_MS=0").await?;
    assert!(new.count.failed > 0, "{new:?}");
    world.clear().await
}

/// The drain takes new connections away; what comes over those that are there is the app's to answer.
async fn an_app_that_exits_at_once_drops_what_is_under_way_whatever_the_drain(world: World) -> Result {
    let [_, kept] = restarted(&world, demo::ANNOTATE, "MISTAKE=exit-at-once").await?;
    assert!(kept.count.failed > 0, "{kept:?}");
    world.clear().await
}

/// Restarts the example under load, with these annotations and this environment variable.
async fn restarted(world: &World, annotations: &str, environment: &str) -> Result<[Row; 2]> {
    world.ready().await?;
    let app = App::new(&world.client, &world.namespace, "node-http");
    app.kubectl("apply --filename examples/node-http/deployment.yaml").run().await?;
    app.kubectl("annotate deployment node-http").words(annotations).run().await?;
    app.kubectl("set env deployment node-http").words(environment).run().await?;
    app.answers(3000, "/health").await?;

    let rows = arm::run(&world.client, &app, "mistake", Scale { rollouts: 2, rate: RATE }, Narrator::begin()).await?;
    for Row { connections, count, .. } in &rows {
        eprintln!("  {connections}: {} of {} dropped: {:?}", count.failed, count.sent, count.failures);
    }
    Ok(rows)
}
