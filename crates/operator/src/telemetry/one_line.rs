//! Keeps each event on one line of the log: texts from manifests, requests and other programs cannot add a line.

use std::fmt::Write as _;
use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;
use winddown_core::sanitize::is_control;

use super::LogFormat;

/// A writer for events; each is passed to it as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct OneLine<W> {
    inner: W,
    format: LogFormat,
}

impl<W> OneLine<W> {
    pub(super) fn new(inner: W, format: LogFormat) -> Self {
        Self { inner, format }
    }

    fn escaped(&self, event: &str) -> String {
        let mut line = String::with_capacity(event.len() + 1);
        for char in event.trim_end_matches('\n').chars() {
            match self.format {
                _ if !is_control(char) => line.push(char),
                LogFormat::Text => line.extend(char.escape_default()),
                // Writing to a String cannot fail. All control characters have four digits.
                LogFormat::Json => drop(write!(line, "\\u{:04x}", u32::from(char))),
            }
        }
        line.push('\n');
        line
    }
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = self.escaped(&String::from_utf8_lossy(event));
        self.inner.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for OneLine<W> {
    type Writer = OneLine<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLine { inner: self.inner.make_writer(), format: self.format }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::captured::Output;
    use super::*;

    /// What is logged about a text, as the message and in fields of each kind.
    fn logged(text: &str, format: LogFormat) -> String {
        let output = Output::default();
        let writer = OneLine::new(
            {
                let output = output.clone();
                move || output.clone()
            },
            format,
        );
        let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false);
        let log = || tracing::warn!(text, display = %text, debug = ?text, "of {text}");
        match format {
            LogFormat::Text => tracing::subscriber::with_default(subscriber.finish(), log),
            LogFormat::Json => tracing::subscriber::with_default(subscriber.json().flatten_event(true).finish(), log),
        }
        output.text()
    }

    #[test]
    fn a_forged_line_is_part_of_the_line_that_it_was_in() {
        let forged = "x\n2026-01-01T00:00:00Z  INFO winddown: denied\r\u{1b}[31m\u{85}\u{2028}";
        let text = logged(forged, LogFormat::Text);
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("of x\\n2026-01-01T00:00:00Z  INFO winddown: denied"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&logged(forged, LogFormat::Json)).unwrap();
        assert_eq!((&json["text"], &json["display"]), (&forged.into(), &forged.into()));
    }

    proptest! {
        #[test]
        fn every_event_is_one_line(text in any::<String>()) {
            for format in [LogFormat::Text, LogFormat::Json] {
                let output = logged(&text, format);
                let line = output.strip_suffix('\n').unwrap();
                prop_assert!(!line.contains(is_control), "{:?}", output);
                if format == LogFormat::Json {
                    prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{:?}", output);
                }
            }
        }
    }
}
