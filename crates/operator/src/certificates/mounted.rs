//! Certificates that somebody else keeps, cert-manager say: read from a mounted Secret, and read again when they change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::configurations::Configurations;
use super::resolver::Serving;
use super::rotator::waiting_for;
use crate::health::Readiness;
use crate::kubernetes;
use crate::telemetry::OnChange;

/// Time between two looks. The kubelet itself takes a minute or so to bring a change to the volume.
const INTERVAL: Duration = Duration::from_secs(5);

/// The task that loads the files. The `caBundle`s are the business of whoever made the files (cert-manager's
/// cainjector); this only waits until they are there.
pub(crate) struct Mounted {
    directory: PathBuf,
    configurations: Configurations,
    serving: Serving,
    readiness: Readiness,
    loaded: Option<Files>,
    trouble: OnChange,
}

/// Why there is nothing, or nothing new, to serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A file does not hold what it should.
    #[error("{} cannot be used", .0.display())]
    Use(PathBuf, #[source] super::Error),
    /// A call to the API server failed.
    #[error(transparent)]
    Call(#[from] kubernetes::Error),
}

#[derive(Clone, PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Mounted {
    /// Serves `tls.crt` and `tls.key` of a directory; nothing is read yet.
    #[must_use]
    pub(crate) fn new(
        directory: PathBuf,
        client: &Client,
        configurations: &str,
        serving: Serving,
        readiness: Readiness,
    ) -> Self {
        let configurations = Configurations::new(client, configurations);
        let trouble = OnChange::new("the mounted certificate is not as it should be");
        Self { directory, configurations, serving, readiness, loaded: None, trouble }
    }

    /// Looks every five seconds; never ends.
    pub(crate) async fn run(mut self) {
        loop {
            let result = self.look().await;
            self.trouble.note(result.as_ref().err());
            // Until it is ready, people are waiting.
            let pause = if self.readiness.is_ready() { INTERVAL } else { INTERVAL / 5 };
            tokio::time::sleep(pause).await;
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        self.reload()?;
        if !self.readiness.is_ready() {
            let outcome = self.configurations.are_filled().await;
            self.readiness.publish(waiting_for(&outcome));
            outcome.mutating.and(outcome.validating)?;
        }
        Ok(())
    }

    /// Loads the files where they changed. What was loaded before stays where they cannot be used: the two may be read in
    /// the middle of a change.
    fn reload(&mut self) -> Result<(), Error> {
        let files = Files { certificate: self.read("tls.crt")?, key: self.read("tls.key")? };
        if self.loaded.as_ref() != Some(&files) {
            let certified_key = parse(&files).map_err(|error| Error::Use(self.directory.clone(), error))?;
            tracing::info!(directory = %self.directory.display(), "serving the mounted certificate");
            self.serving.send_replace(Some(Arc::new(certified_key)));
            self.loaded = Some(files);
        }
        Ok(())
    }

    fn read(&self, file: impl AsRef<Path>) -> Result<Vec<u8>, Error> {
        let path = self.directory.join(file);
        std::fs::read(&path).map_err(|error| Error::Read(path, error))
    }
}

fn parse(files: &Files) -> Result<CertifiedKey, super::Error> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&files.certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| super::Error::NoPem("certificate"))?;
    if chain.is_empty() {
        return Err(super::Error::NoPem("certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| super::Error::NoPem("private key"))?;
    CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider()).map_err(super::Error::Serve)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use axum::Router;
    use jiff::Timestamp;
    use rcgen::KeyPair;

    use super::*;
    use crate::certificates::resolver;

    /// A certificate and its key, as PEM.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["winddown".to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[tokio::test]
    async fn files_are_loaded_when_they_change_and_the_last_good_pair_stays() {
        let directory = std::env::temp_dir().join(format!("winddown-mounted-{}", Timestamp::now().as_nanosecond()));
        fs::create_dir(&directory).unwrap();
        let write = |certificate: &str, key: &str| {
            fs::write(directory.join("tls.crt"), certificate).unwrap();
            fs::write(directory.join("tls.key"), key).unwrap();
        };
        let (serving, _resolver) = resolver::channel();
        let mut served = serving.subscribe();
        let client = Client::new(Router::new(), "ops");
        let mut mounted = Mounted::new(directory.clone(), &client, "winddown", serving, Readiness::default());

        assert!(matches!(mounted.reload(), Err(Error::Read(..))), "nothing is mounted yet");

        let [(first, first_key), (second, second_key)] = [pair(), pair()];
        write(&first, &first_key);
        mounted.reload().unwrap();
        assert!(served.has_changed().unwrap());
        served.mark_unchanged();
        mounted.reload().unwrap();
        assert!(!served.has_changed().unwrap(), "the files are the same");

        for (certificate, key) in [(&*second, &*first_key), ("garbage", &*first_key), (&*first, ""), ("", "")] {
            write(certificate, key);
            assert!(matches!(mounted.reload(), Err(Error::Use(..))));
            assert!(!served.has_changed().unwrap());
        }

        write(&second, &second_key);
        mounted.reload().unwrap();
        assert!(served.has_changed().unwrap());
        fs::remove_dir_all(directory).unwrap();
    }
}
