//! XML held against another parser, resumed at every record, cut and garbled.

use std::io::Cursor;

use proptest::prelude::*;

use super::Settings;
use crate::decode::encode::Json;
use crate::decode::{Decoder, Format, Item, JsonOptions, Reader, Resume, StreamFault};
use crate::diagnostic::Faults;
use crate::record::{RejectCode, Scope, Value, Wanted};

/// Documents with what another parser reads in them: see `fixtures/decode/xml/generate.py`.
macro_rules! fixture {
    ($name:literal) => {
        (
            $name,
            (include_bytes!(concat!("../../../fixtures/decode/xml/", $name))).as_slice(),
            include_str!(concat!("../../../fixtures/decode/xml/", $name, ".ndjson")),
        )
    };
}

fn decoder(settings: Settings) -> Decoder {
    settings.check().unwrap();
    Format::Xml(settings).compile(&|_| None, &Faults::new()).unwrap()
}

fn by_path(path: &str) -> Settings {
    Settings::new(path.to_owned())
}

/// Each item as a line, with what ends the document if it is a fault.
fn items(decoder: &Decoder, content: &[u8], from: Resume) -> Vec<String> {
    let mut reader = match decoder.reader(Cursor::new(content), from) {
        Ok(reader) => reader,
        Err(fault) => return vec![format!("! {fault}")],
    };
    let mut lines = Vec::new();
    loop {
        match next(decoder, &mut reader) {
            Ok(Some(line)) => lines.push(line),
            Ok(None) => return lines,
            Err(fault) => {
                lines.push(format!("! {fault}"));
                return lines;
            }
        }
    }
}

fn next(decoder: &Decoder, reader: &mut Reader<Cursor<&[u8]>>) -> Result<Option<String>, StreamFault> {
    Ok(match reader.next()? {
        None => None,
        Some(Item::Skipped) => Some("skipped".to_owned()),
        Some(Item::Reject(reject)) => Some(format!("{} {}", reject.code.as_str(), reject.found)),
        Some(Item::Record(record)) => {
            let mut out = Vec::new();
            Some(match decoder.write_json(&record, &JsonOptions::default(), &mut out) {
                Ok(()) => String::from_utf8(out).unwrap(),
                Err(reject) => format!("{} {}", reject.code.as_str(), reject.found),
            })
        }
    })
}

fn check(settings: Settings, content: &str, expected: &[&str]) {
    assert_eq!(items(&decoder(settings), content.as_bytes(), Resume::default()), expected, "{content}");
}

fn order(content: &str, expected: &[&str]) {
    check(by_path("/a/r"), &format!("<a><r>{content}</r></a>"), expected);
}

fn with_prefix() -> Settings {
    Settings { namespaces: vec![("o".into(), "urn:orders".into())], ..by_path("/o:Orders/o:Order") }
}

#[test]
fn documents_say_what_another_parser_reads_in_them() {
    let local = [
        fixture!("utf8.xml"),
        fixture!("mark.xml"),
        fixture!("latin1.xml"),
        fixture!("utf16.xml"),
        fixture!("utf16be.xml"),
        fixture!("shift_jis.xml"),
    ];
    let global = [fixture!("prefixed.xml"), fixture!("default.xml")];
    let local = local.into_iter().map(|fixture| (fixture, by_path("/Orders/Order")));
    for ((name, content, expected), settings) in local.chain(global.into_iter().map(|f| (f, with_prefix()))) {
        let found = items(&decoder(settings), content, Resume::default());
        for (found, expected) in found.iter().zip(expected.lines()) {
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(found.len(), expected.lines().count(), "{name}");
    }
}

/// Offsets, lengths and raw bytes are those of the file, in every encoding.
#[test]
fn records_lie_where_they_say() {
    let starts: [(&[u8], &[u8], &[u8]); 5] = [
        (fixture!("utf8.xml").1, b"<Order ", b"</Order>"),
        (fixture!("mark.xml").1, b"<Order ", b"</Order>"),
        (fixture!("shift_jis.xml").1, b"<Order ", b"</Order>"),
        (fixture!("utf16.xml").1, b"<\0O\0r\0d\0e\0r\0 \0", b"<\0/\0O\0r\0d\0e\0r\0>\0"),
        (fixture!("utf16be.xml").1, b"\0<\0O\0r\0d\0e\0r\0 ", b"\0<\0/\0O\0r\0d\0e\0r\0>"),
    ];
    for (content, start, end) in starts {
        let decoder = decoder(by_path("//Order"));
        let mut reader = decoder.reader(Cursor::new(content), Resume::default()).unwrap();
        let mut count = 0;
        while let Some(Item::Record(record)) = reader.next().unwrap() {
            count += 1;
            let from = record.position.offset as usize;
            let raw = &content[from..from + record.position.length as usize];
            assert!(raw == record.raw && raw.starts_with(start) && raw.ends_with(end), "{count}");
            assert_eq!(record.position.record, count);
            let is_wide = start.contains(&0);
            let lines = content[..from].iter().filter(|byte| **byte == b'\n').count() as u64;
            assert_eq!(record.position.line, Some(lines + 1), "{is_wide}");
        }
        assert_eq!(count, 40);
    }
}

#[test]
fn resuming_at_every_record_gives_the_same_rest() {
    let parent =
        |settings| Settings { parent: vec!["/Orders/@batch".into(), "/Orders/Header/Date".into()], ..settings };
    for (name, content, _) in
        [fixture!("utf8.xml"), fixture!("utf16.xml"), fixture!("latin1.xml"), fixture!("mark.xml")]
    {
        let decoder = decoder(parent(by_path("/Orders/Order")));
        let all = items(&decoder, content, Resume::default());
        assert!(all[0].starts_with(r#"{"/Orders/@batch":"7","/Orders/Header/Date":"2026-01-02","@id":"#), "{}", all[0]);
        let mut reader = decoder.reader(Cursor::new(content), Resume::default()).unwrap();
        let mut starts = Vec::new();
        let mut points = vec![reader.resume_point()];
        while let Some(item) = reader.next().unwrap() {
            let Item::Record(record) = item else { panic!("{name}") };
            starts.push(record.position);
            points.push(reader.resume_point());
        }
        for (index, point) in points.iter().enumerate() {
            assert_eq!(items(&decoder, content, *point), all[index..], "{name} {index}");
        }
        // As a replay asks: at the record's own place.
        for (index, position) in starts.iter().enumerate() {
            let from = Resume { offset: position.offset, records: index as u64, line: 0 };
            let mut reader = decoder.reader(Cursor::new(content), from).unwrap();
            let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("{name}") };
            assert_eq!(record.position, *position, "{name}");
        }
    }
}

#[test]
fn json_of_elements() {
    order("", &["{}"]);
    order("  \n ", &["{}"]);
    order(" x ", &[r##"{"#text":"x"}"##]);
    order("<b/><c></c><d> </d>", &[r#"{"b":"","c":"","d":""}"#]);
    order("<b>1</b><c>2</c><b>3</b>", &[r#"{"b":["1","3"],"c":"2"}"#]);
    order("<b x='1'/><c y='2'>z</c>", &[r##"{"b":{"@x":"1"},"c":{"@y":"2","#text":"z"}}"##]);
    order("one<b/>two<b/>three", &[r##"{"b":["",""],"#text":"onetwothree"}"##]);
    order("<b><b><b>1</b><c/></b><b>2</b></b><b>3</b>", &[r#"{"b":[{"b":[{"b":"1","c":""},"2"]},"3"]}"#]);
    order("<b>a&amp;b&#x20AC;&#65;</b>", &[r#"{"b":"a&b€A"}"#]);
    order("<b>a<![CDATA[<b>&amp;]]>c</b>", &[r#"{"b":"a<b>&amp;c"}"#]);
    order("<b t='x&#10;y\nz'/>", &[r#"{"b":{"@t":"x\ny z"}}"#]);
    order("<b><!-- <c> --><?x <d> ?>1</b>", &[r#"{"b":"1"}"#]);
    order("<p:b q:c='1'>2</p:b>", &[r##"{"b":{"@c":"1","#text":"2"}}"##]);
    let nil = "xmlns:i='http://www.w3.org/2001/XMLSchema-instance'";
    order(
        &format!("<b {nil} i:nil='true'/><c {nil} i:nil='1' d='2'/><e {nil} i:nil='false'/>"),
        &[r##"{"b":null,"c":{"@d":"2","#text":null},"e":""}"##],
    );
    order(&format!("<b {nil} i:type='t' i:schemaLocation='a b'/>"), &[r#"{"b":{"@xsi:type":"t"}}"#]);
    check(Settings { trim: false, ..by_path("/r") }, "<r><b> x </b> <c> </c></r>", &[r#"{"b":" x ","c":" "}"#]);
    check(by_path("/r"), "<r a='1'/>", &[r#"{"@a":"1"}"#]);
}

#[test]
fn arrays_by_declaration() {
    let arrays = |names: &[&str]| Settings { arrays: names.iter().map(|n| (*n).into()).collect(), ..by_path("//r") };
    let document = "<a><r><l>1</l><m><l>2</l></m></r><r><m/></r></a>";
    check(arrays(&["l"]), document, &[r#"{"l":["1"],"m":{"l":"2"}}"#, r#"{"m":""}"#]);
    check(arrays(&["m.l", "m"]), document, &[r#"{"l":"1","m":[{"l":["2"]}]}"#, r#"{"m":[""]}"#]);
}

#[test]
fn values_around_the_records() {
    let parent = |paths: &[&str]| Settings { parent: paths.iter().map(|p| (*p).into()).collect(), ..by_path("/a/g/r") };
    let document = "<a v='&lt;1'><g><h>x <!-- --> y<c>no</c><![CDATA[z]]></h><r/><r/></g><g><r/><h>late</h></g></a>";
    check(
        parent(&["/a/@v", "/a/g/h"]),
        document,
        &[
            r#"{"/a/@v":"<1","/a/g/h":"x  yz"}"#,
            r#"{"/a/@v":"<1","/a/g/h":"x  yz"}"#,
            r#"{"/a/@v":"<1","/a/g/h":null}"#,
        ],
    );
    // A value holds until the element ends that it and the records lie in.
    let document = "<a><h><d>1</d></h><g><h>2</h><r/></g><r/><g><h>3</h></g><h><d>4</d></h><r/></a>";
    let settings = Settings { record_path: "//r".into(), ..parent(&["/a/h/d", "/a/g/h"]) };
    check(
        settings,
        document,
        &[r#"{"/a/h/d":"1","/a/g/h":"2"}"#, r#"{"/a/h/d":"1","/a/g/h":null}"#, r#"{"/a/h/d":"4","/a/g/h":"3"}"#],
    );
    check(parent(&["/a/g/h"]), "<a><g><h>1</h><h>2</h><r/></g></a>", &["structure.bad_count several"]);
}

#[test]
fn namespaces() {
    let document = |uri: &str| {
        format!("<x:a xmlns:x='{uri}' xmlns='urn:other'><x:r x:i='1' i='2'><b/><x:b/><c xmlns=''/></x:r></x:a>")
    };
    let settings = || Settings { namespaces: vec![("o".into(), "urn:o".into())], ..by_path("/o:a/o:r") };
    check(settings(), &document("urn:o"), &[r#"{"@o:i":"1","@i":"2","{urn:other}b":"","o:b":"","c":""}"#]);
    check(
        settings(),
        &document("urn:p"),
        &["! no element fits the record path `/o:a/o:r`; the document has `/{urn:p}a`, `/{urn:p}a/{urn:p}r`, \
         `/{urn:p}a/{urn:p}r/{urn:other}b`, `/{urn:p}a/{urn:p}r/{urn:p}b`, `/{urn:p}a/{urn:p}r/c`; `r` is in the \
         namespace \"urn:p\" there, and in the namespace \"urn:o\" in the path (line 1, column 94, byte 93)"],
    );
    // A prefix holds as far as its element goes.
    check(
        settings(),
        "<a xmlns='urn:o'><r xmlns:q='urn:o'><q:b/></r><r><q:b/></r></a>",
        &[
            r#"{"o:b":""}"#,
            "structure.malformed the prefix `q`, which no namespace is bound to (line 1, column 50, byte 49)",
        ],
    );
    check(by_path("/a/r"), "<a xmlns='urn:o'><z:r/></a>", &["{}"]);
}

#[test]
fn paths_that_find_nothing() {
    let fault = |path: &str, document: &str, expected: &str| {
        let found = items(&decoder(by_path(path)), document.as_bytes(), Resume::default());
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    };
    fault("/Orders/Order", "<Order><Orders/></Order>", "has `/Order`, `/Order/Orders`");
    fault("/Orders/Order", "<Orders><order/></Orders>", "`Order` is written `order` there");
    fault("//Order", "<a><b/></a>", "no element fits the record path `//Order`; the document has `/a`, `/a/b`");
    // An empty batch is one.
    check(by_path("/Orders/Order"), "<Orders><Header/></Orders>", &[]);
    check(by_path("//Order"), "<Orders/>", &[]);
}

#[test]
fn bad_records_are_rejected_and_the_rest_is_read() {
    let one = |bad: &str, expected: &str| {
        let document = format!("<a>\n <r>1</r>\n {bad}<r>2</r></a>");
        check(by_path("/a/r"), &document, &[r##"{"#text":"1"}"##, expected, r##"{"#text":"2"}"##]);
    };
    one(
        "<r>a&nbsp;b</r>",
        "structure.malformed the entity `nbsp`, which XML does not have (line 3, column 5, byte 18)",
    );
    one("<r><b c='1' c='2'/></r>", "structure.malformed an attribute twice (line 3, column 5, byte 18)");
    one("<r>a\u{1}</r>", "encoding.unmappable the character U+0001 (line 3, column 6, byte 19)");
    let found = items(&decoder(by_path("/a/r")), b"<a><r>x\xE4y</r><r>2</r></a>", Resume::default());
    assert_eq!(found, ["encoding.unmappable byte E4 (line 1, column 8, byte 7)", r##"{"#text":"2"}"##]);
    let found = items(
        &decoder(by_path("/a/r")),
        b"<?xml version='1.0' encoding='shift_jis'?><a><r>x\x82</r><r>2</r></a>",
        Resume::default(),
    );
    assert!(
        found[0].starts_with("encoding.unmappable bytes that Shift_JIS does not have (line 1, column 50"),
        "{found:?}"
    );
    assert_eq!(found[1], r##"{"#text":"2"}"##);
    let deep = format!("<r>{}{}</r>", "<b>".repeat(200), "</b>".repeat(200));
    one(&deep, "structure.malformed elements that lie more than 128 deep (line 3, column 386, byte 399)");
    let attributes: String = (0..257).map(|n| format!(" a{n}=''")).collect();
    let found = items(&decoder(by_path("/r")), format!("<r{attributes}/>").as_bytes(), Resume::default());
    assert!(found[0].contains("more than 256 attributes"), "{found:?}");
}

#[test]
fn records_too_large_to_hold() {
    let large = "x".repeat(17 << 20);
    let many = "<b/>".repeat(600_000);
    let document = format!("<a><r>1</r><r><b>{large}</b></r><r>{many}</r><r c='{large}'/>");
    let found = items(&decoder(by_path("/a/r")), document.as_bytes(), Resume::default());
    assert_eq!(found[0], r##"{"#text":"1"}"##);
    assert!(found[1].starts_with("framing.record_too_long more than 16777216 bytes"), "{}", &found[1][..80]);
    assert!(found[2].starts_with("framing.record_too_long more elements"), "{}", &found[2][..80]);
    assert!(found[3].starts_with("! a tag or comment of more than 16777216 bytes"), "{}", &found[3][..80]);
}

#[test]
fn what_is_not_well_formed_ends_the_stream() {
    let fault = |rest: &str, expected: &str| {
        let found = items(&decoder(by_path("/a/r")), format!("<a><r>1</r>{rest}").as_bytes(), Resume::default());
        assert_eq!(found[0], r##"{"#text":"1"}"##);
        assert!(found.len() == 2 && found[1].starts_with("! ") && found[1].contains(expected), "{found:?}");
    };
    fault("<r><b></c></r></a>", "`</c>` where `</b>` is due (line 1, column 18, byte 17)");
    fault("</b>", "`</b>` where `</a>` is due");
    fault("</a><b/>", "a second element");
    fault("</a>x", "text outside of the document's element");
    fault("</a></a>", "`</a>` without a start");
    fault("<r><b", "breaks off in the middle of an element");
    fault("", "breaks off before `</a>`");
    fault("<r b=c/></a>", "an attribute that is not written name=\"value\"");
    fault("<r b='1><r/></a>", "breaks off");
    fault("<r b='1><r c='2'/></a>", "breaks off");
    fault("<r <b/></r></a>", "`<` within a tag");
    fault("<1/></a>", "`<` that begins no tag");
    fault("< r/></a>", "`<` that begins no tag");
    fault("<r%/></a>", "a character that no name has");
    fault("<![CDATA[x", "breaks off");
    fault("<!ELEMENT r></a>", "`<!`");
}

#[test]
fn entities_cannot_be_defined() {
    let laughs = "<!DOCTYPE a [<!ENTITY l 'ha'><!ENTITY m '&l;&l;&l;&l;'>]><a><r>&m;</r></a>";
    check(
        by_path("/a/r"),
        laughs,
        &[
            "! the document has a DOCTYPE, which is refused because it can define entities: have it sent without (line 1, \
         column 1, byte 0)",
        ],
    );
    let outside = "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>";
    assert!(items(&decoder(by_path("/a/r")), outside.as_bytes(), Resume::default())[0].contains("DOCTYPE"));
}

#[test]
fn encodings() {
    let open = |content: &[u8], encoding: Option<&str>| {
        let encoding = encoding.map(|label| Settings::parse_encoding(label).unwrap());
        items(&decoder(Settings { encoding, ..by_path("/a/r") }), content, Resume::default())
    };
    let lies = b"<?xml version='1.0' encoding='UTF-8'?><a><r>\x80\xE4</r></a>";
    assert!(open(lies, None)[0].starts_with("encoding.unmappable"));
    assert_eq!(open(lies, Some("windows-1252")), [r##"{"#text":"€ä"}"##]);
    assert_eq!(open(b"<a><r>x</r></a>", Some("utf-8")), [r##"{"#text":"x"}"##]);
    let late = b"\r\n <?xml version='1.0' encoding='ISO-8859-1'?><a><r>\xE4</r></a>";
    assert_eq!(open(late, None), [r##"{"#text":"ä"}"##]);
    let check = |content: &[u8], expected: &str| {
        let found = open(content, None);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    };
    check(b"<?xml version='1.0' encoding='klingon'?><a/>", "declares the encoding `klingon`");
    check(b"<?xml version='1.0' encoding='iso-2022-jp'?><a/>", "is not read: have the file sent in UTF-8");
    check(b"\xFF\xFE\0\0<\0\0\0", "UTF-32");
    check(b"\x4C\x6F\xA7\x94\x93", "EBCDIC");
    check(b"", "it is empty, or no XML");
    check(b"\n \n", "it is empty, or no XML");
    check(b"not xml", "text outside of the document's element");
}

#[test]
fn a_mapping_asks_by_path() {
    let settings = Settings { namespaces: Vec::new(), ..by_path("/a/r") };
    let decoder = decoder(settings);
    let layout = decoder.layout();
    let get = |parent, name: &str, wanted| layout.resolve_as(parent, name, wanted).unwrap();
    let (no, text) = (get(None, "@no", Wanted::Value).slot, get(None, "h.d", Wanted::Value).slot);
    let (batch, missing) = (get(None, "/a/@batch", Wanted::Value).slot, get(None, "x.y.@z", Wanted::Value).slot);
    let lines = get(None, "ls.l", Wanted::EachGroup);
    assert!(lines.repeats);
    let sku = get(Some(lines.slot), "sku", Wanted::Value).slot;
    let tags = get(Some(lines.slot), "t", Wanted::EachValue).slot;
    let head = get(None, "h", Wanted::Group);
    assert!(!head.repeats);
    let in_head = get(Some(head.slot), "d", Wanted::Value).slot;
    assert_eq!(in_head, text);
    // From within a group a path from the document's element is looked for in the record.
    assert!(layout.resolve_as(Some(lines.slot), "/a/r/@no", Wanted::Value).is_err());
    assert_eq!(get(None, "/a/r/@no", Wanted::Value).slot, no);
    assert!(layout.resolve_as(None, "@no", Wanted::Group).is_err());
    assert!(layout.resolve_as(None, "p:x", Wanted::Value).unwrap_err().reason.contains("not declared"));

    let document = "<a batch='7'><r no='1'><h><d>x</d></h><ls><l><sku>A</sku><t>1</t><t>2</t></l><l><sku>B</sku></l>\
                    </ls></r><r><h/><h/><ls/></r></a>";
    let mut reader = decoder.reader(Cursor::new(document), Resume::default()).unwrap();
    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!() };
    let fields = record.fields;
    let read = |slot, scope| match fields.read(slot, scope).unwrap() {
        Value::Text(text) => text.into_owned(),
        Value::Null => "null".to_owned(),
        other => other.kind().to_owned(),
    };
    let root = Scope::ROOT;
    assert_eq!([no, text, batch, missing].map(|slot| read(slot, root)), ["1", "x", "7", "null"]);
    assert_eq!(fields.count(lines.slot, root), Ok(2));
    let skus: Vec<_> = [1, 0, 1].map(|index| read(sku, fields.element(lines.slot, root, index))).into();
    assert_eq!(skus, ["B", "A", "B"]);
    let first = fields.element(lines.slot, root, 0);
    assert_eq!(fields.count(tags, first), Ok(2));
    assert_eq!(read(tags, fields.element(tags, first, 1)), "2");
    assert_eq!(fields.count(tags, fields.element(lines.slot, root, 1)), Ok(0));
    let (from, length) = fields.span(text, root).unwrap();
    assert_eq!(&record.raw[from as usize..(from + length) as usize], b"<d>x</d>");
    assert_eq!(fields.read(lines.slot, Scope(0)).unwrap_err().code, RejectCode::BadType);

    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!() };
    let twice = record.fields.read(text, root).unwrap_err();
    assert_eq!((twice.code, twice.found.as_str()), (RejectCode::BadCount, "2 of them"));
    assert_eq!(record.fields.count(lines.slot, root), Ok(0));
}

fn encode(decoder: &Decoder, records: &[&str]) -> Result<String, String> {
    let mut encoder = decoder.encoder().unwrap();
    let mut out = Vec::new();
    for record in records {
        let json = Json::parse(record).unwrap();
        encoder.record(&json, &mut out).map_err(|fault| fault.to_string())?;
    }
    encoder.finish(&mut out).map_err(|fault| fault.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn json_becomes_xml() {
    let decoder = decoder(Settings { namespaces: vec![("o".into(), "urn:o".into())], ..by_path("/o:a/b/o:r") });
    let record = r##"{"/o:a/@v":"1","/o:a/h/d":"x","@i":"a\"<","o:l":[{"@n":"1","s":"x & y"},{}],"n":null,"k":{"@x":"1","#text":"t"}}"##;
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <o:a xmlns:o=\"urn:o\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" v=\"1\"><h><d>x</d></h>\n<b>\n  \
        <o:r i=\"a&quot;&lt;\"><o:l n=\"1\"><s>x &amp; y</s></o:l><o:l></o:l><n xsi:nil=\"true\"/><k x=\"1\">t</k></o:r>\n\
        </b>\n</o:a>\n";
    assert_eq!(encode(&decoder, &[record]).as_deref(), Ok(expected));
    let fault = |records: &[&str]| encode(&decoder, records).unwrap_err();
    assert!(fault(&[r#"{"a b":"1"}"#]).starts_with("/a b: expected a name"));
    assert!(fault(&[r#"{"a":[1,{"b":"\u0001"}]}"#]).starts_with("/a/1/b: expected characters that XML has"));
    assert!(
        fault(&[r#"{"/o:a/@v":"1"}"#, r#"{"/o:a/@v":"2"}"#]).starts_with("/~1o:a~1@v: expected the value of the first")
    );
    assert!(fault(&["[]"]).contains("expected an object"));
    // Nor is what lies too deep, in the record and around it.
    let deep = |levels: usize| format!("{}\"d\"{}", "{\"x\":".repeat(levels), "}".repeat(levels));
    let around = |levels: usize| format!("{{\"/o:a{}\":\"d\"}}", "/x".repeat(levels - 1));
    let read = |record: &str| {
        let written = encode(&decoder, &[record]).unwrap();
        crate::decode::testing::read(&decoder, written.as_bytes())
    };
    assert_eq!(read(&deep(127)), [deep(127)]);
    // No field asks for it; but the document is one that can be read.
    assert_eq!(read(&around(128)), ["{}"]);
    assert!(fault(&[&deep(128)]).ends_with("expected elements that lie at most 128 deep, found more"));
    assert!(fault(&[&around(129)]).ends_with("expected elements that lie at most 128 deep, found more"));
    // What reading takes off is not written as if it came back.
    for blank in [r#"{"@i":" x"}"#, r#"{"a":"x\n"}"#, r##"{"#text":"\tx"}"##, r#"{"/o:a/@v":"1 "}"#] {
        assert!(fault(&[blank]).contains("a text without white space at its ends"), "{blank}");
    }
    let whole = super::tests::decoder(Settings { trim: false, ..by_path("/a/r") });
    let record = r##"{"@i":" x ","a":" ","k":{"@x":"\t1","#text":" t"}}"##;
    let written = encode(&whole, &[record]).unwrap();
    assert_eq!(crate::decode::testing::read(&whole, written.as_bytes()), [record]);
    assert!(encode(&whole, &[r##"{"#text":" ","a":"1"}"##]).unwrap_err().contains("white space at its ends"));
    let long = format!("{{\"{}\":1}}", "n".repeat(1001));
    assert!(encode(&whole, &[&long]).unwrap_err().contains("at most 1000 bytes"));
    // What is written as a record would be read as one.
    for path in ["/o:a/b/o:r", "/o:a/b/o:r/@x", "/o:a/b/o:r/x"] {
        let found = fault(&[&format!("{{\"{path}\":\"d\"}}")]);
        assert!(found.contains("a value that is not within a record"), "{path}: {found}");
    }
    assert_eq!(read(r#"{"/o:a/o:r":"d","/o:a/b/c":"d"}"#), ["{}"]);
    let anywhere = super::tests::decoder(by_path("//r"));
    assert!(encode(&anywhere, &[r#"{"/Records/x/r":"d"}"#]).unwrap_err().contains("not within a record"));
    let beside = |name: usize| format!("{{\"/o:a/{}/x\":\"d\"}}", "n".repeat(name));
    assert_eq!(read(&beside(1000)), ["{}"]);
    assert!(fault(&[&beside(1001)]).contains("at most 1000 bytes"));
    assert!(encode(&super::tests::decoder(by_path("/a/*")), &["{}"]).unwrap_err().contains("without `*`"));
}

/// Texts, objects and arrays of at least two, as decoding writes them.
fn value() -> impl Strategy<Value = String> {
    let text = "[ -~äß€日]{0,12}".prop_map(|text: String| serde_json::to_string(&text.trim()).unwrap());
    text.prop_recursive(4, 40, 5, |inner| {
        let names = proptest::sample::subsequence(vec!["@a", "@b", "c", "d.e", "f-g", "#text"], 1..6);
        (names, proptest::collection::vec((inner, 1usize..4), 6)).prop_map(|(names, values)| {
            let members = names.iter().zip(values).filter_map(|(name, (value, count))| {
                let is_text = name.starts_with(['@', '#']);
                if is_text && !value.starts_with('"') || *name == "#text" && value == "\"\"" {
                    return None;
                }
                let array = format!("[{}]", vec![value.clone(); count].join(","));
                Some(format!("\"{name}\":{}", if is_text || count == 1 { value } else { array }))
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_reads_back(values in proptest::collection::vec(value(), 1..6)) {
        let decoder = decoder(by_path("/a/r"));
        // An object of nothing but a text is that text, and one of nothing is an empty one.
        let plain = |value: &String| {
            let mut value: serde_json::Value = serde_json::from_str(value).unwrap();
            simplify(&mut value);
            serde_json::json!({ "@id": "1", "v": value }).to_string()
        };
        let records: Vec<String> = values.iter().map(plain).collect();
        let written = encode(&decoder, &records.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        let found = items(&decoder, written.as_bytes(), Resume::default());
        for (found, expected) in found.iter().zip(&records) {
            let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            prop_assert_eq!(parse(found), parse(expected), "{}", written);
        }
        prop_assert_eq!(found.len(), records.len());
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for path in ["/a/r", "//r", "/*"] {
            items(&decoder(by_path(path)), &bytes, Resume::default());
        }
    }

    #[test]
    fn no_markup_is_too_strange(parts in proptest::collection::vec(
        prop::sample::select(vec![
            "<a>", "</a>", "<r>", "</r>", "<r/>", "<r", ">", "/>", " b='1'", " xmlns:o='u'", " o:c=\"&lt;\"", "text", "&amp;",
            "&#0;", "&x;", "<![CDATA[", "]]>", "<!--", "-->", "<?x", "?>", "<!DOCTYPE", "\n", "'", "\"", "=", "<", "ä", "&",
        ]), 0..40)) {
        let document = format!("<a>{}", parts.concat());
        for (path, prefix) in [("/a/r", false), ("//r", false), ("//o:r", true), ("/a", false)] {
            let namespaces = if prefix { vec![("o".to_owned(), "u".to_owned())] } else { Vec::new() };
            let parent = vec!["/a/@b".to_owned(), "/a/b".to_owned()];
            let decoder = decoder(Settings { namespaces, parent, ..by_path(path) });
            let all = items(&decoder, document.as_bytes(), Resume::default());
            // Whatever it is, it resumes.
            let mut reader = match decoder.reader(Cursor::new(document.as_bytes()), Resume::default()) {
                Ok(reader) => reader,
                Err(_) => continue,
            };
            let mut read = 0;
            while let Ok(Some(_)) = reader.next() {
                read += 1;
                let rest = items(&decoder, document.as_bytes(), reader.resume_point());
                prop_assert_eq!(rest.len(), all.len() - read, "{} {:?}", document, all);
            }
        }
    }

    #[test]
    fn cut_anywhere_it_is_told(at in 0usize..29_000, which in 0usize..3) {
        let content = [fixture!("utf8.xml").1, fixture!("utf16.xml").1, fixture!("shift_jis.xml").1][which];
        let cut = &content[..at.min(content.len() - 20)];
        let found = items(&decoder(by_path("/Orders/Order")), cut, Resume::default());
        prop_assert!(found.last().is_some_and(|last| last.starts_with("! ")), "{:?}", found.last());
    }
}

fn simplify(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            members.values_mut().for_each(simplify);
            let text = members.get("#text").cloned();
            match (members.len(), text) {
                (0, _) => *value = "".into(),
                (1, Some(text)) => *value = text,
                _ => {}
            }
        }
        serde_json::Value::Array(elements) => elements.iter_mut().for_each(simplify),
        _ => {}
    }
}
