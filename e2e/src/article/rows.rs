//! The rows of the article, the tests that prove them, and the code that does it.

/// A row.
pub struct Row {
    pub(super) id: &'static str,
    /// The article's point.
    pub(super) point: &'static str,
    /// How it is measured.
    pub(super) text: &'static str,
    /// The names of the arms without a mistake.
    pub(super) right: &'static [&'static str],
    /// The names of those with one.
    pub(super) mistakes: &'static [&'static str],
    /// `module::test` in e2e/tests/article.
    pub(super) tests: &'static [&'static str],
    /// Paths from the root of the repository: the code of the right arm, then the mistakes.
    pub(super) code: &'static [&'static str],
}

/// The usual name of an arm without a mistake.
pub const RIGHT: &str = "as it should be";

const LIBRARY: &str = "packages/winddown-node/src/index.ts";
const CONNECTIONS: &str = "packages/winddown-node/src/connections.ts";
const SERVICE: &str = "examples/node-service/server.ts";

/// In the order of the article.
pub const ROWS: [Row; 14] = [
    Row {
        id: "S1",
        point: "SIGTERM starts one orderly shutdown",
        text: "Rollouts under load. Without a handler, the first process of a container ignores SIGTERM and serves until \
               SIGKILL. Under an init, SIGTERM ends it immediately; here the pod shares its process namespace, whose first \
               process is that of the pod.",
        right: &[RIGHT],
        mistakes: &["no handler, first process of the container", "no handler, under an init"],
        tests: &["signals::open_requests_are_finished_after_sigterm"],
        code: &[LIBRARY, "examples/node-service/mistakes/no-handler.ts"],
    },
    Row {
        id: "S2",
        point: "A hard deadline ends the process before SIGKILL does",
        text: "One pod is deleted while a job runs that never ends, or while a client has sent half of a request and \
               then nothing. The deadline is 5 s after SIGTERM. The library needs it for the job only: it closes the \
               connection of the client earlier. The grace period is 30 s, the default of Kubernetes: the budget of \
               15 s fits.",
        right: &[RIGHT, "as it should be, a silent client"],
        mistakes: &["no deadline, a silent client", "no deadline, a job that never ends"],
        tests: &["deadline::a_hard_deadline_ends_the_process_before_sigkill"],
        code: &[LIBRARY, "examples/node-service/mistakes/no-deadline.ts"],
    },
    Row {
        id: "S3",
        point: "Answers over kept connections say `Connection: close`",
        text: "Rollouts under load. Clients count the answers with `Connection: close`.",
        right: &[RIGHT],
        mistakes: &["no `Connection: close`"],
        tests: &["connections::kept_connections_are_told_to_close"],
        code: &[CONNECTIONS, "examples/node-service/mistakes/no-connection-close.ts"],
    },
    Row {
        id: "S4",
        point: "The health check answers 503 once the shutdown began",
        text: "One of two pods is deleted behind a balancer that polls `/health` every 0.5 s, removes a pod after \
               two failed checks, and does not watch Kubernetes. The pods have no drain; the app waits 5 s.",
        right: &[RIGHT],
        mistakes: &["health stays 200"],
        tests: &["health::a_balancer_that_polls_the_health_check_lets_go_in_time"],
        code: &[LIBRARY, "examples/node-service/mistakes/health-stays-200.ts"],
    },
    Row {
        id: "S5",
        point: "Fail the health check, wait, then close the listener",
        text: "Rollouts of node-http under load, through a Service. The wait is in the app (2.5 s), in the drain of \
               Winddown (5 s), or nowhere. Without a wait in the app, it may close a kept connection while the client \
               sends its next request: with the drain, no request over a new connection may be lost, and one over a kept \
               connection may.",
        right: &["waits in the app, no drain", "no wait in the app, drain of 5 s by Winddown"],
        mistakes: &["no wait in the app, no drain"],
        tests: &["health::the_listener_closes_after_a_wait"],
        code: &[LIBRARY, "examples/node-http/server.js"],
    },
    Row {
        id: "S6",
        point: "Resources close in phases; one that fails does not stop the others",
        text: "One pod is deleted, with Redis up or already down. Then rollouts under load: each acknowledged order must \
               have one document in MongoDB, a message in Kafka, and one run of its job. A job takes 5 s, and \
               the deadline is 15 s, so that every pod has some running when its connections are closed.",
        right: &[RIGHT, "as it should be, Redis already down", "as it should be, every order counted"],
        mistakes: &["`Promise.all`, Redis already down", "exits at once, every order counted"],
        tests: &[
            "phases::a_client_that_cannot_close_does_not_stop_the_others",
            "account::no_job_of_an_acknowledged_order_is_lost_or_runs_twice",
        ],
        code: &[SERVICE, "packages/winddown-node/src/phases.ts", "examples/node-service/mistakes/promise-all.ts"],
    },
    Row {
        id: "S7",
        point: "The pod template: grace period, preStop sleep, readiness probe",
        text: "What the webhook makes of the annotations `drain=5s`, `deadline=25s`, `margin=15s` and \
               `readiness=http:3000/health`, in a dry run: no pod is started. The grace period of 45 s needs the margin, \
               and the probe needs `readiness`.",
        right: &[RIGHT],
        mistakes: &["without annotations"],
        tests: &["template::the_annotations_have_the_effect_of_the_template"],
        code: &["crates/core/src/plan.rs", "crates/core/src/injection.rs"],
    },
    Row {
        id: "S8",
        point: "The timeline of a stop",
        text: "One pod is deleted. The endpoint is withdrawn before SIGTERM, health checks fail after it. SIGTERM is \
               at the time of `winddown plan`, and the exit before its SIGKILL. Times are since the deletion, which Kubernetes \
               records in whole seconds. The app waits 2 s.",
        right: &[RIGHT],
        mistakes: &["no drain"],
        tests: &["template::a_pod_stops_in_the_order_of_the_timeline"],
        code: &["crates/core/src/plan/hooks.rs", "crates/core/src/plan/timeline.rs", LIBRARY],
    },
    Row {
        id: "S9",
        point: "A second signal is ignored, an uncaught exception exits with 1",
        text: "A second SIGTERM one second after the first, with 20 open requests of 12 s, no drain and a deadline of 20 s. \
               An exception without a handler in a pod without a drain; later, the pod is deleted.",
        right: &[RIGHT, "an uncaught exception"],
        mistakes: &["a second signal aborts", "a handler that goes on after an uncaught exception"],
        tests: &["robust::a_second_signal_is_ignored", "robust::an_uncaught_exception_exits_with_1"],
        code: &[
            LIBRARY,
            "examples/node-service/mistakes/second-signal.ts",
            "examples/node-service/mistakes/uncaught-exception.ts",
        ],
    },
    Row {
        id: "S10",
        point: "Mistake: SIGINT is not handled",
        text: "As S1, with an image that has `STOPSIGNAL SIGINT`.",
        right: &[RIGHT],
        mistakes: &["SIGINT unhandled"],
        tests: &["signals::open_requests_are_finished_after_sigint"],
        code: &[LIBRARY, "examples/node-service/mistakes/sigint-unhandled.ts"],
    },
    Row {
        id: "S11",
        point: "Mistake: `process.exit()` at once",
        text: "As S1. The exit code is 0 in both arms: only the clients see the difference.",
        right: &[RIGHT],
        mistakes: &["exits at once"],
        tests: &["signals::an_exit_at_once_resets_open_requests"],
        code: &[LIBRARY, "examples/node-service/mistakes/exit-at-once.ts"],
    },
    Row {
        id: "S12",
        point: "Mistake: WebSockets are forgotten",
        text: "Rollouts with 20 WebSockets that stay open and are opened again.",
        right: &[RIGHT],
        mistakes: &["WebSockets forgotten"],
        tests: &["web_sockets::web_sockets_get_a_close_frame"],
        code: &["packages/winddown-node/src/websockets.ts", "examples/node-service/mistakes/websocket-forgotten.ts"],
    },
    Row {
        id: "S13",
        point: "Mistake: never tested",
        text: "20 open requests of 12 s to one pod, no drain and a deadline of 20 s: `kill -15` of its process, then \
               `kubectl winddown drill --measure`.",
        right: &[RIGHT],
        mistakes: &["exits at once"],
        tests: &["kill::open_requests_complete_after_kill_15_and_in_a_drill"],
        code: &[LIBRARY, "examples/node-service/mistakes/exit-at-once.ts"],
    },
    Row {
        id: "S14",
        point: "Write it once",
        text: "Both Node.js examples use one library, which takes its deadline from `WINDDOWN_DEADLINE_SECONDS`. The \
               annotation is changed, and the deadline that the app logs follows. Services in three other languages \
               follow the same [contract](contract.md).",
        right: &["JavaScript", "Rust", "Go", "Python", "node-service", "node-http"],
        mistakes: &["the budget is not exposed"],
        tests: &[
            "template::the_app_takes_its_deadline_from_the_annotation",
            "languages::rollouts_of_all_four_languages_drop_nothing",
        ],
        code: &[
            "packages/winddown-node/src/settings.ts",
            SERVICE,
            "examples/node-http/server.js",
            "examples/axum-service/src/main.rs",
            "examples/go-service/main.go",
            "examples/asgi-service/service.py",
        ],
    },
];

pub(super) const INTRODUCTION: &str = "\
# Fourteen points of graceful shutdown, measured

Winddown started from an article on graceful shutdown in Node.js. Each of its points is a test on a cluster of three
nodes: [node-service](../examples/node-service/README.md), with Redis, Kafka and MongoDB's protocol, is stopped while
clients use it, once as it should be and once with each mistake. `PART=article make e2e` runs the tests; `ROLLOUTS=10
UPDATE=1 PART=article e2e/cluster-tests` also writes this page. A test fails if an app without a mistake drops a request
(S5 names its exception), and if a mistake does not show: in dropped requests, in another exit code, or in what the row
names.

| row | the article's point | as it should be | with the mistake |
| --- | --- | --- | --- |
";

pub(super) const BEFORE_ROWS: &str = "
Each table shows what clients saw, what the process did, and what the operator reported in the `ShutdownBudget`. Load
comes from one pod, half over new connections and half over kept ones, and nothing is sent again: to node-service 10
orders a second, which take 1.5 s each; to node-http and the services in other languages 60 requests a second. If
node-service answers orders of an arm late (503, or nothing in 15 s), and no order fails otherwise, that arm is
measured once more, and its sample says so. Where nothing else is said, a budget is `drain=5s`, `deadline=10s`, and a
margin of 5 s, and the app waits 2 s before it closes its listener. A rollout replaces two pods, one after the other.
";

pub(super) const LIMITS: &str = "
## Limits

- The cluster is kind: three nodes on one machine, with kube-proxy in iptables mode and no load balancer in front. A
  cloud's balancer needs seconds to let go; the [presets](presets.md) have their numbers.
- MongoDB's protocol is served by FerretDB with SQLite, and Kafka is one broker: a document or a message is kept on
  one disk.
- No dropped request in a sample of some thousands does not prove that none is ever dropped.
- The operator sees exit codes and times, not requests: an app that drops requests is reported as clean if it exits
  with 0 (S11), or is ended by SIGTERM (143, S1) or SIGINT (130, S10).
- In Kubernetes, a pod that is being deleted leaves the endpoints whatever its health check says: S4 matters to
  balancers that only poll.
- A job that is interrupted is not lost, because BullMQ runs it again: the mistake shows in jobs that ran twice.
";
