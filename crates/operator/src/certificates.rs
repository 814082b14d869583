//! The webhook's certificates, kept without cert-manager.
//!
//! One certificate authority lives in a Secret; nothing else is shared. Every replica signs its own serving certificate
//! from it and keeps that in memory, so there is no volume that lags behind and no key on a disk. The authority lasts a
//! year, a serving certificate a week, and each is made anew when two thirds of its life are over.
//!
//! A rotation never breaks a handshake. The new authority joins the old one in the bundle; the bundle goes into the
//! `caBundle` of both webhook configurations; only when the new authority has stood in both for a while does a replica
//! serve a certificate that it signed; and the old one stays in the bundle until it expires.
//!
//! Deciding is pure and takes the time as an argument ([`authority`], [`bundle`], [`secret`], [`leaf`]); the
//! [`keeper`] reads and writes. [`mounted`] is for those who do have cert-manager.

pub(crate) mod authority;
pub(crate) mod bundle;
pub(crate) mod certificate;
pub(crate) mod configurations;
pub(crate) mod mounted;
pub(crate) mod resolver;
pub(crate) mod rotator;
pub(crate) mod secret;
pub(crate) mod serving_certificate;

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Key generation or signing failed.
    #[error("cannot make a certificate")]
    Make(#[source] rcgen::Error),
    /// A date outside what a certificate can carry.
    #[error("the date {0} cannot be written into a certificate")]
    Date(jiff::Timestamp),
    /// No PEM block of the kind that was looked for.
    #[error("no PEM block of a {0} found")]
    NoPem(&'static str),
    /// DER that is no X.509 certificate.
    #[error("not an X.509 certificate: {0}")]
    NotACertificate(String),
    /// A certificate that must not sign others.
    #[error("the certificate is not of an authority (CA:TRUE is missing)")]
    NotAnAuthority,
    /// Not a private key that can sign.
    #[error("the private key cannot be read")]
    Key(#[source] rcgen::Error),
    /// Certificate and key are of different pairs.
    #[error("certificate and private key do not belong together")]
    KeyMismatch,
    /// The TLS library refuses certificate or key.
    #[error("certificate and key cannot be served")]
    Serve(#[source] rustls::Error),
}
