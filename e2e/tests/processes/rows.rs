//! The command lines that run for real.

use std::time::Duration;

/// A command line, and what it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) command: &'static [&'static str],
    pub(crate) environment: &'static [(&'static str, &'static str)],
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Programs that it needs besides the first.
    pub(crate) programs: &'static [&'static str],
    /// See `Case::prefer`.
    pub(crate) prefer: Option<&'static str>,
    /// Whether it changes the user.
    pub(crate) changes_user: bool,
    /// How long the app needs after the signal; also the deadline.
    pub(crate) needs: Duration,
}

/// The scripts of a package: `start` is run by a shell, and `exec` replaces it. `child.js` runs the app and forwards signals.
const PACKAGE: &[(&str, &str)] = &[
    ("package.json", r#"{"name": "app", "version": "1.0.0", "scripts": {"start": "./app", "exec": "exec ./app"}}"#),
    (
        "yarn.lock",
        r#"
__metadata:
  version: 10
  cacheKey: 10c0

"app@workspace:.":
  version: 0.0.0-use.local
  resolution: "app@workspace:."
  languageName: unknown
  linkType: soft
"#,
    ),
    (
        "child.js",
        "
const app = require('child_process').spawn('./app', {stdio: 'inherit'});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => app.kill(signal));
app.on('exit', () => process.exit(0));
",
    ),
];

const SUPERVISOR: &[(&str, &str)] = &[(
    "supervisord.conf",
    "
[supervisord]
nodaemon=true
user=root
logfile=/dev/null
logfile_maxbytes=0
pidfile=supervisord.pid
[program:app]
command=%(here)s/app
",
)];

const SERVICE: &[(&str, &str)] =
    &[("service/app/run", "#!/bin/sh\ncd ../.. && exec ./app\n"), ("Makefile", "run:\n\t./app\n")];

const fn row(command: &'static [&'static str]) -> Row {
    let needs = Duration::from_secs(3);
    Row { command, environment: &[], files: &[], programs: &[], prefer: None, changes_user: false, needs }
}

const fn package(command: &'static [&'static str]) -> Row {
    Row { files: PACKAGE, programs: &["npm"], ..row(command) }
}

const fn yarn(prefer: &'static str, command: &'static [&'static str]) -> Row {
    Row { prefer: Some(prefer), ..package(command) }
}

const fn as_user(command: &'static [&'static str]) -> Row {
    Row { changes_user: true, ..row(command) }
}

const fn needs(seconds: u64, row: Row) -> Row {
    Row { needs: Duration::from_secs(seconds), ..row }
}

const fn with(files: &'static [(&'static str, &'static str)], row: Row) -> Row {
    Row { files, ..row }
}

const fn set(environment: &'static [(&'static str, &'static str)], row: Row) -> Row {
    Row { environment, ..row }
}

/// Programs that every machine with these tests has: rows that start with them are never skipped.
pub(crate) const ALWAYS: &[&str] = &["./app", "sh", "bash"];

/// What `ROWS[0]` is not: the app is killed.
pub(crate) const CONTROL_KILLED: Row = row(&["sh", "-c", "true; ./app"]);

pub(crate) const ROWS: &[Row] = &[
    // Shells.
    row(&["./app"]),
    row(&["sh", "-c", "./app"]),
    row(&["sh", "-c", "true; ./app"]),
    row(&["sh", "-c", "true && ./app"]),
    row(&["sh", "-c", "exec ./app"]),
    row(&["sh", "-c", "true && exec ./app"]),
    row(&["sh", "-c", "true; exec env A='b c' ./app > log"]),
    row(&["sh", "-c", "./app & wait"]),
    row(&["sh", "-c", "./app | cat"]),
    row(&["bash", "-c", "./app"]),
    row(&["bash", "-c", "true && ./app"]),
    row(&["bash", "-c", "./app > log"]),
    row(&["bash", "-c", "./app & wait"]),
    row(&["bash", "-c", "trap 'kill $pid; wait $pid' TERM; ./app & pid=$!; wait $pid"]),
    row(&["dash", "-c", "true; ./app"]),
    row(&["busybox", "sh", "-c", "./app"]),
    row(&["busybox", "sh", "-c", "exec ./app"]),
    row(&["busybox", "sh", "-c", "true; ./app"]),
    row(&["busybox", "sh", "-c", "./app; true"]),
    // Programs that the app replaces.
    row(&["env", "-u", "HOME", "A=b", "./app"]),
    row(&["nice", "-n", "5", "./app"]),
    row(&["ionice", "-c3", "./app"]),
    row(&["nohup", "./app"]),
    row(&["stdbuf", "-oL", "./app"]),
    row(&["taskset", "1", "./app"]),
    row(&["chrt", "-o", "0", "./app"]),
    row(&["timeout", "1h", "./app"]),
    row(&["env", "-i", "--", "A=b", "./app"]),
    row(&["env", "-", "A=b", "./app"]),
    row(&["nice", "--adjustment=5", "--", "./app"]),
    row(&["nice", "-5", "./app"]),
    row(&["ionice", "--class", "best-effort", "-n7", "./app"]),
    row(&["nohup", "--", "./app"]),
    row(&["stdbuf", "--output", "L", "-e0", "./app"]),
    row(&["taskset", "-c", "0", "./app"]),
    row(&["taskset", "--cpu-list", "0", "./app"]),
    row(&["chrt", "--other", "0", "./app"]),
    row(&["numactl", "--localalloc", "./app"]),
    row(&["prlimit", "--nofile=1024:1024", "./app"]),
    row(&["setpriv", "--no-new-privs", "./app"]),
    row(&["softlimit", "-o", "100", "./app"]),
    row(&["chpst", "-o", "100", "./app"]),
    row(&["s6-softlimit", "-o", "100", "./app"]),
    row(&["timeout", "--signal", "INT", "--foreground", "1h", "./app"]),
    row(&["timeout", "1h", "sh", "-c", "true; ./app"]),
    row(&["timeout", "-k", "1", "1h", "./app"]),
    row(&["timeout", "--kill-after=5s", "1h", "./app"]),
    row(&["busybox", "timeout", "-k", "5", "1h", "./app"]),
    row(&["nice", "sh", "-c", "true; ./app"]),
    as_user(&["gosu", "nobody", "./app"]),
    as_user(&["gosu", "nobody", "sh", "-c", "true; ./app"]),
    as_user(&["setpriv", "--reuid", "65534", "--clear-groups", "./app"]),
    as_user(&["setpriv", "--reuid=65534", "--clear-groups", "sh", "-c", "true; ./app"]),
    as_user(&["setpriv", "--regid", "65534", "--reuid=65534", "--init-groups", "--", "./app"]),
    as_user(&["chpst", "-u", "nobody", "./app"]),
    as_user(&["chpst", "-unobody", "-n", "5", "./app"]),
    as_user(&["envuidgid", "nobody", "./app"]),
    as_user(&["setuidgid", "nobody", "./app"]),
    as_user(&["s6-applyuidgid", "-u", "65534", "-g", "65534", "./app"]),
    // Programs that run another as their child, as another user.
    as_user(&["su", "nobody", "-s", "/bin/sh", "-c", "exec ./app"]),
    as_user(&["su", "nobody", "-s", "/bin/sh", "-c", "./app"]),
    as_user(&["su", "-s", "/bin/bash", "nobody", "-c", "true; ./app"]),
    as_user(&["runuser", "-u", "nobody", "--", "./app"]),
    as_user(&["runuser", "--user=nobody", "./app"]),
    as_user(&["su", "--shell=/bin/sh", "--command", "exec ./app", "nobody"]),
    as_user(&["runuser", "nobody", "-s", "/bin/sh", "-c", "exec ./app"]),
    as_user(&["tini", "--", "su", "nobody", "-s", "/bin/sh", "-c", "exec ./app"]),
    as_user(&["sh", "-c", "true; exec su nobody -s /bin/sh -c 'exec ./app'"]),
    needs(1, as_user(&["su", "nobody", "-s", "/bin/sh", "-c", "exec ./app"])),
    // Init processes.
    row(&["tini", "--", "./app"]),
    row(&["tini", "-g", "--", "./app"]),
    row(&["tini", "--", "sh", "-c", "./app"]),
    row(&["tini", "--", "sh", "-c", "exec ./app"]),
    row(&["tini", "-g", "--", "sh", "-c", "true; ./app"]),
    row(&["tini", "-g", "--", "bash", "-c", "./app & wait"]),
    row(&["tini", "-s", "-e", "143", "-p", "SIGTERM", "./app"]),
    row(&["tini-static", "-vge143", "--", "./app"]),
    row(&["dumb-init", "./app"]),
    row(&["dumb-init", "-vr15:3", "./app"]),
    row(&["dumb-init", "-vr15:9", "./app"]),
    row(&["dumb-init", "--single-child", "--", "./app"]),
    row(&["dumb-init", "--", "sh", "-c", "true; ./app"]),
    row(&["dumb-init", "-c", "sh", "-c", "true; ./app"]),
    row(&["dumb-init", "--rewrite", "15:3", "--", "./app"]),
    row(&["dumb-init", "--rewrite", "15:0", "--", "./app"]),
    row(&["catatonit", "--", "./app"]),
    row(&["catatonit", "-g", "--", "sh", "-c", "true; ./app"]),
    package(&["tini", "--", "npm", "start"]),
    package(&["tini", "-g", "--", "npm", "start"]),
    package(&["dumb-init", "--", "npm", "start"]),
    as_user(&["tini", "--", "gosu", "nobody", "env", "A=b", "./app"]),
    // Package managers and tools that build.
    package(&["npm", "start"]),
    package(&["npx", "-c", "./app"]),
    package(&["pnpm", "start"]),
    package(&["pnpm", "exec", "./app"]),
    package(&["sh", "-c", "exec npm start"]),
    yarn("yarn1", &["yarn", "start"]),
    yarn("yarn4", &["yarn", "start"]),
    with(SERVICE, row(&["make", "run"])),
    // Process managers.
    package(&["node", "child.js"]),
    package(&["pm2-runtime", "child.js"]),
    package(&["pm2-runtime", "--kill-timeout", "6000", "child.js"]),
    set(&[("PM2_KILL_TIMEOUT", "6000")], package(&["pm2-runtime", "child.js"])),
    needs(1, package(&["pm2-runtime", "child.js"])),
    package(&["pm2", "start", "--no-daemon", "child.js"]),
    package(&["nodemon", "child.js"]),
    package(&["nodemon", "--exec", "./app"]),
    needs(13, package(&["nodemon", "child.js"])),
    package(&["concurrently", "./app"]),
    with(SUPERVISOR, row(&["supervisord", "-n", "-c", "supervisord.conf"])),
    needs(13, with(SUPERVISOR, row(&["supervisord", "-n", "-c", "supervisord.conf"]))),
    with(SERVICE, row(&["runsvdir", "service"])),
    with(SERVICE, row(&["svscan", "service"])),
    row(&["setsid", "-w", "./app"]),
    row(&["time", "-p", "./app"]),
    row(&["xargs", "-n", "1", "./app"]),
    needs(1, row(&["uwsgi", "--master", "--socket", "s", "--attach-daemon", "./app"])),
    needs(1, row(&["tini", "--", "uwsgi", "--master", "--socket", "s", "--attach-daemon", "./app"])),
    // With that setting uWSGI ends after a second, whatever its child does.
    set(
        &[("UWSGI_DIE_ON_TERM", "1")],
        needs(0, row(&["uwsgi", "--master", "--socket", "s", "--attach-daemon", "./app"])),
    ),
];
