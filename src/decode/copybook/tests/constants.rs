//! Constants, conditional compilation, clauses that are given twice, levels; and copybooks of many items.

use std::fmt::Write as _;

use super::super::Alignment;
use super::{Dialect, check, check_faults, check_layout, read, read_with};

#[test]
fn constants_stand_for_numbers_and_values() {
    // The lengths are those that GnuCOBOL 3.1.2 gives to the same text.
    check(
        "       78 MAXN VALUE 4.\n       78 Wide VALUE IS 10.\n       01 FEW CONSTANT AS 2.\n       78 YES VALUE 'Y'.
       01 R.
         05 A PIC X(MAXN).
         05 B OCCURS maxn TIMES PIC S9(WIDE)V9(FEW).
         05 N PIC 9.
         05 C OCCURS FEW TO MAXN DEPENDING ON N PIC X.
            88 SET-C VALUE YES.",
        "01 R 0+57
         05 A 0+4 X(4)
         05 B 4+12 S9(10)V9(2) x4..4 by 12
         05 N 52+1 9
         05 C 53+1 X x2..4 by 1",
    );
    let named = read("78 YES VALUE 'Y'. 01 R. 05 A PIC X. 88 OK VALUE YES.").unwrap();
    assert_eq!(named.items[1].values[0].values, "'Y'");
    check_faults(
        "01 R.\n78 A VALUE 3 + 4.\n05 B PIC X(A).",
        &["t.cpy:2: the value of `A` is no single literal", "t.cpy:3: `(A)` is no number of repetitions"],
    );
    check_faults("01 R.\n05 B PIC X.\n78 PIC X.", &["t.cpy:3: level 78 needs a name"]);
}

/// A copybook for several systems, as GnuCOBOL compiles it.
const SYSTEMS: &str = "\
       01 R.
      >>DEFINE FOO AS 3
      >>IF FOO > 2
         05 Y PIC X.
      >>ELSE
         05 Y PIC XXXX.
      >>END-IF
      >>IF REGION DEFINED
      >>IF REGION = 'EU'
         05 VAT PIC X(12).
      >>ELIF REGION = 'US'
         05 TAXID PIC X(9).
      >>ELSE
         05 OTHER PIC X.
      >>END-IF
      >>ELSE
         COPY NOWHERE.
         this is not compiled
      >>END-IF
      $IF FOO NOT = 3
         05 Z PIC X(5).
      $ELSE
         05 Z PIC X(6).
      $END
";

#[test]
fn conditions_choose_what_is_compiled() {
    let with = |region: Option<&str>| {
        let defines = region.map(|region| ("region".to_owned(), region.to_owned())).into_iter().collect();
        read_with(SYSTEMS, &Dialect { defines, ..Dialect::default() }, &[("NOWHERE", "         05 N PIC X(7).\n")])
    };
    check_layout(&with(Some("EU")).unwrap(), "01 R 0+19\n05 Y 0+1 X\n05 VAT 1+12 X(12)\n05 Z 13+6 X(6)");
    check_layout(&with(Some("US")).unwrap(), "01 R 0+16\n05 Y 0+1 X\n05 TAXID 1+9 X(9)\n05 Z 10+6 X(6)");
    check_layout(&with(Some("JP")).unwrap(), "01 R 0+8\n05 Y 0+1 X\n05 OTHER 1+1 X\n05 Z 2+6 X(6)");
    // Without it the other lines are compiled, and they are no entries.
    assert!(with(None).unwrap_err()[0].contains("`this`"));
}

#[test]
fn conditions_that_cannot_be_known_are_faults_at_their_line() {
    let check = |text: &str, expected: &str| {
        let faults =
            read(&format!("       01 R. 05 B PIC X.\n{text}         05 A PIC X.\n      >>END-IF\n")).unwrap_err();
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{faults:?}");
        assert!(faults[0].starts_with("t.cpy:2:"), "{faults:?}");
    };
    check("      >>IF LEVEL > 3\n", "`LEVEL` is not defined: say by `define` what the compiler was told");
    check("      >>IF A DEFINED AND\n", "comparisons of two values, and DEFINED, are carried out");
    check("      >>IF 1 = 1 OR 2\n", "comparisons of two values, and DEFINED, are carried out");
    check("      >>IF (1 = 1\n", "`(` is not closed");
    check("      >>IF 1 = 1 2\n", "`2` is due nowhere in this condition");
    check("      >>IF 1 = 1)\n", "`)` is due nowhere in this condition");
    check("      >>IF 1 = 1 OR LEVEL = 2\n", "`LEVEL` is not defined");
    check(&format!("      >>IF {}1 = 1\n", "(".repeat(60)), "the brackets lie too deep");
    check("      >>EVALUATE TRUE\n", "this directive is not carried out");
    check_faults(
        "       01 R. 05 B PIC X.\n      >>IF A DEFINED\n         05 A PIC X.\n",
        &["t.cpy:2: this IF has no END-IF"],
    );
    check_faults("       01 R.\n      >>ELSE\n         05 A PIC X.\n", &["t.cpy:2: no IF is open in this text"]);
}

/// AND binds closer than OR, NOT closer than both (Enterprise COBOL, "Constant conditional expressions").
#[test]
fn conditions_are_joined() {
    let holds = |condition: &str| {
        let text =
            format!(">>DEFINE N 4\n>>DEFINE S 'EU'\n01 R.\n05 B PIC X.\n>>IF {condition}\n05 A PIC X.\n>>END-IF\n");
        read(&text).unwrap().items.len() == 3
    };
    for (condition, expected) in [
        ("N = 4 AND S = 'EU'", true),
        ("N = 4 AND S = 'US'", false),
        ("N = 5 OR S = 'EU'", true),
        ("N = 5 OR S = 'US'", false),
        ("N = 4 OR N = 4 AND N = 5", true),
        ("(N = 4 OR N = 4) AND N = 5", false),
        ("N = 5 AND N = 4 OR N = 4", true),
        ("N = 5 AND (N = 4 OR N = 4)", false),
        ("NOT N = 4 OR S = 'EU'", true),
        ("NOT (N = 4 OR S = 'US')", false),
        ("NOT NOT N = 4", true),
        ("N IS GREATER THAN OR EQUAL TO 4 AND N IS NOT EQUAL TO 5", true),
        ("N IS LESS THAN OR EQUAL TO 3 OR N > 3", true),
        ("S IS DEFINED AND X IS NOT DEFINED", true),
        ("((S IS DEFINED)) AND NOT (X IS DEFINED OR N <> 4)", true),
    ] {
        assert_eq!(holds(condition), expected, "{condition}");
    }
}

/// As GnuCOBOL 3 refuses it; the same value again is no contradiction (ISO/IEC 1989:2014 §7.3.5).
#[test]
fn a_name_is_defined_as_one_value() {
    let with = |directives: &str, defines: &[(&str, &str)]| {
        let text = format!("       01 R.\n          05 B PIC X.\n{directives}");
        let defines = defines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        read_with(&text, &Dialect { defines, ..Dialect::default() }, &[])
    };
    let twice = "      >>DEFINE N AS 4\n      >>DEFINE N AS 5\n";
    let faults = with(twice, &[]).unwrap_err();
    assert!(faults[0].starts_with("t.cpy:4:") && faults[0].contains("`N` is defined as `4` already, and here as `5`"));
    let faults = with("      >>DEFINE N AS 4\n", &[("n", "5")]).unwrap_err();
    assert!(faults[0].starts_with("t.cpy:3:") && faults[0].contains("`N` is defined as `5` already"), "{faults:?}");
    let constant = "      $SET CONSTANT N 4\n      $SET CONSTANT N(5)\n";
    assert!(with(constant, &[]).unwrap_err()[0].contains("`N` is defined as `4` already"));
    for fine in [
        "      >>DEFINE N AS 4\n      >>DEFINE N AS 4\n",
        "      >>DEFINE N AS 4\n      >>DEFINE N AS 5 OVERRIDE\n",
        "      >>DEFINE N AS 4\n      >>DEFINE N AS OFF\n      >>DEFINE N AS 5\n",
    ] {
        assert!(with(fine, &[]).is_ok(), "{fine}");
    }
    assert!(with("      >>DEFINE N AS PARAMETER\n", &[("N", "5")]).is_ok());
}

#[test]
fn definitions_reach_into_copied_texts_and_conditions_do_not() {
    let texts = [("PART", "      >>IF DEEP = 'YES'\n         05 P PIC X.\n      >>END-IF\n")];
    let outer = "       01 R.\n      >>DEFINE DEEP 'YES'\n         05 A PIC X.\n         COPY PART.\n";
    check_layout(&read_with(outer, &Dialect::default(), &texts).unwrap(), "01 R 0+2\n05 A 0+1 X\n05 P 1+1 X");
    let open = [("PART", "      >>ELSE\n         05 P PIC X.\n")];
    let inside = "       01 R.\n      >>IF A DEFINED\n         05 A PIC X.\n      >>END-IF\n         COPY PART.\n";
    assert!(read_with(inside, &Dialect::default(), &open).unwrap_err()[0].contains("no IF is open"));
}

#[test]
fn clauses_are_given_once() {
    let twice = |clauses: &str, expected: &str| {
        let copybook = format!("01 R.\n 05 A PIC S9(4).\n 05 B {clauses}.");
        check_faults(&copybook, &[&format!("t.cpy:3: {expected} is given twice for this item")]);
    };
    twice("REDEFINES A REDEFINES A PIC X(4)", "REDEFINES");
    twice("PIC S9 SIGN LEADING SIGN TRAILING", "SIGN");
    twice("PIC X VALUE 'A' VALUE 'B'", "VALUE");
    twice("PIC X JUST RIGHT JUSTIFIED", "JUSTIFIED");
    twice("PIC S9(4) COMP SYNC SYNC", "SYNCHRONIZED");
    twice("PIC 9(4) BLANK ZERO BLANK WHEN ZERO", "BLANK WHEN ZERO");
}

/// GnuCOBOL, whatever dialect it is told: "elementary items with SIGN clause must have S in PICTURE".
#[test]
fn a_sign_clause_needs_a_sign() {
    let wrong = |clauses: &str| {
        check_faults(
            &format!("01 R.\n 05 A {clauses}."),
            &["t.cpy:2: `A` has a SIGN and no sign that it could say more of"],
        );
    };
    wrong("PIC 9(4) SIGN LEADING SEPARATE");
    wrong("PIC X(4) SIGN TRAILING");
    wrong("PIC S9(4) COMP-3 SIGN LEADING");
    // That of a group holds for those that have a sign.
    check(
        "01 R SIGN LEADING SEPARATE.\n 05 A PIC 9(4).\n 05 B PIC S9(4).",
        "01 R 0+9\n05 A 0+4 9(4)\n05 B 4+5 S9(4) SIGN LEADING SEPARATE",
    );
}

#[test]
fn levels_within_a_group() {
    let text = "01 R.\n 05 A.\n  10 B PIC X.\n  07 C PIC X.\n 05 D PIC X.";
    // Enterprise COBOL and Micro Focus take them; `cobc` warns with -std=ibm and -std=mf, and refuses by itself.
    check(text, "01 R 0+3\n05 A 0+2\n10 B 0+1 X\n07 C 1+1 X\n05 D 2+1 X");
    let gnu = Dialect { strict_levels: true, ..Dialect::default() };
    let faults = read_with(text, &gnu, &[]).unwrap_err();
    assert!(
        faults.len() == 1 && faults[0].contains(":4:") && faults[0].contains("level 07 stands in a group of level 10")
    );
}

/// What grew with the square of the number of items would take minutes here.
#[test]
fn many_items() {
    const MANY: usize = 60_000;
    let mut alike = "01 R.\n".to_owned();
    (0..MANY).for_each(|_| alike.push_str("05 A PIC X.\n"));
    assert_eq!(read(&alike).unwrap().items.len(), MANY + 1);
    let mut different = "01 R.\n05 N-0 PIC 9.\n".to_owned();
    for number in 1..MANY / 10 {
        let _ = write!(
            different,
            "05 G-{number}.\n10 N-{number} PIC 9.\n10 A-{number} PIC X(4).\n\
             10 B-{number} REDEFINES A-{number} PIC 9(4).\n10 T-{number} OCCURS 1 TO 2 DEPENDING ON N-{number} PIC X.\n"
        );
    }
    for number in 1..MANY / 10 {
        let _ = writeln!(different, "66 X-{number} RENAMES N-{number} THRU A-{number}.");
    }
    assert!(read(&different).unwrap().items.len() > MANY / 2);
    let mut redefined = "01 R.\n05 A-0 PIC X.\n".to_owned();
    for number in 1..MANY / 4 {
        let _ = writeln!(redefined, "05 A-{number} REDEFINES A-{} PIC X.", number - 1);
    }
    assert_eq!(read(&redefined).unwrap().items[1].length, 1);
}

/// What programs of GnuCOBOL 3.1.2 show of the addresses and lengths of these items.
#[test]
fn alignment_in_nested_tables_as_gnucobol_has_it() {
    let gnu = Dialect { alignment: Alignment::Natural, ..Dialect::default() };
    let check = |text: &str, expected: &str| check_layout(&read_with(text, &gnu, &[]).unwrap(), expected);
    check(
        "01 R. 05 A OCCURS 2. 10 B PIC X. 10 C OCCURS 2. 15 D PIC S9(4) COMP SYNC. 15 E PIC X.",
        "01 R 0+20\n05 A 0+10 x2..2 by 10\n10 B 0+1 X\n10 C 1+4 x2..2 by 4\n15 D 2+2 S9(4) COMP\n15 E 5+1 X",
    );
    check(
        "01 R. 05 A OCCURS 2. 10 B PIC X. 10 C. 15 D PIC S9(4) COMP SYNC. 15 E PIC X.",
        "01 R 0+12\n05 A 0+6 x2..2 by 6\n10 B 0+1 X\n10 C 1+4\n15 D 2+2 S9(4) COMP\n15 E 5+1 X",
    );
    check(
        "01 R. 05 A OCCURS 2. 10 D PIC S9(4) COMP SYNC. 10 C. 15 E PIC X.",
        "01 R 0+6\n05 A 0+3 x2..2 by 3\n10 D 0+2 S9(4) COMP\n10 C 2+1\n15 E 2+1 X",
    );
    check(
        "01 R. 05 A OCCURS 2. 10 D PIC S9(4) COMP SYNC. 10 E PIC X OCCURS 3.",
        "01 R 0+12\n05 A 0+6 x2..2 by 6\n10 D 0+2 S9(4) COMP\n10 E 3+1 X x3..3 by 1",
    );
    // SYNC of a group is nobody's.
    check(
        "01 R SYNC. 05 C PIC X. 05 D PIC S9(4) COMP. 05 E COMP-2.",
        "01 R 0+11\n05 C 0+1 X\n05 D 1+2 S9(4) COMP\n05 E 3+8 COMP-2",
    );
}

/// `cobc` gives the same lengths with and without a sign.
#[test]
fn short_binary_numbers_have_no_room_for_a_sign() {
    let lengths = [1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 5, 6, 6, 7, 7, 8, 8];
    for usage in ["COMP-X", "COMP-N"] {
        for (digits, length) in (1..).zip(lengths) {
            for sign in ["", "S"] {
                let copybook = read(&format!("01 R. 05 A PIC {sign}9({digits}) {usage}.")).unwrap();
                assert_eq!(copybook.items[1].length, length, "{sign}9({digits}) {usage}");
            }
        }
    }
}
