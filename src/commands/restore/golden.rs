//! What a user sees who restores a workload, and of one with texts of another user.

use serde_json::json;

use super::rollouts::restored;
use super::target::Target;
use super::target::tests::injected;
use super::{print, question};
use crate::golden::{check, text_of};
use crate::render::screen::Screen;
use winddown_core::kind::Kind;

/// The differences, the question with the answer yes, and the line after the patch.
fn answered_with_yes(target: Target) -> String {
    let done = restored(&target);
    let targets = [target];
    let differences = text_of(|out| print(&targets, &Screen::plain().styles, out));
    format!("{differences}{} [y/N] y\n{done}\n", question(&targets))
}

#[test]
fn the_differences_the_question_and_the_result() {
    let mut object = injected();
    object["metadata"]["annotations"]["meta.helm.sh/release-name"] = json!("shop");
    let target = Target::of(Kind::Deployment, object, true).unwrap().unwrap();
    check("restore/web", &answered_with_yes(target));
}

#[test]
fn control_characters_keep_the_lines_apart() {
    let mut object = injected();
    object["metadata"]["annotations"]["meta.helm.sh/release-name"] = json!("a\u{1b}[31m\n+++ b");
    object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("app\u{9b}2K\r\n- x");
    let target = Target::of(Kind::Deployment, object, true).unwrap().unwrap();
    check("restore/hostile", &answered_with_yes(target));
}

#[test]
fn the_question_counts_the_workloads_and_those_whose_pods_are_replaced() {
    let mut settled = injected();
    settled["spec"]["template"]["metadata"]["annotations"] = json!({});
    let target = |object| Target::of(Kind::Deployment, object, true).unwrap().unwrap();
    let (rolls_out, stays) = (target(injected()), target(settled));
    assert_eq!(question(&[rolls_out.clone(), stays.clone()]), "Restore 2 workloads? The pods of 1 are replaced.");
    assert_eq!(question(&[stays]), "Restore 1 workload? No pod is replaced.");
}
