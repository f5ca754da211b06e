//! Usages, pictures, alignment, names for values and other names for items.

use super::{check, check_faults, check_layout, read, read_with};
use crate::decode::copybook::{Alignment, BinarySize, Dialect};

#[test]
fn usages_without_a_picture() {
    check(
        "01 R. 05 A BINARY-CHAR. 05 B BINARY-SHORT UNSIGNED. 05 C USAGE BINARY-LONG SIGNED. 05 D BINARY-DOUBLE UNSIGNED.
         05 E FLOAT-SHORT. 05 F FLOAT-LONG. 05 G INDEX. 05 H USAGE IS POINTER. 05 I PROCEDURE-POINTER.
         05 J FUNCTION-POINTER.",
        "01 R 0+47
         05 A 0+1 BINARY-CHAR
         05 B 1+2 BINARY-SHORT UNSIGNED
         05 C 3+4 BINARY-LONG
         05 D 7+8 BINARY-DOUBLE UNSIGNED
         05 E 15+4 COMP-1
         05 F 19+8 COMP-2
         05 G 27+4 INDEX
         05 H 31+4 POINTER
         05 I 35+8 PROCEDURE-POINTER
         05 J 43+4 FUNCTION-POINTER",
    );
}

#[test]
fn wide_characters() {
    check(
        "01 R. 05 A PIC N(3). 05 B PIC X(2) USAGE NATIONAL. 05 C PIC G(4) DISPLAY-1. 05 D PIC N(2) USAGE DISPLAY-1.
         05 E GROUP-USAGE NATIONAL. 10 F PIC 9(3). 10 H PIC S9(3) SIGN LEADING SEPARATE. 10 I PIC ZZ9.
         05 J PIC U(3).",
        "01 R 0+54
         05 A 0+6 N(3)
         05 B 6+4 X(2) NATIONAL
         05 C 10+8 G(4) DISPLAY-1
         05 D 18+4 N(2) DISPLAY-1
         05 E 22+20
         10 F 22+6 9(3) NATIONAL
         10 H 28+8 S9(3) NATIONAL SIGN LEADING SEPARATE
         10 I 36+6 ZZ9 NATIONAL
         05 J 42+12 U(3)",
    );
    check_faults("01 R. 05 A PIC S9 NATIONAL.", &["`A` is national: its sign must be SEPARATE"]);
}

#[test]
fn binary_sizes_by_dialect() {
    let lengths = |size: BinarySize| {
        let dialect = Dialect { binary_size: size, ..Dialect::default() };
        let items: Vec<String> = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]
            .iter()
            .map(|digits| format!("05 A{digits} PIC S9({digits}) COMP."))
            .collect();
        let copybook = read_with(&format!("01 R. {}", items.join(" ")), &dialect, &[]).unwrap();
        copybook.items[1..].iter().map(|item| item.length.to_string()).collect::<String>()
    };
    assert_eq!(lengths(BinarySize::TwoFourEight), "222244444888888888");
    assert_eq!(lengths(BinarySize::OneTwoFourEight), "112244444888888888");
    assert_eq!(lengths(BinarySize::OneToEight), "112233444556667788");
    check(
        "01 R. 05 A PIC 9(2) COMP-X. 05 B PIC 9(7) COMP-X. 05 C PIC X(3) COMP-X. 05 D PIC 9(5) COMP-N.",
        "01 R 0+10
         05 A 0+1 9(2) COMP-X
         05 B 1+3 9(7) COMP-X
         05 C 4+3 X(3) COMP-X
         05 D 7+3 9(5) COMP-N",
    );
}

#[test]
fn slack_by_dialect() {
    let text = "
       01 R SYNC.
          05 A PIC X.
          05 G.
             10 B PIC S9(9) COMP.
             10 C PIC X.
          05 T OCCURS 2.
             10 D PIC X.
             10 E PIC S9(12) COMP.
             10 F PIC X.
          05 H COMP-2.
          05 I POINTER.";
    let with =
        |alignment, pointer| read_with(text, &Dialect { alignment, pointer, ..Dialect::default() }, &[]).unwrap();
    check_layout(
        &with(Alignment::Ibm, 4),
        "01 R 0+52
         05 A 0+1 X
         05 G 4+5
         10 B 4+4 S9(9) COMP
         10 C 8+1 X
         05 T 9+12 x2..2 by 12
         10 D 9+1 X
         10 E 12+8 S9(12) COMP
         10 F 20+1 X
         05 H 40+8 COMP-2
         05 I 48+4 POINTER",
    );
    // What GnuCOBOL 3.1 makes of it, asked by a program that shows its records.
    let gnu = "01 R. 05 T OCCURS 2. 10 A PIC X. 10 B PIC S9(9) COMP SYNC. 10 C PIC X. 10 D PIC X.
        05 T2 OCCURS 2. 10 A2 PIC X. 10 B2 PIC S9(9) COMP SYNC. 10 G2. 15 C2 PIC X. 15 D2 PIC X.";
    let natural = Dialect { alignment: Alignment::Natural, ..Dialect::default() };
    check_layout(
        &read_with(gnu, &natural, &[]).unwrap(),
        "01 R 0+44
         05 T 0+12 x2..2 by 12
         10 A 0+1 X
         10 B 4+4 S9(9) COMP
         10 C 8+1 X
         10 D 11+1 X
         05 T2 24+10 x2..2 by 10
         10 A2 24+1 X
         10 B2 28+4 S9(9) COMP
         10 G2 32+2
         15 C2 32+1 X
         15 D2 33+1 X",
    );
    check_layout(
        &with(Alignment::None, 8),
        "01 R 0+42
         05 A 0+1 X
         05 G 1+5
         10 B 1+4 S9(9) COMP
         10 C 5+1 X
         05 T 6+10 x2..2 by 10
         10 D 6+1 X
         10 E 7+8 S9(12) COMP
         10 F 15+1 X
         05 H 26+8 COMP-2
         05 I 34+8 POINTER",
    );
}

#[test]
fn other_names_for_bytes() {
    check(
        "01 R. 05 A PIC X(2). 05 G. 10 B PIC 9(3). 10 C PIC S9(3)V99 COMP-3. 05 D PIC X(4).
         66 AB RENAMES A THRU B. 66 G-ALONE RENAMES G. 66 ONLY-C RENAMES C OF G. 66 REST RENAMES C THROUGH D.",
        "01 R 0+12
         05 A 0+2 X(2)
         05 G 2+6
         10 B 2+3 9(3)
         10 C 5+3 S9(3)V99 COMP-3
         05 D 8+4 X(4)
         66 AB 0+5 X(5)
         66 G-ALONE 2+6 X(6)
         66 ONLY-C 5+3 S9(3)V99 COMP-3
         66 REST 5+7 X(7)",
    );
    check_faults("01 R. 05 A PIC X. 05 B PIC X. 66 C RENAMES B THRU A.", &["these items cannot be renamed"]);
    check_faults("01 R. 05 A PIC X OCCURS 2. 66 C RENAMES A.", &["these items cannot be renamed"]);
    check_faults("01 R. 05 A PIC X. 66 C RENAMES Q.", &["there is no `Q` in the record"]);
    check_faults("01 R. 05 A PIC X. 66 C PIC X.", &["level 66 is for RENAMES"]);
}

#[test]
fn names_for_values() {
    let copybook = read(
        "01 R. 05 A PIC X(2). 88 OPEN-A VALUE 'OP'. 88 REST VALUES ARE 'CL', 'CX' THRU 'CZ' SPACES.
         05 B PIC S9(3). 88 MINUS VALUES -5 -4 THRU -1 WHEN SET TO FALSE IS 0. 88 NIL VALUE ZERO. 05 C PIC X(3) VALUE ALL '*'.
         88 STARS VALUE ALL '*'. 88 HEX VALUE X'C1' FALSE X'C2'.",
    );
    let copybook = copybook.unwrap();
    let named: Vec<String> =
        copybook.items.iter().flat_map(|item| &item.values).map(|n| format!("{} {}", n.name, n.values)).collect();
    assert_eq!(
        named,
        [
            "OPEN-A 'OP'",
            "REST 'CL', 'CX' THRU 'CZ', SPACES",
            "MINUS -5, -4 THRU -1",
            "NIL ZERO",
            "STARS ALL '*'",
            "HEX X'C1'"
        ]
    );
    check_faults("88 A VALUE 1. 01 R. 05 B PIC X.", &["no item whose value"]);
    check_faults("01 R. 05 B PIC X. 88 A VALUE THRU 1.", &["no value stands before THRU"]);
    check_faults("01 R. 05 B PIC X. 88 A PIC X.", &["expected VALUE"]);
}

#[test]
fn clauses_that_do_not_go_together() {
    check_faults("01 R. 05 A PIC 9 JUST.", &["`A` is JUSTIFIED and no text"]);
    check_faults("01 R. 05 A PIC 9 COMP BLANK WHEN ZERO.", &["`A` is BLANK WHEN ZERO and no number in text form"]);
    check_faults("01 R. 05 A PIC 9 POINTER.", &["`A` is an address and has no PICTURE"]);
    check_faults("01 R. 05 A PIC 9 BINARY-LONG.", &["`A` has its size by its USAGE and no PICTURE"]);
    check_faults("01 R. 05 A PIC S9 COMP-6.", &["`A` is COMP-6 and cannot be signed"]);
    // As GnuCOBOL 3 refuses it and its dialect of Micro Focus does not; a record may be larger (level 01).
    let larger = "01 R. 05 A PIC X(2). 05 B REDEFINES A PIC X(4).";
    check_faults(larger, &["`B` takes 4 bytes and redefines `A`, which has 2"]);
    check_faults(
        "01 R. 05 A PIC X(4). 05 B REDEFINES A. 10 C PIC X OCCURS 5.",
        &["`B` takes 5 bytes and redefines `A`, which has 4"],
    );
    let mf = Dialect { larger_redefines: true, ..Dialect::default() };
    check_layout(&read_with(larger, &mf, &[]).unwrap(), "01 R 0+4\n05 A 0+2 X(2)\n05 B 0+4 X(4) = A");
    assert!(read("01 R. 05 A PIC X(2). 01 S REDEFINES R. 05 B PIC X(4).").is_ok());
    check_faults("01 R. 05 A PIC X. 01 Q REDEFINES P. 05 B PIC X.", &["there is no `P` to redefine here"]);
}
