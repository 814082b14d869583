//! The shutdown timeout of a runtime that a container's command, args or env contain.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Container;
use serde_json::Value as Json;

use super::command::program;
use super::environment::Environment;
use super::image;
use super::words::{LONGEST, Words};
use crate::catalog::runtimes::Runtime;
use crate::catalog::settings::{Name, Part, Settings, comparable};
use crate::duration::Seconds;
use crate::field_path::FieldPath;

/// The shutdown timeout of a container's runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The runtime.
    pub(crate) runtime: &'static str,
    /// The flags, variables or properties that were found, with `+` between those that are added.
    pub(crate) label: String,
    /// The first field that contains one.
    pub(crate) field: FieldPath,
    /// The time from SIGTERM to the exit; `None` if the manifest contains the setting but not its value, or if the runtime
    /// would not read it.
    pub(crate) time: Option<Seconds>,
}

/// Variables with options of the JVM, in ascending precedence. The JVM reads those with an underscore at the beginning or
/// with `TOOL` itself, and its launcher `JDK_JAVA_OPTIONS`; start scripts and base images pass the others.
pub(super) const JVM_OPTIONS: [&str; 7] = [
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "JAVA_OPTS",
    "JAVA_OPTIONS",
    "JAVA_OPTS_APPEND",
    "CATALINA_OPTS",
    "_JAVA_OPTIONS",
];

/// A value of a part that was found.
struct Found {
    /// What the `*` in its name stands for.
    group: String,
    part: usize,
    label: &'static str,
    field: FieldPath,
    value: String,
}

impl Setting {
    /// The timeout that a container sets. `declared` is the runtime of the workload.
    ///
    /// If the command shows a runtime, only its settings count. Variables and properties contain the name of their runtime.
    /// Flags do not, so without a known program they count only for the declared runtime and that of the image, or if no
    /// other program has them.
    pub(crate) fn of(container: &Container, declared: Option<&Runtime>) -> Option<Self> {
        if container.command.is_none() && container.args.is_none() && container.env.is_none() {
            return None;
        }
        let reader = Reader::of(container);
        let known: Vec<_> = Settings::all().iter().filter(|settings| reader.runs(settings)).collect();
        let image = container.image.as_deref().map_or("", image::repository);
        let all = Settings::all().iter();
        let found =
            all.filter(|settings| known.is_empty() || known.iter().any(|known| known.runtime == settings.runtime));
        let found = found.filter_map(|settings| {
            let is_declared = declared.is_some_and(|runtime| runtime.name == settings.runtime);
            let mut images = settings.programs.iter().chain(&settings.images);
            let is_known = !known.is_empty() || is_declared || images.any(|name| name == image);
            sum(settings, &reader.find(settings, is_known))
        });
        // An unknown time may be the longest.
        found.max_by_key(|setting| (setting.time.is_none(), setting.time))
    }
}

/// The longest sum of the parts that belong together.
fn sum(settings: &'static Settings, found: &[Found]) -> Option<Setting> {
    let mut groups: BTreeMap<&str, BTreeMap<usize, &Found>> = BTreeMap::new();
    // Of several values of a part, the last one has precedence.
    for value in found {
        groups.entry(&value.group).or_default().insert(value.part, value);
    }
    let sums = groups.into_values().filter_map(|group| {
        let limits = |(at, part): (usize, &Part)| match group.get(&at) {
            Some(found) if part.unlimited.as_deref() == Some(found.value.trim()) => None,
            Some(found) => Some(part.notation.read(&found.value)),
            None => Some(part.default),
        };
        let times: Option<Vec<_>> = settings.parts.iter().enumerate().map(limits).collect();
        let time = times?.into_iter().try_fold(Seconds::ZERO, |sum, time| Some(sum.plus(time?)));
        let labels: Vec<_> = group.values().map(|found| found.label).collect();
        let field = group.values().next()?.field.clone();
        Some(Setting { runtime: &settings.runtime, label: labels.join(" + "), field, time })
    });
    sums.max_by_key(|setting| (setting.time.is_none(), setting.time))
}

/// The texts of a container.
struct Reader<'a> {
    container: &'a Container,
    environment: Environment<'a>,
    commands: Vec<Words>,
    /// The names of the variables as they are compared.
    variables: Vec<(String, &'a str)>,
}

impl<'a> Reader<'a> {
    fn of(container: &'a Container) -> Self {
        let environment = Environment::of(container);
        let commands = Words::of(container, &environment);
        let names = container.env.iter().flatten().map(|variable| variable.name.as_str());
        let variables = names.map(|name| (comparable(name), name)).collect();
        Self { container, environment, commands, variables }
    }

    /// Whether a command starts a program of this runtime: itself, or as an argument of a launcher.
    fn runs(&self, settings: &Settings) -> bool {
        self.commands.iter().any(|command| start(command, settings).is_some())
    }

    /// The values of all parts, in ascending precedence.
    fn find(&self, settings: &'static Settings, is_known: bool) -> Vec<Found> {
        let mut found = Vec::new();
        self.in_variables(settings, &mut found);
        self.in_jvm_options(settings, &mut found);
        self.in_json(settings, &mut found);
        for name in &settings.arguments {
            if let Some(value) = self.short(name) {
                let words = shlex::split(value).unwrap_or_default();
                in_flags(settings, &words, true, &|_| self.variable(name), &mut found);
            }
        }
        for command in &self.commands {
            let start = start(command, settings).map_or(0, |at| at + 1);
            let words = command.words.get(start..).unwrap_or_default();
            in_flags(settings, words, is_known, &|at| self.field(command.field(start + at)), &mut found);
        }
        found
    }

    fn in_variables(&self, settings: &'static Settings, found: &mut Vec<Found>) {
        for (part, name) in names(settings, |part| &part.variables) {
            for (comparable, variable) in &self.variables {
                let Some(group) = name.matches(comparable) else { continue };
                let is_same = settings.relaxed || name.text == *variable;
                if let Some(value) = self.environment.get(variable).filter(|_| is_same) {
                    let field = self.variable(variable);
                    let label = settings.parts[part].label(name);
                    found.push(Found { group: group.to_owned(), part, label, field, value: value.to_owned() });
                }
            }
        }
    }

    fn in_jvm_options(&self, settings: &'static Settings, found: &mut Vec<Found>) {
        if settings.parts.iter().all(|part| part.properties.is_empty()) {
            return;
        }
        let in_variable = |name: &&str| Some((shlex::split(self.short(name)?)?, self.variable(name)));
        let in_variables: Vec<_> = JVM_OPTIONS.iter().filter_map(in_variable).collect();
        for (words, field) in &in_variables {
            in_properties(settings, words, &|_| field.clone(), found);
        }
        for command in &self.commands {
            // What follows the program is for the program.
            let end = command.words.iter().position(|word| word == "-jar").unwrap_or(command.words.len());
            in_properties(settings, &command.words[..end], &|at| self.field(command.field(at)), found);
        }
    }

    fn in_json(&self, settings: &'static Settings, found: &mut Vec<Found>) {
        for name in &settings.json {
            let variable = self.variables.iter().find(|(comparable, _)| name.matches(comparable).is_some());
            let Some((_, variable)) = variable else { continue };
            let Some(value) = self.short(variable) else { continue };
            let Ok(json) = serde_json::from_str::<Json>(value) else { continue };
            for (part, name) in names(settings, |part| &part.properties) {
                if let Some(value) = property(&json, name) {
                    let label = settings.parts[part].label(name);
                    found.push(Found { group: String::new(), part, label, field: self.variable(variable), value });
                }
            }
        }
    }

    /// The value of a variable that contains several settings. Longer ones are not read.
    fn short(&self, name: &str) -> Option<&str> {
        self.environment.get(name).filter(|value| value.len() <= LONGEST)
    }

    fn field(&self, field: &'static str) -> FieldPath {
        FieldPath::container(&self.container.name, field)
    }

    fn variable(&self, name: &str) -> FieldPath {
        self.field("env").key(name)
    }
}

/// The position of the program of a runtime in a command. Launchers and inits are before it.
fn start(command: &Words, settings: &Settings) -> Option<usize> {
    let prints =
        command.words.first().is_some_and(|first| matches!(program(first), "echo" | "printf" | "pip" | "which"));
    let is_program = |word: &String| settings.programs.iter().any(|name| name == program(word));
    command.words.iter().position(is_program).filter(|_| !prints)
}

fn names(
    settings: &'static Settings,
    names: impl Fn(&'static Part) -> &'static Vec<Name>,
) -> impl Iterator<Item = (usize, &'static Name)> {
    settings.parts.iter().enumerate().flat_map(move |(at, part)| names(part).iter().map(move |name| (at, name)))
}

fn in_flags(
    settings: &'static Settings,
    words: &[String],
    is_known: bool,
    field: &dyn Fn(usize) -> FieldPath,
    found: &mut Vec<Found>,
) {
    for (at, word) in words.iter().enumerate() {
        let (long, inline) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        let is_bare = !word.starts_with('-');
        if is_bare && inline.is_none() {
            continue;
        }
        let long = comparable(long);
        for (index, name) in names(settings, |part| &part.flags).filter(|(_, name)| name.is_bare() == is_bare) {
            let part = &settings.parts[index];
            let after = || words.get(at + 1).map(String::as_str);
            let (group, value) = if name.is_short() {
                match word.strip_prefix(name.text.as_str()) {
                    Some("") => ("", after()),
                    Some(value) => ("", Some(value.trim_start_matches('='))),
                    None => continue,
                }
            } else {
                let Some(group) = name.matches(&long) else { continue };
                (group, inline.or_else(after))
            };
            let value = match &part.directive {
                Some(directive) => directive_in(value.unwrap_or_default(), directive),
                None => Some(value.unwrap_or_default()),
            };
            if let Some(value) = value.filter(|_| is_known || part.unique) {
                let (group, value, field) = (group.to_owned(), value.to_owned(), field(at));
                found.push(Found { group, part: index, label: part.label(name), field, value });
            }
        }
    }
}

fn in_properties(
    settings: &'static Settings,
    words: &[String],
    field: &dyn Fn(usize) -> FieldPath,
    found: &mut Vec<Found>,
) {
    for (at, word) in words.iter().enumerate() {
        let Some((property, value)) = word.strip_prefix("-D").and_then(|property| property.split_once('=')) else {
            continue;
        };
        let comparable = comparable(property);
        for (part, name) in names(settings, |part| &part.properties) {
            if name.matches(&comparable).is_some() && (settings.relaxed || name.text == property) {
                let (label, field, value) = (settings.parts[part].label(name), field(at), value.to_owned());
                found.push(Found { group: String::new(), part, label, field, value });
            }
        }
    }
}

/// The value of a directive in a configuration such as `daemon off; worker_shutdown_timeout 10s;`.
fn directive_in<'a>(configuration: &'a str, directive: &str) -> Option<&'a str> {
    let directives = configuration.split(';').map(str::trim);
    let value = |text: &'a str| {
        let (name, value) = text.split_once(char::is_whitespace)?;
        name.eq_ignore_ascii_case(directive).then_some(value)
    };
    directives.filter_map(value).next_back().map(str::trim)
}

/// The value of a property in JSON, with its name as one key or as nested ones. A name has few dots, so few ways to nest.
fn property(json: &Json, name: &Name) -> Option<String> {
    fn find(json: &Json, rest: &str) -> Option<String> {
        if rest.is_empty() {
            return match json {
                Json::String(text) => Some(text.clone()),
                Json::Number(number) => Some(number.to_string()),
                _ => Some(String::new()),
            };
        }
        json.as_object()?.iter().find_map(|(key, value)| {
            let key = comparable(key);
            if key.is_empty() { None } else { find(value, rest.strip_prefix(key.as_str())?) }
        })
    }
    find(json, &comparable(&name.text))
}

#[cfg(test)]
mod tests;
