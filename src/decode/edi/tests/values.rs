//! Values of messages by path, as a mapping reads them.

use std::io::Cursor;

use super::{DESADV, ISA, Settings, compile, decoder, orders};
use crate::decode::{CodePage, Item, JsonOptions, Resume, Unwritten};
use crate::record::{RejectCode, Scope, Slot, Value};

/// What a mapping reads, by name; `Err` is the sentence of the fault.
fn value(data: &str, name: &str) -> Result<Option<String>, String> {
    let decoder = decoder();
    let found = decoder.layout().resolve(None, name).map_err(|unresolved| unresolved.reason)?;
    let mut reader = decoder.reader(Cursor::new(data.as_bytes()), Resume::default()).unwrap();
    loop {
        if let Some(Item::Record(record)) = reader.next().unwrap() {
            return match record.fields.read(found.slot, Scope::ROOT) {
                Ok(Value::Null) => Ok(None),
                Ok(Value::Text(text)) => {
                    let mut written = Vec::new();
                    if record.fields.write_text(found.slot, Scope::ROOT, &mut written) {
                        assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text);
                    }
                    Ok(Some(text.into_owned()))
                }
                Ok(other) => panic!("{other:?}"),
                Err(fault) => Err(format!("{}: {}", fault.expected, fault.found)),
            };
        }
    }
}

#[test]
fn values_by_path() {
    let x12 = orders();
    let check = |data: &str, name: &str, expected: Option<&str>| {
        assert_eq!(value(data, name), Ok(expected.map(str::to_owned)), "{name}");
    };
    check(&x12, "BEG.03", Some("PO-4711"));
    check(&x12, "BEG.04", None);
    check(&x12, "BEG.99", None);
    check(&x12, "REF.02", None);
    check(&x12, "ST.01", Some("850"));
    check(&x12, "N1[ST].02", Some("Dock 7"));
    check(&x12, "N1[01=BT].02", Some("Buyer & Co"));
    check(&x12, "N1[XX].02", None);
    check(&x12, "N1[ST]../N4.01", Some("Springfield"));
    check(&x12, "N1[BT]../N4.01", None);
    check(&x12, "PO1[07=A-1]..CTT/PID.05", Some("Hammer"));
    check(&x12, "ISA.06", Some("SENDER"));
    check(&x12, "GS.08", Some("004010"));
    check(&x12, "_interchange.receiver", Some("5412345000013"));
    check(&x12, "_group.control_number", Some("77"));
    check(&x12, "_type", Some("850"));
    check(&x12, "_version", Some("004010"));
    check(&x12, "_control_number", Some("0001"));
    check(DESADV, "BGM.01.01", Some("220"));
    check(DESADV, "BGM.01.02", None);
    check(DESADV, "BGM.02", Some("PO-1"));
    check(DESADV, "BGM.02.01", Some("PO-1"));
    check(DESADV, "DTM[137].01.02", Some("20261031"));
    check(DESADV, "IMD.03.04", Some("Gr+ne D'Or?"));
    check(DESADV, "UNB.02.01", Some("5412345000013"));
    check(DESADV, "_version", Some("D:96A:UN:EAN008"));
    check(DESADV, "_group.type", None);
    let fault = |data: &str, name: &str| value(data, name).unwrap_err();
    assert_eq!(fault(&x12, "N1.02"), "one segment N1: more than one: segments 3 and 4");
    assert_eq!(fault(DESADV, "DTM.01.02"), "one segment DTM: more than one: segments 3 and 4");
    assert_eq!(
        fault(DESADV, "BGM.01"),
        "one value at BGM.01: a composite, whose components are .01, .02 and so on, in segment 2"
    );
    assert!(fault(&x12, "02").contains("names an element of no segment"));
    assert!(fault(&x12, "_group.sendr").contains("no value"));
}

/// The values of every run.
fn runs(data: &str, run: &str, names: &[&str]) -> Vec<Vec<String>> {
    let decoder = decoder();
    let layout = decoder.layout();
    let table = layout.resolve(None, run).unwrap();
    assert!(table.repeats);
    let slots: Vec<Slot> = names.iter().map(|name| layout.resolve(Some(table.slot), name).unwrap().slot).collect();
    let mut reader = decoder.reader(Cursor::new(data.as_bytes()), Resume::default()).unwrap();
    loop {
        if let Some(Item::Record(record)) = reader.next().unwrap() {
            let fields = record.fields;
            let one = |index| {
                let scope = fields.element(table.slot, Scope::ROOT, index);
                let text = |slot: &Slot| match fields.read(*slot, scope) {
                    Ok(Value::Text(text)) => text.into_owned(),
                    Ok(_) => "-".to_owned(),
                    Err(fault) => fault.found,
                };
                slots.iter().map(text).collect()
            };
            return (0..fields.count(table.slot, Scope::ROOT).unwrap()).map(one).collect();
        }
    }
}

#[test]
fn runs_of_segments() {
    let x12 = orders();
    assert_eq!(runs(&x12, "PO1", &["07", "PO1.02"]), [["A-1", "10"], ["B-2", "5"]]);
    assert_eq!(runs(&x12, "PO1..CTT", &["07", "PID.05", "CTT.01"]), [["A-1", "Hammer", "-"], ["B-2", "-", "-"]]);
    assert_eq!(runs(&x12, "PO1..", &["CTT.01"]), [["-"], ["2"]]);
    assert_eq!(
        runs(DESADV, "LIN..UNS", &["01", "03.01", "QTY[21].01.02"]),
        [["1", "4000862141404", "5"], ["2", "-", "-"]]
    );
    let layout = decoder();
    let layout = layout.layout();
    let single = layout.resolve(None, "PO1").unwrap().slot;
    assert!(layout.resolve(Some(single), "PID.05").unwrap_err().reason.contains("no part of one segment"));
    let run = layout.resolve(None, "PO1..CTT").unwrap().slot;
    assert!(layout.resolve(Some(run), "/BEG.03").is_err(), "what begins at the message is resolved there");
    assert!(layout.resolve(Some(run), "_type").is_err());
    assert!(layout.resolve(None, "/BEG.03").is_ok());
}

#[test]
fn repeated_elements() {
    let isa = ISA.replace("*U*00401*", "*^*00501*");
    let data = format!("{isa}GS*HC*S*R*20261031*01*1*X*005010~ST*837*1~DMG*D8*1*F**a^b>x^c~SE*3*1~GE*1*1~IEA*1*905~");
    let decoder = decoder();
    let slot = decoder.layout().resolve(None, "DMG.05[]").unwrap().slot;
    let mut reader = decoder.reader(Cursor::new(data.as_bytes()), Resume::default()).unwrap();
    loop {
        if let Some(Item::Record(record)) = reader.next().unwrap() {
            assert_eq!(record.fields.count(slot, Scope::ROOT), Ok(3));
            let one = |index| record.fields.read(slot, record.fields.element(slot, Scope::ROOT, index));
            assert_eq!(one(0), Ok(Value::Text("a".into())));
            assert_eq!(one(2), Ok(Value::Text("c".into())));
            assert_eq!(one(1).unwrap_err().code, RejectCode::BadType);
            break;
        }
    }
    assert!(value(&data, "DMG.05").unwrap_err().contains("3 repetitions"));
}

/// A message of very many lines, walked as a mapping does: with what lies around each line, and runs within it. Were
/// anything looked for from the start each time, this would not end.
#[test]
fn a_message_of_very_many_lines_is_walked_once() {
    const LINES: usize = 60_000;
    let lines: String = (0..LINES).map(|line| format!("LIN+{line}'QTY+21:1'QTY+12:{line}'")).collect();
    let data = format!(
        "UNB+UNOC:3+A+B+261031:1002+7'UNH+1+ORDERS:D:96A:UN'{lines}UNS+S'CNT+2:9'UNT+{}+1'UNZ+1+7'",
        3 * LINES + 4
    );
    let decoder = decoder();
    let layout = decoder.layout();
    let outer = layout.resolve(None, "LIN..UNS").unwrap().slot;
    let inner = layout.resolve(Some(outer), "QTY..").unwrap().slot;
    let amount = layout.resolve(Some(inner), "01.02").unwrap().slot;
    let one = layout.resolve(Some(outer), "QTY[12].01.02").unwrap().slot;
    let around = layout.resolve(None, "CNT.01.02").unwrap().slot;
    let mut reader = decoder.reader(Cursor::new(data.as_bytes()), Resume::default()).unwrap();
    assert!(matches!(reader.next().unwrap(), Some(Item::Skipped)));
    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("a message is due") };
    let fields = record.fields;
    let read = |slot, scope| match fields.read(slot, scope) {
        Ok(Value::Text(text)) => text.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(fields.count(outer, Scope::ROOT), Ok(LINES));
    for line in 0..LINES {
        let scope = fields.element(outer, Scope::ROOT, line);
        assert_eq!(fields.count(inner, scope), Ok(2));
        assert_eq!(read(amount, fields.element(inner, scope, 1)), line.to_string());
        assert_eq!(read(one, scope), line.to_string());
        assert_eq!(read(around, Scope::ROOT), "9");
    }
}

/// A message that is written in pieces is what it is as a whole, and one that cannot be written leaves nothing behind.
#[test]
fn pieces_make_the_whole() {
    let lines: String = (0..9_000).map(|number| format!("PO1*{number}*10*EA*9.95**VN*A\"{number}~")).collect();
    let message =
        |last: &str| format!("{ISA}GS*PO*S*R*20261031*0102*77*X*004010~ST*850*0001~{lines}{last}SE*9003*0001~");
    let options = JsonOptions { meta: true, ..JsonOptions::default() };
    for (encoding, last, is_written) in
        [(None, "CTT*9000~", true), (CodePage::find("ascii").ok(), "CTT*\u{e4}~", false)]
    {
        let decoder = compile(Settings { encoding, ..Settings::default() });
        let data = format!("{}GE*1*77~IEA*1*000000905~", message(last));
        let mut reader = decoder.reader(Cursor::new(data.as_bytes()), Resume::default()).unwrap();
        // The interchange and the group begin.
        for _ in 0..2 {
            assert!(matches!(reader.next().unwrap(), Some(Item::Skipped)));
        }
        let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("{last}: a message is due") };
        let (mut whole, mut pieces, mut count) = (Vec::new(), Vec::new(), 0);
        let expected = decoder.write_json(&record, &options, &mut whole);
        let written = decoder.write_pieces(&record, &options, &mut |piece| {
            count += 1;
            pieces.extend_from_slice(piece);
            Ok(())
        });
        assert_eq!((expected.is_ok(), written.is_ok()), (is_written, is_written), "{last}");
        assert!(pieces == whole && (count > 5) == is_written, "{count} pieces");
        if let (Err(expected), Err(Unwritten::Rejected(found))) = (expected, written) {
            assert_eq!(*found, expected);
        }
    }
}
