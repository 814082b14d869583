//! `docs/presets.md`: the presets for traffic and runtimes, the settings that are read, and the platforms.

use std::fmt::Write as _;

use winddown_core::catalog::platforms::{Label, Platform};
use winddown_core::catalog::runtimes::Runtime;
use winddown_core::catalog::settings::Settings;
use winddown_core::catalog::traffic::Traffic;
use winddown_core::policy::Policy;

pub(crate) fn page() -> String {
    let example = Policy::default().deadline;
    let mut text = "\
# Presets

Use a preset if you have no measurements yet. `winddown.dev/traffic` provides the drain and `winddown.dev/runtime` the
deadline. Explicit values in `winddown.dev/drain` and `winddown.dev/deadline` take precedence, and so do
[settings](#settings) of the runtime in the manifest.

## Traffic

How long traffic continues to arrive after the deletion of a pod. Each number is an upper end of what was observed in
practice and not a guarantee: measure your environment and set `winddown.dev/drain`.

The last column has what shows it in related objects: the controller or the name of an IngressClass, or the beginning of
an annotation (or the `loadBalancerClass`) of a Service with `externalTrafficPolicy: Local`. The load balancers of AWS and
Google Cloud are also known by the annotations for their targets.

| `winddown.dev/traffic` | Drain | Reason | Sources | Detected by |
| --- | --- | --- | --- | --- |
"
    .to_owned();
    for Traffic { name, drain, why, polls, sources, controllers, classes, local, .. } in Traffic::all() {
        let polls = polls.map_or(String::new(), |polls| {
            format!(" It polls every {} and removes a target after {} failures.", polls.period, polls.failures)
        });
        let shown_by: Vec<_> =
            [controllers, classes, local].into_iter().flatten().map(|it| format!("`{it}`")).collect();
        let (why, sources, shown_by) = (sentence(why), links(sources), shown_by.join(" "));
        writeln!(text, "| `{name}` | {drain} | {why}.{polls} | {sources} | {shown_by} |").unwrap();
    }
    write!(
        text,
        "
## Runtimes

What the runtime of an app does by default after SIGTERM, and the setting for a deadline of {example}. Where the deadline
is \"none\", the runtime does not enforce one: the app itself must exit in time.

| `winddown.dev/runtime` | Deadline | Default behavior | Setting for {example} | Sources |
| --- | --- | --- | --- | --- |
"
    )
    .unwrap();
    for runtime in Runtime::all() {
        let Runtime { name, deadline, by_default, sources, .. } = runtime;
        let deadline = deadline.map_or_else(|| "none".to_owned(), |deadline| deadline.to_string());
        let setting = runtime.setting(example);
        writeln!(text, "| `{name}` | {deadline} | {by_default} | {setting} | {} |", links(sources)).unwrap();
    }
    text + &settings() + &platforms()
}

fn settings() -> String {
    let mut text = "
## Settings

The settings that Winddown reads in `command`, `args` and `env` of a container. If no deadline is declared, they are the
deadline; if one is declared and differs, the finding `RuntimeTimeoutDiffers` says so. Settings on several lines of
one row are added. Of several rows of one runtime, the longest counts. Flags count if the command or the image shows the runtime, or if `winddown.dev/runtime` names it;
variables and properties always count. Values that are not in the manifest, such as `valueFrom`, are unknown and change
nothing.

| Runtime | Flags, variables, properties | Sources |
| --- | --- | --- |
"
    .to_owned();
    for settings in Settings::all() {
        let parts =
            settings.names().map(|names| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "));
        let parts: Vec<_> = parts.collect();
        writeln!(text, "| `{}` | {} | {} |", settings.runtime, parts.join("<br>+ "), links(settings.sources()))
            .unwrap();
    }
    text
}

fn platforms() -> String {
    let mut text = "
## Platforms

Platforms that end a pod after a limit, whatever its grace period is.

| Platform | Detected by one of the labels | Limit | Reason | Sources |
| --- | --- | --- | --- | --- |
"
    .to_owned();
    for Platform { name, cap, known_by, why, sources, .. } in Platform::all() {
        let label = |Label { key, value }: &Label| format!("`{}`", format!("{key}: {value}").trim_end_matches(": "));
        let labels: Vec<_> = known_by.iter().map(label).collect();
        let labels = labels.join(", ");
        writeln!(text, "| {name} | {labels} | {cap} | {}. | {} |", sentence(why), links(sources)).unwrap();
    }
    text
}

/// The text with a capital first letter and without a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn links(sources: &[String]) -> String {
    let links: Vec<_> = (1..).zip(sources).map(|(number, source)| format!("[{number}]({source})")).collect();
    links.join(" ")
}
