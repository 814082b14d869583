//! The environment of a container, and the references to it in commands.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;

use k8s_openapi::api::core::v1::Container;

/// Stands for text that the manifest does not contain. No value of a setting contains it.
pub(crate) const UNKNOWN: char = '\u{fffd}';
pub(crate) const UNKNOWN_TEXT: &str = "\u{fffd}";

/// How many bytes expanded references may add for each container. References to references could add any number.
const MOST_EXPANDED: usize = 16 * 1024;

/// The longest name of a variable in a reference, in bytes.
const LONGEST_NAME: usize = 128;

/// The variables of a container.
pub(crate) struct Environment<'a> {
    values: HashMap<&'a str, Cow<'a, str>>,
    left: Cell<usize>,
}

impl<'a> Environment<'a> {
    /// The variables in `env`. Those of `envFrom`, of the image and of Services are not in the manifest.
    pub(crate) fn of(container: &'a Container) -> Self {
        let mut environment = Self { values: HashMap::new(), left: Cell::new(MOST_EXPANDED) };
        for variable in container.env.iter().flatten() {
            let value = match &variable.value_from {
                Some(_) => Cow::Borrowed(UNKNOWN_TEXT),
                // References see the variables before this one.
                None => environment.expand(variable.value.as_deref().unwrap_or_default()),
            };
            environment.values.insert(&variable.name, value);
        }
        environment
    }

    /// The value of a variable, with [`UNKNOWN`] for text that the manifest does not contain.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(Cow::as_ref)
    }

    /// Every variable with its value, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (*name, value.as_ref()))
    }

    /// The text with the references `$(NAME)` that the kubelet replaces: those to known variables. `$$` is `$`.
    pub(crate) fn expand<'text>(&self, text: &'text str) -> Cow<'text, str> {
        if !text.contains("$(") && !text.contains("$$") {
            return Cow::Borrowed(text);
        }
        let (mut expanded, mut rest) = (String::new(), text);
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let reference = rest.strip_prefix('(').and_then(reference);
            if let Some(after) = rest.strip_prefix('$') {
                expanded.push('$');
                rest = after;
            } else if let Some((name, after)) = reference
                && let Some(value) = self.get(name)
            {
                expanded.push_str(self.within_limit(value));
                rest = after;
            } else {
                expanded.push('$');
            }
        }
        expanded.push_str(rest);
        Cow::Owned(expanded)
    }

    /// The value, or [`UNKNOWN`] if too much was expanded.
    pub(crate) fn within_limit<'text>(&self, value: &'text str) -> &'text str {
        match self.left.get().checked_sub(value.len()) {
            Some(left) => {
                self.left.set(left);
                value
            }
            None => UNKNOWN_TEXT,
        }
    }
}

/// The name at the start of a text, and what follows its `)`. Names have no `(`, and their length is limited, so no text is
/// searched again and again.
fn reference(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().take(LONGEST_NAME).position(|byte| matches!(byte, b'(' | b')'))?;
    Some((text.get(..end)?, text.get(end..)?.strip_prefix(')')?))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource};

    use super::Environment;

    fn container(variables: &[(&str, &str)]) -> Container {
        let variable = |(name, value): &(&str, &str)| EnvVar {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            value_from: None,
        };
        Container { env: Some(variables.iter().map(variable).collect()), ..Container::default() }
    }

    #[test]
    fn references_are_replaced_as_by_the_kubelet() {
        let container = container(&[("A", "1"), ("B", "$(A)2$(C)"), ("C", "3"), ("D", "$$(A)"), ("E", "$A $(A")]);
        let environment = Environment::of(&container);
        for (name, value) in [("A", "1"), ("B", "12$(C)"), ("D", "$(A)"), ("E", "$A $(A")] {
            assert_eq!(environment.get(name), Some(value), "{name}");
        }
        assert_eq!(environment.get("F"), None);
        assert_eq!(environment.expand("--timeout=$(A)$(C) $(F)"), "--timeout=13 $(F)");
    }

    #[test]
    fn the_last_of_several_variables_counts() {
        assert_eq!(Environment::of(&container(&[("A", "1"), ("A", "2")])).get("A"), Some("2"));
    }

    #[test]
    fn a_value_from_elsewhere_is_unknown() {
        let mut container = container(&[("A", ""), ("B", "x$(A)")]);
        container.env.as_mut().unwrap()[0].value_from = Some(EnvVarSource::default());
        let environment = Environment::of(&container);
        assert_eq!((environment.get("A"), environment.get("B")), (Some("\u{fffd}"), Some("x\u{fffd}")));
    }

    #[test]
    fn expansion_is_limited() {
        let mut variables = vec![("A".to_owned(), "x".repeat(1000))];
        for at in 0..100 {
            let before = variables.last().unwrap().0.clone();
            variables.push((format!("V{at}"), format!("$({before})").repeat(10)));
        }
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let container = container(&variables);
        let size: usize = Environment::of(&container).values.values().map(|value| value.len()).sum();
        assert!(size < 50_000, "{size}");
    }
}
