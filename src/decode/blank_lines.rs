//! Blank lines of text files: amid the data they are records of blanks, at the end of the file they are nothing.

use std::io::{self, Read};

use super::code_page::Family;
use super::encode::EncodeFault;
use super::lines::{is_blank, next_line_at};
use super::window::Window;
use crate::diagnostic::{Key, Presence};

/// How far is looked for what follows a blank line. A longer run of them counts as lying amid the data.
const LOOKAHEAD: usize = 1 << 20;

/// What a blank line amid the data is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlankLines {
    /// A record of blanks, as programs write them.
    #[default]
    Record,
    /// No record; it is counted as left out.
    Skip,
}

impl BlankLines {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, BlankLines)] =
        &[("record", BlankLines::Record), ("skip", BlankLines::Skip)];
}

/// The key of those formats that have lines.
pub(super) const BLANK_LINES: Key = Key {
    name: "blank_lines",
    shape: "\"record\" | \"skip\"",
    presence: Presence::Default("\"record\""),
    doc: "what a blank line amid the data of a file of lines is: a record of blanks, or counted and left out; at the end of \
          the file it is nothing",
};

/// The blank lines that a file ends with while it is written. Amid the data they are records, at its end they would be
/// nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BlankTail(u64);

impl BlankTail {
    /// Takes note of a line that is about to be written; refuses a blank one where reading leaves them out.
    pub(super) fn note(&mut self, is_blank: bool, blank_lines: BlankLines) -> Result<(), EncodeFault> {
        if is_blank && blank_lines == BlankLines::Skip {
            let found = "a blank line, which reading leaves out (`blank_lines`)";
            return Err(EncodeFault::here("a record that is not blank", found));
        }
        self.0 = if is_blank { self.0 + 1 } else { 0 };
        Ok(())
    }

    /// Whether what was written last is read again: a footer behind it is something.
    pub(super) fn check_end(self, footer_lines: u64) -> Result<(), EncodeFault> {
        let found = match self.0 {
            0 => return Ok(()),
            _ if footer_lines > 0 => return Ok(()),
            1 => "a blank line at the end of the file, which is read as no record".to_owned(),
            count => format!("{count} blank lines at the end of the file, which are read as no records"),
        };
        Err(EncodeFault::here("a last record that is not blank", found))
    }
}

/// What is known of the blank lines at a place, so that each run of them is looked at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BlankRun {
    /// Offset of the first byte behind the run.
    end: u64,
    /// Whether something follows it.
    amid: bool,
}

impl BlankRun {
    /// Whether anything but blank lines follows the start of the blank line that begins `at` bytes behind the start of the
    /// window. A footer, which begins at the offset `footer`, is something.
    pub(super) fn lies_amid<R: Read>(
        &mut self,
        window: &mut Window,
        input: &mut R,
        (family, blank): (Family, u8),
        at: usize,
        footer: u64,
    ) -> io::Result<bool> {
        if window.offset() + (at as u64) < self.end {
            return Ok(self.amid);
        }
        let mut behind = at;
        self.amid = loop {
            let Some(line) = next_line_at(window, input, family, behind)? else { break false };
            let content = window.first(behind + line.content).get(behind..).unwrap_or_default();
            let is_footer = window.offset() + behind as u64 >= footer;
            if is_footer || behind - at > LOOKAHEAD || !line.whole || !is_blank(content, blank) {
                break true;
            }
            behind += line.total;
        };
        self.end = window.offset() + behind as u64;
        Ok(self.amid)
    }
}
