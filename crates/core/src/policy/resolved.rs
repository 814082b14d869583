//! A declaration with every default filled in.

use k8s_openapi::api::core::v1::Container;

use super::Policy;
use crate::annotations::{Declaration, Mode};
use crate::budget::Source;
use crate::duration::Seconds;
use crate::pod::settings::Setting;

/// The numbers of a budget, from wherever each of them came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// How long traffic keeps arriving.
    pub drain: Seconds,
    /// How long the app needs after SIGTERM: the longest of its containers.
    pub deadline: Seconds,
    /// That of the containers without a timeout of their own, if it is shorter.
    pub others: Option<Seconds>,
    /// The time between the deadline and SIGKILL.
    pub margin: Seconds,
}

/// A declaration with what the pod itself sets, and the defaults of a policy. Plan and record use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// The declaration.
    pub declaration: &'a Declaration,
    /// The policy with the defaults.
    pub policy: &'a Policy,
    /// What Winddown may change and reject.
    pub mode: Mode,
    /// How long traffic keeps arriving.
    pub drain: Seconds,
    /// The source of the drain.
    pub drain_from: Source,
    /// How long the app needs after SIGTERM: the longest of its containers.
    pub deadline: Seconds,
    /// The source of the deadline.
    pub deadline_from: Source,
    /// The time between the deadline and SIGKILL.
    pub margin: Seconds,
    /// The source of the margin.
    pub margin_from: Source,
    /// The shutdown timeouts of the runtimes in the pod, with the names of their containers.
    pub(crate) settings: Vec<(String, Setting)>,
    /// The deadline of a container without such a timeout.
    general: (Seconds, Source),
    /// The names of the app's containers.
    apps: Vec<String>,
}

impl<'a> Resolved<'a> {
    /// Fills in absent values: the deadline from the runtimes' own timeouts in the containers of the app, then both from the
    /// presets of the declaration, then from the policy.
    #[must_use]
    pub fn new(declaration: &'a Declaration, mode: Mode, policy: &'a Policy, apps: &[&Container]) -> Self {
        let traffic = declaration.traffic.map(|traffic| (traffic.drain, traffic.name.as_str()));
        let runtime = declaration.runtime.and_then(|runtime| Some((runtime.deadline?, runtime.name.as_str())));
        let drain_default = (policy.drain, policy.source(policy.written.drain));
        let deadline_default = (policy.deadline, policy.source(policy.written.deadline));
        let margin_default = (policy.margin, policy.source(policy.written.margin));
        let (drain, drain_from) = choose(declaration.drain, traffic, drain_default);
        let general = choose(declaration.deadline, runtime, deadline_default);
        let (margin, margin_from) = choose(declaration.margin, None, margin_default);
        let setting = |app: &&Container| Some((app.name.clone(), Setting::of(app, declaration.runtime)?));
        let settings = apps.iter().take(MOST_READ).filter_map(setting).collect();
        let apps = apps.iter().map(|app| app.name.clone()).collect();
        let (deadline, deadline_from) = general.clone();
        let mut resolved = Self {
            declaration,
            policy,
            mode,
            drain,
            drain_from,
            deadline,
            deadline_from,
            margin,
            margin_from,
            settings,
            general,
            apps,
        };
        (resolved.deadline, resolved.deadline_from) = resolved.longest_deadline();
        resolved
    }

    fn longest_deadline(&self) -> (Seconds, Source) {
        let deadlines = self.apps.iter().map(|app| self.deadline_of(app));
        deadlines.max_by_key(|(deadline, _)| *deadline).unwrap_or_else(|| self.general.clone())
    }

    /// Whether a container is one of the app.
    pub(crate) fn is_app(&self, container: &str) -> bool {
        self.apps.iter().any(|app| app == container)
    }

    /// How long the app in a container needs after SIGTERM, and the source.
    #[must_use]
    pub fn deadline_of(&self, container: &str) -> (Seconds, Source) {
        let setting = self.settings.iter().find(|(name, _)| name == container).map(|(_, setting)| setting);
        match setting.and_then(|setting| Some((self.time(setting)?, setting))) {
            Some((time, setting)) => (time, Source::Setting(format!("{} {}", setting.runtime, setting.label))),
            None => self.general.clone(),
        }
    }

    /// The timeout, if it is the deadline of its container.
    fn time(&self, setting: &Setting) -> Option<Seconds> {
        // A deadline is at most as long as one that can be declared.
        setting.time.filter(|time| self.declaration.deadline.is_none() && *time <= Seconds::MAX)
    }

    /// The numbers of the budget.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let with_timeout = self.settings.iter().filter(|(_, setting)| self.time(setting).is_some()).count();
        let others = (with_timeout < self.apps.len()).then_some(self.general.0);
        let others = others.filter(|deadline| *deadline != self.deadline);
        Numbers { drain: self.drain, deadline: self.deadline, others, margin: self.margin }
    }

    /// The same with other numbers for what the declaration leaves open, such as those of an earlier version. That version
    /// may not have known the timeouts in the containers.
    #[must_use]
    pub fn with_numbers(&self, numbers: Numbers) -> Self {
        let mut earlier = Self {
            drain: self.declaration.drain.unwrap_or(numbers.drain),
            margin: self.declaration.margin.unwrap_or(numbers.margin),
            ..self.clone()
        };
        if earlier.drain != self.drain {
            earlier.drain_from = earlier_default(&self.drain_from);
        }
        if earlier.margin != self.margin {
            earlier.margin_from = earlier_default(&self.margin_from);
        }
        let deadline = self.declaration.deadline.unwrap_or(numbers.deadline);
        if deadline != self.deadline || numbers.others.is_some() {
            earlier.general.0 = self.declaration.deadline.or(numbers.others).unwrap_or(deadline);
            if earlier.general.0 != self.general.0 {
                earlier.general.1 = earlier_default(&self.general.1);
            }
            if earlier.longest_deadline().0 != deadline {
                earlier.general.0 = deadline;
                earlier.settings.clear();
            }
            (earlier.deadline, earlier.deadline_from) = earlier.longest_deadline();
        }
        earlier
    }

    /// The numbers as a declaration in canonical form, to compare declarations that result in the same budget.
    #[must_use]
    pub fn canonical(&self) -> String {
        let declaration = Declaration {
            drain: Some(self.drain),
            deadline: Some(self.deadline),
            traffic: None,
            runtime: None,
            margin: Some(self.margin),
            ..self.declaration.clone()
        };
        let deadlines = self.settings.iter().map(|(app, _)| (app, self.deadline_of(app).0));
        let shorter = deadlines.filter(|(_, deadline)| *deadline != self.deadline);
        let text = shorter.fold(declaration.to_string(), |text, (app, deadline)| format!("{text} {app}={deadline}"));
        // No container has this name.
        self.numbers().others.map(|deadline| format!("{text} {OTHERS}={deadline}")).unwrap_or(text)
    }
}

/// The source of another number than the one that counts today.
fn earlier_default(today: &Source) -> Source {
    match today {
        Source::Policy(_) => Source::EarlierPolicy,
        other => other.clone(),
    }
}

/// The key of [`Numbers::others`] in the canonical form.
pub(crate) const OTHERS: &str = "*";

/// In how many containers of the app timeouts are searched, to limit the time for a review.
const MOST_READ: usize = 100;

fn choose(declared: Option<Seconds>, preset: Option<(Seconds, &str)>, default: (Seconds, Source)) -> (Seconds, Source) {
    match (declared, preset) {
        (Some(declared), _) => (declared, Source::Declared),
        (None, Some((proposed, name))) => (proposed, Source::Preset(name.to_owned())),
        (None, None) => default,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Container, Declaration, Mode, Numbers, Policy, Resolved, Seconds};

    fn app(name: &str, command: &[&str]) -> Container {
        serde_json::from_value(json!({"name": name, "command": command})).unwrap()
    }

    #[test]
    fn the_numbers_of_an_earlier_version_include_timeouts_that_it_read() {
        let (plain, at_once) = (app("plain", &["app"]), app("short", &["gunicorn", "--graceful-timeout=0"]));
        let long = app("long", &["gunicorn", "--graceful-timeout=90"]);
        let declaration = Declaration::default();
        for (apps, earlier_deadline, expected) in [
            // The policy of the earlier version had another deadline. It read the timeout.
            (&[&plain, &at_once][..], 20, &[("plain", 20), ("short", 0)][..]),
            // The earlier version did not read the timeout.
            (&[&long], 20, &[("long", 20)]),
            (&[&at_once], 20, &[("short", 20)]),
            (&[&plain, &long], 20, &[("plain", 20), ("long", 20)]),
            // Nothing changed.
            (&[&plain, &long], 90, &[("plain", 25), ("long", 90)]),
        ] {
            let policy = Policy::default();
            let resolved = Resolved::new(&declaration, Mode::Enforce, &policy, apps);
            let numbers = Numbers { deadline: Seconds::new(earlier_deadline), others: None, ..resolved.numbers() };
            let earlier = resolved.with_numbers(numbers);
            assert_eq!(earlier.numbers().deadline, numbers.deadline);
            for (name, deadline) in expected {
                assert_eq!(earlier.deadline_of(name).0, Seconds::new(*deadline), "{name} {earlier:?}");
            }
        }
    }

    #[test]
    fn the_numbers_of_the_containers_without_a_timeout_are_known() {
        let (plain, long) = (app("plain", &["app"]), app("long", &["gunicorn", "--graceful-timeout=26"]));
        let (declaration, policy) = (Declaration::default(), Policy::default());
        let earlier = Resolved::new(&declaration, Mode::Enforce, &policy, &[&plain, &long]);
        assert_eq!(earlier.numbers().others, Some(Seconds::new(25)));
        let policy = Policy { deadline: Seconds::new(40), ..Policy::default() };
        let later = Resolved::new(&declaration, Mode::Enforce, &policy, &[&plain, &long]);
        let kept = later.with_numbers(earlier.numbers());
        assert_eq!(kept.numbers(), earlier.numbers());
        assert_eq!((kept.deadline_of("plain").0, kept.deadline_of("long").0), (Seconds::new(25), Seconds::new(26)));
    }

    #[test]
    fn a_deadline_comes_from_the_annotation_the_setting_the_preset_or_the_policy_in_this_order() {
        let policy = Policy { deadline: Seconds::new(40), ..Policy::default() };
        let (plain, set) = (app("app", &["app"]), app("app", &["gunicorn", "--graceful-timeout=60"]));
        let preset = || crate::catalog::runtimes::Runtime::all().iter().find(|runtime| runtime.name == "gunicorn");
        for (annotation, app, runtime, expected) in [
            (Some(10), &set, preset(), 10),
            (None, &set, preset(), 60),
            (None, &plain, preset(), 30),
            (None, &plain, None, 40),
        ] {
            let deadline = annotation.map(Seconds::new);
            let declaration = Declaration { deadline, runtime, ..Declaration::default() };
            let resolved = Resolved::new(&declaration, Mode::Enforce, &policy, &[app]);
            assert_eq!(resolved.deadline, Seconds::new(expected), "{:?}", resolved.deadline_from);
        }
    }
}
