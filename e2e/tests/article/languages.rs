//! The same contract in four languages: rollouts drop nothing.

use anyhow::Result;
use futures::future::try_join_all;
use winddown_e2e::environment::Environment;
use winddown_e2e::rollouts::rollouts;
use winddown_e2e::suite::Test;
use winddown_e2e::tests;

use crate::arm::{Arm, HTTP_IMAGE};
use crate::record;

pub(crate) fn tests() -> Vec<Test> {
    tests![rollouts_of_all_four_languages_drop_nothing]
}

/// The name of the arm, the image, and the language.
const EXAMPLES: [(&str, &str, &str); 4] = [
    ("lang-node", HTTP_IMAGE, "JavaScript"),
    ("lang-axum", "winddown.local/axum-service:dev", "Rust"),
    ("lang-go", "winddown.local/go-service:dev", "Go"),
    ("lang-asgi", "winddown.local/asgi-service:dev", "Python"),
];

async fn rollouts_of_all_four_languages_drop_nothing(environment: Environment) -> Result<()> {
    let rollouts = rollouts()?;
    let arms = EXAMPLES.map(|(name, image, _)| Arm::of_image(name, image).roll_out(&environment, rollouts));
    let observed = try_join_all(arms).await?;
    observed.iter().try_for_each(crate::observed::Observed::ensure_clean)?;
    for ((_, _, language), observed) in EXAMPLES.iter().zip(&observed) {
        record::right("S14", language, observed.facts())?;
    }
    Ok(())
}
