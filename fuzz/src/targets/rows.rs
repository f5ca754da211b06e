//! Any bytes as a file of rows: whole, or as the rows behind a head that is sound.

use std::sync::LazyLock;

use crate::checks::{LONGEST, read_through};
use tollbridge::decode::{Compression, Decoder, Format, Packing, rows};
use tollbridge::diagnostic::Faults;

static ROWS: LazyLock<Decoder> = LazyLock::new(|| {
    let compiled = Format::Rows(rows::Settings::default()).compile(&|_| None, &Faults::new());
    let plain = Compression { packing: Packing::None, ..Compression::default() };
    compiled.unwrap_or_else(|| panic!("no layout")).with_compression(plain)
});

const HEAD: &[u8] = br#"{"columns":[{"name":"A","kind":"integer","declared":"int","nullable":true},{"name":"B","kind":"text","max_chars":9,"declared":"char(9)","nullable":null},{"name":"C","kind":"decimal","precision":9,"scale":2,"declared":"","nullable":null},{"name":"D","kind":"float","declared":"","nullable":null},{"name":"E","kind":"bytes","max":null,"declared":"","nullable":null}]}"#;

pub(crate) fn run(input: &[u8]) {
    let Some((choice, data)) = input.split_first().filter(|(_, data)| data.len() < LONGEST) else { return };
    if choice % 2 == 0 {
        return read_through(&ROWS, data);
    }
    let length = (HEAD.len() as u32).to_le_bytes();
    read_through(&ROWS, &[&b"TBROWS1\n"[..], &length, HEAD, data].concat());
}
