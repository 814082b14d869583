//! The path of a field in a workload, in the notation of the API server.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use crate::sanitize::escaped;

/// A path such as `spec.template.spec.containers[app].lifecycle.preStop`.
///
/// The name of a container and the key of a map entry are in brackets, as in the messages of the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Segment>);

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A field of an object: `.spec`.
    Field(Cow<'static, str>),
    /// An entry of a map, or the item of a list with that name: `[app]`.
    Key(String),
    /// An item of a list by its position, from 0: `[0]`.
    Index(usize),
}

impl FieldPath {
    /// A path of plain fields, given with dots: `spec.strategy.type`.
    #[must_use]
    pub fn new(dotted: &'static str) -> Self {
        Self::default().join(dotted)
    }

    /// A field of the pod spec, given with dots.
    #[must_use]
    pub fn pod(dotted: &'static str) -> Self {
        Self::new("spec.template.spec").join(dotted)
    }

    /// A field of a main container, given with dots.
    #[must_use]
    pub fn container(name: &str, dotted: &'static str) -> Self {
        Self::pod("containers").key(name).join(dotted)
    }

    /// An annotation of the workload.
    #[must_use]
    pub fn annotation(key: &str) -> Self {
        Self::new("metadata.annotations").key(key)
    }

    /// An annotation of the pod template.
    #[must_use]
    pub fn template_annotation(key: &str) -> Self {
        Self::new("spec.template.metadata.annotations").key(key)
    }

    /// A field below this one, given with dots.
    #[must_use]
    pub fn join(mut self, dotted: &'static str) -> Self {
        let fields = dotted.split('.').filter(|field| !field.is_empty());
        self.0.extend(fields.map(|field| Segment::Field(Cow::Borrowed(field))));
        self
    }

    /// An entry below this one.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Segment::Key(key.into()));
        self
    }

    /// An item below this one, or a field with a name that is known only at run time.
    #[must_use]
    pub fn push(mut self, segment: Segment) -> Self {
        self.0.push(segment);
        self
    }

    /// The steps from the root of the object.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The short form for messages of limited length: relative to the pod spec, the workload's metadata or its spec.
    #[must_use]
    pub fn short(&self) -> Self {
        const KNOWN: [&[&str]; 3] = [&["spec", "template", "spec"], &["metadata"], &["spec"]];
        let starts_with = |prefix: &[&str]| {
            self.0.len() > prefix.len()
                && prefix
                    .iter()
                    .zip(&self.0)
                    .all(|(name, segment)| matches!(segment, Segment::Field(field) if field == name))
        };
        let known = KNOWN.iter().find(|prefix| starts_with(prefix)).map_or(0, |prefix| prefix.len());
        Self(self.0[known..].to_vec())
    }
}

impl fmt::Display for FieldPath {
    /// One line without control characters: keys in a manifest can contain any character.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(field) => {
                    if position > 0 {
                        f.write_char('.')?;
                    }
                    f.write_str(&escaped(field))?;
                }
                Segment::Key(key) => write!(f, "[{}]", escaped(key))?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldPath, Segment};

    #[test]
    fn paths_have_the_notation_of_the_api_server() {
        for (path, text, short) in [
            (FieldPath::new("spec.strategy.type"), "spec.strategy.type", "strategy.type"),
            (FieldPath::pod("hostNetwork"), "spec.template.spec.hostNetwork", "hostNetwork"),
            (
                FieldPath::container("app", "lifecycle.preStop"),
                "spec.template.spec.containers[app].lifecycle.preStop",
                "containers[app].lifecycle.preStop",
            ),
            (
                FieldPath::annotation("winddown.dev/drain"),
                "metadata.annotations[winddown.dev/drain]",
                "annotations[winddown.dev/drain]",
            ),
            (
                FieldPath::template_annotation("a"),
                "spec.template.metadata.annotations[a]",
                "template.metadata.annotations[a]",
            ),
            (
                FieldPath::pod("containers").push(Segment::Index(1)).join("image"),
                "spec.template.spec.containers[1].image",
                "containers[1].image",
            ),
            (FieldPath::new("spec"), "spec", "spec"),
        ] {
            assert_eq!((path.to_string().as_str(), path.short().to_string().as_str()), (text, short));
        }
    }

    #[test]
    fn control_characters_in_keys_are_escaped() {
        let path = FieldPath::container("a\u{1b}[31m\n", "image");
        assert_eq!(path.to_string(), "spec.template.spec.containers[a\\u{1b}[31m\\n].image");
    }
}
