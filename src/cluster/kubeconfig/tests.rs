use std::io;

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    overrides: Overrides,
}

fn flags(flags: &str) -> Flags {
    Flags::try_parse_from(["kubectl"].into_iter().chain(flags.split_whitespace())).unwrap()
}

fn kubeconfig() -> Kubeconfig {
    Kubeconfig::from_yaml(
        "
current-context: prod
contexts:
- {name: prod, context: {cluster: one, user: jane, namespace: shop}}
- {name: gone, context: {cluster: none, user: none}}
- {name: bare, context: {cluster: two, user: none, namespace: ''}}
clusters:
- {name: one, cluster: {server: 'https://one:6443'}}
- {name: two, cluster: {server: 'https://two:6443'}}
users:
- {name: jane, user: {token: of-jane}}
- {name: joe, user: {token: of-joe, as: viewer}}
",
    )
    .unwrap()
}

fn choose(kubeconfig: &Kubeconfig, text: &str) -> Result<Chosen, String> {
    let flags = flags(text);
    flags.choice.choose(kubeconfig, &flags.overrides).map_err(|error| error.to_string())
}

/// Context, namespace, server and user that are chosen.
fn chosen(text: &str) -> String {
    use secrecy::ExposeSecret as _;

    let Chosen { context, namespace, cluster, user } = choose(&kubeconfig(), text).expect(text);
    let token = user.token.map_or_else(String::new, |token| token.expose_secret().to_owned());
    format!("{} {namespace} {} {token}", context.unwrap_or_default(), cluster.server.unwrap_or_default())
}

#[test]
fn flags_choose_by_name() {
    for (text, expected) in [
        ("", "prod shop https://one:6443 of-jane"),
        ("--context= --cluster= --user= --server= --token=", "prod shop https://one:6443 of-jane"),
        ("--cluster two", "prod shop https://two:6443 of-jane"),
        ("--user joe", "prod shop https://one:6443 of-joe"),
        ("--context bare", "bare default https://two:6443 "),
        ("--context bare --user joe", "bare default https://two:6443 of-joe"),
        ("--context gone --server https://three", "gone default https://three "),
        ("--context gone --cluster one", "gone default https://one:6443 "),
        ("--server https://three --token abc", "prod shop https://three abc"),
    ] {
        assert_eq!(chosen(text), expected, "{text}");
    }
}

#[test]
fn a_cluster_and_a_user_need_no_context() {
    let kubeconfig = Kubeconfig { current_context: None, ..kubeconfig() };
    let chosen = choose(&kubeconfig, "--cluster two --user joe").unwrap();
    assert_eq!((chosen.context, chosen.cluster.server.as_deref()), (None, Some("https://two:6443")));
    let error = choose(&kubeconfig, "--user joe").unwrap_err();
    assert_eq!(error, "the kubeconfig has no current context; choose one with --context; it has prod, gone, bare");
    let error = choose(&Kubeconfig::default(), "").unwrap_err();
    assert!(error.starts_with("the kubeconfig has no contexts; set KUBECONFIG or --kubeconfig"), "{error}");
}

#[test]
fn names_that_are_not_there_are_refused_with_those_that_are() {
    for (text, expected) in [
        ("--context nowhere", "the context \"nowhere\" is not in the kubeconfig; it has prod, gone, bare"),
        ("--cluster nowhere", "the cluster \"nowhere\" is not in the kubeconfig; it has one, two"),
        (
            "--cluster nowhere --server https://three",
            "the cluster \"nowhere\" is not in the kubeconfig; it has one, two",
        ),
        ("--user jack", "the user \"jack\" is not in the kubeconfig; it has jane, joe"),
        ("--user jack --token abc", "the user \"jack\" is not in the kubeconfig; it has jane, joe"),
        ("--context gone", "the cluster \"none\" is not in the kubeconfig; it has one, two"),
    ] {
        assert_eq!(choose(&kubeconfig(), text).unwrap_err(), expected, "{text}");
    }
    let kubeconfig = Kubeconfig { current_context: Some("old".to_owned()), ..kubeconfig() };
    let error = choose(&kubeconfig, "--server https://three").unwrap_err();
    assert!(error.starts_with("the context \"old\" is not in the kubeconfig"), "{error}");
}

#[test]
fn without_a_kubeconfig_flags_never_mean_the_service_account_of_the_pod() {
    for (text, expected) in [
        ("", Ok(true)),
        ("--context= --cluster= --user= --server= --token=", Ok(true)),
        ("--server https://one", Ok(false)),
        ("--server https://one --token abc", Ok(false)),
        ("--context a", Err("the context \"a\" is not in the kubeconfig; it has none")),
        ("--cluster a --token abc", Err("the cluster \"a\" is not in the kubeconfig; it has none")),
        ("--user a --server https://one", Err("the user \"a\" is not in the kubeconfig; it has none")),
        ("--token abc", Err("no kubeconfig")),
        ("--client-certificate a --client-key b", Err("no kubeconfig")),
        ("--certificate-authority a", Err("no kubeconfig")),
        ("--insecure-skip-tls-verify", Err("no kubeconfig")),
        ("--tls-server-name a", Err("no kubeconfig")),
    ] {
        let Flags { choice, overrides } = flags(text);
        let is_pod = choice.source(None, &overrides).and_then(|source| match source {
            Source::Pod => Ok(true),
            Source::Kubeconfig(kubeconfig) => choice.choose(&kubeconfig, &overrides).map(|_| false),
        });
        match (is_pod.map_err(|error| error.to_string()), expected) {
            (Err(error), Err(expected)) => assert!(error.starts_with(expected), "{text}: {error}"),
            (is_pod, expected) => assert_eq!(is_pod, expected.map_err(str::to_owned), "{text}"),
        }
    }
}

#[test]
fn the_files_are_those_of_the_variable_or_that_of_the_home_folder() {
    let home = Some(Path::new("/home/jane"));
    for (variable, expected) in [
        (None, &["/home/jane/.kube/config"][..]),
        (Some(""), &["/home/jane/.kube/config"]),
        (Some("a::b"), &["a", "b"]),
        (Some(":"), &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(files(variable.map(OsStr::new), home), expected, "{variable:?}");
    }
    assert!(files(None, None).is_empty());
}

fn missing(kind: io::ErrorKind) -> Result<Kubeconfig, Error> {
    Err(Error::Kubeconfig(Box::new(KubeconfigError::ReadConfig(kind.into(), PathBuf::from("a")))))
}

#[test]
fn files_that_do_not_exist_are_left_out_and_others_must_be_readable() {
    let other = Kubeconfig::from_yaml("current-context: test\nusers: [{name: jane, user: {token: other}}]").unwrap();
    let other = || Ok(other.clone());
    let first = Kubeconfig { current_context: Some(String::new()), ..kubeconfig() };
    let all = merged([missing(io::ErrorKind::NotFound), Ok(first), other()].into_iter()).unwrap();
    assert_eq!(all.current_context.as_deref(), Some("test"));
    assert_eq!((all.contexts.len(), all.auth_infos.len()), (3, 2));
    let none = merged([missing(io::ErrorKind::NotFound), missing(io::ErrorKind::NotFound)].into_iter()).unwrap();
    assert!(is_empty(&none) && !is_empty(&all));
    assert!(merged([other(), missing(io::ErrorKind::PermissionDenied)].into_iter()).is_err());
}

#[test]
fn the_file_of_the_flag_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(load(Some(&folder.path().join("missing"))), Err(Error::Kubeconfig(_))));
    let file = folder.path().join("config");
    std::fs::write(&file, "{}").unwrap();
    assert!(load(Some(&file)).unwrap().is_some(), "not the service account of the pod");
    std::fs::write(&file, "current-context: a").unwrap();
    assert!(load(Some(&file)).unwrap().is_some());
    std::fs::write(&file, b"\xff\xfetoken: secret").unwrap();
    assert!(matches!(load(Some(&file)), Err(Error::Syntax { place: None, .. })));
}

#[test]
fn a_file_that_cannot_be_parsed_is_named_without_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    for (text, place) in [
        ("users: [{name: a, user: {token: 'sec\u{7f}ret'}}]", "line 1, column 37"),
        ("kind: Config\nusers: secret", "line 2, column 8"),
        ("users:\n- {name: a, user: {token: [secret]}}", "line 2, column "),
    ] {
        std::fs::write(&file, text).unwrap();
        let error = load(Some(&file)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot parse the kubeconfig {} at {place}", file.display())), "{error}");
        assert!(!error.contains("ret"), "{error}");
    }
}
