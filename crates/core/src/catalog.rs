//! Facts about load balancers, runtimes, platforms, sidecars and meshes: data with sources, in `data/`.

pub mod agents;
pub mod endpoints;
pub(crate) mod meshes;
pub mod minimal_images;
pub mod platforms;
pub mod runtimes;
pub mod settings;
pub mod sidecars;
pub mod stop_commands;
pub mod traffic;

use crate::suggestion::nearest;

/// The reason why a text is not the name of a preset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownPreset {
    /// A preset with a similar name exists.
    #[error("is not a preset; did you mean {0}?")]
    Typo(&'static str),
    /// No preset has a similar name.
    #[error("is not a preset; the presets are {0}")]
    Unknown(String),
}

fn preset<T>(text: &str, presets: &'static [T], name: fn(&T) -> &String) -> Result<&'static T, UnknownPreset> {
    if let Some(preset) = presets.iter().find(|preset| name(preset) == text) {
        return Ok(preset);
    }
    let names = || presets.iter().map(|preset| name(preset).as_str());
    Err(match nearest(text, names()) {
        Some(known) => UnknownPreset::Typo(known),
        None => UnknownPreset::Unknown(names().collect::<Vec<_>>().join(", ")),
    })
}

#[cfg(test)]
mod tests {
    /// Asserts that each preset has a unique name, a reason and sources.
    pub(super) fn assert_documented<'a>(presets: impl Iterator<Item = (&'a str, &'a str, &'a [String])>) {
        let presets: Vec<_> = presets.collect();
        assert!(!presets.is_empty());
        for (at, (name, why, sources)) in presets.iter().enumerate() {
            assert!(presets[..at].iter().all(|(other, ..)| other != name), "{name} twice");
            assert!(!why.is_empty() && !sources.is_empty(), "{name}");
            assert!(sources.iter().all(|source| source.starts_with("https://")), "{name}");
        }
    }
}
