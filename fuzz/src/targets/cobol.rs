//! Any bytes under a copybook with every kind of item, in every framing: the first byte chooses.

use crate::checks::{LONGEST, read_through, sound};

const COPYBOOK: &str = "
       01  REC.
           05  KIND              PIC X.
           05  NUMBERS.
               10  ZONED         PIC S9(5)V99.
               10  LEAD-SIGN     PIC S9(3) SIGN LEADING SEPARATE.
               10  PACKED        PIC S9(7)V99 COMP-3.
               10  HALF          PIC S9(4) COMP.
               10  NATIVE        PIC 9(9) COMP-5.
               10  SHORT         COMP-1.
               10  LONG          COMP-2.
           05  TEXT-ITEM         PIC X(6).
           05  AS-TEXT REDEFINES TEXT-ITEM PIC 9(6).
           05  COUNT-OF          PIC 9.
           05  ENTRY OCCURS 0 TO 5 TIMES DEPENDING ON COUNT-OF.
               10  NAME          PIC X(3).
               10  AMOUNT        PIC S9(3) COMP-3.
           05  LAST-ITEM         PIC X(2).
";

const LAYOUTS: &[&str] = &[
    "copybook = \"c\"\nodo = \"variable\"\nencoding = \"cp037\"\nframing = \"fixed\"",
    "copybook = \"c\"\nodo = \"fixed\"\nencoding = \"cp1141\"\nframing = \"fixed\"\nheader_bytes = 3\nfooter_bytes = 2",
    "copybook = \"c\"\nodo = \"variable\"\nencoding = \"windows-1252\"\nframing = \"line\"",
    "copybook = \"c\"\nodo = \"variable\"\nencoding = \"cp037\"\nframing = \"rdw-be\"",
    "copybook = \"c\"\nodo = \"variable\"\nencoding = \"cp037\"\nframing = \"rdw-le\"\nrdw_adjust = -4",
    "copybook = \"c\"\nodo = \"fixed\"\nencoding = \"cp037\"\nframing = \"bdw\"",
    "copybook = \"c\"\nodo = \"fixed\"\nencoding = \"cp850\"\nframing = \"fixed\"\nrecord_prefix = 2\nrecord_suffix = 1\ntrim = \"none\"\nfloat = \"ieee\"\ncomp5 = \"little\"",
    "copybook = \"c\"\nodo = \"variable\"\nencoding = \"cp037\"\nframing = \"vbs\"",
    "copybook = \"c\"\nodo = \"variable\"\nencoding = \"cp037\"\nframing = \"header\"\nframe_header = { bytes = 4, offset = 1, size = 2, type = \"big\", counts = \"record\" }",
    "copybook = \"c\"\nodo = \"variable\"\nencoding = \"cp037\"\nframing = \"length-field\"\nlength_field = \"HALF\"",
    "copybook = \"c\"\nodo = \"variable\"\nencoding = \"cp037\"\nframing = \"odo\"",
    "copybook = \"c\"\nodo = \"variable\"\nencoding = \"cp037\"\nframing = \"auto\"",
];

pub(crate) fn run(input: &[u8]) {
    let Some((choice, data)) = input.split_first().filter(|(_, data)| data.len() < LONGEST) else { return };
    let keys = LAYOUTS[usize::from(*choice) % LAYOUTS.len()];
    read_through(&sound("cobol", keys, &[("c", COPYBOOK)]), data);
}
