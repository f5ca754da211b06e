//! CSV files as they come, from the inbox into staging: what a mapping declares of the mess is read, what it does not
//! declare stops the feed or the record and says so.

use serde_json::{Value, json};

use crate::site::Site;

const FIELDS: &str = r#"
[fields]
no = { from = "NO" }
name = { from = "NAME" }
price = { from = "PRICE", type = "decimal(9,2)", decimal_point = ",", grouping = "." }
"#;

fn site(source: &str) -> Site {
    let head = "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.csv]\n";
    let mapping = format!("{head}files = \"items*.csv\"\n{source}{FIELDS}");
    Site::with_mappings(&[("items.v1.toml", &mapping)])
}

/// Code and what was found of every dead letter.
fn letters(site: &Site) -> Vec<(String, String)> {
    let (letters, _) = site.json(&["dead-letters", "list"]);
    let text = |letter: &Value, name: &str| letter[name].as_str().unwrap().to_owned();
    letters.iter().map(|letter| (text(letter, "code"), text(letter, "found"))).collect()
}

#[test]
fn declared_mess_is_read() {
    let site = site(
        "encoding = \"utf-16\"\ndelimiter = \"||\"\nescape = \"\\\\\"\ncomment = \"#\"\npreamble_lines = 1\n\
         footer_lines = 1\nragged = \"truncate\"\nnul = \"strip\"\nrepeated_header = \"skip\"\n\
         columns = [\"NO\", \"NAME\", \"PRICE\"]\nheader_match = \"same_columns\"\n",
    );
    let text = "\u{feff}Items of today\r\nPRICE||NO||NAME\r\n1.024,50||A||\"Pliers\\\"; insulated\"\r\n# a note\r\
                12,90||B||Ham\0mer||surplus\nPRICE||NO||NAME\r\n3,00||C\r\n3 items||in all\r\n";
    site.deliver("items1.csv", &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    let (runs, code) = site.json(&["sync", "items"]);
    let counts = ["read", "staged", "dead", "skipped"].map(|name| runs[0][name].as_u64().unwrap());
    // The comment and the second header are left out, and counted.
    assert_eq!((code, counts), (0, [5, 3, 0, 2]), "{} {:?}", runs[0], letters(&site));
    let file = site.path("archive").join("items1.csv").display().to_string();
    let (records, _) = site.json(&["preview", "items", &file]);
    let expected = [
        json!({"no":"A","name":"Pliers\"; insulated","price":1024.50}),
        json!({"no":"B","name":"Hammer","price":12.90}),
        json!({"no":"C","name":"","price":3.00}),
    ];
    assert_eq!(records, expected);
}

#[test]
fn a_changed_header_stops_the_feed_and_says_how() {
    let site = site("columns = [\"NO\", \"NAME\", \"PRICE\"]\nheader_match = \"identical\"\ndelimiter = \";\"\n");
    site.deliver("items1.csv", b"NO;NAME;PRICE\nA;Saw;1,00\n");
    assert_eq!(site.json(&["sync", "items"]).1, 0);
    site.deliver("items2.csv", b"NO;EAN;PRICE;NAME\nA;4006381333931;1,00;Saw\n");
    let (runs, code) = site.json(&["sync", "items"]);
    assert_eq!((code, &runs[0]["refused"], &runs[0]["staged"]), (1, &json!(["items2.csv"]), &json!(0)), "{}", runs[0]);
    let found = letters(&site);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "file.unreadable");
    let moved = "the header has changed: `EAN` is new (column 2), `NAME` has moved from column 2 to 4; it is now";
    assert!(found[0].1.contains(moved), "{}", found[0].1);
}

#[test]
fn undeclared_mess_is_told() {
    let site = site("delimiter = \";\"\n");
    site.deliver("items1.csv", b"NO;NAME;PRICE\nA;x\0;1,00\nNO;NAME;PRICE\nB;y\nC;\"z\"z;1\nD;w;2,00\n");
    let (runs, code) = site.json(&["sync", "items"]);
    let counts = ["read", "staged", "dead"].map(|name| runs[0][name].as_u64().unwrap());
    assert_eq!((code, counts), (1, [5, 1, 4]), "{}", runs[0]);
    let mut codes: Vec<String> = letters(&site).into_iter().map(|(code, _)| code).collect();
    codes.sort();
    let expected = ["encoding.unmappable", "framing.bad_quote", "framing.column_count", "framing.repeated_header"];
    assert_eq!(codes, expected);
}

/// Files that somebody appended to one another: the byte order marks in the middle are no part of the records, and are told.
#[test]
fn files_that_were_put_together() {
    let site = site("repeated_header = \"skip\"\n");
    let mark = "\u{feff}";
    let text =
        format!("{mark}NO,NAME,PRICE\nA,Saw,\"1,00\"\n{mark}NO,NAME,PRICE\nB,Axe,\"2,00\"\n{mark}C,Pin,\"3,00\"\n");
    site.deliver("items1.csv", text.as_bytes());
    let (runs, code) = site.json(&["sync", "items"]);
    let counts = ["read", "staged", "dead", "skipped"].map(|name| runs[0][name].as_u64().unwrap());
    assert_eq!((code, counts), (0, [4, 3, 0, 1]), "{} {:?}", runs[0], letters(&site));
    let note = "items1.csv: taken although the format does not allow it: byte_order_mark 2";
    assert_eq!(runs[0]["notes"], json!([note]));
    for no in ["A", "B", "C"] {
        assert_eq!(site.json(&["trace", "items", no]).1, 0, "{no}");
    }
    // Where the file before lacks the end of its last line, the mark is that.
    let text =
        format!("{mark}NO,NAME,PRICE\nD,Saw,\"4,00\"{mark}NO,NAME,PRICE\nE,\"Axe\nand\",\"5,00\"{mark}F,Pin,\"x\"");
    site.deliver("items2.csv", text.as_bytes());
    let (runs, code) = site.json(&["sync", "items"]);
    let counts = ["read", "staged", "dead", "skipped"].map(|name| runs[0][name].as_u64().unwrap());
    assert_eq!((code, counts), (1, [4, 2, 1, 1]), "{} {:?}", runs[0], letters(&site));
    let (list, _) = site.json(&["dead-letters", "list"]);
    let (letter, _) = site.json(&["dead-letters", "show", &list[0]["id"].to_string()]);
    let raw = "F,Pin,\"x\"";
    let at = text.len() - raw.len();
    assert_eq!((&letter[0]["offset"], &letter[0]["line"]), (&json!(at), &json!(4)), "{}", letter[0]);

    // The same by `decode`, on one thread and on several.
    let part = |from: u32| (from..from + 9000).map(|no| format!("{no},Saw,\"1,00\"\n")).collect::<String>();
    let large = format!("{mark}NO,NAME,PRICE\n{}{mark}{}{mark}{}", part(0), part(9000), part(18_000));
    site.write("large.csv", large.as_bytes());
    let glued = large.replace(&format!("\n{mark}"), mark);
    site.write("glued.csv", glued.as_bytes());
    let glue = site.run(&["decode", "glued.csv", "--format", "csv", "--threads", "3"]).stdout;
    let decode = |threads: &str| site.run(&["decode", "large.csv", "--format", "csv", "--threads", threads]);
    let (one, three) = (decode("1"), decode("3"));
    assert!(
        one.stdout == three.stdout
            && one.stdout == glue
            && one.stdout.iter().filter(|byte| **byte == b'\n').count() == 27_000
    );
    for output in [one, three] {
        let (said, text) = (String::from_utf8(output.stderr).unwrap(), String::from_utf8(output.stdout).unwrap());
        assert_eq!(
            (output.status.code(), said.as_str()),
            (Some(0), "2 byte order marks within the file were passed over: files were put together there\n")
        );
        assert!(!text.contains(mark) && text.contains("{\"NO\":\"9000\",") && text.contains("{\"NO\":\"18000\","));
    }
}
