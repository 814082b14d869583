//! The SVG: what it shows of long and wide texts.

use serde_json::Value;
use textwrap::core::display_width;

use super::{FITS, plan};

const WIDTH: usize = 960;
/// At most, in the font of the image.
const COLUMN: usize = 8;

/// The position and the text of each line.
fn lines(svg: &str) -> Vec<(usize, String)> {
    let texts = svg.lines().filter(|line| line.starts_with("<text "));
    let read = |line: &str| {
        let (_, after) = line.split_once(" x=\"").unwrap();
        let (x, _) = after.split_once('"').unwrap();
        let (_, text) = after.strip_suffix("</text>").unwrap().split_once('>').unwrap();
        let characters = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];
        let text = characters.iter().fold(text.to_owned(), |text, (escaped, char)| text.replace(escaped, char));
        (x.parse().unwrap(), text)
    };
    texts.map(read).collect()
}

/// The findings of a manifest, as the image should show them.
fn findings(input: &str) -> Vec<String> {
    let rows: Value = serde_json::from_str(&plan(input, &["-o", "json"]).1).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let shown = |finding: &Value| {
        let severity = text(finding, "severity").to_lowercase();
        format!("{severity} {}: {}: {}", text(finding, "code"), text(finding, "field"), text(finding, "message"))
    };
    rows[0]["findings"].as_array().unwrap().iter().map(shown).collect()
}

/// A workload that does not fit, with these names.
fn misfit(workload: &str, container: &str) -> String {
    FITS.replace("    spec:\n", "    spec:\n      terminationGracePeriodSeconds: 30\n")
        .replace("name: shop", &format!("name: {workload}"))
        .replace(
            "name: app",
            &format!("name: {container}\n        lifecycle: {{preStop: {{exec: {{command: [sh, -c, \"a & b\"]}}}}}}"),
        )
}

fn without_spaces(text: &str) -> String {
    text.replace(' ', "")
}

#[test]
fn nothing_of_a_long_finding_is_lost() {
    for container in ["app", &"long-".repeat(60), &"x".repeat(300), &"停止".repeat(100)] {
        let input = misfit("shop", container);
        let (_, svg, _) = plan(&input, &["-o", "svg"]);
        let shown: String = lines(&svg).into_iter().map(|(_, text)| without_spaces(&text)).collect();
        let findings = findings(&input);
        assert!(findings.iter().any(|finding| finding.len() > 200), "{findings:?}");
        for finding in findings {
            assert!(shown.contains(&without_spaces(&finding)), "{finding} is not in\n{svg}");
        }
    }
}

#[test]
fn no_line_is_wider_than_the_image() {
    for name in ["app", &"long-".repeat(60), &"x".repeat(300), &"停止".repeat(100), &"停 ".repeat(400)] {
        let (_, svg, _) = plan(&misfit(name, name), &["-o", "svg"]);
        for (x, text) in lines(&svg) {
            assert!(x + display_width(&text) * COLUMN <= WIDTH, "{x}: {text}");
        }
    }
}

#[test]
fn names_beside_the_bars_end_before_them() {
    let (_, svg, _) = plan(&misfit("shop", &"停止".repeat(20)), &["-o", "svg"]);
    let lane = svg.lines().find(|line| line.starts_with("<text class=\"lane\"")).unwrap();
    let (x, text) = lines(lane).remove(0);
    let bar = svg.lines().find(|line| line.starts_with("<rect class=")).unwrap();
    let (_, after) = bar.split_once(" x=\"").unwrap();
    let begins: usize = after.split_once('"').unwrap().0.parse().unwrap();
    assert!(text.ends_with('…') && x + display_width(&text) * COLUMN <= begins, "{text} {begins}");
}

#[test]
fn further_lines_of_a_finding_are_indented() {
    let (_, svg, _) = plan(&misfit("shop", "app"), &["-o", "svg"]);
    let errors: Vec<_> = svg.lines().filter(|line| line.starts_with("<text class=\"error\"")).collect();
    let positions = lines(&errors.join("\n"));
    let first = positions.iter().position(|(_, text)| text.starts_with("error BudgetDoesNotFit")).unwrap();
    assert!(positions[first + 1].0 == positions[first].0 + 2 * COLUMN, "{positions:?}");
}
