//! The variables that a script sees before it sets any.

use k8s_openapi::api::core::v1::Container;

use super::app::App;
use crate::pod::environment::{Environment, UNKNOWN};

/// The environment of a container, as far as the manifest shows it.
pub(crate) struct Variables<'a> {
    values: Environment<'a>,
    /// Whether there may be others: `envFrom`. (The image may also set variables; hooks rarely use these.)
    open: bool,
    /// The app that a signal reaches.
    pub(super) app: App,
}

/// What the manifest says about a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable<'a> {
    Known(&'a str),
    /// It has a value, or may have one, that the manifest does not show.
    Hidden,
    /// The manifest does not set it.
    Unset,
}

impl<'a> Variables<'a> {
    pub(crate) fn of(container: &'a Container) -> Self {
        let open = container.env_from.iter().flatten().next().is_some();
        Self { values: Environment::of(container), open, app: App::of(container) }
    }

    pub(crate) fn get(&self, name: &str) -> Variable<'_> {
        match self.values.get(name) {
            Some(value) if value.contains(UNKNOWN) => Variable::Hidden,
            Some(value) => Variable::Known(value),
            None if self.open => Variable::Hidden,
            None => Variable::Unset,
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Container;
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::{Variable, Variables};

    fn container(container: &Value) -> Container {
        Container::deserialize(container).unwrap()
    }

    #[test]
    fn only_literal_values_are_known() {
        let reference = json!({"fieldRef": {"fieldPath": "metadata.name"}});
        let container = container(&json!({"name": "app", "env": [
            {"name": "DRAIN", "value": "15"},
            {"name": "POD", "valueFrom": reference},
            {"name": "EMPTY"},
            {"name": "OF_POD", "value": "$(POD)"},
            {"name": "UNITS", "value": "$(DRAIN)s"},
        ]}));
        let variables = Variables::of(&container);
        for (name, expected) in [
            ("DRAIN", Variable::Known("15")),
            ("POD", Variable::Hidden),
            ("EMPTY", Variable::Known("")),
            ("OF_POD", Variable::Hidden),
            ("UNITS", Variable::Known("15s")),
            ("OTHER", Variable::Unset),
        ] {
            assert_eq!(variables.get(name), expected, "{name}");
        }
    }

    #[test]
    fn other_variables_may_come_from_a_config_map() {
        let container = container(&json!({"name": "app", "envFrom": [{"configMapRef": {"name": "x"}}]}));
        assert_eq!(Variables::of(&container).get("DRAIN"), Variable::Hidden);
    }
}
