//! The queries of alerts and dashboard, and the names of metrics in them.

use std::collections::BTreeSet;

use serde_json::Value;

/// The queries of all panels and variables, with values in place of Grafana's variables.
pub(super) fn queries_of_dashboard(dashboard: &Value) -> Vec<String> {
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let panels = items(&dashboard["panels"]).into_iter().flat_map(|panel| items(&panel["targets"]));
    let of_panels = panels.filter_map(|target| Some(target["expr"].as_str()?.to_owned()));
    let variables = items(&dashboard["templating"]["list"]).into_iter();
    let of_variables = variables.filter_map(|variable| {
        let query = variable["query"]["query"].as_str()?;
        let (selector, _) = query.strip_prefix("label_values(")?.rsplit_once(',')?;
        Some(selector.to_owned())
    });
    let replaced = |query: String| {
        let query = query.replace("$__rate_interval", "5m");
        ["$namespace", "$kind", "$name"].iter().fold(query, |query, variable| query.replace(variable, ".*"))
    };
    of_panels.chain(of_variables).map(replaced).collect()
}

pub(super) fn queries_of_alerts(alerts: &Value) -> Vec<String> {
    let groups = alerts["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    rules.filter_map(|rule| Some(rule["expr"].as_str()?.to_owned())).collect()
}

/// The names that can be queried of an `OpenMetrics` text.
pub(super) fn exported_names(text: &str) -> BTreeSet<String> {
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let suffixes = |kind: &str| match kind {
        "counter" => &["_total"][..],
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    families.flat_map(|(name, kind)| suffixes(kind).iter().map(move |suffix| format!("{name}{suffix}"))).collect()
}

/// The names of metrics in a valid query: the words that are no function, no operator, and not in a list of labels.
pub(super) fn metric_names(query: &str) -> Vec<&str> {
    const OPERATORS: [&str; 5] = ["and", "or", "unless", "offset", "bool"];
    const WITH_LABELS: [&str; 5] = ["by", "without", "on", "ignoring", "group_left"];
    let mut names = Vec::new();
    let mut rest = query;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || "_\"{[0123456789".contains(c)) {
        rest = &rest[start..];
        let end = |pattern: char| rest[1..].find(pattern).map_or(rest.len(), |end| end + 2);
        let end = match rest.as_bytes()[0] {
            b'"' => end('"'),
            b'{' => end('}'),
            b'[' => end(']'),
            _ => rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_:.".contains(c))).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        if WITH_LABELS.contains(&word) {
            rest = after.find(')').map_or("", |end| &after[end..]);
        } else if word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && !OPERATORS.contains(&word)
            && !["(", "by ", "without "].iter().any(|next| after.trim_start().starts_with(next))
        {
            names.push(word);
        }
    }
    names
}
