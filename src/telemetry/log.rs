//! Logs: one line an event on stderr, as JSON for machines or as text for people.
//!
//! stdout belongs to the commands' results. The level comes from `[telemetry] level`; a directive of the
//! `tracing` family (`info,tollbridge::gate=debug`) narrows it to a part of the house.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;

use crate::diagnostic::{Key, Presence, Section, Table};

/// `[telemetry]`.
pub static SECTION: Section = Section {
    path: "telemetry",
    doc: "What the service tells about itself. Metrics are always at `/metrics` of the admin listener.",
    keys: &[
        Key {
            name: "log",
            shape: "\"json\" | \"text\"",
            presence: Presence::Default("\"json\""),
            doc: "form of the log lines on stderr",
        },
        Key {
            name: "level",
            shape: "string",
            presence: Presence::Default("\"info\""),
            doc: "least level that is logged: error, warn, info, debug or trace; `info,tollbridge::gate=debug` \
                  narrows it to a part. Every request is logged at debug, those that failed here at info; refusals of a gate or a rate \
                  are counted. `info,tollbridge::staging::statements=trace` tells each SQL statement to the staging database, \
                  without its values",
        },
    ],
};

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Settings of `[telemetry]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Form of the lines.
    pub log: LogFormat,
    /// A filter directive that [`init`] accepts.
    pub level: String,
}

impl Config {
    /// Reads `[telemetry]`; `None` after reporting what is wrong.
    pub fn read(table: &Table<'_>) -> Option<Config> {
        let log = table.one_of("log", &[("json", LogFormat::Json), ("text", LogFormat::Text)]);
        let level = table.read("level", |node| {
            let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
            // The parser takes any lone word for a target's name; only a level is meant here.
            let lone_word = !text.contains(['=', ',']);
            if lone_word && text.parse::<tracing::Level>().is_err() {
                return Err(format!("`{text}` is no level: error, warn, info, debug, trace"));
            }
            EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|fault| format!("`{text}`: {fault}"))
        });
        Some(Config { log: log?, level: level? })
    }
}

/// Starts logging to stderr. Call it once, first thing; a later call (a test's) changes nothing.
pub fn init(config: &Config) {
    let mut filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    // At their finest these tell what goes over the line, passwords too: nobody may turn that on. What they have to
    // say of faults, our own errors say.
    for directive in ["suppaftp=off", "russh=error", "russh_sftp=error", "tiberius=off", "odbc_api=off"] {
        filter = match directive.parse() {
            Ok(directive) => filter.add_directive(directive),
            Err(_) => filter,
        };
    }
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    // `try_init` fails only when a subscriber is there already, which then does the work.
    let _already_there = match config.log {
        LogFormat::Json => {
            let lines = builder.json().flatten_event(true).with_current_span(true).with_span_list(false);
            lines.with_writer(io::stderr).try_init()
        }
        LogFormat::Text => {
            let colours = io::stderr().is_terminal();
            let lines = builder.with_target(false).with_ansi(colours);
            lines.with_writer(move || OneLine { out: io::stderr(), colours }).try_init()
        }
    };
}

/// Writes each event, which comes in one piece, as one line: names of files and answers of servers come from outside, and a
/// line end in them must not begin what looks like another event.
struct OneLine<W> {
    out: W,
    /// Escape characters are ours: they begin colours.
    colours: bool,
}

impl<W> OneLine<W> {
    fn is_plain(&self, byte: u8) -> bool {
        (byte >= 0x20 && byte != 0x7F) || byte == b'\t' || (byte == 0x1B && self.colours)
    }
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = event.strip_suffix(b"\n").unwrap_or(event);
        if line.iter().all(|byte| self.is_plain(*byte)) {
            self.out.write_all(event)?;
            return Ok(event.len());
        }
        let mut shown = Vec::with_capacity(event.len() + 16);
        for byte in line {
            match self.is_plain(*byte) {
                true => shown.push(*byte),
                false => shown.extend(byte.escape_ascii()),
            }
        }
        shown.extend_from_slice(&event[line.len()..]);
        self.out.write_all(&shown)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, LogFormat, OneLine, SECTION};
    use crate::diagnostic::{Faults, SourceText, Table, parse};
    use std::io::Write;
    use std::path::Path;

    #[test]
    fn an_event_is_one_line() {
        let shown = |event: &[u8], colours: bool| {
            let mut lines = OneLine { out: Vec::new(), colours };
            lines.write_all(event).unwrap();
            String::from_utf8(lines.out).unwrap()
        };
        let written = |event: &[u8]| shown(event, false);
        assert_eq!(written(b"INFO read a file file=a.csv\n"), "INFO read a file file=a.csv\n");
        assert_eq!(written(b"INFO file=a\nERROR b\r\n.csv\n"), "INFO file=a\\nERROR b\\r\\n.csv\n");
        assert_eq!(written(b"\n"), "\n");
        assert_eq!(written("INFO ä\t\u{1b}[31m\u{7f}\n".as_bytes()), "INFO ä\t\\x1b[31m\\x7f\n");
        assert_eq!(shown(b"\x1b[32mINFO\x1b[0m a\nb\n", true), "\x1b[32mINFO\x1b[0m a\\nb\n");
    }

    fn check(text: &str, expected: Result<(LogFormat, &str), &str>) {
        let source = SourceText::new(Path::new("t.toml"), text.to_owned());
        let faults = Faults::new();
        let root = parse(&source, &faults);
        let config = Table::new(&root, &SECTION, &faults).and_then(|table| Config::read(&table));
        match (config, expected) {
            (Some(config), Ok((log, level))) => assert_eq!((config.log, config.level.as_str()), (log, level)),
            (None, Err(part)) => {
                let faults = faults.into_sorted();
                assert!(faults.iter().any(|fault| fault.to_string().contains(part)), "{faults:?}");
            }
            (config, expected) => panic!("{text}: {config:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn settings() {
        check("", Ok((LogFormat::Json, "info")));
        check("log = \"text\"\nlevel = \"debug\"", Ok((LogFormat::Text, "debug")));
        check("level = \"info,tollbridge::gate=trace\"", Ok((LogFormat::Json, "info,tollbridge::gate=trace")));
        check("level = \"loud\"", Err("`loud` is no level"));
        check("log = \"xml\"", Err("not one of"));
    }
}
