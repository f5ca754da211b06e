//! Files of every layout that can be written, read back as the backend would, and what a caller sends that they cannot hold.

use serde_json::{Value, json};

use super::{FOLDERS, ORDERS, Running, site, start};

/// The fields of a body, each of which a test's file uses.
const ORDER: &str = r#"
order_no = "integer"
ordered_on = { type = "date", format = "%Y%m%d" }
amount = "decimal(9,2)"
customer = { object = { name = "string" } }
lines = { each = { sku = "string", qty = "integer" } }
"#;

const COPYBOOK: &str = "       01 ORD-HEADER.
          05 REC-TYPE PIC X.
          05 ORD-NO PIC 9(6).
          05 ORD-DATE PIC 9(8).
          05 AMOUNT PIC S9(5)V99 COMP-3.
          05 CUST-NAME PIC X(12).
       01 ORD-LINE.
          05 REC-TYPE PIC X.
          05 SKU PIC X(8).
          05 QTY PIC S9(5) COMP-3.
          05 FILLER PIC X(15).
";

const BODY: &str = r#"{"order_no":4711,"ordered_on":"2026-11-29","amount":-12.5,"customer":{"name":"Müller"},
    "lines":[{"sku":"A1","qty":2},{"sku":"B;\"2","qty":-3}]}"#;

/// A service whose orders are written as this file.
fn running(file: &str, body: &str) -> Running {
    let mapping = format!(
        "resource = \"orders\"\nversion = 1\nkey = [\"order_no\"]\n[source]\nbackend = \"erp\"\n[source.csv]\n\
         files = \"ord*.csv\"\ncolumns = [\"NO\", \"NAME\"]\n[fields]\norder_no = {{ from = \"NO\" }}\n\
         name = {{ from = \"NAME\" }}\n[operations.create]\nanswer = {{ file = \"file\" }}\n{file}\n\
         [operations.create.body]\n{body}"
    );
    let site = site(FOLDERS, &mapping);
    site.write("mappings/orders.cpy", COPYBOOK.as_bytes());
    site.write("mappings/lines.spec", b"NO,1,6\nSKU,7,8\nQTY,15,5\n");
    start(site, None)
}

/// Writes an order, and answers its file: its name and its bytes.
#[track_caller]
fn written(running: &Running, body: &str) -> (String, Vec<u8>) {
    let made = running.create(&body.len().to_string(), body);
    assert_eq!(made.status, 201, "{made:?}");
    let name = made.json()["file"].as_str().unwrap().to_owned();
    let content = std::fs::read(running.site.path("outbox").join(&name)).unwrap();
    (name, content)
}

/// A file of the outbox, as `decode` reads it with these options.
#[track_caller]
fn decoded(running: &Running, name: &str, options: &str) -> Vec<Value> {
    let path = running.site.path("outbox").join(name);
    let options: Vec<&str> = options.split_whitespace().collect();
    let output = running.site.run(&[&["decode", path.to_str().unwrap()], &options[..]].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What is wrong with a body: pointers with what is said. Nothing is written down.
#[track_caller]
fn faults(running: &Running, body: &str) -> Vec<(String, String)> {
    let before = running.operations().len();
    let refused = running.create("faulty", body);
    refused.problem(422, "invalid-body");
    assert_eq!(running.operations().len(), before);
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap_or_default().to_owned();
    let faults = refused.json()["errors"].as_array().unwrap().clone();
    faults.iter().map(|fault| (text(fault, "pointer"), text(fault, "detail"))).collect()
}

#[test]
fn cobol_records_of_several_types() {
    let running = running(
        r#"
[operations.create.file]
record = { REC-TYPE = "H", ORD-NO = "{order_no}", ORD-DATE = "{ordered_on}", AMOUNT = "{amount}", CUST-NAME = "{/customer/name}", ORD-LINE = { each = "lines", item = { REC-TYPE = "L", SKU = "{sku}", QTY = "{qty}" } } }
[operations.create.file.cobol]
copybook = "orders.cpy"
encoding = "cp273"
framing = "rdw-be"
segment_field = "REC-TYPE"
segment_map = { H = "ORD-HEADER", L = "ORD-LINE" }
segment_children = { ORD-HEADER = ["ORD-LINE"] }
"#,
        ORDER,
    );
    let (name, content) = written(&running, BODY);
    assert!(name.starts_with("orders-") && name.ends_with(".dat"), "{name}");
    // The descriptor word, H, the number and the date in EBCDIC, the amount packed.
    let head = b"\x00\x23\x00\x00\xc8\xf0\xf0\xf4\xf7\xf1\xf1\xf2\xf0\xf2\xf6\xf1\xf1\xf2\xf9\x00\x01\x25\x0d\xd4\xd0";
    assert_eq!(&content[..head.len()], head, "{content:x?}");
    let options = "--format cobol --copybook mappings/orders.cpy --encoding cp273 --framing rdw-be --segment-field REC-TYPE \
                   --segment-map H=ORD-HEADER --segment-map L=ORD-LINE --segment-children ORD-HEADER=ORD-LINE";
    let lines = json!([{ "REC-TYPE": "L", "SKU": "A1", "QTY": 2 }, { "REC-TYPE": "L", "SKU": "B;\"2", "QTY": -3 }]);
    let order = json!({
        "REC-TYPE": "H", "ORD-NO": 4711, "ORD-DATE": 20_261_129, "AMOUNT": -12.5, "CUST-NAME": "Müller", "ORD-LINE": lines
    });
    assert_eq!(decoded(&running, &name, options), [order]);

    // All that the layout cannot hold, each where the caller has written it.
    let body = r#"{"order_no":4711000,"ordered_on":"2026-11-29","amount":1234567.5,"customer":{"name":"Müller & Müller"},
        "lines":[{"sku":"A1","qty":2},{"sku":"B23456789","qty":-300000},{"sku":"Łódź","qty":1}]}"#;
    let found = faults(&running, body);
    let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    let expected = ["#/order_no", "#/amount", "#/customer/name", "#/lines/1/sku", "#/lines/1/qty", "#/lines/2/sku"];
    assert_eq!(pointers, expected, "{found:?}");
    assert!(found[0].1.contains("PIC 9(6)"), "{found:?}");
}

#[test]
fn csv_values_are_quoted_and_many_records_are_rows() {
    let running = running(
        r#"
[operations.create.file]
name = "{order_no}.{client}.{operation_id}.csv"
records = [
  { each = "lines", item = { NO = "{order_no}", SKU = "{sku}", QTY = "{qty}", TEXT = "{ordered_on}: {/customer/name} {{x}}", SUM = "{amount}" } },
  { NO = 0, SKU = "-", QTY = 1.50, TEXT = "", SUM = true },
]
[operations.create.file.csv]
delimiter = ";"
encoding = "windows-1252"
"#,
        ORDER,
    );
    let (name, content) = written(&running, BODY);
    assert!(name.starts_with("4711.test."), "{name}");
    let expected = "NO;SKU;QTY;TEXT;SUM\r\n4711;A1;2;20261129: Müller {x};-12.50\r\n4711;\"B;\"\"2\";-3;20261129: Müller {x};-12.50\r\n0;-;1.50;;true\r\n";
    assert_eq!(encoding_rs::WINDOWS_1252.decode(&content).0, expected);
    let found = faults(&running, &BODY.replace("Müller", "Łódź"));
    assert_eq!(found[0].0, "#/customer/name", "of a text with several values the odd one is named: {found:?}");
}

#[test]
fn fixed_width_lines_one_an_element() {
    let running = running(
        r#"
[operations.create.file]
records = [{ each = "lines", item = [{ NO = "{order_no}", SKU = "{sku}", QTY = "{qty}" }, { NO = "{order_no}", SKU = "END", QTY = 0 }] }]
[operations.create.file.fixed_width]
spec = "lines.spec"
"#,
        "order_no = \"integer\"\nlines = { each = { sku = \"string\", qty = \"integer\" } }\n",
    );
    let body = r#"{"order_no":4711,"lines":[{"sku":"A1","qty":2},{"sku":"B2","qty":-3}]}"#;
    let (name, content) = written(&running, body);
    let expected = "4711  A1      2    \r\n4711  END     0    \r\n4711  B2      -3   \r\n4711  END     0    \r\n";
    assert_eq!((String::from_utf8(content).unwrap().as_str(), name.ends_with(".txt")), (expected, true));
    let found = faults(&running, r#"{"order_no":4711,"lines":[{"sku":"A1\nB","qty":2},{"sku":"B2","qty":-300000}]}"#);
    let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["#/lines/0/sku", "#/lines/1/qty"], "{found:?}");
    // Without a line there is no record, and the file is empty, as was asked for.
    assert_eq!(
        written(&running, &body.replace(r#"{"sku":"A1","qty":2},{"sku":"B2","qty":-3}"#, "").replace("4711", "1")).1,
        b""
    );
}

#[test]
fn edifact_messages_with_a_group_of_segments_an_element() {
    let running = running(
        r#"
[operations.create.file]
record = { _type = "ORDERS", _control_number = "1", _interchange = { standard = "EDIFACT", separators = { element = "+", component = ":", release = "?", segment = "'", line_end = "\r\n", advice = false }, header = { id = "UNB", 01 = { 01 = "UNOC", 02 = "3" }, 02 = { 01 = "US" }, 03 = { 01 = "ERP" }, 04 = { 01 = "261129", 02 = "1200" }, 05 = "{order_no}" } }, segments = [
  { id = "UNH", 01 = "1", 02 = { 01 = "ORDERS", 02 = "D", 03 = "96A", 04 = "UN" } },
  { id = "BGM", 01 = "220", 02 = "{order_no}" },
  { id = "DTM", 01 = { 01 = "137", 02 = "{ordered_on}", 03 = "102" } },
  { id = "NAD", 01 = "BY", 04 = "{/customer/name}" },
  { id = "MOA", 01 = { 01 = "79", 02 = "{amount}" } },
  { each = "lines", item = [{ id = "LIN", 03 = { 01 = "{sku}" } }, { id = "QTY", 01 = { 01 = "21", 02 = "{qty}" } }] },
] }
[operations.create.file.edi]
"#,
        ORDER,
    );
    let (name, content) = written(&running, BODY);
    let text = encoding_rs::WINDOWS_1252.decode(&content).0.into_owned();
    assert!(text.starts_with("UN") && text.contains("UNZ+1+4711'") && name.ends_with(".edi"), "{text}");
    let segments = decoded(&running, &name, "--format edi")[0]["segments"].clone();
    let ids: Vec<&str> = segments.as_array().unwrap().iter().map(|segment| segment["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["UNH", "BGM", "DTM", "NAD", "MOA", "LIN", "QTY", "LIN", "QTY"], "{text}");
    assert_eq!(segments[7]["03"], "B;\"2");
    let found = faults(&running, &BODY.replace("Müller", "Łódź"));
    assert_eq!(found[0].0, "#/customer/name", "{found:?}");
}

#[test]
fn xml_elements() {
    let running = running(
        r#"
[operations.create.file]
record = { "@no" = "{order_no}", date = "{ordered_on}", amount = "{amount}", customer = "{/customer/name}", line = { each = "lines", item = { sku = "{sku}", qty = "{qty}" } } }
[operations.create.file.xml]
record_path = "/orders/order"
"#,
        ORDER,
    );
    let (name, content) = written(&running, &BODY.replace("Müller", "M & <Ü>"));
    let text = String::from_utf8(content).unwrap();
    assert!(text.contains("M &amp; &lt;Ü") && name.ends_with(".xml"), "{text}");
    let read = &decoded(&running, &name, "--format xml --record-path /orders/order")[0];
    assert_eq!((&read["@no"], &read["customer"]), (&json!("4711"), &json!("M & <Ü>")), "{text}");
    assert_eq!(read["line"][1], json!({ "sku": "B;\"2", "qty": "-3" }), "{text}");
    let found = faults(&running, &BODY.replace("A1", "A\\u0001"));
    assert_eq!(found[0].0, "#/lines/0/sku", "{found:?}");
}

#[test]
fn idocs() {
    let running = running(
        r#"
[operations.create.file]
record = { EDI_DC40 = { MANDT = "100", DOCNUM = "{order_no}", IDOCTYP = "ORDERS05", MESTYP = "ORDERS" }, E1EDK01 = [{ BELNR = "{order_no}" }] }
[operations.create.file.idoc]
form = "xml"
"#,
        "order_no = \"integer\"\n",
    );
    let (name, content) = written(&running, r#"{"order_no":4711}"#);
    let text = String::from_utf8(content).unwrap();
    assert!(text.contains("<BELNR>4711</BELNR>") && name.ends_with(".idoc"), "{text}");
    assert_eq!(decoded(&running, &name, "--format idoc")[0]["E1EDK01"][0]["BELNR"], "4711", "{text}");
}

/// What is known of a caller beside the body is told by its own name, before anything is begun.
#[test]
fn a_key_that_the_layout_cannot_hold_is_the_callers() {
    let running = running(
        "file = { record = { NO = \"{order_no}\", SKU = \"{idempotency_key}\", QTY = 1 }, fixed_width = { spec = \"lines.spec\" } }",
        "order_no = \"integer\"\n",
    );
    let refused = running.create("a-key-too-long", r#"{"order_no":1}"#);
    let said = refused.problem(422, "operation-refused");
    assert!(said.contains("`Idempotency-Key`") && running.operations().is_empty(), "{said}");
    assert_eq!(faults(&running, r#"{"order_no":1234567}"#)[0].0, "#/order_no");
    assert_eq!(running.create("short", r#"{"order_no":1}"#).status, 201);
    assert_eq!(running.outbox()[0].1, "1     short   1    \r\n");
}

/// What may be absent is empty where the layout has no null.
#[test]
fn what_is_absent_is_empty() {
    for layout in ["csv = {}", "fixed_width = { spec = \"lines.spec\" }"] {
        let running = running(
            &format!(
                "file = {{ record = {{ NO = \"{{order_no}}\", SKU = \"{{note}}\", QTY = \"{{qty}}\" }}, {layout} }}"
            ),
            "order_no = \"integer\"\nnote = { type = \"string\", required = false }\nqty = { type = \"integer\", required = false }\n",
        );
        let (_, content) = written(&running, r#"{"order_no":1}"#);
        let expected = if layout.starts_with("csv") { "NO,SKU,QTY\r\n1,,\r\n" } else { "1                  \r\n" };
        assert_eq!(String::from_utf8(content).unwrap(), expected);
    }
}

/// A file that would have no record is the caller's fault where the layout needs one, and so are two files of one name.
#[test]
fn what_is_wrong_with_a_file_as_a_whole_is_told() {
    let running = running(
        "file = { name = \"{a}.csv\", done_file = \"{b}.csv\", records = [{ each = \"lines\", item = { SKU = \"{sku}\" } }], csv = {} }",
        "a = \"string\"\nb = \"string\"\nlines = { each = { sku = \"string\" } }\n",
    );
    assert_eq!(faults(&running, r#"{"a":"1","b":"2","lines":[]}"#)[0].0, "#/lines");
    assert_eq!(faults(&running, r#"{"a":"1","b":"1","lines":[{"sku":"x"}]}"#)[0].0, "#/b");
    assert_eq!(running.create("a", r#"{"a":"1","b":"2","lines":[{"sku":"x"}]}"#).status, 201);
}

/// A long list is judged to its end.
#[test]
fn a_long_list_is_judged_like_a_short_one() {
    let running = running(
        r#"
[operations.create.file]
record = { line = { each = "lines", item = { sku = "{sku}" } } }
xml = { record_path = "/orders/order" }
"#,
        "lines = { max_items = 100000, each = { sku = \"string\" } }\n",
    );
    let line = |number: usize| format!(r#"{{"sku":"{}"}}"#, if number % 7000 == 6999 { "\\u0001" } else { "a" });
    let body = format!("{{\"lines\":[{}]}}", (0..15_000).map(line).collect::<Vec<_>>().join(","));
    let found = faults(&running, &body);
    let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["#/lines/6999/sku", "#/lines/13999/sku"], "{found:?}");
    let (_, content) = written(&running, &body.replace("\\u0001", "a"));
    assert_eq!(String::from_utf8(content).unwrap().matches("<sku>a</sku>").count(), 15_000);
}

/// The layout of the source, where records are read from files, needs no second word.
#[test]
fn the_layout_of_the_source_is_usual() {
    let running = running("file = { record = { NO = \"{order_no}\", NAME = \"x\" } }", "order_no = \"integer\"\n");
    let (name, content) = written(&running, r#"{"order_no":4711}"#);
    assert_eq!(content, b"NO,NAME\r\n4711,x\r\n");
    // Read back as any file of the resource.
    std::fs::rename(running.site.path("outbox").join(name), running.site.path("inbox/ord1.csv")).unwrap();
    let read = || running.service.get("/v1/orders/4711", &running.key);
    let (run, code) = running.site.json(&["sync", "orders", "--wait", "60s"]);
    assert_eq!((run[0]["staged"].as_u64(), code), (Some(1), 0), "{run:?}");
    assert!(running.service.until(|| read().ok()).contains("4711"));
}

/// Of a name with several values the one that cannot stand in it is told, and the stand-in of an id is not.
#[test]
fn of_a_name_the_value_that_is_wrong_is_told() {
    let running = running(
        "file = { name = \"N{no}-{who}-{operation_id}\", record = { NO = \"{no}\", NAME = \"{who}\" } }",
        "no = \"string\"\nwho = \"string\"\n",
    );
    for (body, pointer) in [
        (r#"{"no":"1","who":"a/b"}"#.to_owned(), "#/who"),
        (r#"{"no":"1:","who":"a"}"#.to_owned(), "#/no"),
        (format!(r#"{{"no":"1","who":"{}"}}"#, "x".repeat(250)), "#/who"),
    ] {
        let found = faults(&running, &body);
        assert_eq!((found.len(), found[0].0.as_str()), (1, pointer), "{found:?}");
        assert!(!found[0].1.contains("00000000"), "{found:?}");
    }
}

/// A name is made of what callers send, and leads nowhere else.
#[test]
fn names_of_files_stay_in_their_folder() {
    let running = running(
        "file = { name = \"{no}\", record = { NO = \"{no}\", NAME = \"{/who}\" } }",
        "no = \"string\"\nwho = { type = \"string\", required = false, null = \"\" }\n",
    );
    for bad in ["../up", "/etc/x", "a/b", "..", ".hidden", "", "a\\\\b", "a\\u0000b", "a\\nb", " a", "a.", "c:d", "x?y"]
    {
        let found = faults(&running, &format!("{{\"no\":\"{bad}\"}}"));
        assert_eq!(found[0].0, "#/no", "{bad}: {found:?}");
    }
    let long = "x".repeat(300);
    assert_eq!(faults(&running, &format!("{{\"no\":\"{long}\"}}"))[0].0, "#/no");
    let shown = &faults(&running, r#"{"no":"a/b"}"#)[0].1;
    assert!(shown.contains("\"a/b\""), "{shown}");
    assert_eq!(written(&running, r#"{"no":"Größe 1.csv"}"#).0, "Größe 1.csv");
    assert_eq!(running.outbox()[0].1, "NO,NAME\r\nGröße 1.csv,\r\n");
}

/// A file tells when its write was accepted, however late it is written, and by whichever process.
#[test]
fn stamps_are_of_when_the_write_was_accepted() {
    let running = running(
        r#"
parked = true
stamps = { day = { format = "%d%m%y", zone = "Pacific/Kiritimati" }, clock = { type = "time" }, moment = {}, stamp = "%Y%m%d%H%M%S" }
file = { name = "ORD.{stamp}.CSV", record = { NO = "{no}", DAY = "{day}", CLOCK = "{clock}", MOMENT = "{moment}", SENT = "at {clock}" }, csv = {} }
"#,
        "no = \"integer\"\n",
    );
    let mut freeze = running.site.command(&["gate", "freeze", "erp", "--reason", "stock taking", "--for", "3s"]);
    let frozen = freeze.env("TOLLBRIDGE__SERVER__ADMIN_LISTEN", running.service.admin_address()).output().unwrap();
    assert!(frozen.status.success(), "{frozen:?}");
    let parked = running.create("k", r#"{"no":7}"#);
    assert_eq!(parked.status, 202, "{parked:?}");
    let running = running.kill_and_restart();
    let operation = running
        .service
        .until(|| running.operations().into_iter().next().filter(|operation| operation["state"] == "succeeded"));
    let accepted: jiff::Timestamp = operation["created_at"].as_str().unwrap().parse().unwrap();
    let utc = accepted.to_zoned(jiff::tz::TimeZone::UTC);
    let day = accepted.in_tz("Pacific/Kiritimati").unwrap().strftime("%d%m%y").to_string();
    let (clock, stamp) = (utc.strftime("%H:%M:%S").to_string(), utc.strftime("%Y%m%d%H%M%S").to_string());
    let row = format!("7,{day},{clock},{},at {clock}", utc.strftime("%Y-%m-%dT%H:%M:%S"));
    assert_eq!(running.outbox(), [(format!("ORD.{stamp}.CSV"), format!("NO,DAY,CLOCK,MOMENT,SENT\r\n{row}\r\n"))]);
    assert_eq!(running.create("k", r#"{"no":7}"#).json()["file"], format!("ORD.{stamp}.CSV"));
}

/// What the mapping itself brings into a file and the layout or the name cannot hold is told before anybody calls.
#[test]
fn a_stamp_that_does_not_fit_is_told_by_check() {
    let mapping = format!(
        "{}stamps = {{ day = \"%d/%m/%Y\" }}\n\
         file = {{ name = \"N{{day}}.txt\", record = {{ NO = \"{{no}}\", DAY = \"{{day}}\" }}, fixed_width = {{ fields = [{{ name = \"NO\", \
         start = 1, length = 6 }}, {{ name = \"DAY\", start = 7, length = 8 }}] }} }}\n[operations.create.body]\nno = \"integer\"\n",
        ORDERS.split_once("file = ").unwrap().0
    );
    let checked = site(FOLDERS, &mapping).run(&["check"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("\"30/09/2026\" cannot stand in the name of a file: it has one of /"), "{said}");
    assert!(said.contains("at /DAY: expected text in columns 7 to 14, found 10 columns"), "{said}");
}

/// The example of the pages is right as it stands.
#[test]
fn the_example_of_the_pages_is_right() {
    use crate::readme::{block_after, readme};
    let pages = readme();
    let mapping = block_after(&pages, "<!-- outbox: orders.v1.toml -->");
    let site = site(&format!("{}\n", block_after(&pages, "<!-- outbox: tollbridge.toml -->")), mapping);
    let config = std::fs::read_to_string(site.path("tollbridge.toml")).unwrap();
    site.write("tollbridge.toml", config.replace("backends.erp.gate", "backends.as400.gate").as_bytes());
    let copybook = "       01 HEADER-REC.\n          05 TYPE PIC X.\n          05 ORD-NO PIC 9(6).\n          05 WANTED PIC 9(8).\n          05 CUST PIC X(20).\n       01 LINE-REC.\n          05 TYPE PIC X.\n          05 SKU PIC X(8).\n          05 QTY PIC S9(5) COMP-3.\n";
    site.write("mappings/neworder.cpy", copybook.as_bytes());
    let checked = site.run(&["check"]);
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    let running = start(site, None);
    let body = r#"{"order_no":"4711","customer":"Frey","wanted_on":"2026-12-24","lines":[{"sku":"A1","qty":2}]}"#;
    let made = running.create("a", body);
    assert_eq!(made.status, 201, "{made:?}");
    let names: Vec<String> = running.outbox().into_iter().map(|(name, _)| name).collect();
    let id = running.operations()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(names, [format!("NEW4711-{id}.DAT"), format!("NEW4711-{id}.OK")]);
    let options = "--format cobol --copybook mappings/neworder.cpy --encoding cp037 --framing rdw-be --segment-field TYPE \
                   --segment-map H=HEADER-REC --segment-map L=LINE-REC --segment-children HEADER-REC=LINE-REC";
    let order = &decoded(&running, &names[0], options)[0];
    assert_eq!((&order["ORD-NO"], &order["LINE-REC"][0]["QTY"]), (&json!(4711), &json!(2)), "{order}");
}
