//! What the types of columns become when a mapping says no more than a type.

use serde_json::json;

use super::Legacy;
use crate::support::postgres::Postgres;

#[test]
fn moments_bytes_and_large_numbers_need_no_more_than_their_type() {
    let server = Postgres::shared();
    server.database("tables_types", "");
    server.sql(
        "tables_types",
        "create table items (no int primary key, made timestamptz, changed timestamp, raw bytea, big int8, flags bit(5));
         insert into items values
           (1, '2026-03-01 01:00:00+01', '2026-03-01 01:00:00', '\\x00ff10', 9007199254740991, b'10101'),
           (2, '2026-03-01 01:00:00.25+01', '2026-03-01 01:00:00.25', '\\x', -5, b'00000'), (3, null, null, null, null, null);
         insert into items select i, now(), now(), null, 9007199254740993 + i, b'00001' from generate_series(10, 40) i;",
    );
    let connection = format!("connection = \"{}\"", server.connection("tables_types"));
    let source = "[source.table]\ntable = 'items'\nsnapshot = true\n";
    let fields = "no = { from = 'no', type = 'integer' }\nmade = { from = 'made', type = 'datetime' }\n\
                  changed = { from = 'changed', type = 'datetime' }\nraw = { from = 'raw', type = 'bytes' }\n\
                  big = { from = 'big', type = 'integer', as = 'string' }\nflags = { from = 'flags', type = 'string' }\n";
    let old = Legacy::with_backend(&connection, source, fields);
    let run = old.sync();
    assert_eq!(
        (&run["dead"], &run["staged"]),
        (&json!(0), &json!(34)),
        "{run} {:?}",
        old.site.json(&["dead-letters", "list"]).0.first()
    );
    let documents = old.documents();
    assert_eq!(
        documents["1"],
        json!({"no": 1, "made": "2026-03-01T00:00:00.000000000Z", "changed": "2026-03-01T01:00:00", "raw": "AP8Q",
            "big": "9007199254740991", "flags": "10101"})
    );
    let second = &documents["2"];
    assert_eq!((&second["made"], &second["raw"]), (&json!("2026-03-01T00:00:00.250000000Z"), &json!("")));
    assert_eq!((&second["changed"], &second["big"]), (&json!("2026-03-01T01:00:00.25"), &json!("-5")));
    assert_eq!(documents["3"]["made"], json!(null));
    assert_eq!(documents["10"]["big"], json!("9007199254741003"));

    // What is proposed reads all of it.
    let proposed = old.site.run(&["infer", "--backend", "old", "--table", "items"]);
    let text = String::from_utf8(proposed.stdout).unwrap();
    assert!(text.contains("beyond 53 bits") && text.contains("as = \"string\""), "{text}");
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap();
    assert!(flags.contains("type = \"string\"") && !flags.contains("boolean"), "{flags}");
    assert!(text.lines().any(|line| line.starts_with("raw") && line.contains("type = \"bytes\"")), "{text}");
    std::fs::remove_file(old.site.path("mappings/items.v1.toml")).unwrap();
    old.site.write("mappings/items.v1.toml", text.as_bytes());
    let run = old.sync_as(&["sync", "items"]);
    assert_eq!((&run["dead"], &run["read"]), (&json!(0), &json!(34)), "{run}");

    // Without `as` a number that JSON would bend is no document, and its letter says what to do.
    let fields = fields.replace(", as = 'string'", "");
    old.mapping("", source, &fields);
    let run = old.sync();
    assert_eq!(run["dead"], 31, "{run}");
}
