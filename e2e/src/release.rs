//! Winddown as people install it: with helm, from the chart.

use std::fmt;

use crate::command::{Error, Line};

/// Which helm.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Helm {
    /// Applies on the client's side.
    V3,
    /// Applies on the server's side.
    V4,
}

/// The name of the release, of its namespace, and with it of nearly every object in it.
pub const NAME: &str = "winddown";

/// The image that is on the nodes.
const IMAGE: &str = "image.registry=winddown.local,image.repository=winddown,image.tag=dev";

impl Helm {
    /// Installs the chart, or brings it up to date, with values given as for `--set`; to be run.
    #[must_use]
    pub fn install(self, settings: &str) -> Line {
        let settings = if settings.is_empty() { IMAGE.to_owned() } else { format!("{IMAGE},{settings}") };
        self.line("upgrade --install")
            .words(NAME)
            .words("charts/winddown --create-namespace --wait --timeout 2m --set")
            .word(settings)
    }

    /// Runs the chart's own test.
    #[must_use]
    pub fn test(self) -> Line {
        self.line("test").words(NAME).words("--timeout 2m")
    }

    /// Takes the release away, if there is one.
    #[must_use]
    pub fn uninstall(self) -> Line {
        self.line("uninstall").words(NAME).words("--ignore-not-found --wait --timeout 2m")
    }

    fn line(self, verb: &str) -> Line {
        Line::new(&format!("{self} --namespace {NAME} {verb}"))
    }
}

/// Takes away what is left of an earlier release, however that one ended.
pub async fn remove() -> Result<(), Error> {
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
