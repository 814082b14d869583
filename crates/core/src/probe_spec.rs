//! The value of `winddown.dev/readiness`, for example `http:3000/health`.

use std::fmt;
use std::str::FromStr;

/// A readiness probe in one line: `http:3000/health`, `https:web/ready`, `tcp:5432` or `grpc:9090/service`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSpec {
    /// The port of the app.
    pub port: Port,
    /// The kind of check.
    pub check: Check,
}

/// How the kubelet checks whether the app is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// `GET` of a path, which starts with `/`.
    Http {
        /// Over TLS (the kubelet does not verify the certificate).
        tls: bool,
        /// The path and query.
        path: String,
    },
    /// The port accepts a connection.
    Tcp,
    /// The gRPC health protocol, for a service; empty for the whole server.
    Grpc {
        /// The name of the service.
        service: String,
    },
}

/// A container port, by number or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// 1 to 65535.
    Number(u16),
    /// An IANA service name: at most 15 of `[a-z0-9-]` with a letter among them.
    Name(String),
}

/// The reason why a text is not a readiness probe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseProbeSpecError {
    /// An unknown scheme.
    #[error("must start with http:, https:, tcp: or grpc:; write it like http:3000/health")]
    Scheme,
    /// The port is neither a number nor a name.
    #[error("needs a port number (1 to 65535) or port name after the scheme; write it like http:3000/health")]
    Port,
    /// The path or service is too long, has invalid characters, or is not allowed for the scheme.
    #[error("has a path or service that a probe cannot use; write it like http:3000/health or grpc:9090/service")]
    Path,
}

/// The maximum length of a path; longer than in real health checks.
const LONGEST_PATH: usize = 1024;

impl FromStr for ProbeSpec {
    type Err = ParseProbeSpecError;

    fn from_str(text: &str) -> Result<Self, ParseProbeSpecError> {
        let (scheme, rest) = text.split_once(':').ok_or(ParseProbeSpecError::Scheme)?;
        let (port, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, ""),
        };
        if path.len() > LONGEST_PATH || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ParseProbeSpecError::Path);
        }
        let http_path = if path.is_empty() { "/" } else { path };
        let check = match scheme {
            "http" => Check::Http { tls: false, path: http_path.to_owned() },
            "https" => Check::Http { tls: true, path: http_path.to_owned() },
            "tcp" if path.is_empty() => Check::Tcp,
            "tcp" => return Err(ParseProbeSpecError::Path),
            "grpc" => Check::Grpc { service: path.trim_start_matches('/').to_owned() },
            _ => return Err(ParseProbeSpecError::Scheme),
        };
        Ok(Self { port: port.parse()?, check })
    }
}

impl FromStr for Port {
    type Err = ParseProbeSpecError;

    fn from_str(text: &str) -> Result<Self, ParseProbeSpecError> {
        let bytes = text.as_bytes();
        if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit) {
            return match text.parse::<u16>() {
                Ok(number) if number > 0 => Ok(Self::Number(number)),
                _ => Err(ParseProbeSpecError::Port),
            };
        }
        let name = (1..=15).contains(&bytes.len())
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
            && bytes.iter().any(u8::is_ascii_lowercase);
        if name { Ok(Self::Name(text.to_owned())) } else { Err(ParseProbeSpecError::Port) }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for ProbeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.check {
            Check::Http { tls, path } => write!(f, "http{}:{}{path}", if *tls { "s" } else { "" }, self.port),
            Check::Tcp => write!(f, "tcp:{}", self.port),
            Check::Grpc { service } if service.is_empty() => write!(f, "grpc:{}", self.port),
            Check::Grpc { service } => write!(f, "grpc:{}/{service}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ParseProbeSpecError, ProbeSpec};

    #[test]
    fn every_form_is_parsed_and_printed() {
        for text in ["http:3000/health", "https:web/ready?full=1", "tcp:5432", "grpc:9090", "grpc:9090/my.Service"] {
            assert_eq!(text.parse::<ProbeSpec>().unwrap().to_string(), text);
        }
        assert_eq!("http:3000".parse::<ProbeSpec>().unwrap().to_string(), "http:3000/");
        assert_eq!("grpc:9090/".parse::<ProbeSpec>().unwrap().to_string(), "grpc:9090");
    }

    #[test]
    fn other_text_is_rejected_with_a_reason() {
        use ParseProbeSpecError::{Path, Port, Scheme};
        for (text, error) in [
            ("", Scheme),
            ("3000", Scheme),
            ("/health", Scheme),
            ("HTTP:3000/", Scheme),
            ("exec:rm", Scheme),
            ("http:", Port),
            ("http:/health", Port),
            ("http:0/health", Port),
            ("http:65536/health", Port),
            ("http:99999999999999999999/health", Port),
            ("http:Web/health", Port),
            ("http://example.com/health", Port),
            ("http:a-port-that-is-too-long/health", Port),
            ("http:3000/he alth", Path),
            ("http:3000/gesund\u{e9}", Path),
            ("http:3000/\n", Path),
            ("tcp:5432/path", Path),
        ] {
            assert_eq!(text.parse::<ProbeSpec>(), Err(error), "{text}");
        }
        assert_eq!(format!("http:3000/{}", "a".repeat(2000)).parse::<ProbeSpec>(), Err(Path));
    }
}
