//! Names from the cluster and from the kubeconfig, as candidates for the completion of a word.
//!
//! They come from the same cluster and namespace as the command would use, by the flags that are typed already. Without an
//! answer in time, there are no candidates, and nothing is printed.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Command, FromArgMatches as _};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::cluster::Cluster;
use crate::cluster::connection::{ClusterArguments, KubeconfigNames};
use crate::cluster::lists::{Resource, Scope, Selection};
use crate::cluster::workloads::{resource, type_names};
use winddown_core::kind::Kind;

/// For all requests of one completion. Somebody waits for the answer to a key.
const LIMIT: Duration = Duration::from_secs(2);
/// More candidates help less.
const MOST: usize = 500;

/// Adds candidates to the arguments whose values are names. `words` is the command line up to the word to complete.
pub(super) fn with_names(command_line: Command, words: &[OsString]) -> Command {
    let typed = command_line.clone().ignore_errors(true).try_get_matches_from(words);
    let Ok(Some((name, matches))) = typed.as_ref().map(ArgMatches::subcommand) else { return command_line };
    if matches.try_contains_id("kubeconfig").is_err() {
        // A command without a cluster.
        return command_line;
    }
    let Ok(cluster) = ClusterArguments::from_arg_matches(matches) else { return command_line };
    let namespace = matches.try_get_one::<String>("namespace").ok().flatten().cloned();
    let from = Arc::new(Source { cluster: cluster.answered_within(LIMIT), namespace });
    command_line.mut_subcommand(name, |command| {
        command.mut_args(|argument| {
            let Some(what) = What::of(argument.get_id().as_str()) else { return argument };
            let from = from.clone();
            argument.add(ArgValueCompleter::new(move |current: &OsStr| {
                let current = current.to_string_lossy();
                let names = from.names(what, &current).into_iter().filter(|name| name.starts_with(&*current));
                names.take(MOST).map(CompletionCandidate::new).collect()
            }))
        })
    })
}

/// What the value of an argument names.
#[derive(Clone, Copy)]
enum What {
    Workload,
    Namespace,
    Context,
    Cluster,
    User,
}

impl What {
    fn of(id: &str) -> Option<Self> {
        Some(match id {
            "target" | "workloads" => Self::Workload,
            "namespace" => Self::Namespace,
            "context" => Self::Context,
            "cluster" => Self::Cluster,
            "user" => Self::User,
            _ => return None,
        })
    }
}

/// Where the names are.
struct Source {
    cluster: ClusterArguments,
    namespace: Option<String>,
}

impl Source {
    fn names(&self, what: What, current: &str) -> Vec<String> {
        let KubeconfigNames { contexts, clusters, users } = match what {
            What::Workload | What::Namespace => {
                let listed = async { tokio::time::timeout(LIMIT, self.listed(what, current)).await };
                let listed = crate::commands::block_on(listed);
                return listed.ok().and_then(Result::ok).flatten().unwrap_or_default();
            }
            _ => self.cluster.names(),
        };
        match what {
            What::Cluster => clusters,
            What::User => users,
            _ => contexts,
        }
    }

    async fn listed(&self, what: What, current: &str) -> Option<Vec<String>> {
        let cluster = Cluster::connect(&self.cluster).await.ok()?;
        if matches!(what, What::Namespace) {
            return list(&cluster, Resource::cluster_scoped("v1", "namespaces"), Scope::All).await;
        }
        let scope = Scope::Namespace(self.namespace.clone().unwrap_or_else(|| cluster.default_namespace.clone()));
        let kinds = Kind::ALL.into_iter().filter_map(|kind| Some((kind, type_for(kind, current)?)));
        let lists = kinds.map(async |(kind, type_)| {
            let names = list(&cluster, resource(kind), scope.clone()).await.unwrap_or_default();
            names.into_iter().map(|name| format!("{type_}/{name}")).collect::<Vec<_>>()
        });
        Some(futures::future::join_all(lists).await.concat())
    }
}

async fn list(cluster: &Cluster, resource: Resource, scope: Scope) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let selection = Selection { scope, labels: None };
    cluster.list_metadata(resource, &selection, |metadata| names.extend(metadata.name)).await.ok()?;
    Some(names)
}

/// The name of a kind that goes on from what is typed, such as `sts` for `sts/d`, and `deployment` for nothing.
fn type_for(kind: Kind, current: &str) -> Option<&'static str> {
    let goes_on = |name: &&&str| match current.split_once('/') {
        Some((type_, _)) => **name == type_,
        None => name.starts_with(current),
    };
    type_names(kind).iter().find(goes_on).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_that_is_typed_goes_on() {
        for (current, types) in [
            ("", [Some("deployment"), Some("statefulset"), Some("daemonset")]),
            ("d", [Some("deployment"), None, Some("daemonset")]),
            ("deploy", [Some("deployment"), None, None]),
            ("deploy/w", [Some("deploy"), None, None]),
            ("sts/", [None, Some("sts"), None]),
            ("pod/", [None, None, None]),
        ] {
            assert_eq!(Kind::ALL.map(|kind| type_for(kind, current)), types, "{current}");
        }
    }
}
