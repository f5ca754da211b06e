//! Any JSON as a record: it is refused, or what is written reads back.

use crate::checks::{LONGEST, sound, write_and_read};

const COPYBOOK: &str = "
       01  REC.
           05  A                 PIC X(4).
           05  B                 PIC S9(5)V99 COMP-3.
           05  C                 PIC S9(4) COMP.
           05  D                 PIC S9(3) SIGN LEADING SEPARATE.
           05  N                 PIC 9.
           05  T OCCURS 0 TO 3 TIMES DEPENDING ON N PIC X(2).
";

const LAYOUTS: &[(&str, &str)] = &[
    ("cobol", "copybook = \"c\"\nencoding = \"cp037\"\nodo = \"variable\"\nframing = \"rdw-be\""),
    ("csv", "header = false\ncolumns = [\"a\", \"b\"]"),
    ("fixed_width", "fields = [{ name = \"a\", start = 1, length = 3 }, { name = \"b\", start = 4, length = 2 }]"),
    ("edi", ""),
    ("idoc", ""),
    ("xml", "record_path = \"/a/b\""),
];

pub(crate) fn run(input: &[u8]) {
    let Some((choice, data)) = input.split_first().filter(|(_, data)| data.len() < LONGEST) else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (kind, keys) = LAYOUTS[usize::from(*choice) % LAYOUTS.len()];
    write_and_read(&sound(kind, keys, &[("c", COPYBOOK)]), text);
}
