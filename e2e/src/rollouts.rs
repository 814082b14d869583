//! How often a test repeats a rollout under load.

use std::env;

use anyhow::{Context as _, Result, ensure};

const VARIABLE: &str = "ROLLOUTS";

/// Without the variable.
const DEFAULT: u32 = 3;

const MAX: u32 = 100;

/// The number in the variable `ROLLOUTS`, 3 if it is not set. The figures in the documents come from 10.
pub fn rollouts() -> Result<u32> {
    let text = env::var_os(VARIABLE).unwrap_or_default();
    if text.is_empty() { Ok(DEFAULT) } else { parse(&text.to_string_lossy()) }
}

fn parse(text: &str) -> Result<u32> {
    let rollouts = text.parse().with_context(|| format!("{VARIABLE}={text}: expected a number from 1 to {MAX}"))?;
    ensure!((1..=MAX).contains(&rollouts), "{VARIABLE}={rollouts}: expected a number from 1 to {MAX}");
    Ok(rollouts)
}

#[cfg(test)]
mod tests {
    use super::{MAX, parse};

    #[test]
    fn numbers_from_1_to_100_are_accepted() {
        assert_eq!((parse("1").unwrap(), parse("100").unwrap()), (1, MAX));
        for text in ["0", "101", "-1", "ten", " 3"] {
            assert!(parse(text).unwrap_err().to_string().starts_with(&format!("ROLLOUTS={text}: expected")), "{text}");
        }
    }
}
