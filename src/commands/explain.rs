//! `winddown explain`: shows the page of a finding.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;

use crate::message::message;
use crate::render::styles::Styles;
use winddown_core::finding::Code;
use winddown_core::suggestion::nearest;

const EXAMPLES: &str = "\
Examples:
  # List all findings
  winddown explain

  # Show why a finding matters, how to fix it, and the sources
  winddown explain BudgetDoesNotFit

Exit codes:
  0  the page or the list was printed
  1  the output cannot be written
  2  the code is unknown";

/// Flags of `winddown explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Code of a finding, as in the output of plan or audit; without it, all findings are listed
    #[arg(value_parser = CodeParser, hide_possible_values = true)]
    code: Option<Code>,
}

/// Prints the page of a finding, or the list of all findings.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    let mut stdout = io::stdout().lock();
    let styles = Styles::for_stream(&stdout);
    let printed = match arguments.code {
        Some(code) => explain(code, &styles, &mut stdout),
        None => list(&styles, &mut stdout),
    };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            message!("winddown: cannot write the output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn explain(code: Code, styles: &Styles, out: &mut impl Write) -> io::Result<()> {
    let bold = styles.heading;
    let mut in_block = false;
    for line in code.page().lines() {
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

/// Parses a code, ignoring case, and suggests one for a typo.
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
        // As it is typed: `winddown explain` or `kubectl winddown explain`.
        let list = command.get_bin_name().unwrap_or("winddown explain");
        parse(&value.to_string_lossy(), list)
            .map_err(|message| clap::Error::raw(ErrorKind::InvalidValue, message).with_cmd(command))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Code::ALL.iter().map(|code| PossibleValue::new(code.as_str()).help(code.title()))))
    }
}

/// `list` is the command that prints all codes.
fn parse(text: &str, list: &str) -> Result<Code, String> {
    let lower_case = text.to_lowercase();
    let known: Vec<_> = Code::ALL.iter().map(|code| (code.as_str().to_lowercase(), *code)).collect();
    let code = |name: &str| known.iter().find(|(known, _)| known == name).map(|(_, code)| *code);
    code(&lower_case).ok_or_else(|| {
        let suggestion = nearest(&lower_case, known.iter().map(|(name, _)| name.as_str())).and_then(code);
        match suggestion {
            Some(code) => format!("unknown finding {text:?}; did you mean {}?\n", code.as_str()),
            None => format!("unknown finding {text:?}; for a list run {list}\n"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Code, Styles, explain, list, parse};

    fn printed(print: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_page_is_printed_verbatim_with_bold_headings_on_a_terminal() {
        let plain = printed(|out| explain(Code::RestartDelayed, &Styles::plain(), out));
        assert_eq!(plain.trim_end(), Code::RestartDelayed.page().trim_end());
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
    fn a_code_is_parsed_in_any_case_and_a_typo_gets_a_suggestion() {
        assert_eq!(parse("budgetdoesnotfit", "explain"), Ok(Code::BudgetDoesNotFit));
        assert!(parse("BudgetDoesntFit", "explain").unwrap_err().contains("did you mean BudgetDoesNotFit?"));
        assert!(parse("x\u{1b}", "kubectl winddown explain").unwrap_err().contains("run kubectl winddown explain\n"));
    }
}
