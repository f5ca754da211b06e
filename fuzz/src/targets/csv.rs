//! Any bytes as CSV, in many dialects: the first byte chooses.

use crate::checks::{LONGEST, read_through, sound};

const DIALECTS: &[&str] = &[
    "",
    "delimiter = \";\"\nencoding = \"windows-1252\"\nragged = \"pad\"",
    "delimiter = \"\\t\"\nquote = \"\"\nheader = false\ncolumns = [\"a\", \"b\", \"c\"]",
    "quote = \"'\"\npreamble_lines = 2\nencoding = \"cp850\"",
];

pub(crate) fn run(input: &[u8]) {
    let Some((choice, data)) = input.split_first().filter(|(_, data)| data.len() < LONGEST) else { return };
    let keys = DIALECTS[usize::from(*choice) % DIALECTS.len()];
    read_through(&sound("csv", keys, &[]), data);
}
