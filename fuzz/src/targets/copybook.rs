//! Any text as a copybook: faults or a layout, and a layout reads any bytes. Text and bytes are parted by a NUL.

use crate::checks::{LONGEST, compile, read_through};

pub(crate) fn run(input: &[u8]) {
    let (text, data) = input.split_at(input.iter().position(|byte| *byte == 0).unwrap_or(input.len()));
    let Ok(text) = std::str::from_utf8(text) else { return };
    let keys = "copybook = \"c\"\nencoding = \"cp037\"\nodo = \"variable\"";
    let Some(decoder) = compile("cobol", keys, &[("c", text)]) else { return };
    decoder.describe();
    // A layout of megabytes reads as one of bytes does.
    if data.len() < LONGEST {
        read_through(&decoder, data);
    }
}
