//! Copybooks as they are found, with the layout they must give; and what is wrong with wrong ones.

mod constants;
mod copying;
mod storage;

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Copybook, Dialect, parse};
use crate::diagnostic::{Faults, SourceText};

fn source(text: &str) -> Arc<SourceText> {
    SourceText::new(Path::new("t.cpy"), text.to_owned())
}

fn read(text: &str) -> Result<Copybook, Vec<String>> {
    read_with(text, &Dialect::default(), &[])
}

/// Reads with these texts to copy.
fn read_with(text: &str, dialect: &Dialect, texts: &[(&str, &str)]) -> Result<Copybook, Vec<String>> {
    let faults = Faults::new();
    let named = |wanted: &str| {
        let found = texts.iter().find(|(name, _)| *name == wanted);
        found.map(|(name, text)| SourceText::new(Path::new(name), (*text).to_owned()))
    };
    let copybook = parse("t.cpy", &source(text), dialect, &named, &faults);
    let faults: Vec<_> = faults.into_sorted().iter().map(ToString::to_string).collect();
    match copybook {
        Some(copybook) => {
            assert_eq!(faults, Vec::<String>::new());
            Ok(copybook)
        }
        None => Err(faults),
    }
}

/// Every item as `level name offset+length picture xN`, one a line.
fn check(text: &str, expected: &str) {
    check_layout(&read(text).unwrap_or_else(|faults| panic!("{faults:#?}")), expected);
}

fn check_layout(copybook: &Copybook, expected: &str) {
    let mut lines = Vec::new();
    for item in copybook.items.iter().filter(|item| item.level != 0) {
        let name = item.name.as_deref().unwrap_or("FILLER");
        let mut line = format!("{:02} {name} {}+{}", item.level, item.offset, item.length);
        if !item.picture.is_empty() {
            line += &format!(" {}", item.picture);
        }
        if let Some(occurs) = &item.occurs {
            line += &format!(" x{}..{} by {}", occurs.min, occurs.max, occurs.stride);
        }
        if let Some(target) = item.redefines {
            line += &format!(" = {}", copybook.items[target].name.as_deref().unwrap_or("FILLER"));
        }
        lines.push(line);
    }
    let expected: Vec<_> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, expected);
}

fn check_faults(text: &str, expected: &[&str]) {
    let faults = read(text).expect_err("the copybook has faults");
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, expected) in faults.iter().zip(expected) {
        // Without the column.
        let (place, message) = fault.split_once(": ").unwrap();
        let line = place.rsplit_once(':').unwrap().0;
        assert!(format!("{line}: {message}").contains(expected), "{fault}\ndoes not say\n{expected}");
    }
}

#[test]
fn fixed_format_with_all_its_columns() {
    check(
        "\
000100*    ORDERS, SENT NIGHTLY                                         ORD00010
000200 01  ORDER-REC.                                                   ORD00020
000300     05  ORD-NO            PIC X(10).                             ORD00030
000400/
000500     05  ORD-AMT           PIC S9(9)V99                           ORD00050
000600                           COMP-3.                                ORD00060
000700D    05  DEBUG-ONLY        PIC X.
000800     05  LONG-NA
000900-        ME                PIC 9(4)    VALUE 'A LITERAL THAT GOES
001000-    'ON IN THE NEXT LINE'.
",
        "01 ORDER-REC 0+20
         05 ORD-NO 0+10 X(10)
         05 ORD-AMT 10+6 S9(9)V99 COMP-3
         05 LONG-NAME 16+4 9(4)",
    );
}

#[test]
fn free_format_lower_case_and_comments() {
    check(
        "\
01 rec. *> the record
   * a comment
   05 name pic x(5).
   05 pic x(3).
   05 filler pic 9.
   05 flag picture is x value 'y'.
      88 is-set values are 'y' 'j' thru 'm', \"n\".
   66 alias renames name thru flag.
",
        "01 rec 0+10
         05 name 0+5 X(5)
         05 FILLER 5+3 X(3)
         05 FILLER 8+1 9
         05 flag 9+1 X
         66 alias 0+10 X(10)",
    );
}

#[test]
fn usages_and_signs() {
    check(
        "
       01 R.
          05 A PIC S9(4) COMP.
          05 B PIC 9(9) USAGE IS COMPUTATIONAL.
          05 C PIC S9(18) BINARY.
          05 D PIC 9(5) USAGE COMP-5.
          05 E PIC S9(7) PACKED-DECIMAL.
          05 F PIC 9(8) COMP-3.
          05 G PIC 9(8) COMP-6.
          05 H COMP-1.
          05 I USAGE COMP-2.
          05 J PIC S9(3) SIGN IS LEADING SEPARATE CHARACTER.
          05 K PIC S9(3) TRAILING.
          05 L USAGE COMP-3.
             10 L1 PIC S9(3).
             10 L2 PIC S9(5).
          05 M SIGN TRAILING SEPARATE.
             10 M1 PIC S99.
          05 N PIC Z(4)9.99-.
          05 O PIC X(3) JUSTIFIED RIGHT.
          05 P PIC 9(3) BLANK WHEN ZERO.
",
        "01 R 0+73
         05 A 0+2 S9(4) COMP
         05 B 2+4 9(9) COMP
         05 C 6+8 S9(18) COMP
         05 D 14+4 9(5) COMP-5
         05 E 18+4 S9(7) COMP-3
         05 F 22+5 9(8) COMP-3
         05 G 27+4 9(8) COMP-6
         05 H 31+4 COMP-1
         05 I 35+8 COMP-2
         05 J 43+4 S9(3) SIGN LEADING SEPARATE
         05 K 47+3 S9(3)
         05 L 50+5
         10 L1 50+2 S9(3) COMP-3
         10 L2 52+3 S9(5) COMP-3
         05 M 55+3
         10 M1 55+3 S99 SIGN TRAILING SEPARATE
         05 N 58+9 Z(4)9.99-
         05 O 67+3 X(3)
         05 P 70+3 9(3)",
    );
}

#[test]
fn tables_redefinitions_and_slack() {
    check(
        "
       01 R.
          05 N PIC 9(2).
          05 DAY OCCURS 2 TIMES INDEXED BY I, J.
             10 HOUR PIC 9(3) OCCURS 24.
             10 NOTE PIC X(5).
          05 WHOLE REDEFINES DAY PIC X(154).
          05 FILLER REDEFINES DAY.
             10 FIRST-BYTE PIC X.
          05 T OCCURS 1 TO 5 TIMES DEPENDING ON N OF R
               ASCENDING KEY IS K.
             10 K PIC S9(4) COMP SYNC.
             10 V PIC X.
",
        "01 R 0+176
         05 N 0+2 9(2)
         05 DAY 2+77 x2..2 by 77
         10 HOUR 2+3 9(3) x24..24 by 3
         10 NOTE 74+5 X(5)
         05 WHOLE 2+154 X(154) = DAY
         05 FILLER 2+1 = DAY
         10 FIRST-BYTE 2+1 X
         05 T 156+3 x1..5 by 4
         10 K 156+2 S9(4) COMP
         10 V 158+1 X",
    );
    check(
        "01 R. 05 A PIC X. 05 G. 10 B PIC S9(9) COMP SYNC. 05 C PIC X. 05 D COMP-2 SYNC.",
        "01 R 0+24
         05 A 0+1 X
         05 G 4+4
         10 B 4+4 S9(9) COMP
         05 C 8+1 X
         05 D 16+8 COMP-2",
    );
}

#[test]
fn several_records_share_one_area() {
    check(
        "01 HEAD. 05 T PIC X. 05 D PIC 9(8).
         01 ITEM. 05 T PIC X. 05 AMT PIC 9(3).
         77 COUNTER PIC 9(4).",
        "01 HEAD 0+9
         05 T 0+1 X
         05 D 1+8 9(8)
         01 ITEM 0+4
         05 T 0+1 X
         05 AMT 1+3 9(3)
         77 COUNTER 0+4 9(4)",
    );
}

#[test]
fn items_without_a_record_follow_one_another() {
    check("05 A PIC X(2).\n05 B PIC X(3).", "05 A 0+2 X(2)\n05 B 2+3 X(3)");
}

#[test]
fn values_of_all_kinds_are_passed_over() {
    check(
        "01 R VALUE SPACES.
           05 A PIC S9(3)V9 VALUE -1.5.
           05 B PIC X(4) VALUE X'C1C2' .
           05 C PIC X VALUE IS 'it''s. a dot'.
           05 D PIC 9 VALUE ZEROES COMP-3.
           05 E PIC X(3) VALUE ALL '*'.
           05 F PIC X VALUE LOW-VALUES.
           05 G PIC 9,999.99.
           05 H PIC 9(3).",
        "01 R 0+25
         05 A 0+4 S9(3)V9
         05 B 4+4 X(4)
         05 C 8+1 X
         05 D 9+1 9 COMP-3
         05 E 10+3 X(3)
         05 F 13+1 X
         05 G 14+8 9,999.99
         05 H 22+3 9(3)",
    );
}

#[test]
fn all_faults_at_their_lines() {
    check_faults(
        "\
       01  R.
           05  A  PIC X(5) COMP-3.
           05  B  PICTUR X.
           05  C.
           05  D  PIC Q9.
           05  E  REDEFINES NOBODY PIC X.
           05  F  PIC X OCCURS 3 DEPENDING ON NOBODY.
           51  G  PIC X.
           05  H  PIC S9(19) COMP.
           05  I  USAGE FLOAT-DECIMAL-34.
           05  J  PIC X
           05  K  PIC X.
           COPY OTHER.
           05  :TAG:-L PIC X.
",
        &[
            "t.cpy:2: `A` is COMP-3 and needs a PICTURE",
            "t.cpy:3: `PICTUR` begins no clause that is known (did you mean `PICTURE`?)",
            "t.cpy:4: `C` has no PICTURE",
            "t.cpy:5: `Q` is no symbol of a PICTURE",
            "t.cpy:6: there is no `NOBODY` to redefine here",
            "t.cpy:7: there is no counter `NOBODY`",
            "t.cpy:8: `51` is no level number",
            "t.cpy:9: `H` is binary and has more than 18 digits",
            "t.cpy:10: USAGE FLOAT-DECIMAL-34 is not known to this dialect",
            "t.cpy:12: an entry begins before the last one ended",
            "t.cpy:13: there is no text `OTHER` to copy",
            "t.cpy:14: `:TAG:-L` has a tag",
        ],
    );
}

#[test]
fn what_is_no_copybook() {
    check_faults("", &["the copybook describes no record"]);
    check_faults("       01 R PIC X(17000000).", &["`(17000000)` is no number of repetitions"]);
    check_faults("       01 R. 05 T OCCURS 99999999. 10 A PIC X(99).", &["takes 9899999901 bytes"]);
    check_faults("01 A PIC X. 05 B PIC X.", &["an item stands below one that has a PICTURE"]);
    check_faults("01 A. 05 B PIC 'x'.", &["expected a PICTURE"]);
    check_faults("01 A. 05 B PIC X VALUE 'open.", &["no period", "literal is not closed"]);
}

proptest! {
    /// Whatever stands in a copybook, reading it ends with a layout or with faults.
    #[test]
    fn random_text_never_panics(text in "[ 0-9A-Z.,()*'\"\\-/\n\t]{0,300}") {
        let _ = read(&text);
    }

    #[test]
    fn random_statements_never_panic(words in proptest::collection::vec(prop_oneof![
        Just("01"), Just("05"), Just("10"), Just("77"), Just("88"), Just("66"), Just("A"), Just("B-C"), Just("."), Just("PIC"),
        Just("X(5)"), Just("S9(4)V99"), Just("COMP"), Just("COMP-3"), Just("OCCURS"), Just("5"), Just("TO"), Just("9999999"),
        Just("TIMES"), Just("DEPENDING"), Just("ON"), Just("REDEFINES"), Just("VALUE"), Just("'x'"), Just("FILLER"),
        Just("THRU"), Just("==A=="), Just("=="), Just("REPLACE"), Just("BY"), Just("OFF"), Just("RENAMES"), Just("N(3)"),
        Just("SYNC"), Just("SIGN"), Just("LEADING"), Just("USAGE"), Just("IS"), Just("BLANK"), Just("\n"), Just("COPY"),
    ], 0..60)) {
        let _ = read(&format!("       01 R. {}", words.join(" ")));
    }
}
