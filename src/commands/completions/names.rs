//! Names from the cluster and from the kubeconfig, as candidates for the completion of a word.
//!
//! They come from the same cluster and namespace as the command would use, by the flags that are typed already. Without an
//! answer in time, there are no candidates, and nothing is printed.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use clap::{ArgMatches, Command, FromArgMatches as _};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::cluster::Cluster;
use crate::cluster::connection::{ClusterArguments, KubeconfigNames};
use crate::cluster::lists::{Resource, Scope, Selection};
use crate::cluster::workloads::{resource, type_names};
use winddown_core::kind::Kind;

/// For all requests of one completion: a user waits for the answer to a key.
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
    let from = Arc::new(Source { cluster: cluster.unattended(LIMIT), namespace });
    command_line.mut_subcommand(name, |command| {
        command.mut_args(|argument| {
            let Some(what) = What::of(argument.get_id().as_str()) else { return argument };
            let from = from.clone();
            argument.add(ArgValueCompleter::new(move |current: &OsStr| {
                let current = current.to_string_lossy();
                let names = from.clone().names(what, &current).into_iter().filter(|name| name.starts_with(&*current));
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
    fn names(self: Arc<Self>, what: What, current: &str) -> Vec<String> {
        let KubeconfigNames { contexts, clusters, users } = match what {
            What::Workload | What::Namespace => return self.listed_in_time(what, current.to_owned()),
            _ => self.cluster.names(),
        };
        match what {
            What::Cluster => clusters,
            What::User => users,
            _ => contexts,
        }
    }

    /// On a thread, which ends with the process: a credential plugin of the kubeconfig blocks it.
    fn listed_in_time(self: Arc<Self>, what: What, current: String) -> Vec<String> {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let listed = crate::commands::block_on(self.listed(what, &current));
            // Fails if the limit is over.
            let _ = sender.send(listed.ok().flatten());
        });
        receiver.recv_timeout(LIMIT).ok().flatten().unwrap_or_default()
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
    use clap_complete::engine::complete;
    use serde_json::json;

    use super::*;
    use crate::cli::Program;

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

    /// The plugin waits until the test lets it end, for 30 s at most.
    #[test]
    fn a_credential_plugin_that_hangs_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let [kubeconfig, done, late] = ["kubeconfig", "done", "late"].map(|name| folder.path().join(name));
        let script = format!(
            "for _ in $(seq 300); do [ -e {0} ] && exit; sleep 0.1; done; touch {1}",
            done.display(),
            late.display()
        );
        let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script]});
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
            "users": [{"name": "a", "user": {"exec": exec}}],
        });
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let words = ["kubectl-winddown", "drill", "--kubeconfig", kubeconfig.to_str().unwrap(), "deploy/"];
        let words = words.map(OsString::from).to_vec();
        let mut command_line = with_names(Program::Plugin.command_line(), &words[..4]);
        let found = complete(&mut command_line, words, 4, None).unwrap_or_default();
        std::fs::write(&done, "").unwrap();
        assert!(found.is_empty() && !late.exists());
    }
}
