//! `curl` and `wget`.

use std::time::Duration;

use super::effect::{By, Effect, Signal, Span, Status};
use super::programs::limited;
use super::sleep::duration;
use crate::catalog::endpoints::Endpoint;

/// A request on a command line.
#[derive(Default)]
struct Request<'a> {
    posts: bool,
    limit: Option<Duration>,
    retries: bool,
    urls: Vec<&'a str>,
}

/// The short options of curl with a value.
const CURL_VALUES: &str = "ACDEFHKPQTUXYbcdehmortuwxyz";

pub(super) fn curl(arguments: &[Option<String>]) -> Effect {
    let mut request = Request::default();
    let mut words = arguments.iter().map(|word| word.as_deref().unwrap_or_default());
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            match name {
                "max-time" => request.limit = duration(value.or_else(|| words.next()).unwrap_or_default()),
                "request" => request.posts |= is_post(value.or_else(|| words.next()).unwrap_or_default()),
                "json" => request.posts = true,
                _ if name.starts_with("data") || name.starts_with("form") => request.posts = true,
                _ if name.starts_with("retry") => request.retries = true,
                "url" => request.urls.extend(value.or_else(|| words.next())),
                _ => {}
            }
        } else if let Some(flags) = word.strip_prefix('-') {
            if let Some(at) = flags.find(|flag| CURL_VALUES.contains(flag)) {
                let value = if at + 1 < flags.len() { &flags[at + 1..] } else { words.next().unwrap_or_default() };
                match &flags[at..=at] {
                    "m" => request.limit = duration(value),
                    "X" => request.posts |= is_post(value),
                    "d" | "F" => request.posts = true,
                    _ => {}
                }
            }
        } else {
            request.urls.push(word);
        }
    }
    request.effect()
}

/// The `--timeout` of wget is for each attempt and each step, so it is no limit.
pub(super) fn wget(arguments: &[Option<String>]) -> Effect {
    let mut request = Request::default();
    let mut words = arguments.iter().map(|word| word.as_deref().unwrap_or_default());
    while let Some(word) = words.next() {
        if word.starts_with("--post") || word.starts_with("--body") {
            request.posts = true;
        } else if let Some(method) = word.strip_prefix("--method") {
            request.posts |= is_post(method.strip_prefix('=').or_else(|| words.next()).unwrap_or_default());
        } else if !word.starts_with('-') {
            request.urls.push(word);
        }
    }
    request.effect()
}

fn is_post(method: &str) -> bool {
    matches!(method.to_ascii_uppercase().as_str(), "POST" | "PUT")
}

impl Request<'_> {
    /// The server may take any time to answer.
    fn effect(&self) -> Effect {
        let time = if self.retries { Span::at_least(Duration::ZERO) } else { limited(self.limit).time };
        let stops = self.posts
            && self.urls.iter().any(|url| is_in_pod(url) && Endpoint::of_url(url).is_some_and(|it| it.stops));
        let signal = stops.then_some(Signal::now(By::Command));
        Effect { time, status: Status::Expected, signal }
    }
}

fn is_in_pod(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0") || rest.starts_with("[::1]")
}
