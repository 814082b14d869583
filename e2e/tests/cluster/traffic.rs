//! Rollouts under load: a shorter version of the demo, and what Winddown cannot do for the app.

use anyhow::Result;
use winddown_e2e::cluster::recreate_namespace;
use winddown_e2e::demo::{self, Variants};
use winddown_e2e::progress::Progress;
use winddown_e2e::rollout::App;
use winddown_e2e::rollouts::rollouts;
use winddown_e2e::variant::{self, Row, Scale};

use winddown_e2e::environment::Environment;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        rollouts_drop_requests_only_without_annotations,
        a_readiness_probe_without_a_drain_drops_requests,
        an_app_that_exits_on_sigterm_drops_requests_despite_the_drain,
    ]
}

const RATE: u32 = 200;

async fn rollouts_drop_requests_only_without_annotations(environment: Environment) -> Result<()> {
    // The demo installs Winddown itself.
    // A single control rollout may drop no request over kept connections, so the control needs ten. They are short.
    let control = Scale { rollouts: 10, rate: RATE };
    let annotated = Scale { rollouts: rollouts()?, rate: RATE };
    let report = demo::run(&environment.client, Variants { control, annotated }, Progress::start()).await?;
    eprintln!("{report}");
    report.verdict()?;
    recreate_namespace(&environment.client, demo::NAMESPACE, &[]).await
}

/// The control for the drain: the annotated variant without a drain, and an app without its own wait.
async fn a_readiness_probe_without_a_drain_drops_requests(environment: Environment) -> Result<()> {
    let annotations = "winddown.dev/drain=0s winddown.dev/deadline=25s winddown.dev/readiness=http:3000/health";
    // Only new connections: the server announces the end of most kept connections in time.
    let [new, _] = restart_under_load(&environment, annotations, "SHUTDOWN_WAIT_MS=0").await?;
    assert!(new.counts.failed > 0, "{new:?}");
    environment.clean_up().await
}

/// The drain stops new connections. The app must finish requests on existing connections.
async fn an_app_that_exits_on_sigterm_drops_requests_despite_the_drain(environment: Environment) -> Result<()> {
    let [_, kept] = restart_under_load(&environment, demo::ANNOTATIONS, "MISTAKE=exit-at-once").await?;
    assert!(kept.counts.failed > 0, "{kept:?}");
    environment.clean_up().await
}

/// Restarts the example app under load, with these annotations and this environment variable.
async fn restart_under_load(environment: &Environment, annotations: &str, variable: &str) -> Result<[Row; 2]> {
    environment.set_up().await?;
    let app = App::new(&environment.client, &environment.namespace, "node-http");
    app.kubectl("apply --filename examples/node-http/deployment.yaml").run().await?;
    app.kubectl("annotate deployment node-http").words(annotations).run().await?;
    app.kubectl("set env deployment node-http").words(variable).run().await?;
    app.wait_until_serving(3000, "/health").await?;

    let scale = Scale { rollouts: 2, rate: RATE };
    let rows = variant::run(&environment.client, &app, "mistake", scale, Progress::start()).await?;
    for Row { connections, counts, .. } in &rows {
        eprintln!("  {connections}: {} of {} failed: {:?}", counts.failed, counts.sent, counts.failures);
    }
    Ok(rows)
}
