//! `docs/rights.md`: what each command of the plugin may need to do.

use std::fmt::Write as _;

use winddown::rights::{ALL, Needs, Place, Right};

pub(crate) const PAGE: &str = "docs/rights.md";

pub(crate) fn page() -> String {
    let mut text = "\
# Rights

The commands of `kubectl winddown` use only the rights of their user, never those of the operator. A message about a
missing right names user, verb, resource and namespace, as the API server says it. The last column says what happens
without the right.

Each section has the rights of one command as a table, and as roles to bind. Bind a ClusterRole with a
ClusterRoleBinding. For one namespace (`-n`), a RoleBinding in it is enough for all rows but those of the whole cluster.

To show, without a change, whether a user has a right:

```sh
kubectl auth can-i list deployments.apps --as alice -A
```
"
    .to_owned();
    for needs in &ALL {
        section(&mut text, needs);
    }
    text
}

fn section(text: &mut String, needs: &Needs) {
    writeln!(text, "\n## kubectl winddown {}\n", needs.command).unwrap();
    if let Some(also) = needs.also {
        let anchor = format!("kubectl-winddown-{also}");
        writeln!(text, "These, and those of [`kubectl winddown {also}`](#{anchor}).\n").unwrap();
    }
    writeln!(text, "| verbs | resources | where | for | without it |\n| --- | --- | --- | --- | --- |").unwrap();
    for right in needs.rights {
        let Right { group, resources, verbs, purpose, without, .. } = right;
        let group = if group.is_empty() { String::new() } else { format!(" ({group})") };
        let place = match right.place {
            Place::Workloads => "namespaces of the workloads",
            Place::Cluster => "whole cluster",
            Place::Operator => "namespace of the operator",
        };
        let (verbs, resources) = (verbs.join(", "), resources.join(", "));
        writeln!(text, "| {verbs} | {resources}{group} | {place} | {purpose} | {without} |").unwrap();
    }
    let name = format!("winddown-{}", needs.command.replace(" --", "-"));
    let (operator, others): (Vec<&Right>, Vec<_>) =
        needs.rights.iter().partition(|right| right.place == Place::Operator);
    role(text, "ClusterRole", &[("name", &name)], &others);
    if !operator.is_empty() {
        writeln!(text, "\nIn the namespace of the operator; the names are those of the chart's default release:")
            .unwrap();
        role(text, "Role", &[("name", &name), ("namespace", "winddown")], &operator);
    }
}

fn role(text: &mut String, kind: &str, metadata: &[(&str, &str)], rights: &[&Right]) {
    write!(text, "\n```yaml\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n").unwrap();
    for (key, value) in metadata {
        writeln!(text, "  {key}: {value}").unwrap();
    }
    writeln!(text, "rules:").unwrap();
    for (group, resources, verbs) in rules(rights) {
        let group = if group.is_empty() { "\"\"" } else { group };
        writeln!(
            text,
            "- apiGroups: [{group}]\n  resources: [{}]\n  verbs: [{}]",
            resources.join(", "),
            verbs.join(", ")
        )
        .unwrap();
        match resources[..] {
            ["secrets"] => writeln!(text, "  resourceNames: [winddown-ca]").unwrap(),
            ["leases"] => writeln!(text, "  resourceNames: [winddown]").unwrap(),
            _ => {}
        }
    }
    writeln!(text, "```").unwrap();
}

/// Group, resources, and all verbs on them.
type Rule = (&'static str, &'static [&'static str], Vec<&'static str>);

/// The rights as few rules: one for the same resources, and one for each place is one for the cluster.
fn rules(rights: &[&Right]) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for right in rights {
        let same =
            rules.iter_mut().find(|(group, resources, _)| *group == right.group && *resources == right.resources);
        match same {
            Some((_, _, verbs)) => verbs.extend(right.verbs),
            None => rules.push((right.group, right.resources, right.verbs.to_vec())),
        }
    }
    // Where a role has a right for several resources, it needs none for one of them.
    let all = rules.clone();
    rules.retain(|(group, resources, verbs)| {
        !all.iter().any(|(of, more, also)| {
            of == group
                && more.len() > resources.len()
                && resources.iter().all(|resource| more.contains(resource))
                && verbs.iter().all(|verb| also.contains(verb))
        })
    });
    rules
}
