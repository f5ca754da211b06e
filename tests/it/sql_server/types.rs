//! Every type, exactly.

use tollbridge::adapters::sql::{Query, SqlErrorKind, TableName, Value};
use tollbridge::decode::rows::{CellFault, ColumnKind};
use tollbridge::record::Decimal;

use super::rows::{Cell, head};
use super::{Site, everywhere, query};

/// A column of each type, a value at its edge, and what it is in canonical form.
const TYPES: &[(&str, &str, &str)] = &[
    ("tinyint", "255", "255"),
    ("smallint", "-32768", "-32768"),
    ("int", "-2147483648", "-2147483648"),
    ("bigint", "-9223372036854775808", "-9223372036854775808"),
    ("bit", "1", "1"),
    ("decimal(38,0)", "-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999"),
    ("decimal(38,10)", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"),
    ("numeric(5,2)", "-1.5", "-1.50"),
    ("money", "1234567.8901", "1234567.8901"),
    ("smallmoney", "-214748.3648", "-214748.3648"),
    ("real", "0.1", "0.1"),
    ("float", "-123456.789", "-123456.789"),
    ("date", "'0001-01-01'", "0001-01-01"),
    ("time(7)", "'23:59:59.9999999'", "23:59:59.9999999"),
    ("datetime", "'1753-01-01T00:00:00.003'", "1753-01-01T00:00:00.003"),
    ("smalldatetime", "'2079-06-06T23:59:00'", "2079-06-06T23:59:00"),
    ("datetime2(7)", "'9999-12-31T23:59:59.9999999'", "9999-12-31T23:59:59.9999999"),
    ("datetime2(0)", "'2026-11-28T23:59:59'", "2026-11-28T23:59:59"),
    ("datetimeoffset(7)", "'2026-11-28T00:10:00.1234567+01:00'", "2026-11-28T00:10:00.1234567+01:00"),
    ("uniqueidentifier", "'0197F7A2-0000-7000-8000-0000000000AB'", "0197f7a2-0000-7000-8000-0000000000ab"),
    ("char(5)", "'ab'", "ab   "),
    ("varchar(20)", "'Zürich'", "Zürich"),
    ("nchar(3)", "N'ü'", "ü  "),
    ("nvarchar(20)", "N'Ελ 🔑'", "Ελ 🔑"),
    ("nvarchar(max)", "N'long'", "long"),
    ("varchar(max)", "'long'", "long"),
    ("xml", "'<a/>'", "<a/>"),
];

fn script() -> String {
    let columns: Vec<_> =
        TYPES.iter().enumerate().map(|(at, (declared, ..))| format!("c{at} {declared} NULL")).collect();
    let values: Vec<_> = TYPES.iter().map(|(_, value, _)| *value).collect();
    let nulls = vec!["NULL"; TYPES.len()].join(", ");
    format!(
        "IF OBJECT_ID('dbo.every') IS NOT NULL DROP TABLE dbo.every\nGO\n\
         CREATE TABLE dbo.every (id int NOT NULL PRIMARY KEY, {}, b binary(4) NULL, v varbinary(max) NULL, stamp rowversion)\nGO\n\
         INSERT INTO dbo.every (id, {names}, b, v) VALUES (1, {}, 0x01FF, 0xDEADBEEF)\nGO\n\
         INSERT INTO dbo.every (id, {names}, b, v) VALUES (2, {nulls}, NULL, NULL)\nGO\n",
        columns.join(", "),
        values.join(", "),
        names = (0..TYPES.len()).map(|at| format!("c{at}")).collect::<Vec<_>>().join(", "),
    )
}

#[tokio::test]
async fn every_type_has_its_canonical_form_and_null_is_null() {
    for site in everywhere(&script()).await {
        let rows = site.all("SELECT * FROM dbo.every ORDER BY id").await.unwrap();
        for (at, (declared, _, expected)) in TYPES.iter().enumerate() {
            assert_eq!(rows[0][at + 1], Cell::of(expected), "{declared}");
            assert_eq!(rows[1][at + 1], Cell::Null, "{declared}");
        }
        let bytes = TYPES.len() + 1;
        assert_eq!(rows[0][bytes], Cell::Value(vec![1, 0xff, 0, 0]));
        assert_eq!(rows[0][bytes + 1], Cell::Value(vec![0xde, 0xad, 0xbe, 0xef]));
        assert_eq!((&rows[1][bytes], &rows[1][bytes + 1]), (&Cell::Null, &Cell::Null));
        // A rowversion is eight bytes, and the second row's is the greater one.
        match (&rows[0][bytes + 2], &rows[1][bytes + 2]) {
            (Cell::Value(first), Cell::Value(second)) => assert!(first.len() == 8 && first < second),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn columns_say_what_they_are() {
    for site in everywhere(&script()).await {
        let mut rows = site.ask(query("SELECT c5, c7, c8, c14, c21 FROM dbo.every")).await.unwrap();
        let kinds: Vec<_> = rows.columns.iter().map(|column| column.kind).collect();
        assert!(matches!(kinds[0], ColumnKind::Decimal { precision: 38, scale: 0 }), "{kinds:?}");
        assert!(matches!(kinds[1], ColumnKind::Decimal { scale: 2, .. }), "{kinds:?}");
        assert!(matches!(kinds[2], ColumnKind::Decimal { precision: 19, scale: 4 }), "{kinds:?}");
        assert!(matches!(kinds[3..], [ColumnKind::DateTime, ColumnKind::Text { .. }]), "{kinds:?}");
        let batch = rows.batches.recv().await.unwrap().unwrap();
        assert_eq!(head(&batch)["columns"][0]["name"], "c5");
    }
}

#[tokio::test]
async fn values_are_bound_as_what_they_are() {
    for site in everywhere(&script()).await {
        let written = |kind, text: &str| Value::Written(kind, text.to_owned());
        for (condition, value) in [
            ("c3 = ?", Value::Integer(i64::MIN)),
            ("c6 = ?", Value::Decimal(Decimal::parse("1234567890123456789012345678.0123456789", b'.', None).unwrap())),
            ("c12 = ?", written(ColumnKind::Date, "0001-01-01")),
            ("c14 = ?", written(ColumnKind::DateTime, "1753-01-01T00:00:00.003")),
            ("c16 = ?", written(ColumnKind::DateTime, "9999-12-31T23:59:59.9999999")),
            ("c18 = ?", written(ColumnKind::DateTimeOffset, "2026-11-28T00:10:00.1234567+01:00")),
            ("c19 = ?", written(ColumnKind::Uuid, "0197f7a2-0000-7000-8000-0000000000ab")),
            ("c21 = ?", Value::Text("Zürich".to_owned())),
            ("c23 = ?", Value::Text("Ελ 🔑".to_owned())),
            ("v = ?", Value::Bytes(vec![0xde, 0xad, 0xbe, 0xef])),
            ("id = 1 AND '?' <> ?", Value::Text("x' OR 1=1 --".to_owned())),
        ] {
            let sql = format!("SELECT id FROM dbo.every WHERE {condition}");
            let asked = Query { parameters: vec![value.clone()], ..query(&sql) };
            assert_eq!(site.all_of(asked).await.unwrap(), [[Cell::of("1")]], "{condition} {value:?}");
        }
        let nothing = Query { parameters: vec![written(ColumnKind::Date, "x")], ..query("SELECT ?") };
        let error = site.all_of(nothing).await.unwrap_err();
        assert_eq!(error.kind, SqlErrorKind::Statement);
        assert!(error.message.contains("value 1 cannot be bound"), "{error}");
    }
}

#[tokio::test]
async fn a_table_is_described() {
    let script = "IF OBJECT_ID('dbo.described') IS NOT NULL DROP TABLE dbo.described\nGO\n\
        CREATE TABLE dbo.described (no int IDENTITY PRIMARY KEY, code varchar(10) COLLATE Latin1_General_CI_AS NOT NULL, \
        price decimal(11,2) NULL, twice AS price * 2, changed rowversion)\nGO\n\
        CREATE UNIQUE INDEX by_code ON dbo.described (code)\nGO\n\
        INSERT INTO dbo.described (code, price) VALUES ('a', 1)\nGO\n\
        INSERT INTO dbo.described (code, price) VALUES ('b', 2)\nGO\n";
    for site in everywhere(script).await {
        let name = |schema: Option<&str>, table: &str| TableName {
            catalog: None,
            schema: schema.map(str::to_owned),
            table: table.to_owned(),
        };
        let info = site.door_table(name(Some("dbo"), "described")).await.unwrap();
        let of = |wanted: &str| info.columns.iter().find(|column| column.column.name == wanted).unwrap();
        assert_eq!(info.primary_key, ["no"]);
        assert!(
            info.indexes.iter().any(|index| index.name == "by_code" && index.is_unique && index.columns == ["code"])
        );
        assert!(of("no").is_identity && of("twice").is_computed && of("changed").is_rowversion);
        assert_eq!(of("price").column.declared, "decimal(11,2)");
        assert_eq!(of("code").collation.as_deref(), Some("Latin1_General_CI_AS"));
        assert_eq!((of("code").column.nullable, of("price").column.nullable), (Some(false), Some(true)));
        assert_eq!((info.rows, info.change_tracking, info.is_view), (Some(2), false, false));
        let error = site.door_table(name(None, "nobody")).await.unwrap_err();
        assert_eq!(error.kind, SqlErrorKind::Missing);
        let tables = site.door_tables().await;
        assert!(tables.iter().any(|table| table.table == "described" && table.schema.as_deref() == Some("dbo")));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_a_fault_of_its_cell() {
    let site = Site::new("CREATE TABLE t (a int, b nvarchar(20), c int)\nGO\nINSERT INTO t VALUES (1, N'ab', 2)");
    site.server().faults(|faults| {
        faults.only = Some("FROM t".to_owned());
        faults.invalid_utf16 = true;
    });
    let rows = site.all("SELECT a, b, c FROM t").await.unwrap();
    assert_eq!((&rows[0][0], &rows[0][2]), (&Cell::of("1"), &Cell::of("2")));
    assert!(matches!(&rows[0][1], Cell::Fault(fault, _) if *fault == CellFault::Encoding as u8), "{rows:?}");
    site.server().faults(|faults| *faults = Default::default());
    assert_eq!(site.one("SELECT b FROM t").await, "ab");
    assert_eq!(site.sessions(), 1, "the connection stays in step");
}

/// A `sql_variant` is the text of what is in it, by its own type.
#[tokio::test]
async fn what_is_in_a_variant_is_told_by_its_own_type() {
    let cases = [
        ("7", "7"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("'bit:1'", "1"),
        ("'tinyint:255'", "255"),
        ("'smallint:-32768'", "-32768"),
        ("'decimal(38,10):1234567890123456789012345678.0123456789'", "1234567890123456789012345678.0123456789"),
        ("'numeric(9,2):-1.50'", "-1.50"),
        ("'money:1234567.8901'", "1234567.8901"),
        ("'smallmoney:-214748.3648'", "-214748.3648"),
        ("'float(53):12.25'", "12.25"),
        ("'datetime:2026-11-28 01:02:03.007'", "2026-11-28T01:02:03.007"),
        ("'smalldatetime:2026-11-28 01:02:00'", "2026-11-28T01:02:00"),
        ("'datetime2(7):2026-11-28 01:02:03.0040005'", "2026-11-28T01:02:03.0040005"),
        ("'datetimeoffset(0):2026-11-28 01:02:03 +01:00'", "2026-11-28T01:02:03+01:00"),
        ("'date:0001-01-01'", "0001-01-01"),
        ("'time(3):23:59:59.999'", "23:59:59.999"),
        ("'uniqueidentifier:0197F7A2-0000-7000-8000-0000000000AB'", "0197f7a2-0000-7000-8000-0000000000ab"),
        ("0x01AB", "0x01ab"),
        ("N'Ελ 🔑'", "Ελ 🔑"),
        ("'varchar(10):Zürich'", "Zürich"),
        ("N'varchar(20) COLLATE Polish_CI_AS:Łódź'", "Łódź"),
        ("N'varchar(20) COLLATE Cyrillic_General_CI_AS:Пермь'", "Пермь"),
    ];
    let mut script = "CREATE TABLE dbo.v (id int NOT NULL PRIMARY KEY, v sql_variant NULL, a int NULL)".to_owned();
    for (at, (value, _)) in cases.iter().enumerate() {
        script += &format!("\nGO\nINSERT INTO dbo.v VALUES ({at}, {value}, {at})");
    }
    script += "\nGO\nINSERT INTO dbo.v VALUES (100, NULL, 100)\nGO\nINSERT INTO dbo.v VALUES (101, 'money:90071992547409.9301', 101)";
    let site = Site::new(&script);
    let mut rows = site.ask(query("SELECT v, a FROM dbo.v ORDER BY id")).await.unwrap();
    assert!(matches!(rows.columns[0].kind, ColumnKind::Text { .. }), "{:?}", rows.columns);
    let rows = super::set(&rows.batches.recv().await.unwrap().unwrap());
    for (at, (value, expected)) in cases.iter().enumerate() {
        assert_eq!(rows[at], [Cell::of(expected), Cell::of(&at.to_string())], "{value}");
    }
    assert_eq!(rows[cases.len()][0], Cell::Null);
    // The driver makes a floating-point number of an amount in a variant: one that it may have rounded is a fault of its
    // cell, never another amount.
    let large = &rows[cases.len() + 1];
    assert!(matches!(&large[0], Cell::Fault(fault, _) if *fault == CellFault::Invalid as u8), "{large:?}");
    assert_eq!(large[1], Cell::of("101"));
}

#[tokio::test]
async fn sparse_computed_and_old_long_columns_read_as_the_others() {
    let script = "IF OBJECT_ID('dbo.odd') IS NOT NULL DROP TABLE dbo.odd\nGO\n\
        CREATE TABLE dbo.odd (id int NOT NULL PRIMARY KEY, s int SPARSE NULL, price decimal(9,2) NULL, twice AS price * 2, \
        t text NULL, n ntext NULL, i image NULL, pl varchar(20) COLLATE Polish_CI_AS NULL, \
        ru varchar(20) COLLATE Cyrillic_General_CI_AS NULL)\nGO\n\
        INSERT INTO dbo.odd (id, s, price, t, n, i, pl, ru) VALUES (1, -5, 1.25, 'Zürich', N'Ελ 🔑', 0xDEADBEEF, N'Łódź', \
        N'Пермь')\nGO\n\
        INSERT INTO dbo.odd (id, t, n, i) VALUES (2, '', N'', 0x)\nGO\n\
        INSERT INTO dbo.odd (id) VALUES (3)\nGO\n";
    for site in everywhere(script).await {
        let rows = site.all("SELECT s, twice, pl, ru, t, n, i FROM dbo.odd ORDER BY id").await.unwrap();
        assert_eq!(rows[0][..6], ["-5", "2.50", "Łódź", "Пермь", "Zürich", "Ελ 🔑"].map(Cell::of));
        assert_eq!(rows[0][6], Cell::Value(vec![0xde, 0xad, 0xbe, 0xef]));
        assert_eq!(rows[1][..4], [Cell::Null, Cell::Null, Cell::Null, Cell::Null]);
        assert_eq!(rows[1][4..], [Cell::of(""), Cell::of(""), Cell::of("")]);
        assert!(rows[2].iter().all(|cell| *cell == Cell::Null), "{rows:?}");
        // Text of an old code page is found by what is asked for, too.
        for (column, text) in [("pl", "Łódź"), ("ru", "Пермь")] {
            let sql = format!("SELECT id FROM dbo.odd WHERE {column} = ?");
            let asked = Query { parameters: vec![Value::Text(text.to_owned())], ..query(&sql) };
            assert_eq!(site.all_of(asked).await.unwrap(), [[Cell::of("1")]], "{column}");
        }
    }
}

/// Nobody describes what a procedure brings: its old code pages are read by what comes.
#[tokio::test]
async fn old_code_pages_of_procedures_are_read_by_what_comes() {
    use tollbridge::adapters::sql::{Action, Argument, Step};
    let script = "IF OBJECT_ID('dbo.towns') IS NOT NULL DROP PROCEDURE dbo.towns\nGO\n\
        IF OBJECT_ID('dbo.town') IS NOT NULL DROP TABLE dbo.town\nGO\n\
        CREATE TABLE dbo.town (id int, pl varchar(20) COLLATE Polish_CI_AS, ru varchar(20) COLLATE Cyrillic_General_CI_AS)\nGO\n\
        INSERT INTO dbo.town VALUES (1, N'Łódź', N'Пермь')\nGO\n\
        CREATE PROCEDURE dbo.towns @which nvarchar(20) AS\nBEGIN\n\
        SELECT pl, ru FROM dbo.town WHERE pl = @which;\nEND\nGO\n";
    for site in everywhere(script).await {
        let which = Argument { name: "which".to_owned(), value: Value::Text("Łódź".to_owned()), out: None };
        let step = Step::of(Action::Procedure { name: "dbo.towns".to_owned(), arguments: vec![which] });
        let done = site.transact(super::atomic(vec![step])).await.unwrap().remove(0);
        assert_eq!(super::set(&done.sets[0]), [["Łódź", "Пермь"].map(Cell::of)]);
    }
}

#[tokio::test]
async fn a_long_value_is_not_read_whole() {
    let script = "CREATE TABLE t (a nvarchar(max), b varbinary(max), c int)\nGO\n\
        INSERT INTO t VALUES (REPLICATE(CAST(N'x' AS nvarchar(max)), 3000), 0x00, 7)";
    let settings =
        super::Settings { encryption: crate::support::tds_server::Encryption::NotSupported, ..Default::default() };
    let site = Site::of(settings, script, |config| config.max_value_bytes = 4096);
    let rows = site.all("SELECT a, b, c FROM t").await.unwrap();
    assert!(
        matches!(&rows[0][0], Cell::Fault(fault, raw) if *fault == CellFault::TooLong as u8 && raw.starts_with(b"xx"))
    );
    assert_eq!(rows[0][2], Cell::of("7"));
}

#[tokio::test]
async fn amounts_and_old_code_pages_travel_so_that_nothing_is_lost() {
    let script = "IF OBJECT_ID('dbo.lossless') IS NOT NULL DROP TABLE dbo.lossless\nGO\n\
        CREATE TABLE dbo.lossless (a money, b smallmoney, c varchar(20) COLLATE Japanese_CI_AS, d int, \
        e varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8)\nGO\n\
        INSERT INTO dbo.lossless VALUES (-922337203685477.5808, 214748.3647, N'\u{65e5}\u{672c}', 7, N'\u{dc}\u{3b5}')\nGO\n\
        INSERT INTO dbo.lossless VALUES (922337203685477.5807, NULL, NULL, 8, NULL)\nGO\n";
    for site in everywhere(script).await {
        for order in ["ASC", "DESC"] {
            let sql = format!("SELECT a, b, c, d, e FROM dbo.lossless ORDER BY d {order}");
            let mut rows = site.ask(query(&sql)).await.unwrap();
            let declared: Vec<_> = rows.columns.iter().map(|column| column.declared.as_str()).collect();
            assert_eq!(declared, ["money", "smallmoney", "varchar(20)", "int", "varchar(20)"]);
            let mut rows = super::set(&rows.batches.recv().await.unwrap().unwrap());
            if order == "DESC" {
                rows.reverse();
            }
            let first = ["-922337203685477.5808", "214748.3647", "\u{65e5}\u{672c}", "7", "\u{dc}\u{3b5}"];
            assert_eq!(rows[0], first.map(Cell::of));
            assert_eq!(rows[1][0], Cell::of("922337203685477.5807"));
            assert_eq!(rows[1][1..], [Cell::Null, Cell::Null, Cell::of("8"), Cell::Null]);
        }
    }
}

#[tokio::test]
async fn a_statement_is_described_once_and_its_text_finds_an_index_of_varchar() {
    let site = Site::new(
        "CREATE TABLE dbo.codes (code varchar(10) PRIMARY KEY, name nvarchar(10))\nGO\n\
        INSERT INTO dbo.codes VALUES ('a1', N'b')",
    );
    for _ in 0..3 {
        let sql = "SELECT name FROM dbo.codes WHERE code = ?";
        let asked = Query { parameters: vec![Value::Text("a1".to_owned())], ..query(sql) };
        assert_eq!(site.all_of(asked).await.unwrap(), [[Cell::of("b")]]);
    }
    let report = site.server().at_rest();
    assert_eq!(report.of("sp_describe_first_result_set").len(), 1);
    assert_eq!(report.of("WHERE code = CAST(@P1 AS varchar(8000))").len(), 3, "{:?}", report.statements);
    // What not every code page can write stays as it is.
    let sql = "SELECT name FROM dbo.codes WHERE code = ?";
    let asked = Query { parameters: vec![Value::Text("\u{3b5}".to_owned())], ..query(sql) };
    assert!(site.all_of(asked).await.unwrap().is_empty());
    assert_eq!(site.server().report().of("WHERE code = @P1").len(), 1);
}

#[tokio::test]
async fn a_column_that_changes_its_type_is_seen() {
    let site = Site::new("CREATE TABLE dbo.drift (a int)\nGO\nINSERT INTO dbo.drift VALUES (1)");
    assert_eq!(site.one("SELECT a FROM dbo.drift").await, "1");
    site.server().execute("DROP TABLE dbo.drift");
    site.server().execute("CREATE TABLE dbo.drift (a nvarchar(5))");
    site.server().execute("INSERT INTO dbo.drift VALUES (N'x')");
    // What was described is not what comes: it is read as what comes, and described anew the next time.
    for declared in ["", "nvarchar(5)"] {
        let mut rows = site.ask(query("SELECT a FROM dbo.drift")).await.unwrap();
        assert!(matches!(rows.columns[0].kind, ColumnKind::Text { .. }), "{:?}", rows.columns);
        assert_eq!(rows.columns[0].declared, declared);
        assert_eq!(super::set(&rows.batches.recv().await.unwrap().unwrap()), [[Cell::of("x")]]);
    }
    site.server().execute("DROP TABLE dbo.drift");
    let error = site.all("SELECT a FROM dbo.drift").await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Missing);
}

/// Nobody can describe what a procedure brings; it is exact all the same.
#[tokio::test]
async fn amounts_and_utf8_of_procedures_are_what_they_are() {
    use tollbridge::adapters::sql::{Action, Argument, Step, Value};
    use tollbridge::decode::rows::ColumnKind;
    let script = "IF OBJECT_ID('dbo.brings') IS NOT NULL DROP PROCEDURE dbo.brings\nGO\n\
        IF OBJECT_ID('dbo.brought') IS NOT NULL DROP TABLE dbo.brought\nGO\n\
        CREATE TABLE dbo.brought (a money, b smallmoney, c varchar(20) COLLATE Japanese_CI_AS, d int, \
        e varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8, f varchar(20) COLLATE Latin1_General_CI_AS)\nGO\n\
        INSERT INTO dbo.brought VALUES (-922337203685477.5808, 214748.3647, N'\u{65e5}\u{672c}', 7, N'\u{dc}\u{3b5}', \
        N'\u{c3}\u{bc}')\nGO\n\
        INSERT INTO dbo.brought VALUES (922337203685477.5807, NULL, NULL, 8, NULL, NULL)\nGO\n\
        CREATE PROCEDURE dbo.brings @most money OUTPUT AS\nBEGIN\n\
        SELECT d FROM dbo.brought ORDER BY d;\n\
        SELECT a, b, c, d, e, f FROM dbo.brought ORDER BY d;\n\
        SELECT @most = a FROM dbo.brought WHERE d = 8;\nEND\nGO\n";
    for site in everywhere(script).await {
        let money = ColumnKind::Decimal { precision: 19, scale: 4 };
        let most = Argument { name: "most".to_owned(), value: Value::Null(money), out: Some(money) };
        let step = Step::of(Action::Procedure { name: "dbo.brings".to_owned(), arguments: vec![most] });
        let done = site.transact(super::atomic(vec![step])).await.unwrap().remove(0);
        let rows = super::set(&done.sets[1]);
        let first = ["-922337203685477.5808", "214748.3647", "\u{65e5}\u{672c}", "7", "\u{dc}\u{3b5}", "\u{c3}\u{bc}"];
        assert_eq!(rows[0], first.map(Cell::of));
        assert_eq!(rows[1][0], Cell::of("922337203685477.5807"));
        assert_eq!(rows[1][1..], [Cell::Null, Cell::Null, Cell::of("8"), Cell::Null, Cell::Null]);
        assert_eq!(done.out, [("most".to_owned(), Some(b"922337203685477.5807".to_vec()))]);
    }
}
