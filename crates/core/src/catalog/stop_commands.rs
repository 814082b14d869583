//! Commands that tell an app to stop: `data/stop_commands.yaml`.

use std::sync::LazyLock;

use serde::Deserialize;

/// A command that tells an app to stop, so that it refuses new connections.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopCommand {
    /// The names of its program, without directory.
    pub programs: Vec<String>,
    /// Arguments in this order, one after the other. One of these is enough; upper and lower case are the same, and `*` at
    /// the end of a word stands for any text. Empty if the program needs none.
    #[serde(default)]
    pub arguments: Vec<Vec<String>>,
    /// Whether it ends only after the app.
    #[serde(default)]
    pub waits: bool,
    /// The sources.
    pub sources: Vec<String>,
}

// A test checks that it can be read.
static COMMANDS: LazyLock<Vec<StopCommand>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../data/stop_commands.yaml")).unwrap_or_default());

impl StopCommand {
    /// Every command.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &COMMANDS
    }

    /// The entry for a command line, if any. An argument is `None` if it is unknown.
    pub(crate) fn of(program: &str, arguments: &[Option<String>]) -> Option<&'static Self> {
        let has = |wanted: &Vec<String>| {
            arguments.windows(wanted.len()).any(|words| {
                words.iter().zip(wanted).all(|(word, wanted)| word.as_ref().is_some_and(|word| matches(word, wanted)))
            })
        };
        let mut commands = Self::all().iter().filter(|command| command.programs.iter().any(|name| name == program));
        commands.find(|command| command.arguments.is_empty() || command.arguments.iter().any(has))
    }
}

fn matches(word: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => word.get(..start.len()).is_some_and(|word| word.eq_ignore_ascii_case(start)),
        None => word.eq_ignore_ascii_case(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::StopCommand;
    use crate::catalog::tests::assert_documented;

    #[test]
    fn every_command_is_documented() {
        let commands = StopCommand::all().iter();
        let names: Vec<_> = commands.clone().map(|it| format!("{} {:?}", it.programs[0], it.arguments)).collect();
        assert_documented(
            commands
                .clone()
                .zip(&names)
                .map(|(it, name)| (name.as_str(), it.programs[0].as_str(), it.sources.as_slice())),
        );
        assert!(StopCommand::all().iter().flat_map(|it| &it.arguments).all(|words| !words.is_empty()));
    }

    #[test]
    fn the_arguments_may_be_anywhere() {
        for (program, arguments, found) in [
            ("nginx", &["-s", "quit"][..], true),
            ("nginx", &["-c", "/etc/nginx.conf", "-s", "stop"], true),
            ("nginx", &["-s", "reload"], false),
            ("nginx", &["quit", "-s"], false),
            ("redis-cli", &["-a", "x", "SHUTDOWN", "nosave"], true),
            ("nats-server", &["-sl=ldm=/var/run/nats.pid"], true),
            ("nats-server", &["-sl", "ldm"], true),
            ("nats-server", &["-sl=reload"], false),
            ("sleep", &["-s", "quit"], false),
            ("nginx", &[], false),
            ("supervisorctl", &["stop", "all"], true),
            ("supervisorctl", &["restart", "all"], false),
            ("sv", &["-w", "30", "force-shutdown", "app"], true),
            ("kafka-server-stop.sh", &[], true),
            ("kafka-server-start.sh", &["server.properties"], false),
        ] {
            let words: Vec<_> = arguments.iter().map(|word| Some((*word).to_owned())).collect();
            assert_eq!(StopCommand::of(program, &words).is_some(), found, "{program} {arguments:?}");
        }
    }

    #[test]
    fn supervisorctl_waits_for_a_program_and_not_for_supervisord() {
        let waits = |word: &str| StopCommand::of("supervisorctl", &[Some(word.to_owned())]).map(|it| it.waits);
        assert_eq!((waits("stop"), waits("shutdown"), waits("status")), (Some(true), Some(false), None));
    }
}
