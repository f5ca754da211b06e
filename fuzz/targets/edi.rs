//! Any bytes as an interchange, with and without a schema.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollbridge_fuzz::{LONGEST, read_through, sound};

const LAYOUTS: &[&str] = &["", "schema = \"s\"", "schema = \"d\""];

const X12: &str = include_str!("../../fixtures/edi/850.toml");
const EDIFACT: &str = include_str!("../../fixtures/edi/orders.d96a.toml");

fuzz_target!(|input: &[u8]| {
    let Some((choice, data)) = input.split_first().filter(|(_, data)| data.len() < LONGEST) else { return };
    let keys = LAYOUTS[usize::from(*choice) % LAYOUTS.len()];
    read_through(&sound("edi", keys, &[("s", X12), ("d", EDIFACT)]), data);
});
