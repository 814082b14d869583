//! Certificates of the local API server, and kubeconfigs for its clients.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};

/// A certificate authority for server and client certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

/// The PEM files of a certificate and its key.
pub(crate) struct CertificateFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// Creates an authority that writes its files to `directory`.
    pub(crate) fn new(directory: &Path) -> Result<Self> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "tests");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        let authority = Self { issuer, directory: directory.to_owned() };
        write(&authority.certificate_file(), &authority.issuer.pem())?;
        Ok(authority)
    }

    /// The PEM file of the authority's certificate.
    pub(crate) fn certificate_file(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }

    /// Issues a serving certificate for 127.0.0.1 and localhost.
    pub(crate) fn issue_serving_certificate(&self, name: &str) -> Result<CertificateFiles> {
        let mut parameters = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&parameters, name)
    }

    /// Writes a kubeconfig with a client certificate for this user and group.
    pub(crate) fn write_kubeconfig(&self, server: &str, user: &str, group: &str) -> Result<PathBuf> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, user);
        parameters.distinguished_name.push(DnType::OrganizationName, group);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let name = user.replace(':', "-");
        let client = self.issue(&parameters, &name)?;
        let file = self.directory.join(format!("{name}.kubeconfig"));
        write(&file, &self.kubeconfig(server, &client).to_string())?;
        Ok(file)
    }

    fn kubeconfig(&self, server: &str, client: &CertificateFiles) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": {
                "server": server, "certificate-authority": self.certificate_file(),
            }}],
            "users": [{"name": "tests", "user": {"client-certificate": client.certificate, "client-key": client.key}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "current-context": "tests",
        })
    }

    fn issue(&self, parameters: &CertificateParams, name: &str) -> Result<CertificateFiles> {
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let files = CertificateFiles {
            certificate: self.directory.join(format!("{name}.crt")),
            key: self.directory.join(format!("{name}.key")),
        };
        write(&files.certificate, &certificate.pem())?;
        write(&files.key, &key.serialize_pem())?;
        Ok(files)
    }
}

fn write(file: &Path, content: &str) -> Result<()> {
    fs::write(file, content).with_context(|| format!("write {}", file.display()))
}
