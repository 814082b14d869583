//! One workload: its conditions, its last stops, and what to do.

use std::io::{self, Write};

use super::row::Row;
use crate::render::age::age;
use crate::render::grid::{Grid, NONE};
use crate::render::sanitize::sanitize;
use crate::render::text::pluralize;
use winddown_core::observation::Timestamp;
use winddown_core::shutdown_budget::{FITS, HONOURED, INJECTED, Phases, ROLLED_OUT, ShutdownCounts};

/// The page that explains budgets and kills.
const PAGE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/budgets.md");

/// Prints everything about a workload.
pub(super) fn describe(row: &Row, now: Timestamp, out: &mut impl Write) -> io::Result<()> {
    let status = &row.status;
    let mut fields = vec![
        ("Name", row.title()),
        ("Namespace", row.namespace.clone()),
        ("Budget", status.budget.clone().unwrap_or_default()),
        ("Policy", status.policy.clone().unwrap_or_default()),
    ];
    if let Some(phases) = &status.phases {
        fields.extend(phases_of(phases));
    }
    if let Some(pods) = status.pods {
        let text =
            format!("{} with this budget, {} with another one, {} without one", pods.current, pods.old, pods.none);
        fields.push(("Running pods", text));
    }
    if let Some(stops) = &status.shutdowns {
        fields.push(("Stops", stops_of(stops)));
        fields.extend(times_of(stops).map(|times| ("Time of the app", times)));
    }
    fields.extend(status.recommendation.clone().map(|recommendation| ("Recommendation", recommendation)));
    for (name, value) in fields {
        let value = if value.is_empty() { NONE.into() } else { sanitize(&value) };
        writeln!(out, "{:<18}{value}", format!("{name}:"))?;
    }
    if !status.conditions.is_empty() {
        writeln!(out, "Conditions:")?;
        let headings = ["  TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"].map(str::to_owned);
        let lines = status.conditions.iter().map(|condition| {
            let since = age(now, Timestamp::from(&condition.last_transition_time));
            let type_ = format!("  {}", condition.type_);
            [type_, condition.status.clone(), condition.reason.clone(), since, condition.message.clone()]
        });
        let lines: Vec<_> = [headings].into_iter().chain(lines).collect();
        Grid::of_kubectl().print(&lines, out)?;
    }
    list("Findings", &status.findings, out)?;
    list("Recent stops", &status.recent, out)?;
    list("Not honoured", &status.not_honoured, out)?;
    list("What to do", &advice(row), out)
}

fn phases_of(phases: &Phases) -> Vec<(&'static str, String)> {
    let with_source = |value: &str, source: &str| match source {
        "" => value.to_owned(),
        // As in the sum.
        "built in" => format!("{value} (default)"),
        _ => format!("{value} ({source})"),
    };
    let mut fields = vec![
        ("Drain", with_source(&phases.drain, &phases.drain_from)),
        ("Deadline", with_source(&phases.deadline, &phases.deadline_from)),
        ("Margin", with_source(&phases.margin, &phases.margin_from)),
        ("Grace period", phases.grace_period.clone()),
    ];
    fields.extend(phases.longest_helper.clone().map(|helper| ("Longest helper", helper)));
    fields
}

/// The stops by outcome; outcomes without stops are left out.
fn stops_of(stops: &ShutdownCounts) -> String {
    let outcomes = [
        (stops.clean, "clean"),
        (stops.overran, "overran"),
        (stops.failed, "failed"),
        (stops.killed, "killed"),
        (stops.cut_short, "cut short"),
        (stops.out_of_memory, "out of memory"),
        (stops.killed_otherwise, "killed otherwise"),
        (stops.unknown, "unknown"),
    ];
    let outcomes = outcomes.into_iter().filter(|(count, _)| *count > 0);
    let outcomes: Vec<_> = outcomes.map(|(count, name)| format!("{count} {name}")).collect();
    let all = format!("{} since {}", stops.count, stops.since);
    if outcomes.is_empty() { all } else { format!("{all}: {}", outcomes.join(", ")) }
}

/// From SIGTERM to the exit of the app, of the stops in which it exited by itself.
fn times_of(stops: &ShutdownCounts) -> Option<String> {
    let times = [("p50", &stops.p50), ("p90", &stops.p90), ("p99", &stops.p99), ("longest", &stops.longest)];
    let times: Vec<_> = times.iter().filter_map(|(name, time)| Some(format!("{name} {}", time.as_ref()?))).collect();
    let measured = pluralize(usize::try_from(stops.measured).unwrap_or_default(), "stop");
    (!times.is_empty()).then(|| format!("{} ({measured}, without kills)", times.join(", ")))
}

fn list(heading: &str, lines: &[String], out: &mut impl Write) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "{heading}:")?;
    lines.iter().try_for_each(|line| writeln!(out, "  {}", sanitize(line)))
}

/// The next steps, from what is false.
fn advice(row: &Row) -> Vec<String> {
    let status = &row.status;
    let mut steps = Vec::new();
    if !row.is_observed() {
        steps.push(
            "install the definition of ShutdownBudget: kubectl winddown crd | kubectl apply --server-side -f -"
                .to_owned(),
        );
    }
    if row.failed_by(FITS).is_some() {
        let code = status.condition(FITS).and_then(|fits| fits.message.split_once(':')).map(|(code, _)| code);
        let is_code = |code: &&str| !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        steps.extend(
            code.filter(is_code).map(|code| format!("the budget does not fit: kubectl winddown explain {code}")),
        );
    }
    let namespace = &row.namespace;
    match row.failed_by(INJECTED) {
        Some("Pending") => steps.push(format!(
            "if the template stays without the budget: kubectl describe {} -n {namespace}, and kubectl winddown check",
            row.title()
        )),
        Some("Waiting") => {
            steps.push(format!("the next rollout injects it: kubectl rollout restart {} -n {namespace}", row.title()));
        }
        _ => {}
    }
    if row.failed_by(ROLLED_OUT).is_some() {
        steps.push(format!("pods without the current budget: kubectl rollout status {} -n {namespace}", row.title()));
    }
    match row.failed_by(HONOURED) {
        Some("Killed") => steps.push(format!("pods that do not end in time: {PAGE}#a-pod-was-killed-what-now")),
        Some("Overran") => steps.push("the app exits after its deadline: raise winddown.dev/deadline".to_owned()),
        Some("Failed") => steps.push("the app exits with a failure after SIGTERM: see Not honoured".to_owned()),
        _ => {}
    }
    steps
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::row::tests::{condition, row};
    use super::describe;

    fn described(status: &Value) -> String {
        let mut out = Vec::new();
        describe(&row(status), "2026-02-03T00:00:00Z".parse().unwrap(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_workload_with_kills_says_what_to_do() {
        let text = described(&json!({
            "budget": "drain 5s + deadline 25s + margin 5s = 35s of 35s",
            "phases": {"drain": "5s", "drainFrom": "annotation", "deadline": "25s", "margin": "5s", "gracePeriod": "35s"},
            "pods": {"current": 2, "old": 1, "none": 0},
            "conditions": [
                condition("Fits", "True", "Fits", "it fits"),
                condition("RolledOut", "False", "InProgress", "2 of 3"),
                condition("Honoured", "False", "Killed", "the app was killed"),
            ],
            "shutdowns": {"count": 3, "clean": 1, "killed": 2, "measured": 1, "p50": "4s", "since": "2026-02-02T02:40:00Z"},
            "notHonoured": ["2026-02-02T05:26:30Z web-1 Rollout: Killed"],
            "recommendation": "try a deadline of 60s",
        }));
        let expected = "\
Name:             deployment/web
Namespace:        shop
Budget:           drain 5s + deadline 25s + margin 5s = 35s of 35s
Policy:           <none>
Drain:            5s (annotation)
Deadline:         25s
Margin:           5s
Grace period:     35s
Running pods:     2 with this budget, 1 with another one, 0 without one
Stops:            3 since 2026-02-02T02:40:00Z: 1 clean, 2 killed
Time of the app:  p50 4s (1 stop, without kills)
Recommendation:   try a deadline of 60s
Conditions:
  TYPE        STATUS   REASON       SINCE   MESSAGE
  Fits        True     Fits         24h     it fits
  RolledOut   False    InProgress   24h     2 of 3
  Honoured    False    Killed       24h     the app was killed
Not honoured:
  2026-02-02T05:26:30Z web-1 Rollout: Killed
What to do:
  pods without the current budget: kubectl rollout status deployment/web -n shop
  pods that do not end in time: https://github.com/winddown/winddown/blob/main/docs/budgets.md#a-pod-was-killed-what-now
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_to_do_follows_from_the_reason_why_a_promise_was_not_honoured() {
        for (reason, step) in [
            ("Killed", "  pods that do not end in time: https://"),
            ("Overran", "  the app exits after its deadline: raise winddown.dev/deadline\n"),
            ("Failed", "  the app exits with a failure after SIGTERM: see Not honoured\n"),
        ] {
            let text = described(&json!({"conditions": [condition("Honoured", "False", reason, "")]}));
            let steps = text.split("What to do:\n").nth(1).unwrap_or_default();
            assert!(steps.starts_with(step) && steps.lines().count() == 1, "{reason}: {text}");
        }
    }

    #[test]
    fn a_misfit_names_the_page_of_its_finding() {
        let misfit = condition("Fits", "False", "DoesNotFit", "BudgetDoesNotFit: spec.x: too short");
        let text = described(&json!({"conditions": [misfit]}));
        assert!(text.contains("kubectl winddown explain BudgetDoesNotFit\n"), "{text}");
        let hostile = condition("Fits", "False", "DoesNotFit", "$(x): \u{1b}[31m");
        let text = described(&json!({"conditions": [hostile]}));
        assert!(!text.contains("explain") && !text.contains('\u{1b}'), "{text}");
    }
}
