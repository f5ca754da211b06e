//! Any bytes in the framings of their own, and as several record types that nest: the first byte chooses.

use crate::checks::{LONGEST, read_through, sound};

const COPYBOOK: &str = "
       01  HEAD-REC.
           05  REC-TYPE          PIC X.
           05  BATCH             PIC 9(3).
       01  ITEM-REC.
           05  I-TYPE            PIC X.
           05  LEN               PIC 99.
           05  CNT               PIC 9.
           05  AMOUNTS OCCURS 0 TO 4 TIMES DEPENDING ON CNT.
               10  AMOUNT        PIC S9(3) COMP-3.
       01  NOTE-REC.
           05  N-TYPE            PIC X.
           05  NOTE              PIC X(6).
";

const NESTED: &str = "segment_field = \"REC-TYPE\"\nsegment_map = { H = \"HEAD-REC\", I = \"ITEM-REC\", N = \"NOTE-REC\" }\n\
                      segment_children = { HEAD-REC = \"ITEM-REC\", ITEM-REC = \"NOTE-REC\" }";

const FRAMINGS: &[&str] = &[
    "framing = \"rdw-be\"",
    "framing = \"bdw\"",
    "framing = \"line\"",
    "framing = \"odo\"",
    "framing = \"header\"\nframe_header = { bytes = 3, offset = 1, size = 2 }",
];

pub(crate) fn run(input: &[u8]) {
    let Some((choice, data)) = input.split_first().filter(|(_, data)| data.len() < LONGEST) else { return };
    let framing = FRAMINGS[usize::from(*choice) % FRAMINGS.len()];
    let keys = format!("copybook = \"c\"\nencoding = \"cp037\"\nodo = \"variable\"\n{framing}\n{NESTED}");
    read_through(&sound("cobol", keys, &[("c", COPYBOOK)]), data);
}
