//! A field about the shutdown in a place where the API does not have it, or is misspelt.

use k8s_openapi::api::core::v1::{Container, Probe};

use crate::duration::Seconds;
use crate::field_path::{FieldPath, Segment};
use crate::finding::{Code, Finding, Severity};
use crate::pod::sidecars::native_sidecars;
use crate::rule::{Check, Rule, Subject};
use crate::workload::misplaced::Misplaced;

pub(crate) const RULE: Rule = Rule {
    code: Code::MisplacedField,
    severity: Severity::Warning,
    title: "A grace period or a hook is in a place where it has no effect, or another effect.",
    page: PAGE,
    check: Check::Plan(check),
};

fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let unknown = subject.workload.misplaced.iter().map(unknown);
    unknown.chain(in_probes(subject)).collect()
}

fn unknown(misplaced: &Misplaced) -> Finding {
    let Misplaced { field, name, home } = misplaced;
    let problem = "is no field of the API in this place: kubectl rejects it, other clients drop it with a warning";
    let written = field.segments().last();
    let is_exact = matches!(written, Some(Segment::Field(written)) if written == name);
    let hint = if is_exact { format!("move it to {home}") } else { format!("write {name}, in {home}") };
    RULE.finding(field.clone(), problem).hint(hint)
}

/// The grace period of a probe replaces that of the pod only when this probe fails. It is meant to be shorter.
fn in_probes(subject: &Subject<'_>) -> Vec<Finding> {
    let (pod, grace_period) = (&subject.workload.pod, subject.budget().grace_period);
    let of_container = |list: &'static str, container: &Container| {
        let probes: [(_, &Option<Probe>); 3] = [
            ("readinessProbe", &container.readiness_probe),
            ("livenessProbe", &container.liveness_probe),
            ("startupProbe", &container.startup_probe),
        ];
        let found = probes.into_iter().filter_map(|(name, probe)| {
            let seconds = Seconds::from_api(probe.as_ref()?.termination_grace_period_seconds?);
            let field = FieldPath::pod(list).key(&container.name).join(name).join("terminationGracePeriodSeconds");
            let problem = match name {
                "readinessProbe" => "is rejected by the API server: a readiness probe stops no container".to_owned(),
                _ if seconds > grace_period => format!(
                    "{seconds} apply only when this probe fails, and are more than the {grace_period} of the pod"
                ),
                _ => return None,
            };
            Some(RULE.finding(field, problem).fact(seconds).hint("set the one of the pod in spec.template.spec"))
        });
        found.collect::<Vec<_>>()
    };
    let main = pod.containers.iter().flat_map(|container| of_container("containers", container));
    main.chain(native_sidecars(pod).flat_map(|container| of_container("initContainers", container))).collect()
}

const PAGE: &str = r"## Why

`terminationGracePeriodSeconds` is a field of the pod spec, `lifecycle` of a container, `preStop` and `stopSignal` of
`lifecycle`. In another place, or with a typo, the API has no such field. `kubectl apply` then rejects the manifest
(`--validate=strict` is its default). Helm, and clients that ask for no validation, get a warning or nothing: the API server
drops the field, and the pod has the default grace period of 30s and no hook.

A number in quotes is rejected by the API server, and by `winddown plan`.

A probe has a `terminationGracePeriodSeconds` of its own. It replaces the one of the pod only when that probe fails and the
container is restarted, so it is shorter where it is meant: the container hangs already. One that is longer than that of
the pod was probably meant for the pod. A readiness probe must not have one.

## What to do

```yaml
spec:
  minReadySeconds: 10
  template:
    spec:
      terminationGracePeriodSeconds: 60     # here, beside containers
      containers:
      - name: app
        lifecycle:
          preStop:
            sleep: {seconds: 10}
```

With Winddown, neither the grace period nor the hook has to be written: remove the field.

## Source

- [Field validation](https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation)
- [Pod spec: lifecycle](https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#lifecycle)
- [KEP-2238](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/2238-liveness-probe-grace-period): the
  grace period of a probe
";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::finding::Code::MisplacedField;
    use crate::rules::tests::{container, deployment, fires, found, pod, silent};

    fn at(pointer: &str, field: &str, value: Value) -> Value {
        deployment(|workload| {
            workload["spec"]["strategy"] = json!({});
            let place = workload.pointer_mut(pointer).unwrap();
            place.as_object_mut().unwrap().insert(field.to_owned(), value);
        })
    }

    const APP: &str = "/spec/template/spec/containers/0";

    #[test]
    fn a_field_in_a_place_where_the_api_does_not_have_it_is_reported() {
        let (grace_period, hook) = (json!(60), json!({"sleep": {"seconds": 5}}));
        for (pointer, field, value, path) in [
            (APP, "terminationGracePeriodSeconds", &grace_period, "spec.template.spec.containers[app]"),
            ("/metadata", "terminationGracePeriodSeconds", &grace_period, "metadata"),
            ("/spec", "terminationGracePeriodSeconds", &grace_period, "spec"),
            ("/spec/template", "terminationGracePeriodSeconds", &grace_period, "spec.template"),
            ("/spec/template/metadata", "terminationGracePeriodSeconds", &grace_period, "spec.template.metadata"),
            (APP, "preStop", &hook, "spec.template.spec.containers[app]"),
            ("/spec/template/spec", "preStop", &hook, "spec.template.spec"),
            ("/spec/template/spec", "lifecycle", &json!({"preStop": hook}), "spec.template.spec"),
            ("/spec/template/spec", "minReadySeconds", &grace_period, "spec.template.spec"),
            ("/spec/strategy", "progressDeadlineSeconds", &grace_period, "spec.strategy"),
            ("", "terminationGracePeriodSeconds", &grace_period, ""),
            (APP, "stopSignal", &json!("SIGQUIT"), "spec.template.spec.containers[app]"),
            ("/spec/template/spec", "stopSignal", &json!("SIGQUIT"), "spec.template.spec"),
        ] {
            let (found, message) = fires(&at(pointer, field, value.clone()), MisplacedField);
            assert_eq!(found, format!("{path}.{field}").trim_start_matches('.'));
            let problem =
                "is no field of the API in this place: kubectl rejects it, other clients drop it with a warning; ";
            assert!(message.starts_with(&format!("{problem}move it to ")), "{message}");
            if value.is_number() {
                assert_eq!(fires(&at(pointer, field, json!("60")), MisplacedField), (found, message), "in quotes");
            }
        }
        for handler in
            [json!({"sleep": {"seconds": 5}}), json!({"exec": {"command": ["x"]}}), json!({"httpGet": {"port": 80}})]
        {
            let name = handler.as_object().unwrap().keys().next().unwrap().clone();
            let mut in_handler = container(|app| app["lifecycle"] = json!({"preStop": handler}));
            let app = in_handler.pointer_mut(APP).unwrap();
            app["lifecycle"]["preStop"][&name]["terminationGracePeriodSeconds"] = json!("60");
            let (field, _) = fires(&in_handler, MisplacedField);
            let hook = "spec.template.spec.containers[app].lifecycle.preStop";
            assert_eq!(field, format!("{hook}.{name}.terminationGracePeriodSeconds"));
        }
        for (indented, place) in [
            (
                container(|app| app["resources"] = json!({"terminationGracePeriodSeconds": 60})),
                "containers[app].resources",
            ),
            (pod(|pod| pod["securityContext"] = json!({"terminationGracePeriodSeconds": 60})), "securityContext"),
        ] {
            let (field, _) = fires(&indented, MisplacedField);
            assert_eq!(field, format!("spec.template.spec.{place}.terminationGracePeriodSeconds"));
        }
        let in_lifecycle = container(|app| app["lifecycle"] = json!({"terminationGracePeriodSeconds": 60}));
        let (field, _) = fires(&in_lifecycle, MisplacedField);
        assert_eq!(field, "spec.template.spec.containers[app].lifecycle.terminationGracePeriodSeconds");
    }

    #[test]
    fn a_misspelt_field_is_reported_with_its_name() {
        for (pointer, written, meant) in [
            (
                "/spec/template/spec",
                "terminationGracePeriodSecond",
                "terminationGracePeriodSeconds, in spec.template.spec",
            ),
            ("/spec/template/spec", "terminationGracePeriod", "terminationGracePeriodSeconds, in spec.template.spec"),
            ("/spec/template/spec", "termination_grace_period_seconds", "terminationGracePeriodSeconds, in "),
            ("/spec/template/spec", "terminatonGracePeroidSeconds", "terminationGracePeriodSeconds, in "),
            ("/spec", "gracePeriodSeconds", "terminationGracePeriodSeconds, in spec.template.spec"),
            (APP, "lifeCycle", "lifecycle, in a container"),
            (APP, "prestop", "preStop, in lifecycle of a container"),
            ("/spec", "minReadySecond", "minReadySeconds, in spec"),
        ] {
            let (_, message) = fires(&at(pointer, written, json!(60)), MisplacedField);
            assert!(message.contains(&format!("; write {meant}")), "{message}");
        }
        let in_lifecycle = container(|app| app["lifecycle"] = json!({"preStopp": {"sleep": {"seconds": 5}}}));
        assert!(fires(&in_lifecycle, MisplacedField).1.ends_with("; write preStop, in lifecycle of a container"));
    }

    #[test]
    fn a_grace_period_of_a_probe_that_is_longer_than_that_of_the_pod_is_reported() {
        let probed = |probe: &str, seconds: u32| {
            container(|app| app[probe] = json!({"tcpSocket": {"port": 80}, "terminationGracePeriodSeconds": seconds}))
        };
        let (field, message) = fires(&probed("livenessProbe", 60), MisplacedField);
        assert_eq!(field, "spec.template.spec.containers[app].livenessProbe.terminationGracePeriodSeconds");
        assert_eq!(
            message,
            "60s apply only when this probe fails, and are more than the 35s of the pod; \
             set the one of the pod in spec.template.spec"
        );
        silent(&probed("livenessProbe", 10), MisplacedField);
        silent(&probed("startupProbe", 35), MisplacedField);
        let (_, message) = fires(&probed("readinessProbe", 10), MisplacedField);
        assert!(message.starts_with("is rejected by the API server: "), "{message}");
    }

    #[test]
    fn fields_in_their_place_and_others_are_not_reported() {
        silent(
            &deployment(|workload| {
                workload["spec"]["minReadySeconds"] = json!(5);
                workload["spec"]["progressDeadlineSeconds"] = json!(600);
                let pod = &mut workload["spec"]["template"]["spec"];
                pod["terminationGracePeriodSeconds"] = json!(60);
                pod["containers"][0]["lifecycle"] =
                    json!({"preStop": {"sleep": {"seconds": 10}}, "postStart": {"exec": {"command": ["x"]}}});
                pod["ofTomorrow"] = json!(1);
            }),
            MisplacedField,
        );
        silent(&at("/spec", "terminationGracePeriodSeconds", Value::Null), MisplacedField);
        silent(&pod(|pod| pod["nodeSelector"] = json!({"lifecycle": "Ec2Spot"})), MisplacedField);
        let header = json!({"name": "A", "value": "b"});
        let http = json!({"host": "a", "path": "/", "port": 80, "scheme": "HTTP", "httpHeaders": [header]});
        silent(&container(|app| app["lifecycle"] = json!({"preStop": {"httpGet": http}})), MisplacedField);
    }

    #[test]
    fn at_most_ten_are_reported() {
        let containers: Vec<_> = (0..50).map(|at| json!({"name": format!("c{at}"), "preStop": {}})).collect();
        let manifest = deployment(|workload| workload["spec"]["template"]["spec"]["containers"] = json!(containers));
        assert_eq!(found(&manifest, MisplacedField).len(), 10);
    }
}
