//! Programs that run another, in hooks.

use k8s_openapi::api::core::v1::Container;

use super::super::Variables;
use super::super::interpreter::command_line;
use super::{limits, run, script};

#[test]
fn a_sleep_behind_a_program_that_runs_it_is_exact() {
    for text in [
        "env -u HOME -C / -- A=1 sleep 15",
        "gosu app sleep 15",
        "su-exec app:app sleep 15",
        "su app -s /bin/sh -c 'sleep 15'",
        "su - app -c 'sleep 5; sleep 10'",
        "runuser -u app -- sleep 15",
        "runuser -l app -c 'sleep 15'",
        "sudo -n -u app A=1 sleep 15",
        "doas -u app sleep 15",
        "setpriv --reuid=1000 --regid 1000 --clear-groups sleep 15",
        "chpst -u app -m 1000000 sleep 15",
        "setuidgid app sleep 15",
        "s6-setuidgid app sleep 15",
        "s6-applyuidgid -u 1000 -g 1000 sleep 15",
        "softlimit -m 1000000 sleep 15",
        "chroot --userspec app / sleep 15",
        "nice --adjustment 5 sleep 15",
        "ionice -c 2 -n7 sleep 15",
        "chrt -f 10 sleep 15",
        "taskset -c 0-3 sleep 15",
        "numactl -N 0 --membind 0 sleep 15",
        "stdbuf --output=L -e0 sleep 15",
        "nohup -- sleep 15",
        "timeout --signal INT -k5 --foreground 20s sleep 15",
        "tini-static -g -e 143 -- sleep 15",
        "docker-init -p SIGTERM -- sleep 15",
        "dumb-init -c --rewrite 15:3 sleep 15",
        "catatonit -g -- sleep 15",
        "time -p sleep 15",
        "setsid -w sleep 15",
        "exec -a name sleep 15",
        "tini -- gosu app env A=1 nice sh -c 'exec sleep 15'",
    ] {
        assert_eq!(limits(script(text)), (15.0, Some(15.0)), "{text}");
    }
    // No program in front of a command reads `--` after its own words.
    assert_eq!(limits(script("timeout 20 -- sleep 15")), (0.0, Some(20.0)));
    assert_eq!(limits(script("command -v curl; env; sleep 15")), (15.0, Some(15.0)));
    assert_eq!(limits(script("su app -s /usr/sbin/nologin -c 'sleep 15'")), (0.0, None));
}

#[test]
fn a_program_in_front_may_change_the_variables() {
    let variable = |value: &str| serde_json::json!({"name": "DRAIN", "value": value});
    let container = serde_json::json!({"name": "app", "env": [variable("15")]});
    let container: Container = serde_json::from_value(container).unwrap();
    for (line, expected) in [
        (&["env", "DRAIN=5", "sh", "-c", "sleep $DRAIN"][..], (5.0, Some(5.0))),
        (&["env", "A=5", "sh", "-c", "sleep $A; sleep $DRAIN"], (20.0, Some(20.0))),
        (&["gosu", "app", "sh", "-c", "sleep $DRAIN"], (15.0, Some(15.0))),
        (&["su", "app", "-c", "sleep $DRAIN"], (15.0, Some(15.0))),
        (&["sudo", "-E", "sh", "-c", "sleep $DRAIN"], (15.0, Some(15.0))),
        (&["sudo", "--preserve-env=PATH", "sh", "-c", "sleep $DRAIN"], (0.0, None)),
        (&["su", "-", "app", "-c", "sleep $DRAIN"], (0.0, None)),
        (&["sudo", "sh", "-c", "sleep $DRAIN; sleep 5"], (5.0, None)),
        (&["env", "-i", "sh", "-c", "sleep $DRAIN"], (0.0, None)),
        (&["env", "-u", "DRAIN", "sh", "-c", "sleep $DRAIN"], (0.0, None)),
        (&["env", "-i", "DRAIN=5", "sh", "-c", "sleep $DRAIN"], (5.0, Some(5.0))),
    ] {
        let line: Vec<_> = line.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(limits(command_line(&line, &Variables::of(&container))), expected, "{line:?}");
    }
}

#[test]
fn the_options_of_a_command_are_not_those_of_timeout() {
    assert_eq!(limits(run(&["timeout", "20", "./app", "-k", "50"])), (0.0, Some(20.0)));
    assert_eq!(limits(run(&["timeout", "-k", "50", "20", "./app"])), (0.0, Some(70.0)));
}
