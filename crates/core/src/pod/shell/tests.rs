//! Tables of scripts, and what is predicted for them. `e2e/tests/processes` compares predictions with real shells.

mod wrappers;

use std::time::Duration;

use k8s_openapi::api::core::v1::Container;

use super::Variables;
use super::effect::{Effect, Failure, Span, Status};
use super::interpreter::command_line;

fn run(line: &[&str]) -> Effect {
    command_line(&line.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), &Variables::of(&Container::default()))
}

fn script(text: &str) -> Effect {
    run(&["sh", "-c", text])
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// The limits of the duration in seconds.
fn limits(effect: Effect) -> (f64, Option<f64>) {
    (seconds(effect.time.least), effect.time.most.map(seconds))
}

#[test]
fn a_sleep_is_exact_in_every_harmless_spelling() {
    for text in [
        "sleep 15",
        " sleep  15 ; ",
        "sleep 15 # wait",
        "# wait\nsleep 15\n",
        "sleep \"15\"",
        "sleep '15s'",
        "sleep -- 15",
        "sleep 10 5",
        "sle''ep 1\\5",
        "exec sleep 15",
        "exec /bin/sleep 15; ./never",
        "command sleep 15",
        "nohup sleep 15 > /dev/null 2>&1",
        "env sleep 15",
        "/usr/bin/env -i A=1 sleep 15",
        "busybox sleep 15",
        "nice -n 5 sleep 15",
        "timeout 20 sleep 15",
        "timeout -s INT -k 5 20 sleep 15",
        "sleep 15; true",
        "sleep 15; exit 0",
        "sleep 15; exit 0; sleep 5",
        "sleep 5; sleep 5 && sleep 5",
        "sleep 5\nsleep 10\n",
        "echo bye; sleep 15; :",
        "echo bye > /proc/1/fd/1; sleep 15",
        "date && sleep 15 || true",
        "true && sleep 15",
        "false || sleep 15",
        "! false && sleep 15",
        "(sleep 5; sleep 10)",
        "{ sleep 5; sleep 10; } 2>/dev/null",
        "sleep 15 2>&1",
        "sleep 15 < /dev/null >> /tmp/log",
        "sleep 15 | cat",
        "sleep 5 | sleep 15",
        "sleep 15 & wait",
        "sleep 5 & sleep 15 & wait",
        "sleep 15 & wait $!",
        "sleep 5; sleep 10 & wait",
        "for i in 1 2 3; do sleep 5; done",
        "for i in 4 5 6; do sleep $i; done",
        "for i in $(seq 3); do sleep 5; done",
        "for i in `seq 1 3`; do sleep 5; done",
        "if true; then sleep 15; else sleep 99; fi",
        "if false; then sleep 99; elif true; then sleep 15; fi",
        "if [ -f /x ]; then sleep 15; else sleep 15; fi",
        "while false; do sleep 99; done; sleep 15",
        "wait=15; sleep $wait",
        "A=1; B=5; sleep \"$A${B}\"",
        "sleep ${DRAIN:-15}",
        "sleep ${DRAIN-15}s",
        "sleep $((20 - 5))",
        "A=10; B=$((A + 5)); sleep $B",
        "drain() { sleep \"$1\"; }; drain 15",
        "sh -c 'sleep 15'",
        "sh -c \"sleep 5\"; bash -c 'sleep 10'",
        "set -e; sleep 15",
        "set -eu\nsleep 5\ntouch /tmp/x\nsleep 10",
        "touch /tmp/down && sleep 15",
        "rm -f /tmp/up; sleep 15",
        "sleep 15; pgrep app",
        "test -f /x; sleep 15",
        "cat <<EOF\nsleep 99\nEOF\nsleep 15",
        "case x in esac; sleep 15",
        "sleep 15 \\\n  2>/dev/null",
        "sleep 15 &\nwait\n",
        "kill -0 1; sleep 15",
        "trap '' TERM; sleep 15",
        "nginx -s reload; sleep 15",
        "tini -- sleep 15",
        "'sleep 99'; sleep 15",
    ] {
        assert_eq!(limits(script(text)), (15.0, Some(15.0)), "{text}");
    }
}

#[test]
fn every_certain_sleep_adds_to_the_lower_bound() {
    for (text, least) in [
        ("./drain; sleep 15", 15.0),
        ("sleep 5; ./drain && sleep 10", 15.0),
        ("./drain || sleep 15", 0.0),
        ("[ -f /x ] && sleep 15; ./drain", 0.0),
        ("if [ -f /x ]; then sleep 15; ./a; else sleep 5; fi", 5.0),
        ("case $x in a) sleep 15;; *) ./b;; esac; sleep 5", 5.0),
        ("while ./busy; do sleep 1; done; sleep 5", 5.0),
        ("until ./idle; do sleep 1; done", 0.0),
        ("sleep 5; while true; do sleep 1; done", 6.0),
        ("for i in a b; do ./drain $i; sleep 2; done", 4.0),
        ("for i in *; do sleep 2; done; sleep 3", 3.0),
        ("for i in 1 2 3; do sleep 5; [ -f /x ] && break; done", 5.0),
        ("sleep 5 & ./drain", 0.0),
        ("sleep 25 & sleep 15", 15.0),
        ("sleep 15 &", 0.0),
        ("sleep $(cat /drain)", 0.0),
        ("sleep `./seconds`; sleep 5", 5.0),
        ("sleep $DRAIN; sleep 5", 5.0),
        ("sleep $((DRAIN + 5)); sleep 5", 5.0),
        ("x=$(sleep 5; ./value); sleep 5", 10.0),
        ("trap 'sleep 5' EXIT; sleep 5", 5.0),
        (". /env; sleep 5", 5.0),
        ("eval \"$x\"; sleep 5", 5.0),
        ("sleep 5; source /x; exit 0; sleep 9", 5.0),
        ("(./drain; sleep 5) | cat", 0.0),
        ("curl -X POST localhost:15020/quitquitquit; sleep 5", 5.0),
        ("sleep 5 | ./drain", 5.0),
        ("if ./drain; then exit 0; fi; sleep 5", 0.0),
        ("sleep 5 &> /dev/null", 0.0),
        ("sleep 5\nsleep 5 |& cat\nsleep 5", 5.0),
        ("return; sleep 5", 0.0),
        ("read x < /fifo; sleep 5", 5.0),
        ("tail -f /log; sleep 5", 5.0),
        ("pkill -10 memcached; sleep 60s; ./x", 60.0),
        ("set -e; ./drain; sleep 5", 5.0),
    ] {
        assert_eq!(limits(script(text)), (least, None), "{text}");
    }
}

#[test]
fn a_time_limit_is_an_upper_bound() {
    for (text, least, most) in [
        ("timeout 20 ./drain", 0.0, 20.0),
        ("timeout --kill-after=5 20s ./drain", 0.0, 25.0),
        ("timeout -t 20 ./drain", 0.0, 20.0),
        ("timeout 1m sh -c './drain; sleep 5'", 5.0, 60.0),
        ("timeout 5 sleep 15", 5.0, 5.0),
        ("curl -m 5 localhost/drain", 0.0, 5.0),
        ("curl -sSfm5 localhost/drain; sleep 10", 10.0, 15.0),
        ("curl --max-time=5 -X POST localhost/drain", 0.0, 5.0),
        ("sleep 15 && kong quit --wait=15 --timeout=30", 30.0, 60.0),
        ("kong quit", 0.0, 10.0),
        ("[ -f /x ] && sleep 15", 0.0, 15.0),
        ("[ -f /x ] && exit 0; sleep 5", 0.0, 5.0),
        ("if [ -f /x ]; then sleep 15; else sleep 5; fi", 5.0, 15.0),
        ("sleep 1 | timeout 3 ./x", 1.0, 3.0),
    ] {
        assert_eq!(limits(script(text)), (least, Some(most)), "{text}");
    }
    for text in ["timeout 0 ./drain", "curl -m 5 --retry 3 localhost", "wget -T 5 localhost", "timeout $X ./drain"] {
        assert_eq!(script(text).time, Span::at_least(Duration::ZERO), "{text}");
    }
}

#[test]
fn every_shell_rejects_a_syntax_error() {
    for text in [
        "a &; b",
        "; a",
        "a;; b",
        "& a",
        "a && ",
        "a &&\n",
        "a |",
        "|| a",
        "a && || b",
        "(a",
        "a)",
        "{ a",
        "}",
        "'a",
        "\"a",
        "`a",
        "$(a",
        "${a",
        "if a; then b",
        "if a; b; fi",
        "if; then b; fi",
        "if a; then fi",
        "fi",
        "then a",
        "while a; do b",
        "while a; done",
        "done",
        "for i in a; b; done",
        "case a in b) c",
        "case a b) c;; esac",
        "()",
        "a; )",
        "a > ; b",
        "a >",
    ] {
        assert_eq!(script(text), Effect::fails(Failure::Syntax), "{text}");
    }
    // The lines before it run.
    let effect = script("sleep 5\nif a; then\n");
    assert_eq!((limits(effect), effect.status), ((5.0, Some(5.0)), Status::Fails(Failure::Syntax)));
}

#[test]
fn syntax_of_some_shells_is_not_an_error() {
    for text in [
        "function f { a; }",
        "((i++))",
        "for ((i=0;i<3;i++)); do a; done",
        "cat <(a)",
        "cat <<< a",
        "a |& b",
        "[[ a && b ]]",
        "a &> b",
        "case x in a) b;& c) d;; esac",
        "select x in a; do b; done",
        "sleep 15>&2",
        "echo $'a'",
    ] {
        let effect = script(text);
        assert!(!matches!(effect.status, Status::Fails(_)) && effect.time.most.is_none(), "{text}: {effect:?}");
    }
    for text in [
        "[[ -f a && -f b ]]; sleep 5",
        "sleep 5 &> /dev/null",
        "sleep 5 |& cat",
        "cat <<< a; sleep 5",
        "for i in {1..5}; do sleep 1; done",
        "IFS=$'\\n\\t'; sleep 5",
    ] {
        assert_eq!(limits(run(&["bash", "-c", text])), (5.0, Some(5.0)), "{text}");
    }
}

#[test]
fn set_e_ends_a_script_at_the_first_failure() {
    for (line, least) in [
        (&["sh", "-ec", "false; sleep 5"][..], 0.0),
        (&["sh", "-c", "set -e; sleep 1; false; sleep 5"], 1.0),
        (&["bash", "-o", "errexit", "-c", "false; sleep 5"], 0.0),
        (&["bash", "-eo", "pipefail", "-c", "false | true; sleep 5"], 0.0),
    ] {
        let effect = run(line);
        assert_eq!(
            (limits(effect), effect.status),
            ((least, Some(least)), Status::Fails(Failure::ExitStatus)),
            "{line:?}"
        );
    }
    for text in ["false || true; sleep 5", "if false; then a; fi; sleep 5", "! true; sleep 5", "false && true; sleep 5"]
    {
        assert_eq!(limits(run(&["sh", "-ec", text])), (5.0, Some(5.0)), "{text}");
    }
}

#[test]
fn parameters_of_a_script_are_known() {
    assert_eq!(limits(run(&["sh", "-c", "sleep $1", "_", "15"])), (15.0, Some(15.0)));
    assert_eq!(limits(run(&["sh", "-c", "sleep ${1:-15}"])), (15.0, Some(15.0)));
    assert_eq!(script("sleep $1"), Effect::fails(Failure::BadDuration));
    assert_eq!(limits(run(&["sh", "-c", "set -- 15; sleep $1"])), (0.0, None));
}

#[test]
fn no_text_panics_and_the_work_is_bounded() {
    let long = |text: &str| text.repeat(100_000 / text.len());
    let fits = |text: &str| text.repeat(60_000 / text.len());
    for text in [
        "(",
        "$(",
        "`",
        "{ ",
        "if ",
        "'",
        "\"",
        "\\",
        "a;",
        "a&",
        "a|",
        "a&&",
        "sleep 1;",
        "$((",
        "${",
        "<<E\n",
        "((((",
        "))))",
        "!",
        "! ",
        "f() ",
        "f(){ f; };",
        "case x in x) ",
        "for i in 1 2 3; do ",
        "while true; do ",
        "é;",
        "$X",
        "\"$X\"",
        "#",
        "A=$A$A;",
        "sh -c '",
        "env ",
        "timeout 1 ",
        "sleep 1 & ",
        "wait;",
        "\r\n",
        "|\u{202e};",
        "exec ",
        "[[ ",
        "1>",
        "eval ",
    ] {
        for text in [long(text), fits(text), format!("{}sleep 1", fits(text)), text.to_owned()] {
            let effect = script(&text);
            assert!(effect.time.most.is_none_or(|most| effect.time.least <= most), "{text:.20}");
        }
    }
    let nested = (0..30).fold("sleep 1".to_owned(), |text, _| format!("for i in 1 2 3 4 5 6 7 8; do {text}; done"));
    assert!(script(&nested).time.most.is_none());
    let recursive = "f() { f; sleep 1; }; f; sleep 1";
    assert!(script(recursive).time.most.is_none());
    // Scripts in scripts, each with nested commands. Tests have a stack of 2 MiB, like the threads that answer reviews.
    let in_commands = |text: String| (0..22).fold(text, |text, _| format!("u;a&&! if b;then {text};fi >/x"));
    let scripts = (0..22).fold("sleep 1".to_owned(), |text, _| in_commands(format!(": $({text})")));
    assert!(script(&scripts).time.most.is_none());
    // Without a limit, these take minutes.
    let words = "a ".repeat(29_000);
    for text in
        [format!("for i in $(seq 999); do : {words}; done"), format!("for i in $(seq 999); do x=$(: {words}); done")]
    {
        assert!(script(&text).time.most.is_none());
    }
    let items = format!("for j in {{1..900}}; do for i in {}; do :; done; done", "{1..999} ".repeat(6_000));
    assert!(run(&["bash", "-c", &items]).time.most.is_none());
}

#[test]
fn a_signal_to_all_processes_reaches_the_app() {
    for text in ["kill -9 -1", "kill -TERM -1", "kill -s TERM -1", "kill -- -1"] {
        let signal = script(text).signal.unwrap_or_else(|| panic!("{text}"));
        assert!(!signal.exactly, "{text}");
    }
}

#[test]
fn a_command_before_never_lowers_the_lower_bound() {
    let commands =
        ["sleep 3", "./drain", "true", "[ -f x ]", "for i in 1 2; do sleep 1; done", "sleep 2 & wait", "a | b"];
    for first in commands {
        for then in commands {
            let both = script(&format!("{first}; {then}")).time.least;
            let sum = script(first).time.least + script(then).time.least;
            assert_eq!(both, sum, "{first}; {then}");
        }
    }
}
