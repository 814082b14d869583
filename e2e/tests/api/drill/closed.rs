//! An output that is closed while a drill runs.

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use super::LIMIT;
use super::app::App;
use crate::namespace::Namespace;
use crate::program::Ran;
use crate::suite::{Test, tests};

pub(super) fn tests() -> Vec<Test> {
    tests![shared: an_output_that_closes_before_the_eviction_evicts_nothing_and_after_it_the_command_says_what_goes_on]
}

async fn an_output_that_closes_before_the_eviction_evicts_nothing_and_after_it_the_command_says_what_goes_on(
    namespace: Namespace,
) -> Result<()> {
    let app = App::start(&namespace, "web", &["web-a", "web-b"]).await?;
    let (program, drill) = (namespace.program()?, "drill deploy/web --yes");
    let before = timeout(LIMIT, program.run_until_first_byte(drill)).await.context("the command does not end")??;
    assert_eq!(before.stderr, "winddown: the output was closed before everything was written\n");
    before.assert(2);
    assert!(app.is_untouched("web-a").await? && app.is_untouched("web-b").await?);

    let mut child = program.command(drill).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
    let stopping = async {
        while let Some(line) = lines.next_line().await? {
            if line.contains("the pod is stopping, with a grace period of 30s") {
                return Ok(());
            }
        }
        Err(anyhow::anyhow!("the command ended"))
    };
    timeout(LIMIT, stopping).await.context("the pod is not evicted")??;
    drop(lines);
    // The next line of the timeline.
    let ends = async {
        app.exit_without_removal("web-a").await?;
        Ran::of(child, drill).await
    };
    let after = timeout(LIMIT, ends).await.context("the command does not end")??;
    let text = after.stderr.as_str();
    assert!(text.starts_with("winddown: ") && text.lines().count() == 1, "{after:?}");
    assert!(text.ends_with(": the pod web-a goes on stopping, as after kubectl delete\n"), "{after:?}");
    after.assert(2);
    let pod = app.pod("web-a").await?;
    assert_eq!(pod["metadata"]["deletionGracePeriodSeconds"], 30, "{pod:#}");
    assert!(app.is_untouched("web-b").await?);
    Ok(())
}
