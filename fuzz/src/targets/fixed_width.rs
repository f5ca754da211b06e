//! Any bytes as text in fixed columns: the first byte chooses the layout.

use crate::checks::{LONGEST, read_through, sound};

const LAYOUTS: &[&str] = &[
    "fields = [{ name = \"a\", start = 1, length = 3 }, { name = \"b\", start = 4, length = 2 }]",
    "spec = \"s\"\nencoding = \"cp850\"\npad = true\ntrim = \"none\"",
    "spec = \"s\"\nencoding = \"windows-1252\"\nheader_lines = 2\nfooter_lines = 1",
];

const SPEC: &str = "kind,1,1\nname,2,4\nfiller,6,3\namount,6,5\n";

pub(crate) fn run(input: &[u8]) {
    let Some((choice, data)) = input.split_first().filter(|(_, data)| data.len() < LONGEST) else { return };
    let keys = LAYOUTS[usize::from(*choice) % LAYOUTS.len()];
    read_through(&sound("fixed_width", keys, &[("s", SPEC)]), data);
}
