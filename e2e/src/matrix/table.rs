//! The results as Markdown, and their place in the document.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::cost::Cost;
use super::measurement::Measurement;
use super::setting::NETWORKS;
use crate::load::{Connections, Counts};

const BEGIN: &str = "<!-- Written by make matrix. -->\n";
const END: &str = "<!-- End of what make matrix writes. -->\n";

/// Replaces the tables in the document.
pub(super) fn write(document: &Path, measurements: &[Measurement]) -> Result<()> {
    let context = || document.display().to_string();
    let text = fs::read_to_string(document).with_context(context)?;
    let replaced = replace(&text, &tables(measurements)).with_context(context)?;
    fs::write(document, replaced).with_context(context)
}

fn replace(document: &str, tables: &str) -> Result<String> {
    let (before, rest) = document.split_once(BEGIN).with_context(|| format!("no line {BEGIN:?}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("no line {END:?}"))?;
    Ok(format!("{before}{BEGIN}\n{tables}{END}{after}"))
}

fn tables(measurements: &[Measurement]) -> String {
    let tables = NETWORKS.iter().filter_map(|network| {
        let rows: Vec<_> = measurements.iter().filter(|one| one.setting.network == *network).collect();
        Some(format!("### {}\n\n{}\n", network.title(), table(rows.first()?, &rows)))
    });
    tables.collect()
}

fn table(first: &Measurement, measurements: &[&Measurement]) -> String {
    let kinds: Vec<_> = first.rows.iter().map(|(connections, _)| title(*connections)).collect();
    let head = format!("| form | {} | rollout | extra pod-seconds |\n", kinds.join(" | "));
    let separator = format!("|{}\n", " --- |".repeat(kinds.len() + 3));
    let rows: String = measurements.iter().map(|one| row(one)).collect();
    let causes: String = measurements.iter().map(|one| causes(one)).collect();
    let causes = if causes.is_empty() { String::new() } else { format!("\nHow they failed:\n\n{causes}") };
    format!("{}\n{head}{separator}{rows}{causes}", sample(first, measurements))
}

fn sample(first: &Measurement, measurements: &[&Measurement]) -> String {
    let mut rollouts: Vec<_> = measurements.iter().map(|one| one.costs.len().to_string()).collect();
    rollouts.dedup();
    let (date, rate, versions) = (&first.date, first.rate, first.versions.join(", "));
    let rollouts = rollouts.join(" or ");
    format!("{date}. {versions}.\n{rate} requests/s of each kind, {rollouts} rollouts for each row.\n")
}

fn row(measurement: &Measurement) -> String {
    let counts = measurement.rows.iter().map(|(_, counts)| cell(counts)).collect::<Vec<_>>().join(" | ");
    let seconds = mean(&measurement.costs, |cost| cost.seconds);
    let extra = mean(&measurement.costs, Cost::extra_pod_seconds);
    format!("| {} | {counts} | {seconds:.1} s | {extra:.0} |\n", measurement.setting.form.title())
}

fn cell(counts: &Counts) -> String {
    let text = format!("{} of {}", grouped(counts.failed), grouped(counts.sent));
    if counts.failed == 0 { text } else { format!("**{text}**") }
}

/// The failures by kind, a line for each kind of load.
fn causes(measurement: &Measurement) -> String {
    let form = measurement.setting.form.title();
    let failed = measurement.rows.iter().filter(|(_, counts)| counts.failed > 0);
    let lines = failed.map(|(connections, counts)| {
        let kinds: Vec<_> = counts.failures.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        format!("- {form}, {}: {}\n", title(*connections), kinds.join(", "))
    });
    lines.collect()
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

fn mean(costs: &[Cost], value: impl Fn(Cost) -> f64) -> f64 {
    let count = u32::try_from(costs.len()).unwrap_or(u32::MAX);
    costs.iter().map(|cost| value(*cost)).sum::<f64>() / f64::from(count.max(1))
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1000), number % 1000) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::cost::Cost;
    use super::super::measurement::Measurement;
    use super::super::setting::{Form, Network, Setting};
    use super::{BEGIN, END, grouped, replace, tables};
    use crate::load::{Connections, Counts};

    fn measurement(form: Form, failed: u64) -> Measurement {
        let failures = if failed > 0 { BTreeMap::from([("refused".to_owned(), failed)]) } else { BTreeMap::new() };
        let counts = Counts { sent: 1200, failed, failures, ..Counts::default() };
        let cost = |seconds| Cost { seconds, pod_seconds: 4.0 * seconds };
        Measurement {
            setting: Setting { network: Network::Iptables, form },
            date: "2026-11-26".to_owned(),
            versions: vec!["Kubernetes v1.37.2".to_owned(), "Linux 6.18".to_owned()],
            rate: 100,
            costs: vec![cost(10.0), cost(13.0)],
            rows: vec![(Connections::New, Counts { sent: 900, ..Counts::default() }), (Connections::Http2, counts)],
        }
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
| both, 10 s | 0 of 900 | 0 of 1,200 | 11.5 s | 12 |

How they failed:

- none, HTTP/2: 7 refused

";
        assert_eq!(tables(&[measurement(Form::None, 7), measurement(Form::Both, 0)]), expected);
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
