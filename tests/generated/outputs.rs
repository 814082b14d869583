//! The outputs of commands in `docs`: the golden files of `tests/golden`, as code blocks. The rest of the pages is written by
//! hand.

use crate::read;

/// The pages with outputs.
pub(crate) const PAGES: [&str; 2] = ["docs/audit.md", "docs/drill.md"];

const START: &str = "<!-- tests/golden/";
const END: &str = ".txt -->\n";

/// The code block with a golden file, for example `drill/clean`, without the exit code.
pub(crate) fn block(name: &str) -> String {
    let text = read(&format!("tests/golden/{name}.txt"));
    let output = text.rsplit_once("\nexit ").map_or(text.as_str(), |(output, _)| output);
    format!("```text\n{}\n```\n", output.trim_end())
}

/// The page with new blocks after the comments that name golden files.
pub(crate) fn with_outputs(page: &str) -> String {
    let (first, rest) = page.split_once(START).unwrap();
    let mut text = first.to_owned();
    for part in rest.split(START) {
        let (name, after) = part.split_once(END).unwrap();
        let (_, after) = after.strip_prefix("```text\n").unwrap().split_once("\n```\n").unwrap();
        text.extend([START, name, END, &block(name), after]);
    }
    text
}
