//! The kubeconfig: its files, and what the flags choose in it, as in client-go (`clientcmd`).

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use kube::config::{AuthInfo, Cluster, Kubeconfig, KubeconfigError};

use super::Error;
use super::overrides::Overrides;

/// The flags that choose by name. Empty values are none: scripts write `--context "$CONTEXT"`.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Choice {
    /// Context of the kubeconfig to use
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Cluster of the kubeconfig to use
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// User of the kubeconfig to use
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

/// What is chosen, with the overrides in it.
#[derive(Debug)]
pub(super) struct Chosen {
    /// The name of the context.
    pub(super) context: Option<String>,
    pub(super) namespace: String,
    pub(super) cluster: Cluster,
    pub(super) user: AuthInfo,
}

/// Where the cluster and the user come from.
#[derive(Debug)]
pub(super) enum Source {
    Kubeconfig(Box<Kubeconfig>),
    /// The service account of the pod.
    Pod,
}

impl Choice {
    /// Flags say which cluster is meant. Without a kubeconfig, that of the pod is not the one that they mean.
    pub(super) fn source(&self, kubeconfig: Option<Kubeconfig>, overrides: &Overrides) -> Result<Source, Error> {
        match kubeconfig {
            Some(kubeconfig) => Ok(Source::Kubeconfig(Box::new(kubeconfig))),
            None if self.is_given() || overrides.has_server() => Ok(Source::Kubeconfig(Box::default())),
            None if overrides.is_given() => Err(Error::NothingToOverride),
            None => Ok(Source::Pod),
        }
    }

    /// A name on the command line must be in the kubeconfig, and so must those of the current context and its cluster.
    /// A user that only the context names need not be: it has no credentials then.
    pub(super) fn choose(&self, kubeconfig: &Kubeconfig, overrides: &Overrides) -> Result<Chosen, Error> {
        let Kubeconfig { contexts, clusters, auth_infos, current_context, .. } = kubeconfig;
        let name = given(self.context.as_ref()).or_else(|| given(current_context.as_ref()));
        let context = match name {
            None => None,
            Some(name) => {
                let named = contexts.iter().find(|named| named.name == *name);
                let unknown = || unknown("context", name, contexts.iter().map(|named| &named.name));
                Some(named.and_then(|named| named.context.clone()).ok_or_else(unknown)?)
            }
        };
        let context_name = name.cloned();
        let context = context.unwrap_or_default();

        let find_cluster = |name: &String| clusters.iter().find(|named| named.name == *name)?.cluster.clone();
        let unknown_cluster = |name: &String| unknown("cluster", name, clusters.iter().map(|named| &named.name));
        let cluster = match given(self.cluster.as_ref()) {
            Some(name) => find_cluster(name).ok_or_else(|| unknown_cluster(name))?,
            None => match find_cluster(&context.cluster) {
                Some(cluster) => cluster,
                None if overrides.has_server() => Cluster::default(),
                None if contexts.is_empty() && context_name.is_none() => return Err(Error::NoContexts),
                None if context_name.is_none() => {
                    return Err(Error::NoContext(names(contexts.iter().map(|c| &c.name))));
                }
                None => return Err(unknown_cluster(&context.cluster)),
            },
        };

        let find_user = |name: &String| auth_infos.iter().find(|named| named.name == *name);
        let user = match given(self.user.as_ref()) {
            Some(name) => {
                let unknown = || unknown("user", name, auth_infos.iter().map(|named| &named.name));
                find_user(name).ok_or_else(unknown)?.auth_info.clone()
            }
            None => context.user.as_ref().and_then(find_user).and_then(|named| named.auth_info.clone()),
        };
        Ok(Chosen {
            context: context_name,
            namespace: given(context.namespace.as_ref()).map_or("default", |namespace| namespace).to_owned(),
            cluster: overrides.cluster(cluster)?,
            user: overrides.user(user.unwrap_or_default()),
        })
    }

    fn is_given(&self) -> bool {
        self.typed().next().is_some()
    }

    /// The flags, with their values.
    pub(super) fn typed(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let flags = [("--context", &self.context), ("--cluster", &self.cluster), ("--user", &self.user)];
        flags.into_iter().filter_map(|(flag, name)| Some((flag, given(name.as_ref())?.as_str())))
    }
}

/// The kubeconfig of the flag, which must exist, or those of the environment. `None`: the environment has none, or nothing is
/// in them. A flag does not mean the service account of the pod, also if its file is empty.
pub(super) fn load(explicit: Option<&Path>) -> Result<Option<Kubeconfig>, Error> {
    if let Some(path) = explicit.filter(|path| !path.as_os_str().is_empty()) {
        return read(path).map(Some);
    }
    let home = std::env::home_dir();
    let files = files(std::env::var_os("KUBECONFIG").as_deref(), home.as_deref());
    let kubeconfig = merged(files.iter().map(|file| read(file)))?;
    Ok(Some(kubeconfig).filter(|kubeconfig| !is_empty(kubeconfig)))
}

/// A parser's message would show the lines around the place, with the credentials in them.
fn read(file: &Path) -> Result<Kubeconfig, Error> {
    if is_cut_utf16(file) {
        return Err(Error::Syntax { file: file.to_owned(), place: None });
    }
    Kubeconfig::read_from(file).map_err(|error| match error {
        KubeconfigError::Parse(error) => {
            let place = error.location().map(|location| (location.line(), location.column()));
            Error::Syntax { file: file.to_owned(), place }
        }
        error => Error::Kubeconfig(Box::new(error)),
    })
}

/// Whether a file has the byte order mark of UTF-16, and an odd length, at which kube panics.
fn is_cut_utf16(file: &Path) -> bool {
    // Reading takes what is in a pipe.
    if !file.is_file() {
        return false;
    }
    let Ok(content) = std::fs::read(file) else { return false };
    matches!(content[..], [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) && content.len() % 2 == 1
}

fn is_missing(error: &Error) -> bool {
    match error {
        Error::Kubeconfig(error) => match &**error {
            KubeconfigError::ReadConfig(error, _) => error.kind() == ErrorKind::NotFound,
            _ => false,
        },
        _ => false,
    }
}

/// The files that the variable KUBECONFIG names, or that of the home folder.
fn files(variable: Option<&OsStr>, home: Option<&Path>) -> Vec<PathBuf> {
    match variable.filter(|files| !files.is_empty()) {
        Some(files) => std::env::split_paths(files).filter(|file| !file.as_os_str().is_empty()).collect(),
        None => home.map(|home| home.join(".kube").join("config")).into_iter().collect(),
    }
}

/// The first file counts most. Those that do not exist are left out.
fn merged(files: impl Iterator<Item = Result<Kubeconfig, Error>>) -> Result<Kubeconfig, Error> {
    let mut all = Kubeconfig::default();
    for file in files {
        let mut next = match file {
            Err(error) if is_missing(&error) => continue,
            file => file?,
        };
        // Otherwise it would take precedence over the name in a later file.
        next.current_context = next.current_context.filter(|name| !name.is_empty());
        all = all.merge(next).map_err(|error| Error::Kubeconfig(Box::new(error)))?;
    }
    Ok(all)
}

fn is_empty(kubeconfig: &Kubeconfig) -> bool {
    let Kubeconfig { contexts, clusters, auth_infos, current_context, .. } = kubeconfig;
    contexts.is_empty() && clusters.is_empty() && auth_infos.is_empty() && given(current_context.as_ref()).is_none()
}

fn given(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.cloned().collect()
}

fn unknown<'a>(what: &'static str, name: &str, known: impl Iterator<Item = &'a String>) -> Error {
    Error::Unknown { what, name: name.to_owned(), known: names(known) }
}

#[cfg(test)]
mod tests;
