//! Whether the webhooks answer, and which namespaces they are not called for.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::core::{Selector, SelectorExt as _};
use serde_json::Value;

use super::policies;
use super::report::{Check, Page};
use super::webhooks::Hook;
use crate::cluster::lists::{Resource, Scope, Selection};
use crate::cluster::{Cluster, Error};
use crate::commands::admission::{self, Failure, TOO_SHORT};
use winddown_core::error_chain::ErrorChain;
use winddown_core::kind::Kind;

/// Excluded namespaces that are named; the others are counted.
const MAX_NAMED: usize = 10;

/// The title of the check of excluded namespaces.
const EXCLUDED: &str = "no annotated workload is in an excluded namespace";

/// The labels of all namespaces.
pub(super) type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

pub(super) async fn namespaces(cluster: &Cluster) -> Result<Namespaces, Error> {
    let mut found = Namespaces::new();
    let each = |metadata: ObjectMeta| {
        found.insert(metadata.name.unwrap_or_default(), metadata.labels.unwrap_or_default());
    };
    let all = Selection { scope: Scope::All, labels: None };
    cluster.list_metadata(Resource::cluster_scoped("v1", "namespaces"), &all, each).await?;
    Ok(found)
}

/// Creates workloads of all kinds in a namespace, as dry runs.
pub(super) async fn checks(
    cluster: &Cluster,
    namespace: &str,
    hook: Option<&Hook>,
    namespaces: Option<&Namespaces>,
) -> Vec<Check> {
    if let Some((reason, hint)) = hook.and_then(|hook| not_called(hook, namespace, namespaces)) {
        return vec![Check::unknown("the webhooks answer", reason, hint)];
    }
    let mut answers = Vec::new();
    for kind in Kind::ALL {
        let mutation = dry_run(cluster, namespace, kind, None).await;
        answers.push((kind, mutation, dry_run(cluster, namespace, kind, Some(TOO_SHORT)).await));
    }
    // Policies are read only where one was the reason.
    let raised = answers.iter().any(|(kind, _, short)| short.as_ref().is_ok_and(|short| is_raised(*kind, short)));
    let raising = if raised {
        policies::raising(cluster, namespace, namespaces.and_then(|namespaces| namespaces.get(namespace))).await
    } else {
        Ok(Vec::new())
    };
    let judged = answers
        .into_iter()
        .flat_map(|(kind, mutation, short)| [mutated(namespace, kind, mutation), rejected(kind, short, &raising)]);
    judged.collect()
}

async fn dry_run(cluster: &Cluster, namespace: &str, kind: Kind, grace_period: Option<i64>) -> Result<Value, Error> {
    let admitted = admission::dry_run(&cluster.client, namespace, kind, grace_period);
    cluster.within(format!("create a {kind} as a dry run"), admitted).await
}

/// Judges the answer about a workload that has to be mutated.
pub(super) fn mutated(namespace: &str, kind: Kind, answer: Result<Value, Error>) -> Check {
    let title = format!("a {kind} is mutated (dry run in the namespace {namespace})");
    match answer {
        Ok(admitted) => match admission::mutated(kind, &admitted) {
            Ok(_) => Check::ok(title),
            Err(failure) => not_called_for(title, &failure),
        },
        Err(error) => refused(title, &error),
    }
}

/// Only a policy with `whenGracePeriodTooSmall: Raise` leads to this.
fn is_raised(kind: Kind, admitted: &Value) -> bool {
    admission::mutated(kind, admitted).is_ok()
}

/// Judges the answer about a workload that has to be rejected, unless a policy raises its grace period.
pub(super) fn rejected(kind: Kind, answer: Result<Value, Error>, raising: &Result<Vec<String>, Error>) -> Check {
    let title = format!("a {kind} whose grace period is too short is rejected");
    match answer {
        Ok(admitted) if is_raised(kind, &admitted) => {
            let policy = match raising {
                Ok(names) if !names.is_empty() => listed(names.iter().map(String::as_str)),
                Ok(_) => "its name is not known".to_owned(),
                Err(error) => format!("its name is not known: {}", ErrorChain(error)),
            };
            let message = format!(
                "its grace period was raised, so nothing was rejected, by a ShutdownPolicy with \
                 whenGracePeriodTooSmall: Raise ({policy})"
            );
            Check::warning(title, message)
                .hint("to check a rejection, choose a namespace without this policy with -n")
                .see(Page::Policies)
        }
        Ok(_) => not_called_for(title, &Failure::NotRejected(kind)),
        Err(error) => match error.status() {
            Some(status) if admission::rejected(status).is_ok() => Check::ok(title),
            _ => refused(title, &error),
        },
    }
}

/// The request was admitted as if there were no webhook.
fn not_called_for(title: String, failure: &Failure) -> Check {
    let hint =
        "the webhook was not called, or gave no answer: look at the other checks, and at the log of the operator";
    Check::failed(title, failure.to_string(), hint).see(Page::Unavailable)
}

/// The request failed. Only an answer about the webhook is a failure of it.
fn refused(title: String, error: &Error) -> Check {
    match error.status() {
        Some(status)
            if status.code >= 500 && status.message.contains("webhook") && status.message.contains("winddown") =>
        {
            let hint = "failurePolicy is Fail: until the webhook answers, annotated workloads cannot be changed; look at the \
                replicas and their log, or switch Winddown off as the page says";
            Check::failed(title, status.message.clone(), hint).see(Page::Emergency)
        }
        Some(status) if status.message.contains("winddown.dev\" denied the request") => {
            let hint = "the webhook answers: a limit of a ShutdownPolicy is less than the drain of 5 s of this workload, or than \
                its 35 s; choose another namespace with -n";
            Check::unreadable(title, error).hint(hint).see(Page::Policies)
        }
        Some(status) if !error.is_missing_right() && status.code != 401 && (400..500).contains(&status.code) => {
            let hint = "this is no answer of Winddown: choose another namespace with -n, or look at what answered";
            Check::unreadable(title, error).hint(hint)
        }
        _ => Check::unreadable(title, error),
    }
}

/// Why the API server does not call the webhook for the workloads of the check, and what to do.
fn not_called(hook: &Hook, namespace: &str, namespaces: Option<&Namespaces>) -> Option<(String, &'static str)> {
    let labels = namespaces.and_then(|namespaces| namespaces.get(namespace));
    if labels.is_some_and(|labels| !matches(hook.namespaces.as_ref(), labels)) {
        let reason = format!("the namespace {namespace} is excluded by the namespaceSelector of {}", hook.name);
        return Some((reason, "choose another namespace with -n"));
    }
    let excluded = !matches(hook.objects.as_ref(), &admission::labels());
    excluded.then(|| {
        let reason = format!("the objectSelector of {} selects only workloads with certain labels", hook.name);
        (reason, "annotate a workload that has these labels, and look at it: kubectl winddown status TYPE/NAME")
    })
}

/// An absent or unreadable selector selects everything.
fn matches(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> bool {
    let selector = selector.cloned().and_then(|selector| Selector::try_from(selector).ok());
    selector.is_none_or(|selector| selector.matches(labels))
}

/// Says which namespaces and workloads the webhooks are not called for, and whether annotations there have no effect.
pub(super) async fn exclusions(
    cluster: &Cluster,
    hook: Option<&Hook>,
    namespaces: Result<&Namespaces, &Error>,
) -> Vec<Check> {
    let Some(hook) = hook else { return Vec::new() };
    let mut checks = Vec::new();
    match namespaces {
        Err(error) => checks.push(Check::unreadable(EXCLUDED, error)),
        Ok(namespaces) => {
            let excluded = namespaces.iter().filter(|(_, labels)| !matches(hook.namespaces.as_ref(), labels));
            let excluded: Vec<_> = excluded.map(|(name, _)| name.as_str()).collect();
            let annotated = annotated(cluster, excluded.iter().copied()).await;
            checks.push(without_effect(&excluded, annotated));
        }
    }
    let objects = hook.objects.as_ref().filter(|selector| **selector != LabelSelector::default());
    if let Some(selector) = objects.and_then(|selector| Selector::try_from(selector.clone()).ok()) {
        checks.push(Check::ok(format!("only workloads with {selector} are injected (objectSelector)")));
    }
    checks
}

/// Judges the annotated workloads in the excluded namespaces.
pub(super) fn without_effect(excluded: &[&str], annotated: Result<Vec<String>, Error>) -> Check {
    match annotated {
        Err(error) => Check::unreadable(EXCLUDED, &error),
        Ok(found) if found.is_empty() => {
            Check::ok(format!("{EXCLUDED} (excluded: {})", listed(excluded.iter().copied())))
        }
        Ok(found) => {
            let message = format!("nothing is injected into {}", listed(found.iter().map(String::as_str)));
            Check::warning(EXCLUDED, message)
                .hint("remove the annotations, or change webhook.mutating.namespaceSelector of the chart")
                .see(Page::Values)
        }
    }
}

/// The workloads with annotations in these namespaces.
async fn annotated(cluster: &Cluster, namespaces: impl Iterator<Item = &str>) -> Result<Vec<String>, Error> {
    let namespaces: BTreeSet<_> = namespaces.collect();
    if namespaces.is_empty() {
        return Ok(Vec::new());
    }
    let workloads = cluster.workload_metadata(&Selection { scope: Scope::All, labels: None }).await?;
    let is_excluded = |namespace: &str| namespaces.contains(namespace);
    let found = workloads.iter().filter(|workload| workload.is_declared() && is_excluded(workload.namespace()));
    Ok(found.map(|workload| format!("{} in {}", workload.workload, workload.namespace())).collect())
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count > MAX_NAMED => format!("{} and {} more", names[..MAX_NAMED].join(", "), count - MAX_NAMED),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;
    use kube::core::Status;
    use serde_json::json;

    use super::super::report::Outcome;
    use super::*;

    #[test]
    fn a_namespace_that_the_selector_excludes_says_nothing_about_the_webhook() {
        let requirement = LabelSelectorRequirement {
            key: "kubernetes.io/metadata.name".to_owned(),
            operator: "NotIn".to_owned(),
            values: Some(vec!["kube-system".to_owned()]),
        };
        let selector = LabelSelector { match_expressions: Some(vec![requirement]), ..LabelSelector::default() };
        let hook = Hook { namespaces: Some(selector), ..Hook::default() };
        let named =
            |name: &str| (name.to_owned(), [("kubernetes.io/metadata.name".to_owned(), name.to_owned())].into());
        let namespaces: Namespaces = ["kube-system", "shop"].map(named).into();
        assert!(not_called(&hook, "kube-system", Some(&namespaces)).is_some());
        assert_eq!(not_called(&hook, "shop", Some(&namespaces)), None);
        assert_eq!(not_called(&hook, "kube-system", None), None);
        let objects =
            LabelSelector { match_labels: Some([("team".to_owned(), "a".to_owned())].into()), ..Default::default() };
        let hook = Hook { objects: Some(objects), ..Hook::default() };
        assert!(not_called(&hook, "shop", Some(&namespaces)).is_some());
    }

    #[test]
    fn a_workload_that_a_policy_raises_is_a_warning_that_names_it() {
        let with = |grace: i64, sleep: &Value| {
            let container = json!({"lifecycle": {"preStop": {"sleep": sleep}}});
            let pod = json!({"terminationGracePeriodSeconds": grace, "containers": [container]});
            json!({"spec": {"template": {"spec": pod}}})
        };
        let raised = || Ok(with(35, &json!({"seconds": 5})));
        let forbidden = || {
            let status = Status::failure("User \"eve\" cannot list resource \"shutdownpolicies\"", "x").with_code(403);
            Error::new("list", kube::Error::Api(Box::new(status)))
        };
        for (answer, raising, outcome, part) in [
            (raised(), Ok(vec!["gold".to_owned()]), Outcome::Warning, "whenGracePeriodTooSmall: Raise (gold)"),
            (raised(), Err(forbidden()), Outcome::Warning, "cannot list resource"),
            (Ok(with(10, &Value::Null)), Ok(vec!["gold".to_owned()]), Outcome::Failed, "was admitted"),
        ] {
            let check = rejected(Kind::Deployment, answer, &raising);
            assert_eq!(check.outcome, outcome, "{check:?}");
            let json = serde_json::to_value(&check).unwrap();
            assert!(json["message"].as_str().is_some_and(|message| message.contains(part)), "{json}");
        }
    }

    #[test]
    fn only_an_answer_about_the_webhook_is_its_failure() {
        let answered = |code, message: &str| {
            let status = Status::failure(message, "x").with_code(code);
            refused(String::new(), &Error::new("create", kube::Error::Api(Box::new(status)))).outcome
        };
        assert_eq!(answered(500, "failed calling webhook \"mutate.winddown.dev\": refused"), Outcome::Failed);
        assert_eq!(answered(500, "failed calling webhook \"other.example.com\": refused"), Outcome::Unknown);
        let limit = r#"admission webhook "validate.winddown.dev" denied the request: GracePeriodAboveLimit"#;
        assert_eq!(answered(422, limit), Outcome::Unknown);
        assert_eq!(answered(403, "deployments.apps is forbidden: User \"eve\" cannot create"), Outcome::Unknown);
    }
}
