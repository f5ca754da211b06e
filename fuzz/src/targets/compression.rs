//! Any bytes as a compressed CSV file: what comes out is read on, and going back gives the same.

use crate::checks::{LONGEST, read_within, sound};

pub(crate) fn run(data: &[u8]) {
    if data.len() < LONGEST {
        let decoder =
            sound("csv in a packed file", "header = false\nquote = \"\"\ncolumns = [\"a\", \"b\", \"c\"]", &[]);
        read_within(&decoder, data, 1 << 20);
    }
}
