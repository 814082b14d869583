//! The command lines that run for real are in `e2e/tests/processes/rows.rs`.

use k8s_openapi::api::core::v1::Container;

use super::{Fix, Reception, SignalLoss};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn reception(command: &[&str]) -> Reception {
    Reception::of(&Container { command: Some(words(command)), ..Container::default() })
}

fn loss(command: &[&str]) -> Option<SignalLoss> {
    reception(command).loss
}

fn shell(shell: &str, fix: Fix) -> SignalLoss {
    SignalLoss::Shell { shell: shell.to_owned(), fix }
}

fn shell_unclear(shell: &str, depends_on: &'static str, fix: Fix) -> SignalLoss {
    SignalLoss::ShellUnclear { shell: shell.to_owned(), depends_on, fix }
}

/// The name in a loss that does not depend on anything, except of shells.
fn not_waiting(command: &[&str]) -> String {
    match loss(command) {
        Some(SignalLoss::Manager { manager, .. }) => manager,
        other => panic!("{command:?}: {other:?}"),
    }
}

#[test]
fn a_shell_does_not_forward_the_signal_to_the_last_of_several_commands() {
    for script in [
        "migrate && server",
        "migrate; server",
        "cd /app\nserver\n",
        "set -e; nginx -g 'daemon off;'",
        "exec 2>&1; server",
        "echo please exec this; server",
        "kubectl exec x; server",
    ] {
        assert_eq!(loss(&["/bin/sh", "-c", script]), Some(shell("sh", Fix::LastCommand)), "{script}");
    }
}

#[test]
fn exec_is_not_proposed_before_a_keyword() {
    for script in ["while true; do work; done", "if new; then a; else b; fi", "server; exit 0", "server; sleep 5"] {
        assert_eq!(loss(&["sh", "-c", script]), Some(shell("sh", Fix::AppOrTrap)), "{script}");
    }
}

#[test]
fn every_shell_remains_for_a_pipe_or_a_background_command() {
    for script in [
        "server | tee log",
        "server &",
        "agent & wait",
        "migrate; server 2>&1 | tee log",
        "exec server | tee log",
        "exec server & wait",
    ] {
        for name in ["sh", "bash"] {
            assert_eq!(loss(&[name, "-c", script]), Some(shell(name, Fix::WithoutPipe)), "{name} {script}");
        }
    }
}

#[test]
fn some_shells_replace_themselves_with_the_last_command() {
    for (name, script, depends_on, fix) in [
        ("sh", "server --port 80", "the image", Fix::OnlyCommand),
        ("dash", "server", "the image", Fix::OnlyCommand),
        ("bash", "migrate && server", "its version", Fix::LastCommand),
        ("bash", "server > log", "its version", Fix::OnlyCommand),
    ] {
        assert_eq!(loss(&[name, "-c", script]), Some(shell_unclear(name, depends_on, fix)), "{name} {script}");
    }
    assert_eq!(loss(&["bash", "-c", "server --port 80"]), None);
}

#[test]
fn a_package_manager_does_not_wait_for_the_app() {
    for (command, name) in [
        (&["npm", "start"][..], "npm"),
        (&["npm", "--prefix", "/app", "run", "serve"], "npm"),
        (&["npx", "next", "start"], "npx"),
        (&["pnpm", "start"], "pnpm"),
        (&["sh", "-c", "migrate && exec npm start"], "npm"),
        (&["bash", "-c", "npm start"], "npm"),
    ] {
        assert_eq!(not_waiting(command), name, "{command:?}");
    }
    assert!(matches!(loss(&["yarn", "start"]), Some(SignalLoss::ManagerUnclear { .. })));
}

#[test]
fn a_shell_behind_an_init_process_does_not_forward_the_signal() {
    for (command, expected) in [
        (&["tini", "-g", "--", "sh", "-c", "migrate; server"][..], shell("sh", Fix::LastCommand)),
        (&["tini", "sh", "-c", "server"], shell_unclear("sh", "the image", Fix::OnlyCommand)),
    ] {
        assert_eq!(loss(command), Some(expected), "{command:?}");
    }
}

#[test]
fn arguments_are_part_of_the_command() {
    let container = Container {
        command: Some(words(&["sh", "-c"])),
        args: Some(words(&["migrate && server"])),
        ..Container::default()
    };
    assert_eq!(Reception::of(&container).loss, Some(shell("sh", Fix::LastCommand)));
}

#[test]
fn an_app_that_is_the_first_process_receives_the_signal() {
    for command in [
        &["server"][..],
        &["node", "server.js"],
        &["sh", "-c", "exec server"],
        &["sh", "-c", "migrate && exec server"],
        &["sh", "-c", "if new; then exec a; fi; exec b"],
        &["sh", "-c", "case $x in a) exec a;; *) exec b;; esac"],
        &["sh", "-c", "migrate; PORT=80 exec server"],
        &["sh", "-c", "tail -f log & exec server"],
        &["tini", "-e", "143", "--", "server"],
        &["sh", "-c", "trap 'kill $pid' TERM; server & pid=$!; wait $pid"],
        &["sh", "/entrypoint.sh"],
        &["tini", "--", "server"],
        &["tini"],
        &["npm", "ci"],
        &["pnpm", "exec", "server"],
        &["sh", "-c", ""],
        &[],
    ] {
        assert_eq!(loss(command), None, "{command:?}");
    }
}

#[test]
fn the_entrypoint_of_the_image_is_unknown_unless_the_arguments_show_that_it_runs_them() {
    let with_arguments =
        |arguments: &[&str]| Reception::of(&Container { args: Some(words(arguments)), ..Container::default() });
    for arguments in [&["npm", "start"][..], &["sh", "-c", "migrate && server"], &["tini", "--", "npm", "start"]] {
        assert!(with_arguments(arguments).loss.is_some(), "{arguments:?}");
    }
    assert!(with_arguments(&["pm2-runtime", "start", "app.js"]).limit.is_some());
    assert!(with_arguments(&["uwsgi", "--http", ":80"]).restart.is_some());
    for arguments in [&["--port", "80"][..], &["server", "npm", "start"], &["-c", "a; b"], &[]] {
        assert_eq!(with_arguments(arguments), Reception::default(), "{arguments:?}");
    }
    assert_eq!(Reception::of(&Container::default()), Reception::default());
}

#[test]
fn wrappers_that_the_app_replaces_are_removed() {
    for wrapper in [
        &["env", "-i", "-u", "HOME", "--", "PORT=80"][..],
        &["gosu", "app"],
        &["su-exec", "app:app"],
        &["setpriv", "--reuid", "1000", "--regid=1000", "--clear-groups", "--"],
        &["chpst", "-u", "app", "-b", "name"],
        &["nice", "-5"],
        &["taskset", "-c", "0-3"],
        &["timeout", "-k", "5", "1h"],
        &["sudo", "-E", "-u", "app", "PORT=80", "--"],
        &["doas", "-u", "app"],
        &["tini", "-se", "143", "-pSIGTERM"],
        &["/sbin/docker-init", "--"],
        &["dumb-init", "--rewrite", "15:3", "--"],
        &["catatonit", "-g", "--"],
        &["bundle", "exec"],
        &["busybox", "env"],
        &["toybox", "nohup"],
    ] {
        let line = |command: &[&'static str]| [wrapper, command].concat();
        assert_eq!(not_waiting(&line(&["npm", "start"])), "npm", "{wrapper:?}");
        assert_eq!(loss(&line(&["./server"])), None, "{wrapper:?}");
    }
}

#[test]
fn wrappers_are_removed_one_after_the_other() {
    for command in [
        &["tini", "--", "gosu", "app", "env", "A=b", "npm", "start"][..],
        &["sh", "-c", "migrate; exec su-exec app npm start"],
        &["sh", "-c", "npm start"],
        &["bash", "-c", "migrate && npm start"],
        &["su", "app", "-c", "npm start"],
        &["runuser", "-u", "app", "--", "npm", "start"],
    ] {
        assert_eq!(not_waiting(command), "npm", "{command:?}");
    }
    assert_eq!(loss(&["su-exec", "app", "sh", "-c", "a; b"]), Some(shell("sh", Fix::LastCommand)),);
    assert_eq!(reception(&["dumb-init", "sh", "-c", "a; b"]).init.as_deref(), Some("dumb-init"));
    let nested: Vec<_> = std::iter::repeat_n("env", 10_000).chain(["npm", "start"]).collect();
    assert_eq!(loss(&nested), None, "not looked at");
}

#[test]
fn some_programs_do_not_wait_for_the_app() {
    for (command, name) in [
        (&["go", "run", "./cmd/server"][..], "go run"),
        (&["pnpm", "--filter", "api", "start"], "pnpm"),
        (&["runsvdir", "/etc/service"], "runsvdir"),
    ] {
        assert_eq!(not_waiting(command), name, "{command:?}");
    }
    for command in [
        &["pm2", "start", "app.js", "--no-daemon"][..],
        &["dumb-init", "-r", "15:0", "./server"],
        &["setsid", "-w", "./server"],
    ] {
        assert!(matches!(loss(command), Some(SignalLoss::Program { .. })), "{command:?}");
    }
    for command in [&["make", "run"][..], &["nodemon"], &["nodemon", "--exec", "npm start"], &["yarn"]] {
        assert!(matches!(loss(command), Some(SignalLoss::ManagerUnclear { .. })), "{command:?}");
    }
    for command in [
        &["nodemon", "-e", "js,json", "server.js"][..],
        &["go", "version"],
        &["pm2-runtime", "app.js"],
        &["pnpm", "install"],
        &["cargo", "run"],
        &["setsid", "server"],
    ] {
        assert_eq!(loss(command), None, "{command:?}");
    }
}

#[test]
fn busybox_may_replace_itself_and_its_su_does() {
    let in_alpine = |command: &[&str]| {
        let image = Some("registry.example/node:22-alpine3.22".to_owned());
        Reception::of(&Container { command: Some(words(command)), image, ..Container::default() })
    };
    let unclear = |shell, fix| Some(shell_unclear(shell, "its version", fix));
    assert_eq!(in_alpine(&["sh", "-c", "a; b"]).loss, unclear("sh", Fix::LastCommand));
    assert_eq!(loss(&["busybox", "sh", "-c", "a"]), unclear("ash", Fix::OnlyCommand));
    assert_eq!(loss(&["/bin/ash", "-c", "a && b"]), unclear("ash", Fix::LastCommand));
    assert_eq!(loss(&["ash", "-c", "a; exit 0"]), Some(shell("ash", Fix::AppOrTrap)));
    for command in [&["su", "app", "-c", "exec b"][..], &["doas", "-u", "app", "b"], &["timeout", "-k5", "1h", "b"]] {
        assert_eq!(in_alpine(command), Reception::default(), "{command:?}");
        assert!(reception(command).limit.is_some(), "{command:?}");
    }
}

#[test]
fn options_of_su_are_read_in_any_order() {
    for command in [
        &["su", "-", "app", "-c", "a; b"][..],
        &["su", "app", "-lc", "a; b"],
        &["su", "-s", "/bin/sh", "-", "app", "-c", "a; b"],
        &["su", "--shell=/bin/sh", "--command=a; b", "app"],
        &["runuser", "app", "-s", "/bin/sh", "-c", "a; b"],
        &["su", "-ca; b", "app"],
    ] {
        assert_eq!(loss(command), Some(shell("sh", Fix::LastCommand)), "{command:?}");
    }
    let bash = loss(&["su", "-s", "/bin/bash", "app", "-c", "a; b"]);
    assert_eq!(bash, Some(shell_unclear("bash", "its version", Fix::LastCommand)));
    assert_eq!(loss(&["su", "app"]), None);
}

#[test]
fn a_script_is_read_as_a_shell_reads_it() {
    for (script, expected) in [
        ("IFS=$'\\n\\t'; migrate; server", Some(Fix::LastCommand)),
        ("cat > x <<EOF\nexec a\nEOF\nserver", Some(Fix::LastCommand)),
        ("diff <(a) <(b); server", Some(Fix::LastCommand)),
        ("exec > log 2>&1 server", None),
        ("A=1 B='x y' exec server", None),
        ("case $x in a|b) exec server;; esac", None),
    ] {
        let expected = expected.map(|fix| shell("sh", fix));
        assert_eq!(loss(&["sh", "-c", script]), expected, "{script}");
    }
}

#[test]
fn any_text_is_accepted() {
    let long = "exec ".repeat(50_000);
    for word in ["", "-", "--", "=", "'", "-c", "exec", "é", &long] {
        for name in ["env", "su", "runuser", "sh", "tini", "dumb-init", "nodemon", "timeout", "pm2-runtime", "uwsgi"] {
            let _ = reception(&[name, word, word, word]);
            let _ = reception(&["sh", "-c", &format!("exec {name} {word} {word}")]);
            let _ = reception(&["su", "-c", word]);
        }
    }
}
