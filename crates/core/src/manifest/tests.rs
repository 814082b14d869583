use super::{ManifestError, Skipped, Slot, Stream, read, read_all};

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n";

fn names(text: &str) -> Vec<(usize, usize, String)> {
    let Stream { workloads, errors, .. } = read(text);
    assert_eq!(errors, [], "{text}");
    let name = |object: &serde_json::Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    workloads.into_iter().map(|found| (found.document, found.lines.first(), name(&found.object))).collect()
}

fn errors(text: &str) -> Vec<String> {
    let Stream { workloads, errors, .. } = read(text);
    assert!(!errors.is_empty(), "{} workloads, no error: {text:?}", workloads.len());
    errors.iter().map(ManifestError::to_string).collect()
}

#[test]
fn workloads_are_found_among_documents_lists_and_other_kinds() {
    let list = "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{\"apiVersion\":\"v1\",\"kind\":\"Service\"},null,\n\
                {\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"metadata\":{\"name\":\"b\"}}]}";
    let text =
        format!("# a comment\n---\n{DEPLOYMENT}---\n---\n# empty\n---\n{list}\n---\napiVersion: x/v1\nkind: Custom\n");
    assert_eq!(names(&text), [(1, 3, "a".to_owned()), (2, 11, "b".to_owned())]);
    assert_eq!(names(&DEPLOYMENT.replace('\n', "\r\n")).len(), 1);
    assert_eq!(names(&format!("{DEPLOYMENT}...\n{DEPLOYMENT}")).len(), 2);
    assert_eq!(names(&format!("%YAML 1.1\n---\n{DEPLOYMENT}---\n{DEPLOYMENT}")).len(), 2);
    assert_eq!(names(&format!("{DEPLOYMENT}spec:\n  text: |\n    ---\n    more\n")).len(), 1);
}

#[test]
fn a_list_of_all_objects_in_a_cluster_is_read() {
    let fields = "1,".repeat(2_600);
    let item = format!("{{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"spec\":[{fields}1]}}");
    let list = format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{}]}}", vec![item; 100].join(","));
    assert_eq!(read(&list).workloads.len(), 100);
}

#[test]
fn documents_are_kept_with_a_place_for_each_workload() {
    let item = "{apiVersion: apps/v1, kind: Deployment}";
    let other = "{apiVersion: v1, kind: Service}";
    let inner = format!("{{apiVersion: v1, kind: List, items: [{other}, {item}]}}");
    let text = format!(
        "{other}\n---\njust text\n---\n{{apiVersion: v1, kind: List, items: [{item}, null, {inner}]}}\n---\n{item}\n"
    );
    let stream = read_all(&text);
    let slots: Vec<_> = stream.workloads.iter().map(|found| found.slot.clone()).collect();
    let slot = |document, pointer: &str| Slot { document, pointer: pointer.to_owned() };
    assert_eq!(slots, [slot(1, "/items/0"), slot(1, "/items/2/items/1"), slot(2, "")]);
    for Slot { document, pointer } in &slots {
        assert!(stream.documents[*document].pointer(pointer).is_some_and(serde_json::Value::is_null));
    }
    assert_eq!((stream.documents.len(), stream.errors.len()), (3, 1));
    assert_eq!(stream.others.into_iter().collect::<Vec<_>>(), [("Service".to_owned(), 2)]);
    assert_eq!(read(&text).documents, Vec::<serde_json::Value>::new());
}

#[test]
fn supported_kinds_of_another_api_group_are_skipped_and_reported() {
    let old = DEPLOYMENT.replace("apps/v1", "extensions/v1beta1");
    let stream = read(&format!("{DEPLOYMENT}---\n{old}---\napiVersion: apps/v1\nkind: ReplicaSet\n"));
    let api_version = "extensions/v1beta1".to_owned();
    assert_eq!(
        stream.skipped,
        [Skipped { line: 5, api_version, kind: "Deployment".to_owned(), name: "a".to_owned(), has_annotations: false }]
    );
    assert_eq!((stream.workloads.len(), stream.errors.len()), (1, 0));
}

#[test]
fn skipped_objects_with_annotations_are_reported() {
    let with = |more: &str| format!("metadata: {{name: a, annotations: {{winddown.dev/drain: 5s}}{more}}}\n---\n");
    let rollout = format!("apiVersion: argoproj.io/v1alpha1\nkind: Rollout\n{}", with(""));
    let owned = format!("apiVersion: apps/v1\nkind: ReplicaSet\n{}", with(", ownerReferences: [{name: a}]"));
    let typo = format!("apiVersion: apps/v1\nkind: deployment\n{}", with(""));
    let stream = read(&format!("{DEPLOYMENT}---\n{rollout}{owned}{typo}"));
    let reported: Vec<_> = stream.skipped.iter().map(|skipped| (skipped.kind.as_str(), skipped.line)).collect();
    assert_eq!(reported, [("Rollout", 4), ("deployment", 12)]);
    assert!(stream.skipped.iter().all(|skipped| skipped.has_annotations));
}

#[test]
fn a_copy_of_the_annotations_on_an_object_without_pods_is_not_reported() {
    let object = |kind: &str, drain: &str, spec: &str| {
        let metadata = format!("{{name: a, annotations: {{winddown.dev/drain: {drain}}}}}");
        format!("apiVersion: x/v1\nkind: {kind}\nmetadata: {metadata}\nspec: {spec}\n---\n")
    };
    let workload = object("Deployment", "5s", "{}").replace("x/v1", "apps/v1");
    let reported = |text: &str| read(text).skipped.into_iter().map(|skipped| skipped.kind).collect::<Vec<_>>();
    let others = [
        object("Service", "5s", "{}"),
        object("Ingress", "6s", "{}"),
        object("ConfigMap", "5s", "{}"),
        object("Rollout", "5s", "{template: {}}"),
        object("CronJob", "5s", "{jobTemplate: {}}"),
    ]
    .concat();
    assert_eq!(reported(&format!("{others}{workload}")), ["Ingress", "Rollout", "CronJob"]);
    assert_eq!(reported(&format!("{workload}{others}")), ["Ingress", "Rollout", "CronJob"]);
    assert_eq!(reported(&others).len(), 5);
}

#[test]
fn yaml_without_kind_and_api_version_is_foreign() {
    for values in ["replicas: 2\n", "resources:\n- base.yaml\n"] {
        assert_eq!(read(values).errors, [ManifestError::Foreign { document: 1, line: 1 }]);
    }
}

#[test]
fn each_error_contains_its_document_and_its_line_in_the_file() {
    let text = format!("{DEPLOYMENT}---\njust text\n---\n{DEPLOYMENT}spec: {{a: b: c}}\n---\n{DEPLOYMENT}");
    let errors = errors(&text);
    assert_eq!(errors[0], "line 4: document 2 is not a Kubernetes object: it has no apiVersion");
    assert!(
        errors[1].starts_with("line 10, column ") && errors[1].contains("document 3 cannot be read: "),
        "{errors:?}"
    );
    assert_eq!((errors.len(), read(&text).workloads.len()), (2, 2));
}

#[test]
fn only_white_space_is_an_error_and_only_comments_are_not() {
    assert_eq!(read("---\n# Source: shop/templates/hpa.yaml\n"), Stream::default());
    for empty in ["", " \n\n"] {
        assert_eq!(read(empty).errors, [ManifestError::Empty]);
    }
}

#[test]
fn parser_errors_are_described_without_parser_terms() {
    for (text, expected) in [
        ("kind: Deployment\n", "line 4, column 1: document 1 cannot be read: duplicate key kind"),
        ("spec: .inf\n", "line 4, column 7: document 1 cannot be read: .inf is not a JSON number; quote it"),
        ("~: 5\n", "line 4, column 1: document 1 cannot be read: a key is null"),
    ] {
        assert_eq!(errors(&format!("{DEPLOYMENT}{text}")), [expected]);
    }
}

#[test]
fn duplicate_keys_in_other_kinds_are_accepted() {
    let duplicate = "apiVersion: v1\nkind: ConfigMap\ndata: {a: b, a: c}\n";
    assert_eq!(names(&format!("{duplicate}---\n{DEPLOYMENT}")).len(), 1);
    errors(&format!("apiVersion: v1\nkind: List\nitems:\n- {{a: 1, a: 2}}\n---\n{DEPLOYMENT}"));
}

#[test]
fn floats_without_a_fraction_become_integers() {
    let text = format!("{DEPLOYMENT}spec: {{a: 80.0, b: [1.0007e+09], c: 0.5, d: 1e300, e: \"80.0\", f: -0.0}}\n");
    let spec = &read(&text).workloads[0].object["spec"];
    assert_eq!(spec.to_string(), r#"{"a":80,"b":[1000700000],"c":0.5,"d":1e+300,"e":"80.0","f":0}"#);
}

#[test]
fn helm_notes_are_an_error() {
    let notes =
        format!("NAME: shop\nLAST DEPLOYED: now\nMANIFEST:\n---\n{DEPLOYMENT}\nNOTES:\nGet the URL:\n$ export X=1\n");
    assert!(errors(&notes)[0].contains("document 1 is not a Kubernetes object"), "{:?}", errors(&notes));
    let notes = format!("{DEPLOYMENT}---\nThank you for installing shop.\n");
    assert!(errors(&notes)[0].contains("line 4: document 2 is not a Kubernetes object"));
}

#[test]
fn malformed_text_is_an_error() {
    let nested_aliases = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    for text in [
        &"[".repeat(100_000),
        &format!("{DEPLOYMENT}spec: {}", "{a: ".repeat(100_000)),
        &format!(
            "{DEPLOYMENT}spec:{}",
            "\n".to_owned() + &(1..2000).map(|depth| " ".repeat(depth) + "a:\n").collect::<String>()
        ),
        &format!("{DEPLOYMENT}{nested_aliases}"),
        "\u{0}",
        &format!("{DEPLOYMENT}\u{0}"),
        "a: b: c",
        "%",
        "- - - !!x",
        "{\"a\": 1,}x",
        "kind: 5\napiVersion: 6",
        "apiVersion: v1\nkind: List\nitems: 5\n",
        "apiVersion: v1\nkind: List\nitems: [5]\n",
        "apiVersion: &a v1\nkind: *b\n",
        &DEPLOYMENT.replace("metadata: ", "metadata:\n\t"),
        &format!("{DEPLOYMENT}kind: Deployment\n"),
        &format!("{DEPLOYMENT}spec: &a {{b: *a}}\n"),
        &format!("{DEPLOYMENT}<<: *nothing\n"),
        &format!("{DEPLOYMENT}{DEPLOYMENT}"),
        &format!("{DEPLOYMENT}...\ntrailing text\n"),
    ] {
        errors(text);
    }
}

#[test]
fn unusual_but_valid_yaml_is_read() {
    for text in [
        &format!("{DEPLOYMENT}spec: {{a: &x {{b: 1}}, c: *x, d: {{<<: *x}}}}\n"),
        &format!("{DEPLOYMENT}spec: {{replicas: 99999999999999999999999999}}\n"),
        &format!("{DEPLOYMENT}data: !!binary aGVsbG8=\n"),
        &format!("{DEPLOYMENT}spec: \t{{a: 1}}\t\n"),
        &format!("{DEPLOYMENT}note: {}\n", "x".repeat(100_000)),
        &format!("{DEPLOYMENT}notes:\n- \"{}\"\n", "x".repeat(100_000)),
        &format!("--- # first\n{DEPLOYMENT}---\n--- # nothing\n"),
        "? apiVersion\n: apps/v1\n? kind\n: Deployment\nmetadata: {name: a}\n",
    ] {
        assert_eq!(names(text).len(), 1, "{text:.80}");
    }
}
