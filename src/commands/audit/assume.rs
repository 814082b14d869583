//! The value of `--assume`: annotations, or none.

use std::str::FromStr;

use winddown_core::annotations::{Assumption, AssumptionError};

/// What workloads without annotations are assumed to have.
#[derive(Clone, Debug)]
pub(super) enum Assume {
    /// Nothing: they are not evaluated.
    Nothing,
    Annotations(Assumption),
}

impl Assume {
    pub(super) fn annotations(&self) -> Option<&Assumption> {
        match self {
            Self::Nothing => None,
            Self::Annotations(assumption) => Some(assumption),
        }
    }
}

impl FromStr for Assume {
    type Err = AssumptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" { Ok(Self::Nothing) } else { text.parse().map(Self::Annotations) }
    }
}

#[cfg(test)]
mod tests {
    use super::Assume;

    #[test]
    fn nothing_is_assumed_with_the_word_none_only() {
        assert!("none".parse::<Assume>().unwrap().annotations().is_none());
        let assumed = "drain=5s,deadline=25s".parse::<Assume>().unwrap();
        assert_eq!(assumed.annotations().unwrap().to_string(), "drain=5s,deadline=25s");
        assert!("".parse::<Assume>().is_err() && "None".parse::<Assume>().is_err());
    }
}
