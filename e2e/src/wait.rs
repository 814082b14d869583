//! Bounded waiting.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two polls.
const INTERVAL: Duration = Duration::from_millis(50);

/// Polls until `poll` returns a value. Returns an error after `limit`, or as soon as `poll` returns one.
/// `condition` completes the message "timed out after 30 s waiting for …".
pub async fn until<T>(condition: &str, limit: Duration, mut poll: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = poll().await? {
            return Ok(value);
        }
        if start.elapsed() >= limit {
            bail!(timed_out(condition, limit));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Awaits `future` for at most `limit`. `condition` is used as in [`until`].
pub async fn within<T>(condition: &str, limit: Duration, future: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, future).await {
        Ok(result) => result,
        Err(_) => bail!(timed_out(condition, limit)),
    }
}

fn timed_out(condition: &str, limit: Duration) -> String {
    format!("timed out after {} s waiting for {condition}", limit.as_secs())
}
