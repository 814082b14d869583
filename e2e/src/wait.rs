//! Waiting for something to come true, for so long and no longer.

use std::time::{Duration, Instant};

use tokio::time::timeout;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// It did not come true in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {} s in vain until {what}", .limit.as_secs())]
pub struct Elapsed {
    what: String,
    limit: Duration,
}

/// Looks again and again until there is something to see. An error ends the waiting at once.
pub async fn until<T, E: From<Elapsed>>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>, E>,
) -> Result<T, E> {
    let start = Instant::now();
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        if start.elapsed() >= limit {
            return Err(Elapsed { what: what.to_owned(), limit }.into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits for what takes its time, but only so long.
pub async fn within<T, E: From<Elapsed>>(
    what: &str,
    limit: Duration,
    wait: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout(limit, wait).await.unwrap_or_else(|_| Err(Elapsed { what: what.to_owned(), limit }.into()))
}
