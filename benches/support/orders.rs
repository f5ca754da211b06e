//! Orders as a mainframe writes them, the same in every run.

use crate::support::{Numbers, ebcdic, packed};

/// The layout of [`orders`].
pub(crate) const COPYBOOK: &str = "
       01  ORDER-REC.
           05  ORD-NO            PIC X(10).
           05  CUST-NO           PIC 9(8).
           05  ORD-DATE          PIC 9(8).
           05  STATUS-CD         PIC X(2).
           05  AMOUNT            PIC S9(9)V99 COMP-3.
           05  TAX               PIC S9(7)V99 COMP-3.
           05  QTY               PIC S9(5) COMP.
           05  CUST-NAME         PIC X(40).
           05  CUST-ADDR         PIC X(60).
           05  LINE-ITEM OCCURS 5 TIMES.
               10  SKU           PIC X(12).
               10  L-QTY         PIC S9(5) COMP-3.
               10  L-PRICE       PIC S9(7)V99 COMP-3.
           05  FILLER            PIC X(20).
";

/// Bytes of a record.
pub(crate) const LENGTH: usize = 263;

/// Records of [`LENGTH`] bytes in cp037: text, zoned, binary and packed numbers, a table of five.
pub(crate) fn orders(records: usize) -> Vec<u8> {
    let mut numbers = Numbers(7);
    let mut out = Vec::with_capacity(records * LENGTH);
    let names = ["MUELLER & SOEHNE GMBH", "ACME CORP", "DUPONT SARL", "YAMADA KK"];
    for record in 0..records {
        ebcdic(&format!("{record:010}"), 10, &mut out);
        ebcdic(&format!("{:08}", numbers.below(100_000_000)), 8, &mut out);
        ebcdic(&format!("2026{:02}{:02}", 1 + numbers.below(12), 1 + numbers.below(28)), 8, &mut out);
        ebcdic(["OP", "CL", "HD"][numbers.below(3) as usize], 2, &mut out);
        packed(numbers.below(1_000_000_000), 11, &mut out);
        packed(numbers.below(10_000_000), 9, &mut out);
        out.extend((numbers.below(99_999) as u32).to_be_bytes());
        ebcdic(names[numbers.below(4) as usize], 40, &mut out);
        ebcdic(&format!("{} INDUSTRIAL PARK ROAD", 1 + numbers.below(999)), 60, &mut out);
        for _ in 0..5 {
            ebcdic(&format!("SKU{:09}", numbers.below(100_000_000)), 12, &mut out);
            packed(numbers.below(99_999), 5, &mut out);
            packed(numbers.below(100_000_000), 9, &mut out);
        }
        ebcdic("", 20, &mut out);
    }
    out
}
