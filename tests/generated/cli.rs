//! `docs/cli.md`: the reference of the command line; and `docs/kubectl.md`: that of the plugin, with the commands that read a
//! cluster.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};
use winddown::cli::{Cli, Program};

use crate::outputs;

/// Commands that `winddown --help` hides, with the reason why the reference has them.
const HIDDEN: [(&str, &str); 2] = [
    ("check-install", "Hidden command: `helm test` runs it in a pod."),
    ("sample", "Hidden command: `drill --measure` runs it in a container of the pod."),
];

/// Commands of the plugin with outputs to show: what was run, and the golden file.
const OUTPUTS: [(&str, &str, &str); 6] = [
    ("status", "kubectl winddown status -A", "status/table"),
    ("status", "kubectl winddown status deploy/web -n shop", "status/killed"),
    ("check", "kubectl winddown check", "check/failed"),
    ("restore", "kubectl winddown restore deploy/web -n shop --remove-annotations", "restore/web"),
    ("audit", "kubectl winddown audit", "audit/table"),
    ("drill", "kubectl winddown drill deploy/web -n shop --measure --yes", "drill/measured"),
];

/// The pages that explain the outputs.
const EXPLAINED: [(&str, &str); 3] = [
    ("audit", "[An audit of a cluster](audit.md) explains the columns and the page."),
    ("status", "[Reading a budget](budgets.md) explains the columns."),
    ("drill", "[The drill](drill.md) explains the lines."),
];

/// The page of the plugin.
const PLUGIN_PAGE: &str = "kubectl.md";

/// What the flags of all commands have in common with those of kubectl.
const FLAGS: &str = "\
## Flags of all commands that read a cluster

These are some of kubectl's flags, with the same meaning. They are written after the command:
`kubectl winddown status -n shop`, not `kubectl winddown -n shop status`. Without `--request-timeout`, kubectl waits without
a limit, and the plugin for 30 seconds.

Without `--kubeconfig`, the files in the environment variable `KUBECONFIG` count, otherwise `~/.kube/config`; without these,
the service account of the pod. A flag takes precedence over the kubeconfig. With `--server`, no kubeconfig is needed. `--token`
and `--client-certificate` take the place of all credentials in it: with kubectl, a certificate in the kubeconfig can take
precedence over `--token`. The user that the kubeconfig impersonates stays, unless `--as` names another one. `--request-timeout`
does not limit the credential plugins of the kubeconfig.
";

/// The group of the flags that name cluster and user, which all commands of the plugin have.
const CLUSTER: &str = "Cluster";

/// Whether a command reads a cluster: `kubectl winddown` documents it, `winddown` links to that.
fn reads_cluster(command: &Command) -> bool {
    command.get_arguments().any(|arg| arg.get_help_heading() == Some(CLUSTER))
}

pub(crate) fn plugin_page() -> String {
    let mut plugin = Program::Plugin.command_line();
    plugin.build();
    let mut text = "\
# kubectl winddown

The same binary as `winddown`, under the name `kubectl-winddown`, is a plugin of kubectl. It runs with the rights of the
user ([which ones](rights.md)). A command that needs something installed in the cluster says so. On Linux,
[krew](https://krew.sigs.k8s.io) installs it from the manifest of a [release](release.md):

```sh
kubectl krew install --manifest-url=https://github.com/winddown/winddown/releases/download/vX.Y.Z/winddown.yaml
```

Without krew, put `winddown` of a release into a folder of your `PATH`, here `~/.local/bin`, with two links beside it:

```sh
ln -s winddown ~/.local/bin/kubectl-winddown
ln -s winddown ~/.local/bin/kubectl_complete-winddown    # completion, where that of kubectl is enabled
```

Completion offers commands, flags and values, and the names of workloads, namespaces, contexts, clusters and users.
Releases have binaries for Linux. On macOS, build the plugin with Rust (the code passes the compiler's checks for macOS,
and was not run there):
`cargo install --git https://github.com/winddown/winddown --locked --no-default-features --features cluster winddown`.

The commands that need no cluster ([`plan`](plan.md), `explain`, `crd`, `completions`) are in the
[command line reference](cli.md).

"
    .to_owned();
    let commands: Vec<_> = plugin.get_subcommands().filter(|command| reads_cluster(command)).cloned().collect();
    table_of(&mut text, commands.iter(), "");
    writeln!(text, "\n{FLAGS}").unwrap();
    let first = commands.first().unwrap();
    table(&mut text, first.get_arguments().filter(|arg| arg.get_help_heading() == Some(CLUSTER)));
    for mut command in commands {
        describe(&mut text, 2, &mut command);
        let anchor = command.get_bin_name().unwrap_or_default().replace(' ', "-");
        writeln!(text, "**Rights**: [verbs and resources](rights.md#{anchor})\n").unwrap();
    }
    format!("{}\n", text.trim_end())
}

pub(crate) fn page() -> String {
    let mut cli = Cli::command();
    cli.build();
    let mut text = "\
# Command line reference

Every command has `--help` (`-h` for a short form) and `--version`. An invalid command line exits with 2.

"
    .to_owned();
    describe(&mut text, 2, &mut cli);
    let is_here = |command: &&mut Command| command.get_name() != "help" && !reads_cluster(command);
    for command in cli.get_subcommands_mut().filter(is_here) {
        describe(&mut text, 3, command);
    }
    format!("{}\n", text.trim_end())
}

/// A heading, the description, the usage, the arguments, and the sections at the end of the help.
fn describe(text: &mut String, level: usize, command: &mut Command) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    writeln!(text, "{} {name}\n", "#".repeat(level)).unwrap();
    if command.is_hide_set() {
        let (_, reason) = HIDDEN.iter().find(|(hidden, _)| *hidden == command.get_name()).unwrap();
        writeln!(text, "{reason}\n").unwrap();
    }
    let about = command.get_long_about().or(command.get_about()).unwrap().to_string();
    write!(text, "{}", paragraphs(&about)).unwrap();
    let usage = command.render_usage().to_string();
    writeln!(text, "```sh\n{}\n```\n", usage.trim_start_matches("Usage: ")).unwrap();
    subcommands(text, command);
    arguments(text, command);
    for (_, run, golden) in OUTPUTS.iter().filter(|(name, ..)| *name == command.get_name()) {
        writeln!(text, "For example `{run}`:\n\n{}", outputs::block(golden)).unwrap();
    }
    for (_, sentence) in EXPLAINED.iter().filter(|(name, _)| *name == command.get_name()) {
        writeln!(text, "{sentence}\n").unwrap();
    }
    let end = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    write!(text, "{}", sections(&end.unwrap_or_default())).unwrap();
}

/// Text in which indented lines become code blocks.
fn paragraphs(text: &str) -> String {
    let mut markdown = String::new();
    for paragraph in text.trim().split("\n\n") {
        match paragraph.strip_prefix("  ") {
            Some(code) => writeln!(markdown, "```text\n{}\n```\n", code.replace("\n  ", "\n")).unwrap(),
            None => writeln!(markdown, "{paragraph}\n").unwrap(),
        }
    }
    markdown
}

fn subcommands(text: &mut String, command: &Command) {
    let commands: Vec<_> = command.get_subcommands().filter(|command| command.get_name() != "help").collect();
    if commands.is_empty() {
        return;
    }
    table_of(text, commands.into_iter(), PLUGIN_PAGE);
    writeln!(text).unwrap();
}

/// The commands with links to their sections. Those that read a cluster are on the page of the plugin, under the name that it
/// has there.
fn table_of<'a>(text: &mut String, commands: impl Iterator<Item = &'a Command>, plugin_page: &str) {
    writeln!(text, "| Command | Description |\n| --- | --- |").unwrap();
    for command in commands {
        let (name, about) = (command.get_bin_name().unwrap(), command.get_about().unwrap());
        let (name, page) = match name.strip_prefix("winddown ") {
            Some(own) if reads_cluster(command) => (format!("kubectl winddown {own}"), plugin_page),
            _ => (name.to_owned(), ""),
        };
        writeln!(text, "| [`{name}`]({page}#{}) | {about} |", name.replace(' ', "-")).unwrap();
    }
}

fn arguments(text: &mut String, command: &Command) {
    let is_common = |arg: &&Arg| ["help", "version"].contains(&arg.get_id().as_str());
    let is_here = |arg: &&Arg| !is_common(arg) && arg.get_help_heading() != Some(CLUSTER);
    table(text, command.get_arguments().filter(is_here));
}

fn table<'a>(text: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let arguments: Vec<_> = arguments.collect();
    if arguments.is_empty() {
        return;
    }
    // Only the flags of the operator have some.
    let with_env = arguments.iter().any(|arg| arg.get_env().is_some());
    let (heading, line) = if with_env { ("Environment variable | ", " --- |") } else { ("", "") };
    writeln!(text, "| Argument | {heading}Default | Description |\n| --- |{line} --- | --- |").unwrap();
    for arg in &arguments {
        let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
        let env = arg.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let required = if arg.is_required_set() { "required".to_owned() } else { code(&defaults.join(",")) };
        let help =
            arg.get_long_help().or(arg.get_help()).unwrap().to_string().replace("\n\n", "<br>").replace('\n', " ");
        let env = if with_env { format!("{} | ", code(&env)) } else { String::new() };
        writeln!(text, "| `{}` | {env}{required} | {} |", syntax(arg), help.replace('|', "\\|")).unwrap();
    }
    writeln!(text).unwrap();
    for arg in arguments {
        possible_values(text, arg);
    }
}

/// E.g. `-o, --output <OUTPUT>`.
fn syntax(arg: &Arg) -> String {
    let short = arg.get_short().filter(|_| arg.get_long().is_some());
    short.map(|letter| format!("-{letter}, ")).unwrap_or_default() + &name_and_value(arg)
}

/// E.g. `--output <OUTPUT>`; brackets around the whole only say that it is optional.
fn name_and_value(arg: &Arg) -> String {
    let text = arg.to_string();
    let inner = |optional: &str| Some(optional.strip_suffix(']')?.to_owned());
    let whole = |text: &str| text.strip_prefix('[').and_then(inner);
    let several = |text: &str| Some(whole(text.strip_suffix("...")?)? + "...");
    several(&text).or_else(|| whole(&text)).unwrap_or(text)
}

fn possible_values(text: &mut String, arg: &Arg) {
    let values = arg.get_possible_values();
    if values.is_empty() || arg.is_hide_possible_values_set() || !arg.get_action().takes_values() {
        return;
    }
    writeln!(text, "Values of `{}`:\n", name_and_value(arg)).unwrap();
    for value in values {
        let help = value.get_help().map(|help| format!(": {help}")).unwrap_or_default();
        writeln!(text, "- `{}`{help}", value.get_name()).unwrap();
    }
    writeln!(text).unwrap();
}

/// The sections at the end of a help text. A line that ends with a colon is a heading; below it are indented examples or
/// exit codes.
fn sections(help: &str) -> String {
    let mut sections: Vec<(&str, String)> = Vec::new();
    for line in help.lines() {
        match (line.strip_suffix(':').filter(|_| !line.starts_with(' ')), sections.last_mut()) {
            (Some(heading), _) => sections.push((heading, String::new())),
            (None, Some((_, body))) => body.extend([line.strip_prefix("  ").unwrap_or(line), "\n"]),
            (None, None) => panic!("a line without a heading: {line}"),
        }
    }
    let mut markdown = String::new();
    for (heading, body) in sections {
        writeln!(markdown, "**{heading}**\n").unwrap();
        if heading == "Exit codes" {
            writeln!(markdown, "| Code | Meaning |\n| --- | --- |").unwrap();
            for (code, meaning) in body.lines().filter_map(|line| line.split_once("  ")) {
                writeln!(markdown, "| {code} | {meaning} |").unwrap();
            }
            writeln!(markdown).unwrap();
        } else {
            writeln!(markdown, "```sh\n{}\n```\n", body.trim()).unwrap();
        }
    }
    markdown
}

#[test]
fn every_command_documents_its_exit_codes() {
    for command in Cli::command().get_subcommands() {
        let end = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
        assert!(end.unwrap_or_default().contains("Exit codes:"), "{}", command.get_name());
    }
}
