//! PostgreSQL through psqlodbc.

use tollbridge::decode::rows::ColumnKind;

use super::{Cell, Site, text};
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
