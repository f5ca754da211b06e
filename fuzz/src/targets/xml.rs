//! Any bytes as an XML file.

use crate::checks::{LONGEST, read_through, sound};

const LAYOUTS: &[&str] = &[
    "record_path = \"//r\"",
    "record_path = \"/a/b\"\nparent = [\"/a/@x\"]\narrays = [\"c\"]\ntrim = false",
    "record_path = \"/o:a/*\"\nnamespaces = { o = \"urn:o\" }",
];

pub(crate) fn run(input: &[u8]) {
    let Some((choice, data)) = input.split_first().filter(|(_, data)| data.len() < LONGEST) else { return };
    let keys = LAYOUTS[usize::from(*choice) % LAYOUTS.len()];
    read_through(&sound("xml", keys, &[]), data);
}
