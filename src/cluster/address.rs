//! The address of an API server.

use std::fmt;

use http::Uri;

use super::Error;

/// An address with a scheme and a host. kube panics without them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address(Uri);

impl Address {
    /// A URL, or a host with or without a port, which is reached with TLS. The error does not contain the text, which
    /// may have a password.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let is_url = text.contains("://");
        let uri = if is_url { text.parse::<Uri>() } else { format!("https://{text}").parse() };
        let uri = uri.map_err(|_| Error::Address)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if is_http && uri.host().is_some_and(|host| !host.is_empty()) && has_valid_port(&uri) {
            Ok(Self(uri))
        } else {
            Err(Error::Address)
        }
    }

    /// That of a client's configuration.
    pub(super) fn of(uri: &Uri) -> Self {
        Self(uri.clone())
    }

    pub(super) fn has_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme_str().unwrap_or_default(), self.0.host().unwrap_or_default())?;
        if let Some(port) = self.0.port_u16() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path().trim_end_matches('/'))
    }
}

/// Otherwise the client would silently use the port of the scheme.
pub(super) fn has_valid_port(uri: &Uri) -> bool {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host_and_port.strip_prefix(uri.host().unwrap_or_default()).is_some_and(str::is_empty) || uri.port_u16().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_https_unless_it_has_another_scheme() {
        for (text, expected) in [
            ("10.0.0.1:6443", "https://10.0.0.1:6443"),
            ("localhost:6443", "https://localhost:6443"),
            ("api.example", "https://api.example"),
            ("[::1]:6443", "https://[::1]:6443"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("https://api.example:6443/k8s/clusters/a/", "https://api.example:6443/k8s/clusters/a"),
            ("HTTPS://api.example", "https://api.example"),
        ] {
            assert_eq!(Address::parse(text).expect(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for text in ["https://jane:secret@api.example:6443/a?token=secret", "jane:secret@api.example:6443/a"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), "https://api.example:6443/a");
        }
    }

    #[test]
    fn other_texts_are_refused_without_their_content() {
        for text in [
            "",
            "https://",
            "https://:6443",
            "ftp://secret",
            "https://secret:99999",
            "https://jane:secret@host:x",
            "https://secret host",
            "secret\n",
            "/secret",
        ] {
            let error = Address::parse(text).expect_err(text).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
