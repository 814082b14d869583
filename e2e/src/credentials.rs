//! Keys and certificates of a short-lived API server, and kubeconfigs for those who talk to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};

/// The authority that everybody trusts: the API server, and those who call it.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A file could not be written.
    #[error("cannot write credentials")]
    Write(#[from] io::Error),
}

/// A certificate and its key, in files.
pub struct Files {
    /// PEM.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one, and keeps all files in `directory`.
    pub fn new(directory: &Path) -> Result<Self, Error> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "tests");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        let authority = Self { issuer, directory: directory.to_owned() };
        fs::write(authority.certificate_file(), authority.issuer.pem())?;
        Ok(authority)
    }

    /// The file with the authority's certificate.
    #[must_use]
    pub fn certificate_file(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }

    /// A serving certificate for 127.0.0.1.
    pub fn serving(&self, file: &str) -> Result<Files, Error> {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut parameters = CertificateParams::new(names)?;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&parameters, file)
    }

    /// A kubeconfig by which the API server knows the bearer as this user in this group.
    pub fn kubeconfig(&self, server: &str, user: &str, group: &str) -> Result<PathBuf, Error> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, user);
        parameters.distinguished_name.push(DnType::OrganizationName, group);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let name = user.replace(':', "-");
        let files = self.sign(&parameters, &name)?;
        let file = self.directory.join(format!("{name}.kubeconfig"));
        fs::write(&file, self.kubeconfig_text(server, &files).to_string())?;
        Ok(file)
    }

    fn kubeconfig_text(&self, server: &str, files: &Files) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": {
                "server": server, "certificate-authority": self.certificate_file(),
            }}],
            "users": [{"name": "tests", "user": {"client-certificate": files.certificate, "client-key": files.key}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "current-context": "tests",
        })
    }

    fn sign(&self, parameters: &CertificateParams, file: &str) -> Result<Files, Error> {
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let files = Files {
            certificate: self.directory.join(format!("{file}.crt")),
            key: self.directory.join(format!("{file}.key")),
        };
        fs::write(&files.certificate, certificate.pem())?;
        fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }
}
