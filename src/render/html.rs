//! One HTML page about the workloads of a cluster, for people: it loads nothing, and works without JavaScript and on paper.
//!
//! `maud` escapes every text and attribute. If that failed, the policy in the head would still forbid other scripts and styles
//! than these two, by their hashes, and every request.

mod chart;
mod summary;
mod workload;

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::survey::Survey;
use super::survey::overview::Overview;
use super::workload::Workload;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/page.js");

/// Writes the page. `date` is that of the survey, in words.
pub(crate) fn page(survey: &Survey, workloads: &[Workload], date: &str, out: &mut impl Write) -> io::Result<()> {
    let overview = Overview::of(workloads);
    let title = format!("Shutdown audit of {}", survey.place());
    write!(out, "{}", DOCTYPE.into_string())?;
    write!(out, "<html lang=\"en\">{}<body>", head(&title).into_string())?;
    write!(out, "{}", summary::header(survey, &overview, date).into_string())?;
    write!(out, "<main>{}", summary::numbers(survey, &overview).into_string())?;
    write!(out, "<section aria-labelledby=\"workloads\">{}", summary::controls(workloads).into_string())?;
    writeln!(out, "<div class=\"list\">")?;
    // One shows what is in all of them: the first with a picture of its losses.
    let open = workloads.iter().position(|workload| !workload.losses().is_empty()).unwrap_or(0);
    for (at, workload) in workloads.iter().enumerate() {
        writeln!(out, "{}", workload::entry(workload, survey, at == open)?.into_string())?;
    }
    write!(out, "</div></section></main>{}", summary::footer(survey).into_string())?;
    writeln!(out, "{}</body></html>", html! { script { (PreEscaped(SCRIPT)) } }.into_string())
}

fn head(title: &str) -> Markup {
    let (script, style) = (hash(SCRIPT), hash(STYLE));
    let policy = format!(
        "default-src 'none'; script-src {script}; style-src {style}; img-src data:; base-uri 'none'; form-action 'none'"
    );
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="referrer" content="no-referrer";
            meta name="robots" content="noindex";
            link rel="icon" href="data:,";
            title { (title) }
            style { (PreEscaped(STYLE)) }
        }
    }
}

/// The hash of an inline script or style, as in a Content-Security-Policy.
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests;
