use super::{OnSigterm, Runs, Script, Wrapper};

fn read<'a>(line: &[&'a str]) -> Option<Wrapper<'a>> {
    Wrapper::of(&line.iter().copied().map(Some).collect::<Vec<_>>())
}

#[test]
fn the_command_follows_the_options() {
    for wrapper in [
        "env",
        "env PORT=80",
        "env -i -u HOME -- PORT=80",
        "env -iu HOME A=b C=d",
        "env - A=b",
        "/usr/bin/env --unset=HOME --chdir /app",
        "env --ignore-environment -C/app A=",
        "gosu app",
        "gosu 1000:1000",
        "su-exec app:app",
        "setpriv --reuid 1000 --regid=1000 --clear-groups --",
        "setpriv --no-new-privs --inh-caps=-all --bounding-set -all",
        "chpst -u app -b name",
        "chpst -uapp:app -m 1000000 -/ /srv -C /app -v -P -012",
        "setuidgid app",
        "s6-setuidgid app",
        "s6-envuidgid -i app",
        "envuidgid app",
        "envdir /etc/env",
        "s6-envdir -fn /etc/env",
        "s6-applyuidgid -z -u 1000 -g 1000 -G 10,20",
        "softlimit -m 1000000 -n 10",
        "nice",
        "nice -n 5",
        "nice -n5",
        "nice -5",
        "nice --adjustment=5",
        "nice --adjustment 5 --",
        "ionice -c3",
        "ionice -c 2 -n 7 -t",
        "ionice --class idle --classdata=0",
        "chrt -f 10",
        "chrt --fifo 10",
        "chrt -a -d -T 1000 -P 2000 -D 1500 0",
        "chrt --deadline --sched-runtime 1000 --sched-period=2000 0",
        "taskset 3",
        "taskset -c 0-3",
        "taskset -ac 0,2",
        "taskset --cpu-list 0-3",
        "numactl -N 0 --membind=0",
        "numactl --interleave all",
        "numactl --physcpubind=+0-4 --preferred 1 --localalloc",
        "prlimit --nofile=1024:2048 -n4096",
        "stdbuf -oL",
        "stdbuf -o L --error=0 -i0",
        "nohup",
        "nohup --",
        "timeout 1h",
        "timeout -k 5 1h",
        "timeout -k5 -sINT --foreground 1h",
        "timeout --kill-after=5 --signal INT --preserve-status -v 1h",
        "timeout --kill 5 1h",
        "timeout -t 20",
        "chroot --userspec=app /root",
        "chroot --userspec app --groups app /root",
        "sudo -E -u app PORT=80 --",
        "sudo -nHu app -g app",
        "sudo --user=app --group app --preserve-env=PATH",
        "sudo A=b -u app",
        "sudo -u app -C 5 -D /app -p prompt -T 10",
        "doas -u app",
        "doas -n -u app -C /etc/doas.conf --",
        "tini --",
        "tini -g -s -v -e 143 -p SIGTERM --",
        "tini -se 143 -pSIGTERM",
        "tini-static -w -e143",
        "tini-amd64 -vvv",
        "/sbin/docker-init --",
        "dumb-init",
        "dumb-init -c -v",
        "dumb-init --single-child --rewrite 15:3 -r 2:3 --",
        "dumb-init --rewrite=1:15 -r2:3",
        "catatonit -g --",
        "busybox",
        "docker-php-entrypoint",
        "bundle exec",
        "bundle exec --keep-file-descriptors",
        "poetry run",
        "command",
        "exec -a name",
        "time -p",
        "xargs -n 1 -I {}",
        "setsid --wait",
        "runuser -u app --",
        "runuser --user=app -g app",
        "runuser -u app",
    ] {
        let before: Vec<_> = wrapper.split(' ').collect();
        let line = [&before[..], &["app", "-x", "--y", "A=b"]].concat();
        assert_eq!(read(&line).map(|wrapper| wrapper.runs), Some(Runs::Line(before.len())), "{wrapper}");
    }
}

#[test]
fn two_hyphens_end_options_and_nothing_else() {
    for line in [&["timeout", "5", "--", "app"][..], &["taskset", "1", "--", "app"], &["gosu", "app", "--", "app"]] {
        assert_eq!(read(line).map(|wrapper| wrapper.runs), Some(Runs::Line(2)), "{line:?}");
    }
}

#[test]
fn su_runs_a_script() {
    for (line, shell) in [
        (&["su", "app", "-c", "run"][..], "sh"),
        (&["su", "-", "app", "-c", "run"], "sh"),
        (&["su", "app", "-lc", "run"], "sh"),
        (&["su", "-crun", "app"], "sh"),
        (&["su", "-s", "/bin/bash", "-", "app", "-c", "run"], "bash"),
        (&["su", "--shell=/bin/bash", "--command=run", "app"], "bash"),
        (&["su", "--login", "--shell", "/bin/dash", "--command", "run", "app"], "dash"),
        (&["su", "-pm", "app", "--session-command", "run"], "sh"),
        (&["su", "-G", "app", "-w", "A,B", "app", "-c", "run"], "sh"),
        (&["runuser", "app", "-s", "/bin/sh", "-c", "run"], "sh"),
        (&["runuser", "-l", "app", "-c", "run"], "sh"),
    ] {
        let script = Script { shell, text: "run" };
        assert_eq!(read(line).map(|wrapper| wrapper.runs), Some(Runs::Script(script)), "{line:?}");
    }
    for line in [&["su", "app"][..], &["su"], &["su", "-"], &["su", "app", "--", "-c", "run"], &["su", "app", "file"]] {
        assert_eq!(read(line).map(|wrapper| wrapper.runs), Some(Runs::Unknown), "{line:?}");
    }
}

#[test]
fn what_the_manifest_does_not_show_is_not_guessed() {
    let runs = |words: &[Option<&'static str>]| Wrapper::of(words).map(|wrapper| wrapper.runs);
    assert_eq!(runs(&[Some("nice"), Some("-n"), None, Some("app")]), Some(Runs::Line(3)));
    assert_eq!(runs(&[Some("nice"), None, Some("app")]), Some(Runs::Line(1)));
    assert_eq!(runs(&[Some("su"), Some("app"), Some("-c"), None]), Some(Runs::Unknown));
    assert_eq!(runs(&[Some("env"), Some("-S"), Some("A=b app")]), Some(Runs::Unknown));
    assert_eq!(runs(&[None, Some("app")]), None);
}

#[test]
fn other_programs_run_no_command() {
    for line in
        [&["app"][..], &[], &["bundle", "install"], &["setsid", "app"], &["tinyproxy"], &["sh", "-c", "app"], &["npm"]]
    {
        assert_eq!(read(line), None, "{line:?}");
    }
}

#[test]
fn a_wrapper_without_a_command_runs_none() {
    for line in [&["env"][..], &["gosu"], &["nice", "-n"], &["timeout", "-k"], &["taskset", "1"], &["runuser", "-u"]] {
        assert_eq!(read(line).map(|wrapper| wrapper.runs), Some(Runs::Line(line.len())), "{line:?}");
    }
}

#[test]
fn most_wrappers_forward_the_signal() {
    use OnSigterm::{Forwards, ForwardsAsInit, Keeps};
    for (line, expected) in [
        (&["gosu", "app", "run"][..], Forwards),
        (&["tini", "run"], ForwardsAsInit),
        (&["dumb-init", "-r", "15:3", "run"], ForwardsAsInit),
        (&["dumb-init", "-r", "15:0", "run"], Keeps("remove --rewrite 15:0")),
        (&["dumb-init", "-vr15:0", "run"], Keeps("remove --rewrite 15:0")),
        (&["dumb-init", "--rewrite=15:9", "run"], Keeps("remove --rewrite 15:9")),
        (&["dumb-init", "run", "-r", "15:0"], ForwardsAsInit),
        (&["time", "run"], Keeps("run the app directly")),
    ] {
        assert_eq!(read(line).map(|wrapper| wrapper.on_sigterm), Some(expected), "{line:?}");
    }
}

#[test]
fn any_text_is_accepted() {
    let long = format!("-{}", "v".repeat(100_000));
    for word in ["", "-", "--", "---", "=", "-é", "--é=", "-c", "-u", &long] {
        for name in ["env", "su", "runuser", "sudo", "tini", "dumb-init", "timeout", "chpst", "setsid", "xargs"] {
            let _ = read(&[name, word, word, word]);
        }
    }
    let line = ["env"].into_iter().chain(std::iter::repeat_n("-i", 100_000)).collect::<Vec<_>>();
    assert_eq!(read(&line).map(|wrapper| wrapper.runs), Some(Runs::Line(line.len())));
}
