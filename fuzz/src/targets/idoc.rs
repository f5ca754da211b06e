//! Any bytes as IDocs, flat or XML.

use crate::checks::{LONGEST, read_through, sound};

const LAYOUTS: &[&str] = &["", "segments = \"s\""];

const SEGMENTS: &str = "E1EDK01 E1EDK01\n  ACTION 3\n  CURCY 3\nE1EDP01 E1EDP01\n  POSEX 6\n  MENGE 15\n";

pub(crate) fn run(input: &[u8]) {
    let Some((choice, data)) = input.split_first().filter(|(_, data)| data.len() < LONGEST) else { return };
    let keys = LAYOUTS[usize::from(*choice) % LAYOUTS.len()];
    read_through(&sound("idoc", keys, &[("s", SEGMENTS)]), data);
}
