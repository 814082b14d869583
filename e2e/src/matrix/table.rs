//! The results as Markdown, and their place in the document.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::measurement::{Measurement, Requests, Results};
use super::setting::NETWORKS;
use crate::load::Connections;

const BEGIN: &str = "<!-- Written by make matrix. -->\n";
const END: &str = "<!-- End of what make matrix writes. -->\n";

/// Replaces the tables in the document.
pub(super) fn write(document: &Path, results: &Results) -> Result<()> {
    let context = || document.display().to_string();
    let text = fs::read_to_string(document).with_context(context)?;
    let replaced = replace(&text, &tables(results)).with_context(context)?;
    fs::write(document, replaced).with_context(context)
}

fn replace(document: &str, tables: &str) -> Result<String> {
    let (before, rest) = document.split_once(BEGIN).with_context(|| format!("no line {BEGIN:?}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("no line {END:?}"))?;
    Ok(format!("{before}{BEGIN}\n{tables}{END}{after}"))
}

fn tables(results: &Results) -> String {
    let tables = NETWORKS.iter().filter_map(|network| {
        let rows: Vec<_> = results.0.iter().filter(|one| one.setting.network == *network).collect();
        Some(format!("### {}\n\n{}\n", network.title(), table(rows.first()?, &rows)))
    });
    tables.collect()
}

fn table(first: &Measurement, measurements: &[&Measurement]) -> String {
    let kinds: Vec<_> = first.requests.iter().map(|requests| title(requests.connections)).collect();
    let head = format!("| form | {} | rollout | extra pod-seconds |\n", kinds.join(" | "));
    let separator = format!("|{}\n", " --- |".repeat(kinds.len() + 3));
    let rows: String = measurements.iter().map(|one| row(one)).collect();
    let causes = list("How they failed", measurements, causes);
    let closes = list("WebSockets closed with code 1001", measurements, closes);
    format!("{}\n{head}{separator}{rows}{causes}{closes}", samples(measurements))
}

/// What all rows share, or a line for each row if they are of different runs.
fn samples(measurements: &[&Measurement]) -> String {
    let mut samples: Vec<_> = measurements.iter().map(|one| sample(one, "")).collect();
    samples.dedup();
    if let [sample] = &samples[..] {
        return format!("{sample} for each row.\n");
    }
    let line = |one: &&Measurement| format!("- {}: {}.\n", one.setting.form.title(), sample(one, "  "));
    measurements.iter().map(line).collect::<Vec<_>>().concat()
}

fn sample(measurement: &Measurement, indent: &str) -> String {
    let Measurement { date, versions, rate, rollouts, .. } = measurement;
    let plural = if *rollouts == 1 { "" } else { "s" };
    let versions = versions.join(", ");
    format!("{date}. {versions}.\n{indent}{rate} requests/s of each kind, {rollouts} rollout{plural}")
}

fn row(measurement: &Measurement) -> String {
    let Measurement { setting, seconds, extra_pod_seconds, requests, .. } = measurement;
    let cells = requests.iter().map(cell).collect::<Vec<_>>().join(" | ");
    format!("| {} | {cells} | {seconds:.1} s | {extra_pod_seconds:.0} |\n", setting.form.title())
}

fn cell(requests: &Requests) -> String {
    let failed = requests.failed();
    let text = format!("{} of {}", grouped(failed), grouped(requests.sent));
    if failed == 0 { text } else { format!("**{text}**") }
}

/// A list below the table, of the lines of all rows.
fn list(heading: &str, measurements: &[&Measurement], lines: fn(&Measurement) -> Vec<String>) -> String {
    let lines = |one: &&Measurement| {
        let form = one.setting.form.title();
        lines(one).iter().map(|line| format!("- {form}{line}\n")).collect::<Vec<_>>()
    };
    let lines = measurements.iter().flat_map(lines).collect::<Vec<_>>().concat();
    if lines.is_empty() { lines } else { format!("\n{heading}:\n\n{lines}") }
}

/// The failures by kind, a line for each kind of load.
fn causes(measurement: &Measurement) -> Vec<String> {
    let failed = measurement.requests.iter().filter(|requests| requests.failed() > 0);
    let lines = failed.map(|requests| {
        let kinds: Vec<_> = requests.failures.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        format!(", {}: {}", title(requests.connections), kinds.join(", "))
    });
    lines.collect()
}

fn closes(measurement: &Measurement) -> Vec<String> {
    let closes = measurement.requests.iter().filter_map(|requests| requests.orderly_closes);
    closes.map(|closes| format!(": {}", grouped(closes))).collect()
}

fn title(connections: Connections) -> &'static str {
    match connections {
        Connections::New => "new",
        Connections::Kept => "kept",
        Connections::Http2 => "HTTP/2",
        Connections::Grpc => "gRPC",
        Connections::WebSocket => "WebSocket",
    }
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1000), number % 1000) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::env;
    use std::fs;
    use std::path::Path;

    use super::super::measurement::{Measurement, Requests, Results};
    use super::super::setting::{Form, Network, Setting};
    use super::super::{DOCUMENT, RESULTS};
    use super::{BEGIN, END, grouped, replace, tables, write};
    use crate::load::{Connections, Counts};

    fn measurement(form: Form, failed: u64) -> Measurement {
        let failures = if failed > 0 { BTreeMap::from([("refused".to_owned(), failed)]) } else { BTreeMap::new() };
        let requests =
            |connections, sent| Requests { connections, sent, failures: BTreeMap::new(), orderly_closes: None };
        Measurement {
            setting: Setting { network: Network::Iptables, form },
            date: "2026-11-26".to_owned(),
            versions: vec!["Kubernetes v1.37.2".to_owned(), "Linux 6.18".to_owned()],
            rate: 100,
            rollouts: 2,
            seconds: 11.5,
            extra_pod_seconds: 12.3,
            requests: vec![
                requests(Connections::New, 900),
                Requests { failures, ..requests(Connections::Http2, 1200) },
            ],
        }
    }

    #[test]
    fn the_document_has_the_results() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let results = Results::read(&root.join(RESULTS)).unwrap();
        if env::var_os("UPDATE").is_some() {
            write(&root.join(DOCUMENT), &results).unwrap();
        }
        let text = fs::read_to_string(root.join(DOCUMENT)).unwrap();
        let expected = replace(&text, &tables(&results)).unwrap();
        assert!(text == expected, "{DOCUMENT} is stale: UPDATE=1 cargo test -p winddown-e2e --lib matrix");
    }

    #[test]
    fn a_setting_that_is_measured_again_is_replaced() {
        let mut results = Results(vec![measurement(Form::None, 7), measurement(Form::Both, 0)]);
        results.replace(measurement(Form::None, 8));
        results.replace(measurement(Form::App, 0));
        let failed: Vec<_> = results.0.iter().map(|one| (one.setting.form, one.requests[1].failed())).collect();
        assert_eq!(failed, [(Form::None, 8), (Form::App, 0), (Form::Both, 0)]);
    }

    #[test]
    fn a_table_has_sample_sizes_costs_and_causes() {
        let expected = "\
### A Service, kube-proxy in iptables mode

2026-11-26. Kubernetes v1.37.2, Linux 6.18.
100 requests/s of each kind, 2 rollouts for each row.

| form | new | HTTP/2 | rollout | extra pod-seconds |
| --- | --- | --- | --- | --- |
| none | 0 of 900 | **7 of 1,200** | 11.5 s | 12 |
| both, 5 s + 5 s | 0 of 900 | 0 of 1,200 | 11.5 s | 12 |

How they failed:

- none, HTTP/2: 7 refused

";
        let results = Results(vec![measurement(Form::None, 7), measurement(Form::Both, 0)]);
        assert_eq!(tables(&results), expected);
    }

    #[test]
    fn rows_of_different_runs_have_their_own_samples() {
        let mut later = measurement(Form::App, 0);
        (later.date, later.rollouts) = ("2026-11-27".to_owned(), 1);
        let tables = tables(&Results(vec![measurement(Form::None, 0), later]));
        let expected = "
- none: 2026-11-26. Kubernetes v1.37.2, Linux 6.18.
  100 requests/s of each kind, 2 rollouts.
- app waits 5 s: 2026-11-27. Kubernetes v1.37.2, Linux 6.18.
  100 requests/s of each kind, 1 rollout.

| form |";
        assert!(tables.contains(expected), "{tables}");
    }

    #[test]
    fn closes_are_listed_for_the_rows_that_have_them() {
        let mut with_closes = measurement(Form::App, 0);
        let counts = Counts { sent: 1000, orderly_closes: 97, ..Counts::default() };
        with_closes.requests =
            [Connections::Kept, Connections::WebSocket].map(|kind| Requests::new(kind, counts.clone())).into();
        let tables = tables(&Results(vec![measurement(Form::None, 0), with_closes]));
        assert!(tables.ends_with("\n\nWebSockets closed with code 1001:\n\n- app waits 5 s: 97\n\n"), "{tables}");
    }

    #[test]
    fn only_the_tables_of_the_document_are_replaced() {
        let document = format!("# Matrix\n\n{BEGIN}old\n{END}\nMeaning\n");
        assert_eq!(replace(&document, "new\n").unwrap(), format!("# Matrix\n\n{BEGIN}\nnew\n{END}\nMeaning\n"));
        assert!(replace("# Matrix\n", "new\n").is_err());
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_067].map(grouped), ["0", "999", "1,000", "1,234,067"]);
    }
}
