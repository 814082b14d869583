//! The proxy on the way to an API server, as in client-go: that of the kubeconfig, or that of the environment.

use std::net::IpAddr;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use super::Error;
use super::address::has_valid_port;

/// The environment variables that name proxies.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    /// For addresses with https.
    https: Option<String>,
    /// For addresses with http.
    http: Option<String>,
    /// The hosts that need none.
    none: Option<String>,
}

impl Environment {
    #[expect(clippy::disallowed_methods, reason = "all programs read them, and kubectl has no flags for them")]
    pub(super) fn read() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            https: variable("HTTPS_PROXY").or_else(|| variable("https_proxy")),
            http: variable("HTTP_PROXY").or_else(|| variable("http_proxy")),
            none: variable("NO_PROXY").or_else(|| variable("no_proxy")),
        }
    }

    /// None for this machine, as Go's `ProxyFromEnvironment`.
    fn proxy(&self, server: &Uri) -> Result<Option<Uri>, Error> {
        let (name, proxy) = match server.scheme_str() {
            Some("http") => ("HTTP_PROXY", &self.http),
            _ => ("HTTPS_PROXY", &self.https),
        };
        let Some(proxy) = proxy.as_ref().filter(|_| !is_this_machine(server) && !self.excludes(server)) else {
            return Ok(None);
        };
        let url = if proxy.contains("://") { proxy.clone() } else { format!("http://{proxy}") };
        parse(&url, name).map(Some)
    }

    /// Whether `NO_PROXY` names the host.
    fn excludes(&self, server: &Uri) -> bool {
        let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 });
        let hosts: Vec<_> =
            self.none.iter().flat_map(|hosts| hosts.split(',')).filter_map(|host| at(host, port)).collect();
        // Its own proxy does not matter: the question is whether there is one.
        Matcher::builder().all("http://proxy").no(hosts.join(",")).build().intercept(server).is_none()
    }
}

/// The proxy of the kubeconfig's cluster counts for all hosts.
pub(super) fn proxy(server: &Uri, of_cluster: Option<&str>, environment: &Environment) -> Result<Option<Uri>, Error> {
    match of_cluster.filter(|proxy| !proxy.is_empty()) {
        Some(proxy) => parse(proxy, "proxy-url").map(Some),
        None => environment.proxy(server),
    }
}

/// The error does not contain the text, which may have a password.
fn parse(text: &str, name: &'static str) -> Result<Uri, Error> {
    let uri = text.parse::<Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    let uri = uri.filter(has_valid_port);
    let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https" | "socks5")));
    uri.ok_or(Error::Proxy(name))
}

fn is_this_machine(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// A host of `NO_PROXY` in the form that the matcher knows, which has neither ports nor `*.`. `None`: for another port.
fn at(host: &str, port: u16) -> Option<&str> {
    let host = host.trim();
    let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
    match host.rsplit_once(':') {
        Some((name, of)) if !name.contains(':') || name.ends_with(']') => {
            (of.parse() == Ok(port)).then(|| name.trim_start_matches('[').trim_end_matches(']'))
        }
        _ => Some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(none: &str) -> Environment {
        let proxy = |text: &str| Some(text.to_owned());
        Environment { https: proxy("proxy.example:3128"), http: proxy("http://plain.example"), none: proxy(none) }
    }

    fn chosen(server: &str, of_cluster: Option<&str>, none: &str) -> Option<String> {
        let proxy = proxy(&server.parse().unwrap(), of_cluster, &environment(none)).unwrap();
        proxy.map(|uri| uri.to_string())
    }

    #[test]
    fn a_server_has_the_proxy_of_its_scheme() {
        assert_eq!(chosen("https://one.example", None, "").as_deref(), Some("http://proxy.example:3128/"));
        assert_eq!(chosen("http://one.example", None, "").as_deref(), Some("http://plain.example/"));
    }

    #[test]
    fn this_machine_has_none() {
        for server in ["https://127.0.0.1:6443", "https://127.8.0.1", "https://localhost:6443", "https://[::1]:6443"] {
            assert_eq!(chosen(server, None, ""), None, "{server}");
        }
    }

    #[test]
    fn no_proxy_excludes_hosts() {
        for (server, none, has_proxy) in [
            ("https://10.1.2.3:6443", "10.0.0.0/8", false),
            ("https://10.1.2.3:6443", "10.1.2.3", false),
            ("https://10.1.2.3:6443", "10.1.2.3:6443", false),
            ("https://10.1.2.3:6443", "10.1.2.3:443", true),
            ("https://10.1.2.3:6443", "proxy.example", true),
            ("https://[fd00::1]:6443", "fd00::/8", false),
            ("https://[fd00::1]:6443", "[fd00::1]:6443", false),
            ("https://api.one.example", "one.example", false),
            ("https://api.one.example", ".one.example", false),
            ("https://api.one.example", "*.one.example", false),
            ("https://api.one.example", "two.example, API.one.example:443,", false),
            ("https://api.one.example", "ne.example", true),
            ("https://api.one.example", "*", false),
            ("https://api.one.example", ",", true),
            ("https://api.one.example", "not a host,:,[", true),
        ] {
            assert_eq!(chosen(server, None, none).is_some(), has_proxy, "{server} {none}");
        }
    }

    #[test]
    fn the_proxy_of_the_kubeconfig_counts_for_all_hosts() {
        let proxy = chosen("https://127.0.0.1:6443", Some("socks5://jump.example:1080"), "*");
        assert_eq!(proxy.as_deref(), Some("socks5://jump.example:1080/"));
        assert_eq!(chosen("https://one.example", Some(""), "*"), None);
    }

    #[test]
    fn another_proxy_is_refused_without_its_address() {
        for text in ["ftp://jane:secret@host", "secret", "http://", "http://jane:secret@"] {
            let error = proxy(&Uri::from_static("https://a"), Some(text), &Environment::default()).expect_err(text);
            assert!(!error.to_string().contains("secret") && error.to_string().contains("proxy-url"), "{error}");
        }
    }
}
