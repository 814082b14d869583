//! Another pod gets the name of the chosen one, and then the eviction arrives.

use anyhow::Result;
use serde_json::Value;

use super::app::App;
use crate::namespace::Namespace;
use crate::plugin::proxy::{Act, Proxy, Seen};
use crate::request::delete_within;
use crate::suite::{Test, tests};

pub(super) fn tests() -> Vec<Test> {
    tests![shared: the_replacement_of_a_pod_is_not_evicted_in_its_place]
}

async fn the_replacement_of_a_pod_is_not_evicted_in_its_place(namespace: Namespace) -> Result<()> {
    let app = App::start(&namespace, "web", &["web-a", "web-b"]).await?;
    let uid = |pod: &Value| pod["metadata"]["uid"].clone();
    // The API server has another way for pods that have not started.
    for is_ready in [true, false] {
        let before = uid(&app.pod("web-a").await?);
        let [created, ready] = app.start_of("web-a");
        let removed = delete_within(&app.path("web-a"), 0);
        let replaced = if is_ready { vec![removed, created, ready] } else { vec![removed, created] };
        let rule = move |seen: &Seen| {
            let is_eviction = seen.path.ends_with("/eviction") && !seen.is_dry_run;
            if is_eviction { Act::After(replaced.clone()) } else { Act::Forward }
        };
        let proxy = Proxy::with_rule(&namespace.environment.server, rule).await?;
        let ran = namespace.program()?.with_kubeconfig(&proxy.kubeconfig).run("drill deploy/web --yes").await?;
        ran.assert(2);
        let evictions = proxy.seen().into_iter().filter(|seen| seen.path.ends_with("/eviction") && !seen.is_dry_run);
        assert_eq!(evictions.count(), 1, "{ran:?}");
        assert_ne!(uid(&app.pod("web-a").await?), before);
        assert!(app.is_untouched("web-a").await? && app.is_untouched("web-b").await?, "{ran:?}");
        assert_eq!(ran.stderr, "");
        let reason =
            ran.stdout.lines().last().and_then(|last| last.strip_prefix("not rehearsed: ")).unwrap_or_default();
        // In the words of the API server, or of the command.
        let is_clear = reason.contains("deleted and then recreated") || reason.contains("deleted in the meantime");
        assert!(is_clear && reason.contains("web-a"), "{ran:?}");
    }
    Ok(())
}
