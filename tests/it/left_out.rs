//! Records that a declared filter leaves out are counted: in runs, previews and judgements of whole files.

use serde_json::{Value, json};

use crate::site::Site;

const COPYBOOK: &str = "       01 A.\n          05 K PIC X.\n          05 V PIC X.\n       01 B.\n          05 K PIC X.\n          \
    05 W PIC X.\n";

/// A document of an `A` and its `B`s; lines of type `Z` are passed over.
const MAPPING: &str = r#"
resource = "items"
version = 1
key = ["v"]
[source]
backend = "erp"
[source.cobol]
files = "*.txt"
copybook = "t.cpy"
framing = "line"
encoding = "ascii"
segment_field = "K"
segment_map = { A = "A", B = "B" }
segment_children = { A = ["B"] }
segment_unknown = "skip"
filter = ["V=1", "V=2", "V=3", "W=x"]
[fields]
v = { from = "V", values = { 1 = "one", 2 = "two" } }
lines = { from = "B", each = { w = { from = "W" } } }
"#;

/// By hand: 2 good documents and a bad one; left out are A9 with its B, two lines of other documents, and two Z.
const DATA: &[u8] = b"A1\nBx\nBy\nZ1\nBx\nA9\nBx\nA2\nZ2\nA3\nBy\n";

fn site(mapping: &str) -> Site {
    let site = Site::with_mappings(&[("items.v1.toml", mapping)]);
    site.write("mappings/t.cpy", COPYBOOK.as_bytes());
    site.deliver("a.txt", DATA);
    site
}

fn counts(summary: &Value) -> [&Value; 5] {
    ["read", "staged", "unchanged", "dead", "skipped"].map(|count| &summary[count])
}

#[test]
fn in_a_run_and_a_replay_of_it() {
    let site = site(MAPPING);
    let (summary, code) = site.json(&["sync", "items"]);
    assert_eq!(counts(&summary[0]), [&json!(9), &json!(2), &json!(0), &json!(1), &json!(6)], "{code} {summary:?}");
    // The same content once more is refused, until somebody asks for it.
    site.deliver("b.txt", DATA);
    site.json(&["sync", "items"]);
    let (letters, _) = site.json(&["dead-letters", "list", "--code", "file.duplicate"]);
    let id = letters[0]["id"].to_string();
    let (replayed, _) = site.json(&["dead-letters", "replay", &id]);
    assert_eq!((&replayed[0]["key"], &replayed[0]["file"]), (&Value::Null, &json!("b.txt")));
    let balance = &replayed[0]["balance"];
    assert_eq!(counts(balance), [&json!(9), &json!(0), &json!(2), &json!(1), &json!(6)], "{replayed:?}");
    site.deliver("c.txt", &[DATA, b"A1\n"].concat());
    site.json(&["sync", "items"]);
    site.deliver("d.txt", &[DATA, b"A1\n"].concat());
    site.json(&["sync", "items"]);
    let (letters, _) = site.json(&["dead-letters", "list", "--code", "file.duplicate"]);
    let output = site.run(&["dead-letters", "replay", &letters[0]["id"].to_string()]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("d.txt was read as a whole: 10 read, ") && !said.contains("under key"), "{said}");
}

/// What is left out counts to the records that are asked for, as in a run.
#[test]
fn in_a_preview() {
    let site = site(MAPPING);
    let file = site.path("inbox/a.txt");
    let shown = |limit: &str| site.json(&["preview", "items", file.to_str().unwrap(), "--limit", limit]).0.len();
    assert_eq!([shown("1"), shown("5"), shown("6"), shown("9")], [1, 1, 2, 2]);
}

#[test]
fn where_a_file_is_judged_as_a_whole() {
    let whole = |rule: &str| MAPPING.replace("backend = \"erp\"", &format!("backend = \"erp\"\n{rule}"));
    // One bad record of nine is more than ten percent and less than twelve.
    for (limit, staged, skipped) in [(10, 0, 8), (12, 2, 6)] {
        let site = site(&whole(&format!("on_reject = {{ max_percent = {limit} }}")));
        let (summary, _) = site.json(&["sync", "items"]);
        let dead = &json!(1);
        let expected = [&json!(9), &json!(staged), &json!(0), dead, &json!(skipped)];
        assert_eq!(counts(&summary[0]), expected, "{limit} {summary:?}");
    }
}

/// Blank lines and comments of a CSV count alike, wherever they stand behind the header, also where a run goes on.
#[test]
fn blank_lines_of_a_csv_are_counted() {
    let mapping = |more: &str| {
        format!(
            "resource = \"items\"\nversion = 1\nkey = [\"v\"]\n[source]\nbackend = \"erp\"\n[source.csv]\nfiles = \"*.txt\"\n\
             delimiter = \";\"\ncomment = \"#\"\n{more}\n[fields]\nv = {{ from = \"V\" }}\n"
        )
    };
    for (more, header) in [("", "\n# made by hand\nV;W\n"), ("header = false\ncolumns = [\"V\", \"W\"]", "")] {
        let site = Site::with_mappings(&[("items.v1.toml", &mapping(more))]);
        site.deliver("a.txt", format!("{header}\n\r\n1;x\n\n#2;y\n3;\"\n\n\"\n4;z\n\n").as_bytes());
        let (summary, code) = site.json(&["sync", "items"]);
        // By hand: 3 rows; 2 lines before the first, one blank and one comment before the second, one at the end. Those in
        // the quotes are text.
        let expected = [&json!(8), &json!(3), &json!(0), &json!(0), &json!(5)];
        assert_eq!((counts(&summary[0]), code), (expected, 0), "{summary:?}");
    }
}
