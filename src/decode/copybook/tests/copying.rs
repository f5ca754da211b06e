//! COPY, REPLACING, REPLACE, and the columns of a source.

use super::{check, check_faults, check_layout, read_with};
use crate::decode::copybook::Dialect;

fn check_copy(text: &str, texts: &[(&str, &str)], expected: &str) {
    let copybook = read_with(text, &Dialect::default(), texts).unwrap_or_else(|faults| panic!("{faults:#?}"));
    check_layout(&copybook, expected);
}

fn check_copy_fault(text: &str, texts: &[(&str, &str)], expected: &str) {
    let faults = read_with(text, &Dialect::default(), texts).expect_err("there is a fault");
    assert!(faults.iter().any(|fault| fault.contains(expected)), "{faults:#?}");
}

#[test]
fn a_tag_is_replaced_wherever_it_stands() {
    let tagged = "
           05 :TAG:-NO PIC 9(:LEN:).
           05 X-:TAG:-NAME PIC X(10).
           05 :TAG:.
              10 :TAG:-A PIC X OCCURS 2.
           05 OTHER PIC X VALUE ':TAG:'.";
    check_copy(
        "
       01 R.
           COPY TAGGED REPLACING ==:TAG:== BY ==CUST==
                                 ==:LEN:== BY == 7 ==.
           COPY 'TAGGED.cpy' REPLACING ==:TAG:== BY B ==:LEN:== BY 3.",
        &[("TAGGED.cpy", tagged)],
        "01 R 0+36
         05 CUST-NO 0+7 9(7)
         05 X-CUST-NAME 7+10 X(10)
         05 CUST 17+2
         10 CUST-A 17+1 X x2..2 by 1
         05 OTHER 19+1 X
         05 B-NO 20+3 9(3)
         05 X-B-NAME 23+10 X(10)
         05 B 33+2
         10 B-A 33+1 X x2..2 by 1
         05 OTHER 35+1 X",
    );
}

#[test]
fn words_and_their_parts() {
    let text = "
           05 WS-A PIC X(2).
           05 WS-B PIC S9(4) COMP.
           05 C-OLD PIC X(LEN).
           05 WS-NOT-WS PIC X.
           05 D PIC 9 OCCURS 3 TIMES.";
    check_copy(
        "01 R. COPY LIB REPLACING LEADING ==WS== BY ==IN== TRAILING ==-OLD== BY ==-NEW==
              LEN BY 6, ==PIC S9(4) COMP== BY ==PIC S9(7)V99 COMP-3==
              ==D PIC 9 OCCURS 3 TIMES== BY ==E PIC 9 OCCURS 4==.",
        &[("LIB", text)],
        "01 R 0+18
         05 IN-A 0+2 X(2)
         05 IN-B 2+5 S9(7)V99 COMP-3
         05 C-NEW 7+6 X(6)
         05 IN-NOT-WS 13+1 X
         05 E 14+1 9 x4..4 by 1",
    );
}

#[test]
fn copies_copy_others_and_replace_changes_the_rest() {
    check_copy(
        "
       01 R. COPY outer.
       REPLACE ==:X:== BY ==ONE== ==SIZE== BY ==4==.
           05 :X:-A PIC X(SIZE).
       REPLACE ALSO ==A== BY ==Z==.
           05 A PIC X. 05 :X:-B PIC X.
       REPLACE LAST OFF.
           05 A PIC X.
       REPLACE OFF.
           05 X-SIZE PIC X.",
        &[("OUTER.CPY", "05 O PIC X. COPY INNER OF LIB. 05 Q PIC X."), ("LIB/INNER", "       05 I PIC 9(2).")],
        "01 R 0+12
         05 O 0+1 X
         05 I 1+2 9(2)
         05 Q 3+1 X
         05 ONE-A 4+4 X(4)
         05 Z 8+1 X
         05 ONE-B 9+1 X
         05 A 10+1 X
         05 X-SIZE 11+1 X",
    );
}

#[test]
fn what_cannot_be_copied() {
    check_copy_fault("01 R. COPY A.", &[("A.cpy", "05 X PIC X. COPY B."), ("B", "COPY A.")], "`A.cpy` copies itself");
    check_copy_fault("01 R. COPY '../A'.", &[], "`../A` is no plain name");
    check_copy_fault("01 R. COPY A OF '/etc'.", &[], "`/etc` is no plain name");
    check_copy_fault("01 R. COPY A", &[], "COPY has no period");
    check_copy_fault("01 R. COPY A REPLACING ==X== ==Y==.", &[("A", "")], "expected `== == BY == ==`, found `Y`");
    check_copy_fault("01 R. COPY A REPLACING ==X BY ==Y==.", &[("A", "")], "the pseudo-text is not closed");
    // Ten copies in each of eight texts would be a hundred million.
    let names = ["L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8", "L9"];
    let texts: Vec<String> = names[1..].iter().map(|next| format!("COPY {next}. ").repeat(10)).collect();
    let mut library: Vec<(&str, &str)> = names.iter().copied().zip(texts.iter().map(String::as_str)).collect();
    library.push(("L9", ""));
    check_copy_fault("01 R. COPY L1. 05 A PIC X.", &library, "more than 10000 texts are copied");
    // A fault in a copied text is reported there.
    check_copy_fault("01 R. COPY A.", &[("A.cpy", "05 X PIC X.\n05 Y PIC Q.")], "A.cpy:2:10: `Q` is no symbol");
}

#[test]
fn lines_of_the_listing_and_directives() {
    check(
        "
       *CBL NOLIST
       TITLE 'ORDERS'
       01  R.
           EJECT
           SKIP1.
           05  A PIC X.
       *> a comment
      *    another
      / a page
      D    05  DEBUG PIC X.
           SKIP3
           05  B PIC X.
",
        "01 R 0+2
         05 A 0+1 X
         05 B 1+1 X",
    );
    check(
        ">>SOURCE FORMAT IS FREE\n01 R. 05 A PIC X. 05 B PIC X(60) VALUE 'this goes on far beyond column seventy-two'.",
        "01 R 0+61
         05 A 0+1 X
         05 B 1+60 X(60)",
    );
    check("      $SET SOURCEFORMAT\"FREE\"\n01 R.\n05 A PIC X.", "01 R 0+1\n05 A 0+1 X");
    check_faults(
        "01 R. 05 A PIC X.\n>>EVALUATE TRUE\n05 B PIC X.\n>>END-EVALUATE",
        &["is not carried out", "is not carried out"],
    );
}

#[test]
fn clauses_on_lines_of_their_own() {
    check(
        "
       01  R.
           05  A
               PIC
               X(4).
           05  B
               REDEFINES
               A
               PIC 9(4).
           05  C
               OCCURS
               1 TO
               3
               TIMES
               DEPENDING ON
               B
               INDEXED BY I
               PIC
               IS
               X.
",
        "01 R 0+7
         05 A 0+4 X(4)
         05 B 0+4 9(4) = A
         05 C 4+1 X x1..3 by 1",
    );
}
