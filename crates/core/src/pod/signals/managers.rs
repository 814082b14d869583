//! Programs that start the app as their child, and do not forward the signal or do not wait for it.

use super::SignalLoss;

const RUN_DIRECTLY: &str = "run the app directly, for example node server.js";
const RUN_PROGRAM: &str = "run the app directly";
const BUILD: &str = "build the app, and run the program";
const PM2: &str = "use pm2-runtime, or run the app directly";

/// What such a program does; `None` for any other.
pub(super) fn loss(name: &str, arguments: &[String]) -> Option<SignalLoss> {
    let has_any = |names: &[&str]| arguments.iter().any(|word| names.contains(&word.as_str()));
    let program = || name.to_owned();
    let does_not_wait = |hint| Some(SignalLoss::Manager { manager: program(), hint });
    let keeps_signal = |hint| Some(SignalLoss::Program { program: program(), hint });
    let unclear = |depends_on, hint| Some(SignalLoss::ManagerUnclear { manager: program(), depends_on, hint });
    match name {
        "npm" if has_any(&["start", "run", "run-script", "rum", "urn", "exec", "x", "test", "t", "restart"]) => {
            does_not_wait(RUN_DIRECTLY)
        }
        "npx" => does_not_wait(RUN_DIRECTLY),
        "pnpm" if runs_script(arguments) => does_not_wait(RUN_DIRECTLY),
        // yarn 4 waits, yarn 1 does not.
        "yarn" | "yarnpkg" => unclear("its version", RUN_DIRECTLY),
        "go" if arguments.first().is_some_and(|word| word == "run") => {
            Some(SignalLoss::Manager { manager: "go run".to_owned(), hint: BUILD })
        }
        "make" | "gmake" if !arguments.is_empty() => unclear("its recipe", RUN_PROGRAM),
        "nodemon" if !forks(arguments) => unclear("how it starts the app", RUN_DIRECTLY),
        // Without --no-daemon pm2 ends as soon as it has started the app.
        "pm2" if has_any(&["--no-daemon"]) => keeps_signal(PM2),
        "svscan" => keeps_signal(RUN_PROGRAM),
        "runsvdir" => does_not_wait(RUN_PROGRAM),
        _ => None,
    }
}

/// Whether pnpm runs a script: any word that is not one of its commands is the name of a script. `pnpm exec` waits.
fn runs_script(arguments: &[String]) -> bool {
    const OTHERS: &[&str] = &["exec", "dlx", "install", "i", "add", "deploy", "fetch", "rebuild", "prune"];
    let mut words = arguments.iter().skip_while(|word| word.starts_with('-'));
    arguments.iter().any(|word| word == "start" || word == "run")
        || words.next().is_some_and(|word| !OTHERS.contains(&word.as_str()) && arguments.len() == 1)
}

/// Whether nodemon starts the app without a shell: `node` with a file. It then sends SIGTERM and SIGINT, and waits.
fn forks(arguments: &[String]) -> bool {
    const VALUES: &[&str] = &["-w", "--watch", "-e", "--ext", "-i", "--ignore", "-d", "--delay", "-s", "--signal"];
    const FLAGS: &[&str] = &["-L", "--legacy-watch", "-q", "--quiet", "-V", "--verbose", "-C", "--on-change-only"];
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-x" | "--exec" if words.next() == Some("node") => {}
            value if VALUES.contains(&value) => {
                words.next();
            }
            flag if FLAGS.contains(&flag) => {}
            file => return !file.starts_with('-'),
        }
    }
    false
}
