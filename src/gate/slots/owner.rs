//! Which process has a place, for people: its number and its command.

use std::sync::OnceLock;

/// Bytes of a process in a file: its number, and the command with zeros behind it.
pub(super) const WRITTEN: usize = NUMBER + COMMAND;

const NUMBER: usize = 4;
const COMMAND: usize = 20;

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Its number; 0 where none is known, as in files of an earlier version.
    number: u32,
    command: [u8; COMMAND],
}

impl Owner {
    pub(super) const NOBODY: Owner = Owner { number: 0, command: [0; COMMAND] };

    /// This process.
    pub(super) fn current() -> Owner {
        static CURRENT: OnceLock<Owner> = OnceLock::new();
        *CURRENT.get_or_init(|| Owner::of(std::process::id(), &command(std::env::args().skip(1))))
    }

    fn of(number: u32, command: &str) -> Owner {
        let mut bytes = [0; COMMAND];
        let length = command.floor_char_boundary(COMMAND);
        bytes[..length].copy_from_slice(&command.as_bytes()[..length]);
        Owner { number, command: bytes }
    }

    /// Its number, where one is known.
    pub(super) fn number(&self) -> Option<u32> {
        Some(self.number).filter(|number| *number != 0)
    }

    /// Its command; empty where none is known.
    pub(super) fn command(&self) -> String {
        let end = self.command.iter().position(|byte| *byte == 0).unwrap_or(COMMAND);
        String::from_utf8_lossy(&self.command[..end]).into_owned()
    }

    pub(super) fn to_bytes(self) -> [u8; WRITTEN] {
        let mut bytes = [0; WRITTEN];
        bytes[..NUMBER].copy_from_slice(&self.number.to_le_bytes());
        bytes[NUMBER..].copy_from_slice(&self.command);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Owner {
        match (bytes.first_chunk(), bytes.get(NUMBER..WRITTEN).and_then(<[u8]>::first_chunk)) {
            (Some(number), Some(command)) => Owner { number: u32::from_le_bytes(*number), command: *command },
            _ => Owner::NOBODY,
        }
    }
}

/// The command among the words of a command line: the first that is no option, nor the value of the one option that stands
/// before it. Nothing else of the line: there may be a key in it.
fn command(words: impl Iterator<Item = String>) -> String {
    let mut is_value = false;
    for word in words {
        if !is_value && !word.starts_with('-') {
            return word;
        }
        is_value = word == "--config";
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::{Owner, WRITTEN, command};

    #[test]
    fn a_process_is_read_as_it_was_written() {
        for (name, read) in [("serve", "serve"), ("", ""), ("a-command-of-many-letters", "a-command-of-many-le")] {
            let owner = Owner::from_bytes(&Owner::of(4711, name).to_bytes());
            assert_eq!((owner.number(), owner.command().as_str()), (Some(4711), read));
        }
        assert_eq!(Owner::of(1, "ääääääääääää").command(), "ääääääääää");
        assert_eq!(Owner::from_bytes(&[0; WRITTEN]).number(), None);
        assert_eq!(Owner::from_bytes(&[]), Owner::NOBODY);
    }

    #[test]
    fn of_a_command_line_only_the_command_is_told() {
        for (line, expected) in [
            ("--config x.toml sync orders.v1", "sync"),
            ("--json serve", "serve"),
            ("--config=x.toml --json gate list --key tb_secret", "gate"),
            ("", ""),
            ("--config", ""),
        ] {
            assert_eq!(command(line.split_whitespace().map(str::to_owned)), expected, "{line}");
        }
    }
}
