//! The operator: its Deployment, replicas, version, leader and certificates.

use k8s_openapi::ByteString;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use super::certificates::{self, Certificate};
use super::report::{Check, Page};
use super::search::LABEL;
use super::webhooks::Configurations;
use crate::cluster::object_name::is_object_name;
use crate::cluster::{Cluster, Error};
use winddown_core::observation::Timestamp;

/// How far the clocks of this machine and of the leader may be apart, in seconds.
const SKEW: i64 = 60;
/// If the Lease does not say for how long it is valid.
const LEASE_DURATION: i32 = 15;

/// The Deployment of the operator, with the names of the objects that it uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) image: String,
    ready: i64,
    wanted: i64,
    lease: String,
    secret: StoredCertificate,
}

/// The Secret with a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum StoredCertificate {
    /// The operator's own authority, in `ca.crt`. Replicas sign their serving certificates with it.
    Authority(String),
    /// The serving certificate that cert-manager issues, in `tls.crt`.
    Serving(String),
    #[default]
    Unnamed,
}

impl Operator {
    /// `None` if no container runs the operator.
    pub(super) fn of(deployment: &Value) -> Option<Self> {
        let text = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_i64);
        let containers = deployment.pointer("/spec/template/spec/containers")?.as_array()?;
        let lease = |container| argument(container, "--lease-name").filter(|name| is_object_name(name));
        let (container, lease) = containers.iter().find_map(|container| Some((container, lease(container)?)))?;
        let volumes = deployment.pointer("/spec/template/spec/volumes").and_then(Value::as_array);
        let serving = volumes.into_iter().flatten().find(|volume| volume["name"] == "tls");
        let serving = serving.and_then(|volume| volume.pointer("/secret/secretName")?.as_str());
        let named = |name: Option<&str>| name.filter(|name| is_object_name(name)).map(str::to_owned);
        let secret = match (named(argument(container, "--ca-secret-name")), named(serving)) {
            (Some(name), _) => StoredCertificate::Authority(name),
            (None, Some(name)) => StoredCertificate::Serving(name),
            (None, None) => StoredCertificate::Unnamed,
        };
        Some(Self {
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
            image: container["image"].as_str().unwrap_or_default().to_owned(),
            ready: number("/status/readyReplicas").unwrap_or(0),
            wanted: number("/spec/replicas").unwrap_or(1),
            lease: lease.to_owned(),
            secret,
        })
    }

    /// Namespace and name.
    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether a replica is ready.
    pub(super) fn is_running(&self) -> bool {
        self.ready > 0
    }

    /// The command that shows its log.
    fn log(&self) -> String {
        format!("kubectl logs deployment/{} -n {}", self.name, self.namespace)
    }

    fn replicas(&self) -> Check {
        let (ready, wanted) = (self.ready, self.wanted);
        let title = format!("its replicas are ready ({ready} of {wanted})");
        let message = match (ready, wanted) {
            (_, 0) => "it is scaled to 0: nothing is injected or rejected".to_owned(),
            (0, _) => "none is ready: nothing is injected or rejected".to_owned(),
            (ready, wanted) if ready < wanted => format!("{} of them are not", wanted - ready),
            _ => return Check::ok(title),
        };
        let Self { namespace, name, .. } = self;
        let hint = if wanted == 0 {
            format!("kubectl scale deployment {name} -n {namespace} --replicas=2")
        } else {
            format!("kubectl describe deployment {name} -n {namespace}; {}", self.log())
        };
        let is_off = ready == 0 || wanted == 0;
        let check =
            if is_off { Check::failed(title, message, hint) } else { Check::warning(title, message).hint(hint) };
        check.see(Page::Unavailable)
    }

    /// Judges it with the answers about its Lease and its Secret, and what the API server trusts.
    pub(super) fn judged(
        &self,
        lease: &Result<Value, Error>,
        secret: Option<Result<Value, Error>>,
        bundle: Option<&[u8]>,
        now: Timestamp,
    ) -> Vec<Check> {
        let mut checks =
            vec![self.replicas(), self.version(env!("CARGO_PKG_VERSION")), leader(lease, &self.log(), now)];
        checks.extend(self.stored().zip(secret).map(|(stored, secret)| stored.judged(secret, bundle, now)));
        checks
    }

    /// The Secret with its certificate.
    fn stored(&self) -> Option<Stored<'_>> {
        let (name, key) = match &self.secret {
            StoredCertificate::Authority(name) => (name, "ca.crt"),
            StoredCertificate::Serving(name) => (name, "tls.crt"),
            StoredCertificate::Unnamed => return None,
        };
        Some(Stored { name, place: format!("{}/{name}", self.namespace), key, log: self.log() })
    }

    /// The tag of the image beside the version of the plugin.
    fn version(&self, own: &str) -> Check {
        let title = format!("it has the version of this plugin, {own}");
        let tag = self.image.split('@').next().and_then(|image| image.rsplit('/').next()?.split_once(':'));
        match tag.map(|(_, tag)| tag.trim_start_matches('v')) {
            Some(tag) if tag == own => Check::ok(title),
            Some(tag) => Check::warning(title, format!("its image has the tag {tag}"))
                .hint("use the plugin of the same version, or upgrade the chart")
                .see(Page::Upgrade),
            None => Check::warning(title, format!("the image {} has no tag", self.image))
                .hint(format!("its log begins with its version: {}", self.log())),
        }
    }
}

/// The value of `--NAME=VALUE` in the arguments of a container.
fn argument<'a>(container: &'a Value, name: &str) -> Option<&'a str> {
    let mut arguments = container["args"].as_array()?.iter().filter_map(Value::as_str);
    arguments.find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
}

/// Judges the operator that was found.
pub(super) async fn checks(
    cluster: &Cluster,
    found: &Result<Vec<Operator>, Error>,
    configurations: &Configurations,
    now: Timestamp,
) -> Vec<Check> {
    let mut checks = vec![presence(found)];
    if let Ok([operator, ..]) = found.as_deref() {
        let namespace = &operator.namespace;
        let call = format!("read the Lease {namespace}/{}", operator.lease);
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{}", operator.lease);
        let lease = cluster.read(call, &path).await;
        let secret = match operator.stored() {
            Some(Stored { name, place, .. }) => {
                let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
                Some(cluster.read(format!("read the Secret {place}"), &path).await)
            }
            None => None,
        };
        checks.extend(operator.judged(&lease, secret, configurations.bundle(), now));
    }
    checks
}

/// Whether the operator is there, and only once.
pub(super) fn presence(found: &Result<Vec<Operator>, Error>) -> Check {
    let title = "the Deployment of the operator is there";
    match found.as_deref() {
        Err(error) => {
            let check = Check::unreadable(title, error);
            let hint = "with rights in the namespace of the operator only, name it: --winddown-namespace NAME";
            if error.is_missing_right() { check.hint(hint) } else { check }
        }
        Ok([]) => {
            let message = format!(
                "no Deployment runs the operator: without a Service of the webhooks, it is looked for by the label {LABEL}, \
                 and with one, only in its namespace"
            );
            let hint =
                "install the chart: helm install winddown charts/winddown --namespace winddown --create-namespace";
            Check::failed(title, message, hint).see(Page::Install)
        }
        Ok([operator]) => Check::ok(format!("{title}: {}", operator.place())),
        Ok([operator, others @ ..]) => {
            let places: Vec<_> = others.iter().map(Operator::place).collect();
            let check = Check::warning(title, format!("besides {}, there is {}", operator.place(), places.join(", ")));
            check.hint("remove all but one, or choose one with --winddown-namespace")
        }
    }
}

/// Judges the Lease. `log` is the command that shows the operator's log.
fn leader(lease: &Result<Value, Error>, log: &str, now: Timestamp) -> Check {
    let title = "one replica leads";
    let lease = match lease {
        Ok(lease) => serde_json::from_value::<Lease>(lease.clone()).unwrap_or_default().spec.unwrap_or_default(),
        Err(error) if error.is_not_found() => {
            let message = "there is no Lease: no replica has ever led";
            return Check::failed(title, message, format!("look why: {log}")).see(Page::Unavailable);
        }
        Err(error) => return Check::unreadable(title, error),
    };
    let holder = lease.holder_identity.filter(|holder| !holder.is_empty());
    let Some(holder) = holder else {
        let message = "no replica holds the Lease: no status and no Event is written";
        return Check::failed(title, message, format!("look why: {log}")).see(Page::Unavailable);
    };
    let renewed = lease.renew_time.map(|time| Timestamp::from_second(time.0.as_second()));
    let age = renewed.map(|renewed| now.since(renewed));
    let limit = i64::from(lease.lease_duration_seconds.unwrap_or(LEASE_DURATION)) + SKEW;
    match age {
        Some(age) if age <= limit => Check::ok(format!("{title}: {holder}")),
        age => {
            let age = age.map_or("never".to_owned(), |age| format!("{age} s ago"));
            let message = format!("{holder} holds the Lease, and renewed it {age}: it does not run any more");
            Check::failed(title, message, format!("look at the replicas and their log: {log}")).see(Page::Unavailable)
        }
    }
}

/// A Secret with a certificate.
struct Stored<'a> {
    name: &'a str,
    /// Namespace and name.
    place: String,
    key: &'a str,
    /// The command that shows the operator's log.
    log: String,
}

impl Stored<'_> {
    fn judged(&self, secret: Result<Value, Error>, bundle: Option<&[u8]>, now: Timestamp) -> Check {
        let Self { place, key, log, .. } = self;
        let title = format!("the certificate in the Secret {place} is valid");
        let is_own = *key == "ca.crt";
        let writer = if is_own {
            format!("the operator writes it while it runs; look at its log: {log}")
        } else {
            let namespace = place.split('/').next().unwrap_or_default();
            format!("cert-manager writes it; look at its state: kubectl describe certificate -n {namespace}")
        };
        let failed = |title, message: String| Check::failed(title, message, writer.clone()).see(Page::Certificates);
        let secret = match secret {
            Ok(secret) => serde_json::from_value::<Secret>(secret).unwrap_or_default().data.unwrap_or_default(),
            Err(error) if error.is_not_found() => return failed(title, "the Secret is not there".to_owned()),
            Err(error) => return Check::unreadable(title, &error),
        };
        let pem = secret.get(*key).map(|ByteString(pem)| pem.as_slice()).unwrap_or_default();
        let all = Certificate::all(pem);
        let Some(certificate) = all.first() else { return failed(title, format!("{key} is no certificate")) };
        if is_own && bundle.is_some_and(|bundle| !certificates::is_trusted(certificate, bundle)) {
            let message = "the caBundle does not contain it: the API server does not trust the webhooks";
            return failed(title, message.to_owned());
        }
        certificates::validity(title, certificate, log, now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::report::Outcome;
    use super::*;

    fn deployment(image: &str, replicas: i64, ready: i64) -> Operator {
        let arguments = ["run", "--lease-name=wd", "--ca-secret-name=wd-ca"];
        Operator::of(&json!({
            "metadata": {"namespace": "ops", "name": "wd"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [
                {"name": "mesh", "image": "proxy:1"}, {"name": "winddown", "image": image, "args": arguments}]}}},
            "status": {"readyReplicas": ready},
        }))
        .unwrap()
    }

    #[test]
    fn the_operator_names_its_lease_and_its_secret() {
        let operator = deployment("ghcr.io/winddown/winddown:1.2.3", 2, 2);
        assert_eq!((operator.place().as_str(), operator.lease.as_str()), ("ops/wd", "wd"));
        assert_eq!(operator.secret, StoredCertificate::Authority("wd-ca".to_owned()));
        assert_eq!(Operator::of(&json!({"spec": {}})), None);
    }

    #[test]
    fn what_cannot_be_a_name_gets_into_no_path() {
        let with = |lease: &str, secret: &str| {
            let arguments = [format!("--lease-name={lease}"), format!("--ca-secret-name={secret}")];
            let spec = json!({"template": {"spec": {"containers": [{"args": arguments}]}}});
            Operator::of(&json!({"metadata": {"namespace": "ops", "name": "wd"}, "spec": spec}))
        };
        assert_eq!(with("wd", "wd-ca").unwrap().secret, StoredCertificate::Authority("wd-ca".to_owned()));
        for text in ["", "x?watch=true", "a/b", "..", "A", &"a".repeat(254)] {
            assert_eq!(with(text, "wd-ca"), None, "{text}");
            assert_eq!(with("wd", text).unwrap().secret, StoredCertificate::Unnamed, "{text}");
        }
    }

    #[test]
    fn replicas_that_are_not_ready_are_a_warning_and_none_a_failure() {
        for (wanted, ready, outcome) in
            [(2, 2, Outcome::Ok), (2, 1, Outcome::Warning), (2, 0, Outcome::Failed), (0, 0, Outcome::Failed)]
        {
            assert_eq!(deployment("x:1", wanted, ready).replicas().outcome, outcome, "{ready} of {wanted}");
        }
    }

    #[test]
    fn the_version_is_the_tag_of_the_image() {
        for (image, outcome) in [
            ("registry.example:5000/winddown:1.2.3", Outcome::Ok),
            ("winddown:v1.2.3@sha256:00", Outcome::Ok),
            ("winddown:1.2.4", Outcome::Warning),
            ("registry.example:5000/winddown@sha256:00", Outcome::Warning),
        ] {
            assert_eq!(deployment(image, 1, 1).version("1.2.3").outcome, outcome, "{image}");
        }
    }

    #[test]
    fn a_lease_is_fresh_for_its_duration_and_what_clocks_may_differ() {
        let now: Timestamp = "2026-02-02T00:02:00Z".parse().unwrap();
        let lease = |holder: &str, renewed: &str| {
            Ok(json!({"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15}}))
        };
        for (lease, outcome) in [
            (lease("wd-0", "2026-02-02T00:01:55.000000Z"), Outcome::Ok),
            (lease("wd-0", "2026-02-02T00:02:20.000000Z"), Outcome::Ok),
            (lease("wd-0", "2026-02-02T00:00:40.000000Z"), Outcome::Failed),
            (lease("", "2026-02-02T00:01:55.000000Z"), Outcome::Failed),
            (Ok(json!({"spec": {"holderIdentity": "wd-0"}})), Outcome::Failed),
        ] {
            assert_eq!(leader(&lease, "log", now).outcome, outcome, "{lease:?}");
        }
    }
}
