//! Any bytes as an XML file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollbridge_fuzz::{LONGEST, read_through, sound};

const LAYOUTS: &[&str] = &[
    "record_path = \"//r\"",
    "record_path = \"/a/b\"\nparent = [\"/a/@x\"]\narrays = [\"c\"]\ntrim = false",
    "record_path = \"/o:a/*\"\nnamespaces = { o = \"urn:o\" }",
];

fuzz_target!(|input: &[u8]| {
    let Some((choice, data)) = input.split_first().filter(|(_, data)| data.len() < LONGEST) else { return };
    let keys = LAYOUTS[usize::from(*choice) % LAYOUTS.len()];
    read_through(&sound("xml", keys, &[]), data);
});
