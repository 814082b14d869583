//! The helm release of Winddown in the test cluster.

use std::fmt;

use anyhow::Result;

use crate::command::CommandLine;

/// The major version of helm.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Helm {
    /// Uses client-side apply.
    V3,
    /// Uses server-side apply.
    V4,
}

/// The name of the release and of its namespace; most objects of the chart have it too.
pub const NAME: &str = "winddown";

/// The image that `e2e/prepare` loads onto the nodes.
const IMAGE: &str = "image.registry=winddown.local,image.repository=winddown,image.tag=dev";

impl Helm {
    /// `helm upgrade --install`; `settings` is added to `--set`.
    #[must_use]
    pub fn install(self, settings: &str) -> CommandLine {
        let settings = if settings.is_empty() { IMAGE.to_owned() } else { format!("{IMAGE},{settings}") };
        self.command("upgrade --install")
            .words(NAME)
            .words("charts/winddown --create-namespace --wait --timeout 2m --set")
            .word(settings)
    }

    /// `helm test`.
    #[must_use]
    pub fn test(self) -> CommandLine {
        self.command("test").words(NAME).words("--timeout 2m")
    }

    /// `helm uninstall`; succeeds if there is no release.
    #[must_use]
    pub fn uninstall(self) -> CommandLine {
        self.command("uninstall").words(NAME).words("--ignore-not-found --wait --timeout 2m")
    }

    fn command(self, verb: &str) -> CommandLine {
        CommandLine::new(&format!("{self} --namespace {NAME} {verb}"))
    }
}

/// Uninstalls the release, if there is one.
pub async fn remove() -> Result<()> {
    Helm::V4.uninstall().run().await.map(drop)
}

impl fmt::Display for Helm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::V3 => "helm3",
            Self::V4 => "helm4",
        })
    }
}
