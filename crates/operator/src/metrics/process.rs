//! Metrics of the process, read from `/proc` for each scrape. Those that cannot be read are absent.

use std::fmt;
use std::fs;

use prometheus_client::encoding::DescriptorEncoder;

use super::family::{Family, Type};

pub(super) const CPU: Family =
    Family::new(Type::Counter, "process_cpu_seconds", &[], "User and system CPU time of the process in seconds");
pub(super) const MEMORY: Family =
    Family::new(Type::Gauge, "process_resident_memory_bytes", &[], "Resident memory of the process in bytes");
pub(super) const FILES: Family =
    Family::new(Type::Gauge, "process_open_fds", &[], "Number of open file descriptors of the process");
pub(super) const START: Family =
    Family::new(Type::Gauge, "process_start_time_seconds", &[], "Start of the process in seconds since 1970");

/// `USER_HZ`, the unit of times in `/proc` (man 5 `proc_pid_stat`, man 7 `time`). It is 100 on all platforms of Winddown.
const TICKS: f64 = 100.0;

pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let stat = fs::read_to_string("/proc/self/stat").ok().and_then(|text| Times::parse(&text));
    if let Some(times) = stat {
        CPU.start(encoder)?.float_counter(times.cpu)?;
    }
    if let Some(kibibytes) = field("/proc/self/status", "VmRSS:") {
        MEMORY.start(encoder)?.float_gauge(kibibytes * 1024.0)?;
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // Without the one of the directory itself.
        let files = u32::try_from(files.count().saturating_sub(1)).unwrap_or(u32::MAX);
        FILES.start(encoder)?.float_gauge(files.into())?;
    }
    if let (Some(times), Some(boot)) = (stat, field("/proc/stat", "btime")) {
        START.start(encoder)?.float_gauge(boot + times.start)?;
    }
    Ok(())
}

/// In seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Times {
    cpu: f64,
    /// Since the system started.
    start: f64,
}

impl Times {
    /// From `/proc/self/stat`. Its second field, the name of the program, can contain spaces and parentheses.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        // Numbers of the manual page; the first one after the name is 3.
        let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self { cpu: (ticks(14)? + ticks(15)?) / TICKS, start: ticks(22)? / TICKS })
    }
}

/// The number after a word at the start of a line.
fn field(path: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_follow_the_name_of_the_program() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 500 0 9 0 250 50 0 0 20 0 4 0 123456 9000000 800 1844";
        assert_eq!(Times::parse(stat), Some(Times { cpu: 3.0, start: 1234.56 }));
        for malformed in ["", "7 (a", "7 (a) S 1"] {
            assert_eq!(Times::parse(malformed), None, "{malformed}");
        }
    }
}
