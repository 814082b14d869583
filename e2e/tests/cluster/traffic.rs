//! Rollouts under load: the demo, shortened, and what the app itself has to do.

use winddown_e2e::arm::{self, Row, Scale};
use winddown_e2e::cluster::fresh_namespace;
use winddown_e2e::demo;
use winddown_e2e::load::Connections;
use winddown_e2e::narrator::Narrator;
use winddown_e2e::rollout::App;

use crate::suite::{Result, Test, tests};
use crate::world::World;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        rollouts_drop_requests_without_the_annotations_and_none_with_them,
        an_app_that_exits_at_once_drops_what_is_under_way_whatever_the_drain,
    ]
}

const RATE: u32 = 200;

async fn rollouts_drop_requests_without_the_annotations_and_none_with_them(world: World) -> Result {
    // The demo brings its own.
    let report = demo::run(&world.client, Scale { rollouts: 3, rate: RATE }, Narrator::begin()).await?;
    eprintln!("{report}");
    report.verdict()?;
    Ok(fresh_namespace(&world.client, demo::NAMESPACE, &[]).await?)
}

async fn an_app_that_exits_at_once_drops_what_is_under_way_whatever_the_drain(world: World) -> Result {
    world.ready().await?;
    let app = App::new(&world.client, &world.namespace, "node-http");
    app.kubectl("apply --filename examples/node-http/deployment.yaml").run().await?;
    app.kubectl("annotate deployment node-http").words(demo::ANNOTATE).run().await?;
    app.kubectl("set env deployment node-http MISTAKE=exit-at-once").run().await?;
    app.answers("3000/health").await?;

    let scale = Scale { rollouts: 2, rate: RATE };
    let rows = arm::run(&world.client, &app, "mistake", scale, Narrator::begin()).await?;
    for Row { connections, count, .. } in &rows {
        eprintln!("  {connections}: {} of {} dropped: {:?}", count.failed, count.sent, count.failures);
    }
    let kept = rows.iter().filter(|row| row.connections == Connections::Kept);
    assert!(kept.map(|row| row.count.failed).sum::<u64>() > 0);
    world.clear().await
}
