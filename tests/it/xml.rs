//! XML files and workbooks from the inbox to the API.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::site::Site;

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/decode").join(name).display().to_string()
}

fn tollbridge(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollbridge")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const ORDERS: &str = r#"
resource = "orders"
version = 1
key = ["no"]
[source]
backend = "erp"
[source.xml]
files = "orders*"
record_path = "/o:Orders/o:Order"
namespaces = { o = "urn:orders" }
skip = "@kind = 'test'"
trailer = { when = "o:Count is not blank", count = "o:Count", sum = { field = "o:Total", equals = "o:Sum" } }
[fields]
no = { from = "o:No", required = true }
batch = { from = "/o:Orders/@batch", type = "integer" }
ordered_on = { from = "/o:Orders/o:Header/o:Date", type = "date" }
customer = { from = "o:Customer", object = { name = { from = "o:Name" }, vat = { from = "@vat", blank = "null" } } }
total = { from = "o:Total", type = "decimal(9,2)" }
lines = { from = "o:Lines.o:Line", skip = "o:Qty = '0'", each = { sku = { from = "@sku" }, quantity = { from = "o:Qty", type = "integer" }, order = { from = "/o:Orders/o:Order/o:No" } } }
tags = { from = "o:Tag", each = {} }
"#;

fn order(no: &str, total: &str, more: &str) -> String {
    format!(
        "<Order{more}><No>{no}</No><Customer vat='DE1'><Name>M&#xFC;ller &amp; S\u{f6}hne</Name></Customer><Total>{total}</Total>\
             <Lines><Line sku='A'><Qty>2</Qty></Line><Line sku='B'><Qty>0</Qty></Line></Lines><Tag>x</Tag><Tag>y</Tag></Order>\n"
    )
}

fn document(orders: &[String], count: usize, sum: &str) -> String {
    format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n<Orders xmlns='urn:orders' batch='7'>\n<Header><Date>2026-01-02</Date>\
         </Header>\n{}<Order><Count>{count}</Count><Sum>{sum}</Sum></Order>\n</Orders>\n",
        orders.concat()
    )
}

fn counts(run: &Value) -> [u64; 4] {
    ["read", "staged", "dead", "skipped"].map(|name| run[name].as_u64().unwrap_or_else(|| panic!("{run}")))
}

#[test]
fn orders_of_an_xml_file_are_served() {
    let site = Site::with_mappings(&[("orders.v1.toml", ORDERS)]);
    let orders = [order("1", "10.50", ""), order("9", "1", " kind='test'"), order("2", "0.50", "")];
    let content = document(&orders, 2, "11.00");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(content.as_bytes()).unwrap();
    site.deliver("orders.xml.gz", &gzip.finish().unwrap());
    let (runs, code) = site.json(&["sync", "orders"]);
    assert_eq!((counts(&runs[0]), code), ([4, 2, 0, 2], 0), "{runs:?}");
    let (made, _) = site.json(&["keys", "create", "me", "--scope", "*"]);
    let service = site.serve();
    let served = service.until(|| service.get("/v1/orders/1", made[0]["key"].as_str().unwrap()).ok());
    assert_eq!(
        serde_json::from_str::<Value>(&served).unwrap(),
        json!({
            "no": "1", "batch": 7, "ordered_on": "2026-01-02",
            "customer": { "name": "Müller & Söhne", "vat": "DE1" }, "total": 10.50,
            "lines": [{ "sku": "A", "quantity": 2, "order": "1" }], "tags": ["x", "y"]
        })
    );
}

#[test]
fn what_is_wrong_with_an_xml_file_is_told() {
    let site = Site::with_mappings(&[("orders.v1.toml", ORDERS)]);
    let sync = |name: &str, content: &str| {
        site.deliver(name, content.as_bytes());
        let (runs, code) = site.json(&["sync", "orders"]);
        assert_eq!(code, 1);
        let (letters, _) = site.json(&["dead-letters", "list"]);
        (counts(&runs[0]), letters[0].to_string())
    };
    let good = order("1", "10.50", "");
    // Totals and what is not well-formed refuse the file as a whole, before anything of it is seen.
    let (run, told) = sync("orders1.xml", &document(std::slice::from_ref(&good), 1, "99"));
    assert!(run[1] == 0 && told.contains("control.total"), "{run:?} {told}");
    let (run, told) = sync("orders2.xml", &document(&[good.clone(), "<Order><No>2</Nr></Order>".into()], 1, "10.50"));
    assert!(run[1] == 0 && told.contains("`</Nr>` where `</No>` is due"), "{run:?} {told}");
    let (run, told) =
        sync("orders3.xml", &document(std::slice::from_ref(&good), 1, "10.50").replace("urn:orders", "urn:order"));
    assert!(run[1] == 0 && told.contains(r#"in the namespace \"urn:order\" there"#), "{run:?} {told}");
    let (run, told) = sync("orders4.xml", &format!("<!DOCTYPE Orders []>{good}"));
    assert!(run[1] == 0 && told.contains("DOCTYPE"), "{run:?} {told}");
    // A bad record is one dead letter.
    let bad = good.replace("<No>1</No>", "<No>3</No><No>4</No>");
    let (run, told) = sync("orders5.xml", &document(&[good, bad], 2, "21.00"));
    assert_eq!(run[2], 1);
    assert!(told.contains("structure.bad_count") && told.contains("2 of them"), "{told}");
}

#[test]
fn faults_of_a_mapping_stand_at_their_place() {
    let check = |from: &str, to: &str, expected: &str| {
        let mapping = ORDERS.replace(from, to);
        assert_ne!(mapping, ORDERS);
        let output = Site::with_mappings(&[("orders.v1.toml", &mapping)]).run(&["check", "--offline"]);
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(output.status.code() == Some(2) && said.contains(expected), "{said}");
    };
    check("/o:Orders/o:Order\"\nname", "/x:Orders/o:Order\"\nname", "the prefix `x` is not declared");
    check("\"@sku\"", "\"p:sku\"", "the prefix `p` is not declared");
    check("from = \"o:Customer\", object", "from = \"@id\", object", "is a single text, with nothing below it");
    check("record_path = \"/o:Orders/o:Order\"\n", "", "record_path");
    check("each = {}", "type = \"integer\", arrays = []", "unknown key `arrays`");
    check("skip = \"@kind", "arrays = [\"@x\"]\nskip = \"@kind", "only elements can be arrays");
}

#[test]
fn decode_of_xml() {
    let (latin1, prefixed) = (fixture("xml/latin1.xml"), fixture("xml/prefixed.xml"));
    let output = tollbridge(&["decode", &latin1, "--record-path", "/Orders/Order"]);
    assert_eq!(text(&output.stdout), std::fs::read_to_string(fixture("xml/latin1.xml.ndjson")).unwrap());
    let path = ["--format", "xml", "--record-path", "//o:Order", "--namespace", "o=urn:orders"];
    let output = tollbridge(&[&["decode", &prefixed], &path[..]].concat());
    assert_eq!(text(&output.stdout), std::fs::read_to_string(fixture("xml/prefixed.xml.ndjson")).unwrap());
    let more = ["--meta", "--array", "o:No", "--parent", "/o:Orders/@batch"];
    let output = tollbridge(&[&["decode", &prefixed], &path[..], &more].concat());
    let first: Value = serde_json::from_str(text(&output.stdout).lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["/o:Orders/@batch"], &first["o:No"], &first["_record"]),
        (&json!("7"), &json!(["1"]), &json!(1))
    );
    let offset = first["_offset"].as_u64().unwrap() as usize;
    assert!(std::fs::read(&prefixed).unwrap()[offset..].starts_with(b"<p:Order "));

    let check = |arguments: &[&str], code: i32, expected: &str| {
        let output = tollbridge(&[&["decode", &latin1], arguments].concat());
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains(expected), "{said}");
    };
    check(&["--record-path", "/Orders/Odrer"], 0, "");
    check(&["--record-path", "/Order"], 1, "no element fits the record path `/Order`; the document has `/Orders`");
    check(&["--record-path", "/o:Orders"], 2, "--record-path: the prefix `o` is not declared");
    check(&["--format", "xml"], 2, "xml needs --record-path PATH");
    check(&["--record-path", "/a", "--namespace", "x"], 2, "write it like o=urn:");
    check(&["--record-path", "/a", "--hex"], 2, "--hex belongs to");
    check(&["--format", "csv", "--array", "x"], 2, "--array belongs to --format xml");
}

const PRICES: &str = r#"
resource = "prices"
version = 1
key = ["no"]
[source]
backend = "erp"
[source.excel]
files = "*.xls*"
sheet = "Data"
range = "A3:H"
[fields]
no = { from = "No" }
article = { from = "Artikel", blank = "null" }
price = { from = "Preis", type = "decimal(15,2)" }
since = { from = "Am", type = "date", blank = "null" }
changed = { from = "Zeitpunkt", type = "datetime", blank = "null" }
active = { from = "Aktiv", type = "boolean", blank = "null" }
"#;

#[test]
fn rows_of_workbooks_are_served() {
    for (name, since) in [("rows.xlsx", "2026-01-02"), ("rows.xls", "2026-01-02")] {
        let site = Site::with_mappings(&[("prices.v1.toml", PRICES)]);
        site.deliver(name, &std::fs::read(fixture(&format!("excel/{name}"))).unwrap());
        let (runs, code) = site.json(&["sync", "prices"]);
        // Two prices have more than two digits behind the point.
        assert_eq!((counts(&runs[0]), code), ([6, 4, 2, 0], 1), "{runs:?}");
        let (letters, _) = site.json(&["dead-letters", "list"]);
        assert_eq!(
            (&letters[0]["code"], &letters[0]["line"], &letters[0]["key"]),
            (&json!("numeric.inexact"), &json!(10), &json!("0006"))
        );
        let (made, _) = site.json(&["keys", "create", "me", "--scope", "*"]);
        let service = site.serve();
        let key = made[0]["key"].as_str().unwrap();
        let served = service.until(|| service.get("/v1/prices/0001", key).ok());
        assert_eq!(
            serde_json::from_str::<Value>(&served).unwrap(),
            json!({ "no": "0001", "article": "Müller & Söhne", "price": 19.99, "since": since,
                    "changed": "2026-01-02T13:30:15", "active": true }),
            "{name}"
        );
        // A number in a column of texts is its digits.
        assert!(service.get("/v1/prices/0004", key).unwrap().contains(r#""article":"42","price":-7.00"#));
    }
}

#[test]
fn a_workbook_that_changed_is_refused() {
    let mapping = PRICES.replace("\"Preis\"", "\"Price\"");
    let site = Site::with_mappings(&[("prices.v1.toml", &mapping)]);
    site.deliver("rows.xlsx", &std::fs::read(fixture("excel/rows.xlsx")).unwrap());
    let (runs, code) = site.json(&["sync", "prices"]);
    assert_eq!((counts(&runs[0]), code), ([0, 0, 0, 0], 1));
    let (letters, _) = site.json(&["dead-letters", "list"]);
    assert!(letters[0].to_string().contains("lacks the column `Price`"), "{letters:?}");
    assert_eq!(site.listing("rejected"), ["rows.xlsx"]);
}

#[test]
fn decode_of_workbooks() {
    let expected = std::fs::read_to_string(fixture("excel/rows.ndjson")).unwrap();
    for name in ["rows.xlsx", "rows1904.xlsx", "rows.xls", "rows.ods"] {
        let path = fixture(&format!("excel/{name}"));
        let output = tollbridge(&["decode", &path, "--format", "excel", "--sheet", "Data", "--range", "A3:H"]);
        assert_eq!(text(&output.stdout), expected, "{name}: {}", text(&output.stderr));
    }
    let path = fixture("excel/rows.xlsx");
    let output = tollbridge(&["decode", &path, "--format", "excel", "--no-header", "--meta"]);
    assert_eq!(text(&output.stdout), "{\"_offset\":0,\"_length\":21,\"_record\":1,\"A\":\"nothing here\"}\n");
    let output = tollbridge(&["decode", &path, "--format", "excel", "--sheet", "3"]);
    let rejects: Vec<Value> = text(&output.stderr).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rejects.len(), &rejects[0]["code"], &rejects[0]["line"]), (4, &json!("value.bad_type"), &json!(2)));
    let check = |arguments: &[&str], expected: &str| {
        let output = tollbridge(&[&["decode", &path, "--format", "excel"], arguments].concat());
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(expected), "{said}");
    };
    check(&["--sheet", "Daten"], "no sheet `Daten`; it has `Notes`, `Data`, `Kinds`");
    check(&["--range", "3"], "is no range; write it like B3:F200");
    check(&["--quote", "x"], "--quote belongs to --format csv");
    check(&["--encoding", "utf-8"], "--encoding belongs to");
}

#[test]
fn a_file_that_breaks_off_within_a_record_keeps_those_before_it() {
    let mapping = "resource = \"items\"\nversion = 1\nkey = [\"n\"]\n[source]\nbackend = \"erp\"\n[source.xml]\n\
                   files = \"*.xml\"\nrecord_path = \"/R/O\"\n[fields]\nn = { from = \"@n\" }\n";
    for (name, end) in [("a", "<a>2"), ("b", "<a></b></O></R>")] {
        let site = Site::with_mappings(&[("items.v1.toml", mapping)]);
        site.deliver(&format!("{name}.xml"), format!("<R><O n=\"1\"><a>1</a></O><O n=\"2\">{end}").as_bytes());
        let (run, code) = site.json(&["sync", "items"]);
        assert_eq!((code, &run[0]["read"], &run[0]["staged"]), (1, &json!(1), &json!(1)), "{name}: {run:?}");
        assert_eq!(run[0]["refused"], json!([format!("{name}.xml")]), "{run:?}");
        let (letters, _) = site.json(&["dead-letters", "list"]);
        assert_eq!(letters.len(), 1, "{letters:?}");
    }
}
