//! Certificates from another source such as cert-manager, read from a mounted Secret and reloaded when they change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::configurations::Configurations;
use super::resolver::CertificateSender;
use crate::health::Readiness;
use crate::kubernetes;
use crate::telemetry::FailureLog;
use winddown_core::error_chain::ErrorChain;

/// How often the files are read. The kubelet updates the volume about once a minute.
const INTERVAL: Duration = Duration::from_secs(5);

/// The task that loads the files. It does not write the `caBundle`, which cert-manager's cainjector does; it is ready when
/// both configurations have one.
pub(crate) struct Mounted {
    directory: PathBuf,
    configurations: Configurations,
    certificates: CertificateSender,
    readiness: Readiness,
    loaded: Option<Files>,
    failures: FailureLog,
}

/// Why the files cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The files are not a certificate and its key.
    #[error("cannot use tls.crt and tls.key of {}", .0.display())]
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
    /// Serves `tls.crt` and `tls.key` of the directory.
    pub(crate) fn new(
        directory: PathBuf,
        client: &Client,
        configurations: &str,
        certificates: CertificateSender,
        readiness: Readiness,
    ) -> Self {
        let configurations = Configurations::new(client, configurations);
        let failures = FailureLog::new("cannot set up the mounted certificate");
        Self { directory, configurations, certificates, readiness, loaded: None, failures }
    }

    /// Never returns.
    pub(crate) async fn run(mut self) {
        loop {
            let result = self.sync().await;
            self.failures.record(result.as_ref().err());
            self.readiness
                .report(result.as_ref().err().map(|error| ErrorChain(error).to_string()).into_iter().collect());
            // Checks more often until the replica is ready.
            let pause = if self.readiness.is_ready() { INTERVAL } else { INTERVAL / 5 };
            tokio::time::sleep(pause).await;
        }
    }

    async fn sync(&mut self) -> Result<(), Error> {
        self.reload()?;
        if !self.readiness.is_ready() {
            let outcome = self.configurations.have_bundle().await;
            self.readiness.publish(outcome.pending());
            outcome.mutating.and(outcome.validating)?;
        }
        Ok(())
    }

    /// Loads the files if they changed. If they are invalid, the loaded certificate stays: the files may be read in the
    /// middle of a change.
    fn reload(&mut self) -> Result<(), Error> {
        let files = Files { certificate: self.read("tls.crt")?, key: self.read("tls.key")? };
        if self.loaded.as_ref() != Some(&files) {
            let certified_key = parse(&files).map_err(|error| Error::Use(self.directory.clone(), error))?;
            tracing::info!(directory = %self.directory.display(), "serving the mounted certificate");
            self.certificates.send_replace(Some(Arc::new(certified_key)));
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
    async fn files_are_loaded_when_they_change_and_invalid_files_are_ignored() {
        let directory = std::env::temp_dir().join(format!("winddown-mounted-{}", Timestamp::now().as_nanosecond()));
        fs::create_dir(&directory).unwrap();
        let write = |certificate: &str, key: &str| {
            fs::write(directory.join("tls.crt"), certificate).unwrap();
            fs::write(directory.join("tls.key"), key).unwrap();
        };
        let (certificates, _resolver) = resolver::channel();
        let mut served = certificates.subscribe();
        let client = Client::new(Router::new(), "ops");
        let mut mounted = Mounted::new(directory.clone(), &client, "winddown", certificates, Readiness::default());

        assert!(matches!(mounted.reload(), Err(Error::Read(..))), "no files yet");

        let [(first, first_key), (second, second_key)] = [pair(), pair()];
        write(&first, &first_key);
        mounted.reload().unwrap();
        assert!(served.has_changed().unwrap());
        served.mark_unchanged();
        mounted.reload().unwrap();
        assert!(!served.has_changed().unwrap(), "the files did not change");

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
