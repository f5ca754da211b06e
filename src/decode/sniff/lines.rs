//! Lines: how they end, and whether they are all as long as one another.

use super::Report;
use super::charset::Guess;

/// How often lines end in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LineEnds {
    pub(super) crlf: usize,
    pub(super) lf: usize,
    pub(super) cr: usize,
    is_ebcdic: bool,
    /// Whether the file, or what was seen of it, ends with one.
    at_end: bool,
}

impl LineEnds {
    /// Whether they were counted in EBCDIC, where a carriage return before a line's end is not told apart.
    pub(super) fn is_ebcdic(self) -> bool {
        self.is_ebcdic
    }

    pub(super) fn of(bytes: &[u8], guess: &Guess) -> LineEnds {
        let mut ends = LineEnds { is_ebcdic: guess.is_ebcdic, ..LineEnds::default() };
        if guess.is_ebcdic {
            // NL, or LF with or without CR before it.
            ends.lf = bytes.iter().filter(|byte| matches!(byte, 0x15 | 0x25)).count();
            ends.at_end = matches!(bytes.last(), Some(0x15 | 0x25));
            return ends;
        }
        let text = guess.text.as_bytes();
        let mut last = 0;
        for (at, &byte) in text.iter().enumerate() {
            match byte {
                b'\n' if last == b'\r' => (ends.crlf, ends.cr) = (ends.crlf + 1, ends.cr - 1),
                b'\n' => ends.lf += 1,
                b'\r' => ends.cr += 1,
                _ => {}
            }
            last = byte;
            ends.at_end = at + 1 == text.len() && matches!(byte, b'\n' | b'\r');
        }
        ends
    }

    pub(super) fn report(&self, report: &mut Report) {
        let kinds = [("CRLF", self.crlf), (if self.is_ebcdic { "NL or LF" } else { "LF" }, self.lf), ("CR", self.cr)];
        let seen: Vec<_> = kinds.into_iter().filter(|(_, count)| *count > 0).collect();
        let found = seen.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" and ");
        let counts = seen.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ");
        let end = if self.at_end { "the last byte ends a line" } else { "the last line has no end" };
        match seen.is_empty() {
            true => report.add("line ends", "none", "no line ends at all"),
            false => report.add("line ends", found, format!("{counts}; {end}")),
        }
    }

    /// Whether what may be line ends of EBCDIC are some: in records with binary numbers the same bytes are digits.
    pub(super) fn are_lines(&self, bytes: &[u8]) -> bool {
        let controls =
            bytes.iter().filter(|byte| **byte < 0x40 && !matches!(**byte, 0x05 | 0x0D | 0x15 | 0x25)).count();
        let longest = bytes.split(|byte| matches!(byte, 0x15 | 0x25)).map(<[u8]>::len).max().unwrap_or(0);
        self.lf > 0 && controls * 100 < bytes.len() && longest < 10_000
    }
}

/// Lines of a text, with CRLF, LF and CR as their ends.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    let ended = text.strip_suffix('\n').unwrap_or(text);
    let ended = ended.strip_suffix('\r').unwrap_or(ended);
    ended.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// How many lines a text has.
pub(super) fn count(text: &str) -> u64 {
    if text.is_empty() { 0 } else { split(text).count() as u64 }
}

/// Lines of one length, in columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    /// Characters of a line.
    pub(super) length: usize,
    /// Lines of this length, and all that are not blank.
    pub(super) regular: usize,
    pub(super) lines: usize,
    /// Lines before the first one of this length.
    pub(super) header_lines: usize,
    /// First column, from 1, and length of everything that blanks set apart.
    pub(super) columns: Vec<(usize, usize)>,
}

/// Whether nearly all lines are as long as one another.
pub(super) fn fixed(guess: &Guess, whole: bool) -> Option<Fixed> {
    let text = if guess.is_ebcdic { guess.text.replace(['\u{85}', '\u{8e}'], "\n") } else { guess.text.clone() };
    let mut lines: Vec<&str> = split(&text).take(5000).collect();
    if !whole {
        lines.pop();
    }
    let filled: Vec<&str> = lines.iter().copied().filter(|line| !line.trim().is_empty()).collect();
    let mut lengths: Vec<usize> = filled.iter().map(|line| line.chars().count()).collect();
    lengths.sort_unstable();
    // The length that at least nine of ten lines have is also the one in the middle.
    let length = *lengths.get(lengths.len() / 2)?;
    let regular = lengths.iter().filter(|other| **other == length).count();
    if length < 8 || regular < 3 || regular * 10 < filled.len() * 9 {
        return None;
    }
    let mut is_blank = vec![true; length];
    for line in filled.iter().filter(|line| line.chars().count() == length) {
        is_blank.iter_mut().zip(line.chars()).for_each(|(blank, char)| *blank &= char == ' ');
    }
    let mut columns: Vec<(usize, usize)> = Vec::new();
    for (at, blank) in is_blank.iter().enumerate() {
        let begins = !blank && (at == 0 || is_blank.get(at - 1) == Some(&true));
        if begins {
            columns.push((at + 1, 0));
        }
        // Blanks behind a text belong to it: they are the padding of a longer one.
        if let Some((_, width)) = columns.last_mut() {
            *width += 1;
        }
    }
    let header_lines = lines.iter().position(|line| line.chars().count() == length).unwrap_or(0);
    Some(Fixed { length, regular, lines: filled.len(), header_lines, columns })
}

#[cfg(test)]
mod tests {
    use super::{count, split};

    #[test]
    fn lines_of_all_ends() {
        assert_eq!(split("a\nb\r\nc\rd").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!([count(""), count("a"), count("a\n"), count("a\r\n\r\n"), count("a\rb\r")], [0, 1, 1, 2, 2]);
    }
}
