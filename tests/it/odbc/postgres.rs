//! PostgreSQL through psqlodbc.

use tollbridge::adapters::sql::{Argument, Query, Value};
use tollbridge::decode::rows::ColumnKind;

use super::{Cell, Site, cells, procedure, query, statement, text};
use crate::support::postgres::Postgres;

#[tokio::test]
async fn every_type_comes_in_its_canonical_form() {
    let server = Postgres::shared();
    let database = server.database("types", "");
    server.sql(
        &database,
        "create table t (i int, s smallint, l bigint, d numeric(11,2), n numeric, f float8, r real, b bool, v varchar(10),
           c char(5), x text, y bytea, day date, clock time, at timestamp, zoned timestamptz, u uuid, j jsonb);
         insert into t values (1, -2, 9007199254740993, 12.3, 1.23456789, 0.1, 0.1, true, 'ä€😀', 'ab', E'long\\ntext',
           '\\x00ff10', '2026-11-28', '23:59:59.5', '2026-11-28 10:11:12.000001', '2026-11-28 10:11:12+02',
           'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{\"a\": 1}');
         insert into t (i) values (2);
         insert into t (i, f, r, d, b, day, at) values (3, 'NaN', '-Infinity', 'NaN', false, 'infinity', '0044-03-15 BC');",
    );
    let site = Site::new(&server.connection(&database), "");
    let answer = site.ask("select * from t order by i", &[]).await.unwrap();
    let kinds: Vec<_> = answer.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    let free = ColumnKind::Text { max_chars: None };
    assert_eq!(
        kinds,
        [
            ("i", ColumnKind::Integer),
            ("s", ColumnKind::Integer),
            ("l", ColumnKind::Integer),
            ("d", ColumnKind::Decimal { precision: 11, scale: 2 }),
            ("n", free),
            ("f", ColumnKind::Float),
            ("r", ColumnKind::Float),
            ("b", ColumnKind::Boolean),
            ("v", ColumnKind::Text { max_chars: Some(10) }),
            ("c", ColumnKind::Text { max_chars: Some(5) }),
            ("x", free),
            ("y", ColumnKind::Bytes { max: None }),
            ("day", ColumnKind::Date),
            ("clock", ColumnKind::Time),
            ("at", ColumnKind::DateTime),
            ("zoned", ColumnKind::DateTimeOffset),
            ("u", ColumnKind::Uuid),
            ("j", free),
        ]
    );
    let row = |cells: &[&str]| cells.iter().map(|cell| text(cell)).collect::<Vec<_>>();
    assert_eq!(
        answer.rows[0],
        row(&[
            "1",
            "-2",
            "9007199254740993",
            "12.30",
            "1.23456789",
            "0.1",
            "0.1",
            "1",
            "ä€😀",
            "ab   ",
            "long\ntext",
            "\\x00\\xff\\x10",
            "2026-11-28",
            "23:59:59.5",
            "2026-11-28T10:11:12.000001",
            "2026-11-28T08:11:12Z",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "{\"a\": 1}",
        ])
    );
    assert!(answer.rows[1][1..].iter().all(|cell| *cell == Cell::Null), "{:?}", answer.rows[1]);
    let third = &answer.rows[2];
    assert_eq!((&third[5], &third[6], &third[7]), (&text("NaN"), &text("-inf"), &text("0")));
    assert!(matches!(third[3], Cell::Fault(3, _)), "{:?}", third[3]);
    assert!(matches!(third[12], Cell::Fault(3, _)), "{:?}", third[12]);
    assert!(matches!(third[14], Cell::Fault(3, _)), "{:?}", third[14]);
    site.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_cannot_be_said_is_no_other_time() {
    let server = Postgres::shared();
    let database = server.database("times", "");
    server.sql(
        &database,
        "create table t (i int, day date, at timestamp, zoned timestamptz, clock time);
         insert into t values (1, 'infinity', 'infinity', 'infinity', '24:00');
         insert into t values (2, '-infinity', '-infinity', '-infinity', '23:59:59.999999');
         insert into t values (3, '0044-03-15 BC', '0044-03-15 BC', '0044-03-15 BC', '00:00');
         insert into t values (4, '10000-01-01', '10000-01-01', '10000-01-01', '01:02:03');
         insert into t values (5, '9999-12-31', '9999-12-31 23:59:59', '9999-12-31 23:59:59', '01:02');
         insert into t values (6, current_date, current_date, current_date, null);",
    );
    let today = server.sql(&database, "select current_date");
    let site = Site::new(&server.connection(&database), "");
    let answer =
        site.ask("select * from t where i > ? order by i desc -- as it is", &[Value::Integer(0)]).await.unwrap();
    assert_eq!(answer.columns[3].kind, ColumnKind::DateTimeOffset);
    let [sixth, fifth, rest @ ..] = &answer.rows[..] else { panic!("{:?}", answer.rows) };
    let midnight = format!("{today}T00:00:00");
    assert_eq!(sixth[1..], [text(&today), text(&midnight), text(&format!("{midnight}Z")), Cell::Null]);
    let last = ["9999-12-31", "9999-12-31T23:59:59", "9999-12-31T23:59:59Z", "01:02:00"];
    assert_eq!(fifth[1..], last.map(text));
    let raw = |text: &str| Cell::Fault(3, text.as_bytes().to_vec());
    assert_eq!(rest[0][1..4], [raw("10000-01-01"), raw("10000-01-01 00:00:00"), raw("10000-01-01 00:00:00+00")]);
    assert_eq!(rest[1][1], raw("0044-03-15 BC"));
    assert_eq!(rest[2][1..4], [raw("-infinity"), raw("-infinity"), raw("-infinity")]);
    assert_eq!(rest[3][1..4], [raw("infinity"), raw("infinity"), raw("infinity")]);
    assert_eq!((&rest[3][4], &rest[2][4]), (&raw("24:00:00"), &text("23:59:59.999999")));
    // As of one moment, and where the question can be no part of another.
    let moment =
        Query { isolation: tollbridge::adapters::sql::Isolation::Snapshot, ..query("select at from t where i = 1") };
    assert_eq!(site.query(moment).await.unwrap().rows, [[raw("infinity")]]);
    let names = site.ask("select i as x, day as x, 1 as x from t where i = 5", &[]).await.unwrap();
    assert_eq!(names.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["x", "x", "x"]);
    assert_eq!(names.rows, [[text("5"), text("9999-12-31"), text("1")]]);
    for (at, expected) in
        [("infinity", raw("9999-12-31 23:59:59")), ("2026-11-28 10:11:12.5", text("2026-11-28T10:11:12.5"))]
    {
        let alone = format!("(select timestamp '{at}' as at) union all (select null where false)");
        assert_eq!(site.ask(&alone, &[]).await.unwrap().rows, [[expected]], "{at}");
    }
    // Steps of a write are asked for them in the same way, alone and together.
    for is_atomic in [false, true] {
        let steps = vec![
            statement("update t set clock = '04:05' where i = 5", &[]),
            statement("select at, clock from t where i = ?", &[Value::Integer(1)]),
            statement("select day, clock from t where i = 5 for update", &[]),
        ];
        let outcomes = site.steps(steps, is_atomic).await.unwrap();
        assert_eq!(cells(&outcomes[1].sets[0]), [[raw("infinity"), raw("24:00:00")]], "{is_atomic}");
        assert_eq!(cells(&outcomes[2].sets[0]), [[text("9999-12-31"), text("04:05:00")]], "{is_atomic}");
    }
    let error = site.ask("select day from t where i = 1 / (i - i)", &[]).await.unwrap_err();
    assert_eq!(error.state.as_deref(), Some("22012"), "{error:?}");
    let error = site.ask("select day, nothing from t", &[]).await.unwrap_err();
    assert_eq!(error.kind, tollbridge::adapters::sql::SqlErrorKind::Missing, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_values_are_whole_or_a_fault() {
    let server = Postgres::shared();
    let database = server.database("long", "");
    let site = Site::new(&server.connection(&database), "");
    let lengths = "select i, repeat('x', i)::text as t, repeat('é', i / 2)::varchar as v, decode(repeat('00', i), 'hex') as b \
                   from unnest(array[0, 1, 65535, 65536, 65537, 200000]) i";
    let answer = site.ask(lengths, &[]).await.unwrap();
    for (row, length) in answer.rows.iter().zip([0usize, 1, 65_535, 65_536, 65_537, 200_000]) {
        let (ascii, wide) = ("x".repeat(length), "é".repeat(length / 2));
        if length <= 65_536 {
            assert_eq!(row[1], text(&ascii), "{length}");
            assert_eq!(row[3], text(&"\0".repeat(length)), "{length}");
        } else {
            assert_eq!(row[1], Cell::Fault(2, ascii.as_bytes()[..65_536].to_vec()), "{length}");
            assert_eq!(row[3], Cell::Fault(2, vec![0; 65_536]), "{length}");
        }
        match wide.len() {
            0..=65_536 => assert_eq!(row[2], text(&wide), "{length}"),
            _ => assert_eq!(row[2], Cell::Fault(2, wide.as_bytes()[..65_536].to_vec()), "{length}"),
        }
    }
    // As little as is wanted, in cells that are as wide.
    for settings in ["max_value_bytes = 256", "max_value_bytes = 256\ntext = 'wide'"] {
        let site = Site::new(&server.connection(&database), settings);
        let most = if settings.contains("wide") { 128 } else { 256 };
        let sql = format!("select repeat('x', i) as t from generate_series({most} - 1, {most} + 2) i");
        let lengths = site.ask(&sql, &[]).await.unwrap().rows;
        let is_whole: Vec<_> = lengths.iter().map(|row| matches!(row[0], Cell::Text(_))).collect();
        assert_eq!(is_whole, [true, true, false, false], "{settings}: {lengths:?}");
    }
    // As long as is wanted: what is longer than a cell is read in pieces.
    let site = Site::new(&server.connection(&database), "max_value_bytes = 8000000");
    let answer =
        site.ask("select repeat('é', 1500000) as t, null::text as n, 7 as i, 0.1::float8 as f", &[]).await.unwrap();
    assert_eq!(answer.rows, [[text(&"é".repeat(1_500_000)), Cell::Null, text("7"), text("0.1")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_the_same_wide_and_narrow_and_in_old_code_pages() {
    let server = Postgres::shared();
    let database = server.database("pages", "encoding 'LATIN1' locale 'C' template template0");
    server.sql(&database, "create table t (i int, n varchar(20)); insert into t values (1, 'Grüße')");
    let connection = server.connection(&database);
    let ansi = connection.replace("Unicode", "ANSI");
    let latin1 = format!("{ansi};ConnSettings=set client_encoding to LATIN1");
    for (connection, settings) in [
        (connection.as_str(), ""),
        (connection.as_str(), "text = 'wide'"),
        (latin1.as_str(), "encoding = 'iso-8859-1'"),
    ] {
        let site = Site::new(connection, settings);
        let bound = [Value::Text("Grüße".to_owned())];
        assert_eq!(
            site.ask("select n from t where n = ?", &bound).await.unwrap().rows,
            [[text("Grüße")]],
            "{settings}"
        );
    }
    // What is no text of the page that was said is a fault of its cell.
    let wrong = Site::new(&latin1, "");
    let raw = b"Gr\xfc\xdfe".to_vec();
    assert_eq!(wrong.ask("select i, n from t", &[]).await.unwrap().rows, [[text("1"), Cell::Fault(1, raw)]]);
    let site = Site::new(&latin1, "encoding = 'iso-8859-1'");
    let error = site.ask("select n from t where n = ?", &[Value::Text("€".to_owned())]).await.unwrap_err();
    assert!(error.message.contains("cannot be said in"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_kind_are_bound() {
    let server = Postgres::shared();
    let database = server.database("bound", "");
    server.sql(
        &database,
        "create table t (b bool, i int, l bigint, d numeric(11,2), f float8, n varchar(20), y bytea, day date, at timestamp, \
           zoned timestamptz, u uuid, x text)",
    );
    let site = Site::new(&server.connection(&database), "");
    let written = |kind, text: &str| Value::Written(kind, text.to_owned());
    let values = [
        Value::Boolean(true),
        Value::Integer(-7),
        Value::Integer(i64::MAX),
        Value::Decimal(tollbridge::record::Decimal::parse("-1234.50", b'.', None).unwrap()),
        Value::Float(0.1),
        Value::Text("ä€😀'?".to_owned()),
        Value::Bytes(vec![0, 255, 16]),
        written(ColumnKind::Date, "2026-11-28"),
        written(ColumnKind::DateTime, "2026-11-28T10:11:12.5"),
        written(ColumnKind::DateTimeOffset, "2026-11-28T10:11:12+02:00"),
        written(ColumnKind::Uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        Value::Text(String::new()),
    ];
    site.execute("insert into t values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &values).await.unwrap();
    let nulls = site.ask("select * from t", &[]).await.unwrap();
    let nulls: Vec<_> = nulls.columns.iter().map(|column| Value::Null(column.kind)).collect();
    site.execute("insert into t values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &nulls).await.unwrap();
    let rows = site.ask("select * from t", &[]).await.unwrap().rows;
    let expected = [
        "1",
        "-7",
        "9223372036854775807",
        "-1234.50",
        "0.1",
        "ä€😀'?",
        "\\x00\\xff\\x10",
        "2026-11-28",
        "2026-11-28T10:11:12.5",
        "2026-11-28T08:11:12Z",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "",
    ];
    assert_eq!(rows[0], expected.map(text));
    assert!(rows[1].iter().all(|cell| *cell == Cell::Null), "{:?}", rows[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_may_end_in_a_comment() {
    let server = Postgres::shared();
    let site = Site::new(&server.connection(&server.database("comments", "")), "");
    for sql in ["select 1 as a -- the first", "select 1 as a\n-- the first"] {
        assert_eq!(site.ask(sql, &[]).await.unwrap().rows, [[text("1")]], "{sql}");
    }
    let bound = site.ask("select ? + 0 as a -- the first", &[Value::Integer(1)]).await.unwrap();
    assert_eq!(bound.rows, [[text("1")]]);
    // One with a column that the database is asked for as text.
    let told = site.ask("select date '2026-01-02' + time '10:00' as a, 1 as b -- both", &[]).await.unwrap();
    assert_eq!(told.rows[0][1], text("1"));
}

/// Where many rows may come PostgreSQL writes each as one text; what comes is the same.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_as_texts_are_the_same() {
    let server = Postgres::shared();
    let database = server.database("lines", "");
    server.sql(
        &database,
        "create table t (i int primary key, v varchar(2000), c char(5), d numeric(11,2), f float8, b bool, day date,
           at timestamp, u uuid, l bigint, w varchar(20));
         insert into t values (1, 'a;b', 'ab', -0.05, 0.1, true, '2026-11-28', '2026-11-28 10:11:12.5',
             'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', -9007199254740993, ''),
           (2, null, null, null, null, null, null, null, null, null, null),
           (3, '', ';', 0, 'NaN', false, 'infinity', null, null, 0, ';;12;'),
           (4, E'ä€😀\r\n\ttff;3;', '     ', 'NaN', '-1e300', null, '0044-03-15 BC', '10000-01-01', null, 7, null),
           (5, '5;', '5;', 5, 5, null, null, null, null, null, '5');
         insert into t select i, case when i = 2500 then repeat('ä', 2000) else 'row ' || i end, 'x', i, i / 7.0, i % 2 = 0,
           date '2020-01-01' + i, timestamp '2020-01-01' + i * interval '1 second', null, i, case when i % 3 = 0 then i || ';' end
           from generate_series(6, 3000) i",
    );
    let site = Site::new(&server.connection(&database), "");
    let asked = "select t.*, (select string_agg(statement, '') from pg_cursors)::varchar(3000) as asked from t where i > ? \
                 order by i -- all of them";
    let ask = |batch_rows| {
        let parameters = vec![Value::Integer(0)];
        site.query(Query { batch_rows, parameters, ..query(asked) })
    };
    let (lines, values) = (ask(1000).await.unwrap(), ask(999).await.unwrap());
    assert_eq!(lines.columns, values.columns);
    assert_eq!((lines.rows.len(), values.rows.len()), (3000, 3000));
    for (line, value) in lines.rows.iter().zip(&values.rows) {
        let (Cell::Text(how), Cell::Text(other)) = (&line[11], &value[11]) else { panic!("{line:?} {value:?}") };
        assert!(how.contains("concat_ws") && !other.contains("concat_ws"), "{how} {other}");
        assert_eq!(line[..11], value[..11]);
    }
    assert_eq!(lines.rows[2499][1], text(&"ä".repeat(2000)));
    assert_eq!(lines.rows[2][10], text(";;12;"));
    // What has no width, or is no text, number or time, is asked for as it is.
    for column in ["v::text", "'x'::bytea", "b'101'", "array[i]"] {
        let sql = format!("select i, l, d, {column} as x from t where i < 3 order by i");
        let (some, same) = (site.ask(&sql, &[]).await.unwrap(), query(&sql));
        assert_eq!(some.rows, site.query(Query { batch_rows: 1, ..same }).await.unwrap().rows, "{column}");
    }
    // A driver that is told to change texts is not asked so.
    let changing = Site::new(&format!("{};LFConversion=1", server.connection(&database)), "");
    let rows = changing.query(Query { batch_rows: 1000, parameters: vec![Value::Integer(0)], ..query(asked) }).await;
    assert!(matches!(&rows.unwrap().rows[0][11], Cell::Text(how) if !how.contains("concat_ws")));
}

/// Its calls end when this process is gone, killed or not: else the next one's would come beside them.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_looks_whether_anybody_still_waits() {
    let server = Postgres::shared();
    let site = Site::new(&server.connection(&server.database("leaving", "")), "");
    let told = site.ask("select current_setting('client_connection_check_interval') as a", &[]).await.unwrap();
    assert_eq!(told.rows, [[text("1s")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_give_rows() {
    let server = Postgres::shared();
    let database = server.database("functions", "");
    server.sql(
        &database,
        "create function f(a int, out b int, out c text) language sql as $$ select a * 2, 'x' || a $$;
         create function s(n int) returns setof int language sql as $$ select generate_series(1, n) $$;",
    );
    let site = Site::new(&server.connection(&database), "");
    let input = |value| Argument { name: "a".to_owned(), value: Value::Integer(value), out: None };
    let outcomes =
        site.steps(vec![procedure("f", vec![input(4)]), procedure("s", vec![input(2)])], true).await.unwrap();
    assert_eq!(cells(&outcomes[0].sets[0]), [[text("8"), text("x4")]]);
    assert_eq!(cells(&outcomes[1].sets[0]), [[text("1")], [text("2")]]);
    // More rows than are taken are an error, and nothing is done.
    let many = Query { batch_rows: 1, ..query("select 1") };
    assert_eq!(site.query(many).await.unwrap().rows.len(), 1);
    let error = site.steps(vec![procedure("s", vec![input(1001)])], true).await.unwrap_err();
    assert_eq!(error.kind, tollbridge::adapters::sql::SqlErrorKind::TooLarge, "{error}");
}
