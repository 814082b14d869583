//! Scripts on the command line of Python, Perl, Ruby and PHP: `python -c "import time; time.sleep(15)"`.

use std::time::Duration;

use super::effect::Effect;
use super::sleep::duration;
use super::statements::{Statement, sequence};

/// What an interpreter does with these arguments; `None` for other programs.
pub(super) fn effect(name: &str, arguments: &[Option<String>]) -> Option<Effect> {
    let option = match name.trim_end_matches(|char: char| char.is_ascii_digit() || char == '.') {
        "python" | "pypy" => "-c",
        "perl" | "ruby" => "-e",
        "php" => "-r",
        _ => return None,
    };
    let at = arguments.iter().position(|word| word.as_deref() == Some(option))?;
    let text = arguments.get(at + 1)?.as_deref()?;
    Some(sequence(text.split([';', '\n']).filter(|statement| !statement.trim().is_empty()).map(statement)))
}

fn statement(text: &str) -> Statement {
    const BRANCHES: [&str; 9] = ["if", "for", "while", "until", "unless", "try", "with", "def", "class"];
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let first = text.trim_start().split(|char| !is_word(char)).next().unwrap_or_default();
    // An indented line belongs to a block.
    let is_indented = text.starts_with(['\t']) || text.starts_with("  ");
    let words = || text.split(|char| !is_word(char));
    if is_indented
        || text.contains(['{', '}', '#', '?'])
        || words().any(|word| BRANCHES.contains(&word) || word == "or")
    {
        return Statement::Branches;
    }
    let has = |names: &[&str]| words().any(|word| names.contains(&word));
    if has(&["kill"]) && has(&["TERM", "SIGTERM", "INT", "SIGINT", "QUIT", "SIGQUIT"]) {
        return Statement::Stops;
    }
    match first {
        "import" | "from" | "use" | "require" | "print" | "puts" | "echo" => Statement::IMMEDIATE,
        _ => sleep(text.trim()).map_or(Statement::UNKNOWN, Statement::sleeps),
    }
}

/// `time.sleep(15)`, `sleep(15)` or `sleep 15`.
fn sleep(statement: &str) -> Option<Duration> {
    let rest = statement.strip_prefix("time.").unwrap_or(statement).strip_prefix("sleep")?;
    let number = match rest.trim().strip_prefix('(') {
        Some(inside) => inside.strip_suffix(')')?,
        None => rest.strip_prefix(' ')?,
    };
    let number = number.trim();
    duration(number).filter(|_| number.ends_with(|char: char| char.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::effect::Span;
    use super::effect;

    fn time(line: &[&str]) -> Option<Span> {
        let words: Vec<_> = line[1..].iter().map(|word| Some((*word).to_owned())).collect();
        effect(line[0], &words).map(|effect| effect.time)
    }

    #[test]
    fn every_sleep_that_certainly_runs_counts() {
        for line in [
            &["python", "-c", "import time; time.sleep(15)"][..],
            &["python3", "-c", "from time import sleep; sleep( 15 )"],
            &["python3.12", "-u", "-c", "import time\ntime.sleep(10)\ntime.sleep(5.0)\n"],
            &["python3", "-c", "import time; print('bye'); time.sleep(15)"],
            &["perl", "-e", "sleep 15"],
            &["ruby", "-e", "sleep 15"],
            &["php", "-r", "sleep(15);"],
        ] {
            assert_eq!(time(line), Some(Span::exactly(Duration::from_secs(15))), "{line:?}");
        }
    }

    #[test]
    fn a_signal_to_the_app_ends_the_drain() {
        for line in [
            &["python3", "-c", "import os, signal, time; time.sleep(5); os.kill(1, signal.SIGTERM); time.sleep(15)"][..],
            &["ruby", "-e", "sleep 5; Process.kill('TERM', 1); sleep 15"],
            &["perl", "-e", "sleep 5; kill 'TERM', 1; sleep 15"],
        ] {
            let words: Vec<_> = line[1..].iter().map(|word| Some((*word).to_owned())).collect();
            let effect = effect(line[0], &words).unwrap();
            assert_eq!(effect.signal.map(|signal| signal.after), Some(Duration::from_secs(5)), "{line:?}");
        }
    }

    #[test]
    fn other_statements_have_an_unknown_duration() {
        for (line, least) in [
            (&["python3", "-c", "import time, app; app.drain(); time.sleep(15)"][..], 15),
            (&["python3", "-c", "import time\nif x:\n  time.sleep(15)"], 0),
            (&["python3", "-c", "import time\nfor i in range(3): time.sleep(15)"], 0),
            (&["python3", "-c", "import time; time.sleep(x)"], 0),
            (&["python3", "-c", "import time; time.sleep(15) if x else None"], 0),
            (&["python3", "-c", "import time; time.sleep('15s')"], 0),
            (&["perl", "-e", "sleep 15 if $x"], 0),
            (&["perl", "-e", "drain() or sleep 15"], 0),
        ] {
            assert_eq!(time(line), Some(Span::at_least(Duration::from_secs(least))), "{line:?}");
        }
        for line in [&["python3", "drain.py"][..], &["python3", "-c"], &["node", "-e", "x"], &["php", "artisan"]] {
            assert_eq!(time(line), None, "{line:?}");
        }
    }
}
