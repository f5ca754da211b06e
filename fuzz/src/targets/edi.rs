//! Any bytes as an interchange, with and without a schema.

use crate::checks::{LONGEST, read_through, sound};

const LAYOUTS: &[&str] = &["", "schema = \"s\"", "schema = \"d\""];

const X12: &str = include_str!("../../../fixtures/edi/850.toml");
const EDIFACT: &str = include_str!("../../../fixtures/edi/orders.d96a.toml");

pub(crate) fn run(input: &[u8]) {
    let Some((choice, data)) = input.split_first().filter(|(_, data)| data.len() < LONGEST) else { return };
    let keys = LAYOUTS[usize::from(*choice) % LAYOUTS.len()];
    read_through(&sound("edi", keys, &[("s", X12), ("d", EDIFACT)]), data);
}
