//! `winddown explain`: what a finding means, why it matters and what to do about it.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;

use crate::render::styles::Styles;
use winddown_core::finding::{Code, page};
use winddown_core::suggestion::nearest;

const EXAMPLES: &str = "\
Examples:
  winddown explain                       every kind of finding in a line
  winddown explain BudgetDoesNotFit      why it matters, what to do, where that comes from";

/// Flags of `winddown explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The finding to explain, as winddown plan names it; without one, all are listed
    #[arg(value_parser = CodeParser, hide_possible_values = true)]
    code: Option<Code>,
}

/// Prints the page of a finding, or all findings in columns.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    let mut stdout = io::stdout().lock();
    let styles = Styles::of(&stdout);
    let printed = match arguments.code {
        Some(code) => explain(code, &styles, &mut stdout),
        None => list(&styles, &mut stdout),
    };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("winddown: cannot write the page: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn explain(code: Code, styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let bold = styles.heading;
    let mut in_block = false;
    for line in page(code).lines() {
        in_block ^= line.starts_with("```");
        if line.starts_with('#') && !in_block {
            writeln!(out, "{bold}{line}{bold:#}")?;
        } else {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()
}

fn list(styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let width = Code::ALL.iter().map(|code| code.as_str().len()).max().unwrap_or(0);
    for code in Code::ALL {
        let (severity, style) = (code.severity().as_str(), styles.severity(code.severity()));
        writeln!(out, "{:width$}  {style}{severity:7}{style:#}  {}", code.as_str(), code.title())?;
    }
    out.flush()
}

/// Reads a code however it is capitalised, and knows what a typo meant.
#[derive(Clone)]
struct CodeParser;

impl TypedValueParser for CodeParser {
    type Value = Code;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Code, clap::Error> {
        named(&value.to_string_lossy())
            .map_err(|message| clap::Error::raw(ErrorKind::InvalidValue, message).with_cmd(command))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Code::ALL.iter().map(|code| PossibleValue::new(code.as_str()).help(code.title()))))
    }
}

fn named(text: &str) -> Result<Code, String> {
    let written = text.to_lowercase();
    let known: Vec<_> = Code::ALL.iter().map(|code| (code.as_str().to_lowercase(), *code)).collect();
    let code = |name: &str| known.iter().find(|(known, _)| known == name).map(|(_, code)| *code);
    code(&written).ok_or_else(|| {
        let meant = nearest(&written, known.iter().map(|(name, _)| name.as_str())).and_then(code);
        match meant {
            Some(meant) => format!("{text:?} is not a finding; did you mean {}?\n", meant.as_str()),
            None => format!("{text:?} is not a finding; winddown explain lists all of them\n"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Code, Styles, explain, list, named};

    fn printed(print: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_page_is_printed_as_it_is_written_with_headings_in_bold_on_a_terminal() {
        let plain = printed(|out| explain(Code::RestartDelayed, &Styles::plain(), out));
        assert_eq!(plain.trim_end(), winddown_core::finding::page(Code::RestartDelayed).trim_end());
        let coloured = printed(|out| explain(Code::RestartDelayed, &Styles::coloured(), out));
        assert!(coloured.contains("\u{1b}[1m## Why\u{1b}[0m\n"), "{coloured:?}");
    }

    #[test]
    fn the_list_has_a_line_for_every_code() {
        let list = printed(|out| list(&Styles::plain(), out));
        assert_eq!(list.lines().count(), Code::ALL.len());
        let columns = |line: &str| line.split_whitespace().take(3).map(str::to_owned).collect::<Vec<_>>();
        assert!(list.lines().any(|line| columns(line) == ["BudgetDoesNotFit", "error", "drain"]), "{list}");
    }

    #[test]
    fn a_code_is_known_however_it_is_written_and_a_typo_by_its_neighbour() {
        assert_eq!(named("budgetdoesnotfit"), Ok(Code::BudgetDoesNotFit));
        assert!(named("BudgetDoesntFit").unwrap_err().contains("did you mean BudgetDoesNotFit?"));
        assert!(named("x\u{1b}").unwrap_err().contains("winddown explain lists all"));
    }
}
