//! Latencies and CPU time of one kind of request to one server.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

/// What was measured, in all rounds together.
pub(crate) struct Measured {
    nanoseconds: Histogram<u64>,
    cpu: Duration,
}

/// The same in numbers, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) requests: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// CPU time of the server for each request.
    pub(crate) cpu: f64,
}

impl Measured {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { nanoseconds: Histogram::new(3)?, cpu: Duration::ZERO })
    }

    pub(crate) fn record(&mut self, latency: Duration) -> Result<()> {
        Ok(self.nanoseconds.record(u64::try_from(latency.as_nanos())?)?)
    }

    pub(crate) fn add_cpu(&mut self, cpu: Duration) {
        self.cpu += cpu;
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds are shown with two digits")]
    pub(crate) fn summary(&self) -> Summary {
        let quantile = |quantile| self.nanoseconds.value_at_quantile(quantile) as f64 / 1e6;
        let requests = self.nanoseconds.len();
        Summary {
            requests,
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: self.nanoseconds.max() as f64 / 1e6,
            cpu: self.cpu.as_secs_f64() * 1e3 / requests.max(1) as f64,
        }
    }
}
