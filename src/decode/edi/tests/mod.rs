//! Messages of both standards, and what is wrong with them.

mod encode;
mod values;

use proptest::prelude::*;

use super::Settings;
use crate::decode::testing::{self, is_sound, read_from};
use crate::decode::{CodePage, Decoder, Format, MAX_RECORD, Resume};
use crate::diagnostic::Faults;

const ISA: &str =
    "ISA*00*          *00*          *ZZ*SENDER         *14*5412345000013  *261031*0102*U*00401*000000905*1*T*>~";

/// One group of two orders.
fn orders() -> String {
    let first = "ST*850*0001~BEG*00*SA*PO-4711**20261031~N1*BT*Buyer & Co~N1*ST*Dock 7~N4*Springfield*IL~\
                 PO1*1*10*EA*9.95**VN*A-1~PID*F****Hammer~PO1*2*5*EA*.5**VN*B-2~CTT*2~SE*10*0001~";
    let second = "ST*850*0002~BEG*00*SA*PO-4712**20261031~PO1*1*1*EA*1**VN*C\"3~SE*4*0002~";
    format!("{ISA}GS*PO*SENDERGS*RECEIVERGS*20261031*0102*77*X*004010~{first}{second}GE*2*77~IEA*1*000000905~")
}

const DESADV: &str = "UNA:+.? '\r\nUNB+UNOC:3+5412345000013:14+4012345000023:14+261031:1002+REF1++++++1'\r\n\
    UNH+1+ORDERS:D:96A:UN:EAN008'\r\nBGM+220::9+PO-1+9'\r\nDTM+137:20261031:102'\r\nDTM+2:20261105:102'\r\n\
    NAD+BY+541::9'\r\nLIN+1++4000862141404:EN'\r\nIMD+F++:::Gr?+ne D?'Or??'\r\nQTY+21:5'\r\nLIN+2'\r\nUNS+S'\r\n\
    UNT+11+1'\r\nUNZ+1+REF1'\r\n";

fn compile(settings: Settings) -> Decoder {
    Format::Edi(settings).compile(&|_| None, &Faults::new()).unwrap()
}

fn decoder() -> Decoder {
    compile(Settings::default())
}

fn read(data: &[u8]) -> Vec<String> {
    testing::read(&decoder(), data)
}

/// The records and rejects, each record by `_control_number` alone.
fn outline(data: &str) -> Vec<String> {
    let short = |line: String| match serde_json::from_str::<serde_json::Value>(&line) {
        Ok(json) => json["_control_number"].as_str().unwrap().to_owned(),
        Err(_) => line,
    };
    read(data.as_bytes()).into_iter().map(short).collect()
}

#[test]
fn a_transaction_set_of_x12() {
    let lines = read(orders().as_bytes());
    assert_eq!(lines.len(), 2);
    let expected = concat!(
        r#"{"_interchange":{"standard":"X12","syntax":null,"version":"00401","sender_qualifier":"ZZ","sender":"SENDER","#,
        r#""receiver_qualifier":"14","receiver":"5412345000013","date":"261031","time":"0102","#,
        r#""control_number":"000000905","test":"T","separators":{"element":"*","component":">","repetition":null,"#,
        r#""release":null,"segment":"~","line_end":""},"header":{"id":"ISA","01":"00","02":"","03":"00","04":"","#,
        r#""05":"ZZ","06":"SENDER","07":"14","08":"5412345000013","09":"261031","10":"0102","11":"U","12":"00401","#,
        r#""13":"000000905","14":"1","15":"T","16":">"}},"_group":{"type":"PO","sender":"SENDERGS","#,
        r#""receiver":"RECEIVERGS","date":"20261031","time":"0102","control_number":"77","version":"004010","#,
        r#""header":{"id":"GS","01":"PO","02":"SENDERGS","03":"RECEIVERGS","04":"20261031","05":"0102","06":"77","#,
        r#""07":"X","08":"004010"}},"_type":"850","_control_number":"0002","_version":"004010","segments":["#,
        r#"{"id":"ST","01":"850","02":"0002"},{"id":"BEG","01":"00","02":"SA","03":"PO-4712","05":"20261031"},"#,
        r#"{"id":"PO1","01":"1","02":"1","03":"EA","04":"1","06":"VN","07":"C\"3"}]}"#,
    );
    assert_eq!(lines[1], expected);
}

#[test]
fn a_message_of_edifact() {
    // Windows and ISO 8859-1 agree on this one.
    let data: Vec<u8> =
        DESADV.replace("Gr?+ne", "Gr?+\u{fc}ne").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let lines = read(&data);
    assert_eq!(lines.len(), 1);
    let json: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    let interchange = &json["_interchange"];
    assert_eq!(interchange["syntax"], "UNOC");
    assert_eq!((&interchange["sender"], &interchange["receiver_qualifier"]), (&"5412345000013".into(), &"14".into()));
    assert_eq!((&interchange["control_number"], &interchange["test"]), (&"REF1".into(), &"1".into()));
    assert_eq!(interchange["separators"]["line_end"], "\r\n");
    assert_eq!(interchange["separators"]["advice"], true);
    assert_eq!(interchange["header"]["02"], serde_json::json!({"01": "5412345000013", "02": "14"}));
    assert_eq!(json["_group"], serde_json::Value::Null);
    assert_eq!((&json["_type"], &json["_version"]), (&"ORDERS".into(), &"D:96A:UN:EAN008".into()));
    let segments = lines[0].split_once("\"segments\":").unwrap().1;
    let expected = concat!(
        r#"[{"id":"UNH","01":"1","02":{"01":"ORDERS","02":"D","03":"96A","04":"UN","05":"EAN008"}},"#,
        r#"{"id":"BGM","01":{"01":"220","03":"9"},"02":"PO-1","03":"9"},"#,
        r#"{"id":"DTM","01":{"01":"137","02":"20261031","03":"102"}},{"id":"DTM","01":{"01":"2","02":"20261105","03":"102"}},"#,
        r#"{"id":"NAD","01":"BY","02":{"01":"541","03":"9"}},{"id":"LIN","01":"1","03":{"01":"4000862141404","02":"EN"}},"#,
        r#"{"id":"IMD","01":"F","03":{"04":"Gr+üne D'Or?"}},{"id":"QTY","01":{"01":"21","02":"5"}},{"id":"LIN","01":"2"},"#,
        r#"{"id":"UNS","01":"S"}]}"#,
    );
    assert_eq!(segments, expected);
}

#[test]
fn repetitions_and_composites() {
    let isa = ISA.replace("*U*00401*", "*^*00501*");
    let data =
        format!("{isa}GS*HC*S*R*20261031*01*1*X*005010~ST*837*1~XX*a^b*c>d^^e>>f*>*^*g~SE*3*1~GE*1*1~IEA*1*905~");
    let lines = read(data.as_bytes());
    let expected = r#"{"id":"XX","01":["a","b"],"02":[{"01":"c","02":"d"},null,{"01":"e","03":"f"}],"03":{},"04":[null,null],"05":"g"}]}"#;
    assert!(lines[0].ends_with(expected), "{}", lines[0]);
}

#[test]
fn line_ends_and_blank_lines_between_segments() {
    let plain = outline(&orders());
    assert_eq!(plain, ["0001", "0002"]);
    for behind in ["\n", "\r\n", "\n\n", "\r\n   \r\n", "\n\n\n\0"] {
        assert_eq!(outline(&orders().replace('~', &format!("~{behind}"))), plain, "{behind:?}");
    }
    // A line end as the terminator, with and without blank lines; the last one missing.
    assert_eq!(outline(&orders().replace('~', "\n")), plain);
    assert_eq!(outline(orders().replace('~', "\n\n").trim_end()), plain);
    assert_eq!(outline(&format!("\u{feff}\r\n{}\u{1a}", orders())), plain);
}

#[test]
fn one_bad_message_is_rejected_alone() {
    let check = |from: &str, to: &str, expected: &[&str]| {
        let data = orders();
        assert!(data.contains(from), "{from}");
        let found = outline(&data.replacen(from, to, 1));
        assert_eq!(found.len(), expected.len(), "{from}: {found:#?}");
        found.iter().zip(expected).for_each(|(found, expected)| assert!(found.contains(expected), "{from}: {found}"));
    };
    check(
        "SE*10*0001",
        "SE*9*0001",
        &["control.total: record 1 at byte 158: field SE.01: expected 10, the number of segments, found `9`", "0002"],
    );
    check(
        "SE*10*0001",
        "SE*10*1",
        &[
            "structure.envelope: record 1 at byte 158: field SE.02: expected the control number `0001` of ST, found `1`",
            "0002",
        ],
    );
    check(
        "SE*10*0001~",
        "",
        &["structure.envelope: record 1 at byte 158: expected SE to end the message, found ST as segment 10", "0002"],
    );
    check(
        "SE*4*0002~",
        "",
        &["0001", "structure.envelope: record 2 at byte 326: expected SE to end the message, found GE as segment 4"],
    );
    check(
        "PID*F",
        "pid*F",
        &[
            "structure.bad_segment: record 1 at byte 158: field segment 7: expected a segment's name: two or three capital letters and digits, found \"pid\" as segment 7",
            "0002",
        ],
    );
    check("~PID*F", "~~PID*F", &["found \"\" as segment 7", "0002"]);
    check("ST*850*0002", "ST*850*0001", &["0001", "structure.envelope: record 2"]);
    check("0002~BEG", "0001~BEG", &["0001", "field SE.02"]);
    check(
        "GE*2*77",
        "GE*3*77",
        &[
            "0001",
            "0002",
            "control.total: record 3 at byte 397: field GE.01: expected 2, the number of messages, found `3`",
        ],
    );
    check(
        "GE*2*77",
        "GE*2*78",
        &[
            "0001",
            "0002",
            "structure.envelope: record 3 at byte 397: field GE.02: expected the control number `77` of GS, found `78`",
        ],
    );
    check(
        "GE*2*77~",
        "",
        &[
            "0001",
            "0002",
            "structure.envelope: record 3 at byte 397: expected GE to end what GS 77 began, found IEA before it",
        ],
    );
    check(
        "IEA*1*",
        "IEA*2*",
        &["0001", "0002", "field IEA.01: expected 1, the number of groups or messages, found `2`"],
    );
    check("IEA*1*000000905", "IEA*1*906", &["0001", "0002", "field IEA.02"]);
    check("IEA*1*000000905", "IEA*1*905", &["0001", "0002"]);
    check(
        "GE*2*77",
        "FOO*1~BAR~GE*2*77",
        &["0001", "0002", "structure.envelope: record 3 at byte 397: expected ST, GE or IEA, found the segment FOO"],
    );
    check(
        "GS*PO*SENDERGS*RECEIVERGS*20261031*0102*77*X*004010~",
        "",
        &[
            "expected GS before ST, found no group",
            "found no group",
            "expected GS before GE, found none",
            "field IEA.01",
        ],
    );
}

#[test]
fn control_numbers_that_come_again() {
    let again = orders().replace("0002", "0001").replace("ST*850*0001~BEG*00*SA*PO-4712", "ST*850*0001~BEG*00*SA*PO-9");
    assert_eq!(
        outline(&again),
        [
            "0001",
            "control.duplicate: record 2 at byte 326: field ST: expected a control number other than 0001, found the same number again"
        ]
    );
    let twice = format!("{}{}", orders(), orders());
    let found = outline(&twice);
    assert_eq!(found.len(), 4);
    assert!(found[2].contains("expected an interchange other than 000000905, which has come before"), "{}", found[2]);
    assert!(found[3].starts_with("control.duplicate"));
    // Another sender may use the same number, and messages are numbered anew in each group.
    assert_eq!(
        outline(&format!("{}{}", orders(), orders().replace("SENDER  ", "SENDER2 "))),
        ["0001", "0002", "0001", "0002"]
    );
    let groups = orders().replace("IEA*1", "GS*PO*S*R*20261031*0102*77*X*004010~ST*850*9~SE*2*9~GE*1*77~IEA*2");
    assert!(outline(&groups)[2].contains("expected a group other than 77"));
}

#[test]
fn files_that_end_early_or_are_no_edi() {
    let lost = |data: &str| outline(data).pop().unwrap_or_default();
    let data = orders();
    assert!(
        lost(&data[..300]).contains("lost: framing.truncated at 158: the file ends within message 0001: SE is missing"),
        "{}",
        lost(&data[..300])
    );
    assert!(lost(&data[..50]).contains("within the header of an interchange"));
    let iea = data.find("IEA").unwrap();
    assert!(lost(&data[..iea]).contains("the file ends within interchange 000000905: IEA is missing"));
    assert!(lost(&data[..iea - 3]).contains("framing.truncated"), "{}", lost(&data[..iea - 3]));
    assert_eq!(outline(&data[..data.len() - 1]), ["0001", "0002"]);
    assert!(lost("").contains("the file holds no interchange"));
    assert!(lost("id;name\n1;x\n").contains("no EDI file: it begins with \"id;name\\n\""));
    assert!(lost("\u{1f}\u{8b}\u{8}").contains("no EDI file"));
}

#[test]
fn what_lies_between_interchanges_is_rejected_and_passed_over() {
    let other = orders().replace("000000905", "000000906");
    let data = format!("{}garbage VISA*1 UNBELIEVABLE {other}", orders());
    let found = outline(&data);
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(found[2].starts_with("structure.envelope: record 3 at byte 421: expected an interchange"), "{}", found[2]);
    // A header that cannot be understood costs its interchange alone.
    let broken = orders().replace("*T*>~GS", "*T**~GS");
    let found = outline(&format!("{broken}\n{other}"));
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("found `*` in two roles"), "{}", found[0]);
    let reopened = format!("{}{other}", orders().replace("IEA*1*000000905~", ""));
    assert!(outline(&reopened)[2].contains("expected IEA to end what ISA 000000905 began, found ISA before it"));
    // Both standards in one file.
    assert_eq!(outline(&format!("{}{DESADV}", orders())), ["0001", "0002", "1"]);
}

#[test]
fn groups_and_counts_of_edifact() {
    let message = |number: u32| format!("UNH+{number}+ORDERS:D:96A:UN'UNT+2+{number}'");
    let grouped = format!(
        "UNB+UNOA:2+A+B+261031:1002+7'UNG+ORDERS+S+R+261031:1002+G1+UN+D:96A'{}{}UNE+2+G1'UNZ+1+7'",
        message(1),
        message(2)
    );
    assert_eq!(outline(&grouped), ["1", "2"]);
    let json: serde_json::Value = serde_json::from_str(&read(grouped.as_bytes())[0]).unwrap();
    assert_eq!((&json["_group"]["control_number"], &json["_group"]["sender"]), (&"G1".into(), &"S".into()));
    assert!(outline(&grouped.replace("UNZ+1", "UNZ+2"))[2].contains("control.total"));
    let plain = format!("UNB+UNOA:2+A+B+261031:1002+7'{}{}UNZ+2+7'", message(1), message(2));
    assert_eq!(outline(&plain), ["1", "2"]);
    assert!(outline(&plain.replace("UNZ+2", "UNZ+1"))[2].contains("expected 2, the number of groups or messages"));
    // References are texts here.
    assert!(outline(&plain.replace("UNZ+2+7", "UNZ+2+07"))[2].contains("field UNZ.02"));
    // However a number is released and padded, it is the same text.
    let released = plain.replace("1002+7'", "1002+R?+7'");
    assert!(
        outline(&released.replace("UNZ+2+7", "UNZ+2+R7"))[2].contains("the control number `R+7` of UNB, found `R7`")
    );
    for same in ["?R?+?7", "R?+7 "] {
        assert_eq!(outline(&released.replace("UNZ+2+7", &format!("UNZ+2+{same}"))).len(), 2, "{same}");
    }
    // No message: an interchange all the same.
    assert_eq!(outline("UNB+UNOA:2+A+B+261031:1002+7'UNZ+0+7'"), Vec::<String>::new());
}

#[test]
fn an_acknowledgement_of_an_interchange_is_a_record() {
    let lines = read(format!("{ISA}TA1*000000001*261030*0900*A*000~IEA*0*905~").as_bytes());
    assert!(lines[0].contains(r#""_group":null,"_type":"TA1","_control_number":"000000001""#), "{}", lines[0]);
    assert!(
        lines[0]
            .ends_with(r#""segments":[{"id":"TA1","01":"000000001","02":"261030","03":"0900","04":"A","05":"000"}]}"#)
    );
}

#[test]
fn bytes_that_are_no_text() {
    let bad = |settings: Settings| {
        let data: Vec<u8> =
            orders().replace("Dock", "D\u{f6}ck").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        testing::read(&compile(settings), &data)
    };
    assert!(bad(Settings::default())[0].starts_with(
        "encoding.unmappable: record 1 at byte 158: field N1 (segment 4): expected text in utf-8, found byte F6 after"
    ));
    let settings = Settings { encoding: Some(CodePage::find("latin1").unwrap()), ..Settings::default() };
    assert!(bad(settings)[0].contains("Döck 7"));
}

#[test]
fn binary_data_of_a_segment_bin() {
    let data = orders().replace("CTT*2~", "BIN*9*a~SE*1*1~~");
    let lines = read(data.as_bytes());
    assert!(lines[0].contains(r#"{"id":"BIN","01":"9","02":"a~SE","03":"1","04":"1~"}"#), "{}", lines[0]);
}

#[test]
fn a_message_that_is_too_long_is_not_held() {
    let filler = format!("FTX+AAA+++{}'", "x".repeat(1000));
    let long = filler.repeat(MAX_RECORD / filler.len() + 2000);
    let rest = "UNH+2+ORDERS:D:96A:UN'UNT+2+2'UNZ+2+7'";
    let data = format!("UNB+UNOA:2+A+B+261031:1002+7'UNH+1+ORDERS:D:96A:UN'{long}UNT+3+1'{rest}");
    let found = outline(&data);
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("framing.record_too_long: record 1 at byte 29: expected a message"), "{}", found[0]);
    // One segment that never ends.
    let data =
        format!("UNB+UNOA:2+A+B+261031:1002+7'UNH+1+ORDERS:D:96A:UN'FTX+{}'UNT+3+1'{rest}", "?'".repeat(MAX_RECORD));
    let found = outline(&data);
    assert_eq!((found.len(), found[1].as_str()), (2, "2"));
    assert!(found[0].starts_with("framing.record_too_long"));
}

fn resumes(data: &[u8]) {
    testing::resumes(&decoder(), data);
}

#[test]
fn resuming_anywhere_gives_the_rest() {
    let again = orders().replace("0002", "0001");
    let broken = orders().replace("SE*10", "SE*11").replace("GE*2*77~", "").replace("905", "906");
    resumes(format!("{}{DESADV}{again}junk{broken}", orders()).as_bytes());
    resumes(&orders().as_bytes()[..400]);
}

/// Segments that come in any order, whole and broken.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&str] = &[
        ISA,
        "GS*PO*S*R*20261031*0102*77*X*004010~",
        "ST*850*1~",
        "ST*850*2~",
        "BEG*00~",
        "SE*3*1~",
        "SE*2*2~",
        "GE*1*77~",
        "IEA*1*905~",
        "UNA:+.?*'",
        "UNB+UNOY:4+A+B+20261031:1002+7'",
        "UNB+UNOC:3+A+B+1:2+8'",
        "UNH+1+ORDERS:D'",
        "UNT+2+1'",
        "UNZ+1+7'",
        "UNG+X+A+B+1:2+G+UN+D:1'",
        "UNE+1+G'",
        "BIN*5*~~~~~~",
        "x",
        "~",
        "'",
        "?",
        "*",
        "\n",
        "\u{ff}",
        "TA1*1~",
    ];
    proptest::collection::vec(proptest::sample::select(pieces), 0..30).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_order_of_segments_is_read_and_resumed(data in soup()) {
        let decoder = decoder();
        let all = read_from(&decoder, &data, Resume::default());
        prop_assert!(all.iter().all(|line| is_sound(line)));
        resumes(&data);
    }

    #[test]
    fn any_bytes_behind_a_header(bytes in proptest::collection::vec(any::<u8>(), 0..300), edifact in any::<bool>()) {
        let start = if edifact { "UNB+UNOC:3+A+B+261031:1002+7'UNH+1+ORDERS:D'".to_owned() } else { format!("{ISA}GS*PO*S*R*1*1*7*X*004010~ST*850*1~") };
        let end: &[u8] = if edifact { b"'UNT+3+1'UNZ+1+7'" } else { b"~SE*3*1~GE*1*7~IEA*1*905~" };
        let data = [start.as_bytes(), &bytes, end].concat();
        for line in read_from(&decoder(), &data, Resume::default()) {
            prop_assert!(is_sound(&line), "{}", line);
        }
        resumes(&data);
    }

    #[test]
    fn any_bytes_at_all(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_from(&decoder(), &bytes, Resume::default());
        read_from(&decoder(), &[b"UNA".as_slice(), &bytes].concat(), Resume::default());
        read_from(&decoder(), &[b"ISA".as_slice(), &bytes].concat(), Resume::default());
    }
}
