//! Tables of varying length in one another and behind one another, counters with a map, and items that share bytes by a
//! rule.

use super::{compile, ebcdic, read, settings, with_fields};
use crate::decode::cobol::{CounterMap, Framing, Odo, View};
use crate::record::{Scope, Slot, Value};

fn variable(copybook: &str) -> crate::decode::Decoder {
    compile(copybook, settings(|s| (s.odo, s.framing) = (Some(Odo::Variable), Framing::RdwBig)))
}

fn framed(text: &str) -> Vec<u8> {
    [&[0, text.len() as u8, 0, 0][..], &ebcdic(text)].concat()
}

const NESTED: &str = "
       01 R.
          05 N PIC 9.
          05 OUTER OCCURS 0 TO 3 DEPENDING ON N.
             10 M PIC 9.
             10 INNER PIC X(2) OCCURS 0 TO 4 DEPENDING ON M.
             10 Z PIC X.
          05 K PIC 9.
          05 LAST-ONE OCCURS 0 TO 2 DEPENDING ON K.
             10 L PIC X.
          05 E PIC X(3).";

#[test]
fn nested_several_and_what_follows_them() {
    let decoder = variable(NESTED);
    assert_eq!(
        read(&decoder, &framed("22aabby0z1pend")),
        [
            r#"{"N":2,"OUTER":[{"M":2,"INNER":["aa","bb"],"Z":"y"},{"M":0,"INNER":[],"Z":"z"}],"K":1,"LAST-ONE":[{"L":"p"}],"E":"end"}"#
        ]
    );
    assert_eq!(read(&decoder, &framed("00end")), [r#"{"N":0,"OUTER":[],"K":0,"LAST-ONE":[],"E":"end"}"#]);
    assert_eq!(
        read(&decoder, &framed("15aabby0end")),
        ["structure.bad_count: record 1 at byte 4: field OUTER.INNER: expected 0 to 4 elements, by OUTER.M, found 5"]
    );
    let short = read(&decoder, &framed("21aay")).remove(0);
    assert!(short.starts_with("framing.record_too_short: record 1 at byte 4: field OUTER.M"), "{short}");
}

#[test]
fn fields_behind_nested_tables() {
    let decoder = variable(NESTED);
    let layout = decoder.layout();
    let slot = |parent: Option<Slot>, name: &str| layout.resolve(parent, name).unwrap().slot;
    let outer = slot(None, "OUTER");
    let (z, inner) = (slot(Some(outer), "Z"), slot(Some(outer), "INNER"));
    with_fields(&decoder, &framed("22aabby0z1pend"), |fields| {
        let text = |slot, scope| match fields.read(slot, scope).unwrap() {
            Value::Text(text) => text.into_owned(),
            other => panic!("{other:?}"),
        };
        let second = fields.element(outer, Scope::ROOT, 1);
        assert_eq!(text(z, second), "z");
        assert_eq!(fields.count(inner, second), Ok(0));
        let first = fields.element(outer, Scope::ROOT, 0);
        assert_eq!(text(inner, fields.element(inner, first, 1)), "bb");
        assert_eq!(text(slot(None, "E"), Scope::ROOT), "end");
        assert_eq!(fields.span(slot(None, "E"), Scope::ROOT), Some((11, 3)));
    });
}

#[test]
fn a_nested_table_needs_to_be_told_where_its_neighbours_begin() {
    use crate::decode::Format;
    use crate::diagnostic::{Faults, SourceText};
    let copybook = "01 R. 05 O OCCURS 2. 10 M PIC 9. 10 T PIC X OCCURS 0 TO 2 DEPENDING ON M.";
    let source = SourceText::new(std::path::Path::new("t.cpy"), copybook.to_owned());
    let faults = Faults::new();
    assert!(Format::Cobol(settings(|_| {})).compile(&|_| Some(source.clone()), &faults).is_none());
    assert!(faults.into_sorted()[0].message.contains("whose length varies"));
}

#[test]
fn counters_that_are_no_numbers() {
    let copybook = "01 R. 05 FLAG PIC X. 05 T PIC X(2) OCCURS 0 TO 2 DEPENDING ON FLAG. 05 Z PIC X.";
    let map = CounterMap::parse("FLAG:N=0,Y=1,2=2").unwrap();
    let decoder = compile(
        copybook,
        settings(|s| {
            (s.odo, s.framing) = (Some(Odo::Variable), Framing::RdwBig);
            s.reading.odo_map = vec![map];
        }),
    );
    assert_eq!(read(&decoder, &framed("Yaaz")), [r#"{"FLAG":"Y","T":["aa"],"Z":"z"}"#]);
    assert_eq!(read(&decoder, &framed("Nz")), [r#"{"FLAG":"N","T":[],"Z":"z"}"#]);
    assert_eq!(
        read(&decoder, &framed("Qz")),
        ["structure.bad_count: record 1 at byte 4: field T: expected N, Y, 2 in FLAG, as `odo_map` has it, found `Q`"]
    );
    let fault = super::compile_faults(copybook, settings(|s| s.odo = Some(Odo::Fixed)));
    assert!(fault[0].contains("`FLAG`, the counter of `T`, is text (say what its values stand for"), "{fault:?}");
    let wrong = settings(|s| {
        s.odo = Some(Odo::Fixed);
        s.reading.odo_map = vec![CounterMap::parse("Z:A=1").unwrap(), CounterMap::parse("NONE:A=1").unwrap()];
    });
    let faults = super::compile_faults(copybook, wrong);
    assert!(faults.iter().any(|fault| fault.contains("`Z` counts no table")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.contains("the copybook has no `NONE`")), "{faults:?}");
    for wrong in ["", "A", "A:", "A:B", "A:B=x", ":B=1"] {
        assert!(CounterMap::parse(wrong).is_err(), "{wrong}");
    }
}

const VIEWS: &str = "
       01 R.
          05 T PIC X.
          05 PERSON.
             10 NAME PIC X(4).
          05 COMPANY REDEFINES PERSON.
             10 TURNOVER PIC 9(4).
          05 OTHER REDEFINES PERSON PIC X(2).
          05 LINES-OF OCCURS 2.
             10 K PIC X.
             10 A PIC X(2).
             10 B REDEFINES A PIC 9(2).";

fn viewed(rules: &[&str]) -> crate::decode::Decoder {
    let views = rules.iter().map(|rule| View::parse_option(rule).unwrap()).collect();
    compile(VIEWS, settings(|s| s.reading.views = views))
}

#[test]
fn rules_choose_among_items_that_share_bytes() {
    let decoder = viewed(&["PERSON:T=P,Q", "COMPANY:T=C", "B:K=n"]);
    let lines = r#""LINES-OF":[{"K":"n","B":12},{"K":"a","A":"34"}]}"#;
    assert_eq!(read(&decoder, &ebcdic("P1234n12a34")), [format!(r#"{{"T":"P","PERSON":{{"NAME":"1234"}},{lines}"#)]);
    assert_eq!(read(&decoder, &ebcdic("C1234n12a34")), [format!(r#"{{"T":"C","COMPANY":{{"TURNOVER":1234}},{lines}"#)]);
    // What has no rule is meant when no rule holds.
    assert_eq!(read(&decoder, &ebcdic("X1234n12a34")), [format!(r#"{{"T":"X","OTHER":"12",{lines}"#)]);
    // The chosen one must be sound.
    assert_eq!(
        read(&decoder, &ebcdic("Cab34n12a34")),
        [
            "numeric.bad_digit: record 1 at byte 0: field COMPANY.TURNOVER: expected PIC 9(4), found no digit: 81 at byte 1 of 8182F3F4"
        ]
    );
    let all = viewed(&["PERSON:T=P", "COMPANY:T=C", "OTHER:T=O"]);
    assert_eq!(
        read(&all, &ebcdic("X1234n12a34")),
        [
            "value.unknown: record 1 at byte 0: field T: expected a value that `views` has for one of PERSON, COMPANY, OTHER, found `X`"
        ]
    );
}

#[test]
fn what_a_rule_excludes_reads_as_null() {
    let decoder = viewed(&["PERSON:T=P", "COMPANY:T=C"]);
    let slot = |name: &str| decoder.layout().resolve(None, name).unwrap().slot;
    with_fields(&decoder, &ebcdic("C1234n12a34"), |fields| {
        assert_eq!(fields.read(slot("NAME"), Scope::ROOT), Ok(Value::Null));
        assert_eq!(fields.read_units(slot("TURNOVER"), Scope::ROOT), None);
        assert!(matches!(fields.read(slot("TURNOVER"), Scope::ROOT), Ok(Value::Decimal(_))));
    });
}

#[test]
fn rules_that_name_the_wrong_things() {
    let faults = |rule: &str| {
        let views = vec![View::parse_option(rule).unwrap()];
        super::compile_faults(VIEWS, settings(|s| s.reading.views = views)).join(" ")
    };
    assert!(faults("LINES-OF:T=P").contains("`LINES-OF` shares its bytes with no other item"));
    assert!(faults("PERSON:K=P").contains("`K` is not one value for `PERSON`"));
    assert!(faults("NOBODY:T=P").contains("the copybook has no `NOBODY`"));
    assert!(View::parse_option("PERSON").is_err());
    assert!(View::parse_option("PERSON:T").is_err());
}

const AT_LEAST: &str = "01 R. 05 N PIC 9. 05 T PIC X(2) OCCURS 2 TO 3 DEPENDING ON N. 05 Z PIC X.";

#[test]
fn elements_below_the_minimum() {
    let decoder = variable(AT_LEAST);
    assert_eq!(read(&decoder, &framed("2aabbz")), [r#"{"N":2,"T":["aa","bb"],"Z":"z"}"#]);
    assert_eq!(
        read(&decoder, &framed("1aaz")),
        ["structure.bad_count: record 1 at byte 4: field T: expected 2 to 3 elements, by N, found 1"]
    );
    with_fields(&decoder, &framed("1aaz"), |fields| {
        let table = decoder.layout().resolve(None, "T").unwrap().slot;
        assert!(fields.count(table, Scope::ROOT).is_err());
    });
}

#[test]
fn records_longer_than_their_counters_say() {
    let decoder = variable(AT_LEAST);
    assert_eq!(
        read(&decoder, &framed("2aabbzcc")),
        ["framing.record_too_long: record 1 at byte 4: expected a record of 6 bytes, found 8 bytes"]
    );
    // Padding is no loss.
    assert_eq!(read(&decoder, &framed("2aabbz  ")), [r#"{"N":2,"T":["aa","bb"],"Z":"z"}"#]);
}

#[test]
fn tables_of_varying_length_in_one_of_several_views() {
    let copybook = "01 R. 05 K PIC X. 05 A. 10 N PIC 9. 10 T PIC X OCCURS 0 TO 3 DEPENDING ON N. 05 B REDEFINES A PIC X(4). 05 Z PIC X.";
    // What stands behind the views stays where it is.
    for change in [
        (|s| (s.odo, s.framing) = (Some(Odo::Variable), Framing::Fixed)) as fn(&mut crate::decode::cobol::Settings),
        |s| s.framing = Framing::Odo,
    ] {
        let decoder = compile(copybook, settings(change));
        assert_eq!(read(&decoder, &ebcdic("k1a  z")), [r#"{"K":"k","A":{"N":1,"T":["a"]},"B":"1a","Z":"z"}"#]);
    }
    let last = copybook.replace(" 05 Z PIC X.", "");
    let faults = super::compile_faults(&last, settings(|s| s.framing = Framing::Odo));
    let expected = "where a record ends depends on which of A, B it has";
    assert!(faults.len() == 1 && faults[0].contains(expected), "{faults:?}");
    let fixed = compile(copybook, settings(|s| (s.odo, s.framing) = (Some(Odo::Fixed), Framing::Fixed)));
    let record = ebcdic("k1a  z");
    assert_eq!(read(&fixed, &record), [r#"{"K":"k","A":{"N":1,"T":["a"]},"B":"1a","Z":"z"}"#]);
    // The table is the record's end: nothing behind it moves, and records of one length keep its room.
    let copybook =
        "01 R. 05 K PIC X. 05 A. 10 N PIC 9. 10 T PIC X OCCURS 0 TO 3 DEPENDING ON N. 05 B REDEFINES A PIC X(4).";
    let decoder = compile(copybook, settings(|s| s.framing = Framing::Fixed));
    let mut out = Vec::new();
    let json = br#"{"K":"k","B":"1abc"}"#;
    let mut encoder = decoder.encoder().unwrap();
    let value = crate::decode::encode::Json::parse(std::str::from_utf8(json).unwrap()).unwrap();
    encoder.record(&value, &mut out).unwrap();
    assert_eq!(out, ebcdic("k1abc"));
}

#[test]
fn counters_of_one_name() {
    let copybook = "01 R. 05 A. 10 N PIC 9. 05 B. 10 N PIC 9. 05 T PIC X OCCURS 0 TO 3 DEPENDING ON N.";
    let faults = super::compile_faults(copybook, settings(|_| {}));
    assert!(faults[0].contains("the counter `N` is ambiguous: 2 items before the table bear the name"), "{faults:?}");
    let qualified = copybook.replace("ON N.", "ON N OF A.");
    let decoder = compile(&qualified, settings(|s| s.framing = Framing::Odo));
    assert_eq!(read(&decoder, &ebcdic("13x")), [r#"{"A":{"N":1},"B":{"N":3},"T":["x"]}"#]);
}

#[test]
fn clauses_that_contradict_each_other() {
    let check = |clauses: &str, expected: &str| {
        let faults = super::compile_faults(&format!("01 R.\n 05 N PIC 9.\n 05 A {clauses}."), settings(|_| {}));
        assert!(faults.len() == 1 && faults[0].contains(expected), "{faults:?}");
        assert!(faults[0].contains(":3:"), "{faults:?}");
    };
    check("PIC X PIC X(2)", "PICTURE is given twice for this item");
    check("PIC X OCCURS 2 OCCURS 3", "OCCURS is given twice for this item");
    check("PIC 9(4) COMP COMP-3", "USAGE is given twice for this item");
    check("PIC 9(4) COMP USAGE DISPLAY", "USAGE is given twice for this item");
    check("PIC X OCCURS 1 TO 3 TIMES", "OCCURS 1 TO 3 needs DEPENDING ON");
}
