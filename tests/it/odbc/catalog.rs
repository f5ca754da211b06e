//! What there is to know of tables and of databases, and of what keeps us out.

use tollbridge::adapters::sql::{Database, SqlErrorKind, TableName};
use tollbridge::decode::rows::ColumnKind;

use super::Site;
use crate::support::mariadb::MariaDb;
use crate::support::postgres::Postgres;

fn named(table: &str) -> TableName {
    TableName { table: table.to_owned(), ..TableName::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_postgres_are_known() {
    let server = Postgres::shared();
    let database = server.database("catalog", "");
    server.sql(
        &database,
        "create table orders (id serial primary key, no varchar(10) not null unique, amount numeric(11,2), twice int \
           generated always as (7) stored, who text);
         create index by_who on orders (who, amount); insert into orders (no) values ('a'), ('b'); analyze orders;
         create schema other; create table other.orders (a int, b int, primary key (b, a)); create view v as select 1 as x;
         create role blind login; grant usage on schema public to blind;",
    );
    let site = Site::new(&server.connection(&database), "");
    let tables = site.source.tables(site.permit().await).await.unwrap();
    let names: Vec<_> = tables.iter().map(|name| (name.schema.as_deref().unwrap(), name.table.as_str())).collect();
    assert_eq!(names, [("other", "orders"), ("public", "orders"), ("public", "v")]);
    let error = site.source.table(site.permit().await, named("orders")).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Missing);
    assert!(error.message.contains("other, public") || error.message.contains("public, other"), "{error}");
    let wanted = TableName { schema: Some("public".into()), ..named("orders") };
    let info = site.source.table(site.permit().await, wanted.clone()).await.unwrap();
    assert_eq!((info.primary_key, info.rows, info.is_view), (vec!["id".to_owned()], Some(2), false));
    let columns: Vec<_> = info
        .columns
        .iter()
        .map(|column| (column.column.name.as_str(), column.is_identity, column.is_computed, column.column.nullable))
        .collect();
    assert_eq!(
        columns.iter().map(|(name, identity, computed, _)| (*name, *identity, *computed)).collect::<Vec<_>>(),
        [
            ("id", true, false),
            ("no", false, false),
            ("amount", false, false),
            ("twice", false, true),
            ("who", false, false)
        ]
    );
    assert_eq!(info.columns[2].column.kind, ColumnKind::Decimal { precision: 11, scale: 2 });
    let index = info.indexes.iter().find(|index| index.name == "by_who").unwrap();
    assert_eq!((index.columns.clone(), index.is_unique), (vec!["who".to_owned(), "amount".to_owned()], false));
    assert!(info.indexes.iter().any(|index| index.is_unique && index.columns == ["no"]), "{:?}", info.indexes);
    let wanted_other = TableName { schema: Some("other".into()), ..named("orders") };
    let other = site.source.table(site.permit().await, wanted_other).await.unwrap();
    assert_eq!(other.primary_key, ["b", "a"]);
    assert_eq!(site.source.table(site.permit().await, named("v")).await.map(|info| info.is_view), Ok(true));
    assert_eq!(site.source.table(site.permit().await, named("w")).await.unwrap_err().kind, SqlErrorKind::Missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_mariadb_and_sqlite_are_known() {
    let server = MariaDb::shared();
    let database = server.database("catalog", "character set latin1");
    server.sql(
        &database,
        "create table orders (id int auto_increment primary key, no varchar(10) not null, twice int as (7) virtual, \
         unique key by_no (no)); insert into orders (no) values ('a');",
    );
    let site = Site::new(&server.connection(&database), &server.account());
    assert_eq!(site.source.tables(site.permit().await).await.unwrap().len(), 1);
    let info = site.source.table(site.permit().await, named("orders")).await.unwrap();
    assert_eq!(info.primary_key, ["id"]);
    assert!(info.columns[0].is_identity && info.columns[2].is_computed, "{:?}", info.columns);
    assert_eq!(info.columns[1].collation.as_deref(), Some("latin1_swedish_ci"));
    assert!(info.indexes.iter().any(|index| index.is_unique && index.name == "by_no"), "{:?}", info.indexes);

    let (_folder, connection) = super::sqlite::file(
        "create table orders (id integer primary key, no text not null, amount decimal(11,2)); create table pair (a int, \
         b int, primary key (b, a)); create index by_no on orders (no); insert into orders values (5, 'x', 1);
         create view v as select 1 as x;",
    );
    let site = Site::new(&connection, "");
    let tables: Vec<_> =
        site.source.tables(site.permit().await).await.unwrap().into_iter().map(|name| name.table).collect();
    assert_eq!(tables, ["orders", "pair", "v"]);
    let info = site.source.table(site.permit().await, named("ORDERS")).await.unwrap();
    assert_eq!((info.name.table.as_str(), info.primary_key[0].as_str(), info.rows), ("orders", "id", Some(5)));
    assert!(info.columns[0].is_identity && !info.columns[1].is_identity);
    assert_eq!(info.columns[2].column.declared, "decimal(11,2)");
    assert!(info.indexes.iter().any(|index| index.name == "by_no" && index.columns == ["no"]), "{:?}", info.indexes);
    let pair = site.source.table(site.permit().await, named("pair")).await.unwrap();
    assert_eq!(pair.primary_key, ["b", "a"]);
    assert!(!pair.columns.iter().any(|column| column.is_identity));
}

/// An index with a condition, over an expression, or not built to its end says nothing of rows that it does not have.
#[tokio::test(flavor = "multi_thread")]
async fn only_an_index_over_all_rows_and_whole_columns_is_unique() {
    let server = Postgres::shared();
    let database = server.database("partial", "");
    server.sql(
        &database,
        "create table t (id int primary key, no text, name text, gone bool);
         create unique index whole on t (no, name); create unique index partly on t (no) where not gone;
         create unique index said on t (no, lower(name)); create unique index broken on t (name);
         update pg_index set indisvalid = false where indexrelid = 'broken'::regclass;",
    );
    let (_folder, file) = super::sqlite::file(
        "create table t (id integer primary key, no text, name text, gone int); create unique index whole on t (no, name);
         create unique index partly on t (no) where gone = 0; create unique index said on t (no, lower(name));",
    );
    for connection in [server.connection(&database), file] {
        let site = Site::new(&connection, "");
        let info = site.source.table(site.permit().await, named("t")).await.unwrap();
        let unique: Vec<_> = info.indexes.iter().filter(|index| index.is_unique && index.columns != ["id"]).collect();
        assert!(unique.len() == 1 && unique[0].columns == ["no", "name"], "{connection}: {:?}", info.indexes);
        assert_eq!(info.primary_key, ["id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_ends_at_the_first_step_that_fails() {
    let server = Postgres::shared();
    let database = server.database("doctor", "");
    let all = Site::new(&server.connection(&database), "");
    let probed = all.source.probe(all.permit().await).await.unwrap();
    assert!(probed.product.starts_with("PostgreSQL 1"), "{probed:?}");
    assert_eq!((probed.login.as_deref(), probed.encoding.as_deref()), (Some("tb"), Some("UTF8")));
    assert!(probed.clock_ahead_ms.unwrap().abs() < 60_000);
    server.sql(&database, "create table t (i int)");
    let steps = |site: Site| async move {
        let findings = site.source.diagnose(site.permit().await).await;
        site.settled().await;
        let last = findings.last().unwrap().clone();
        assert!(findings.iter().rev().skip(1).all(|finding| finding.is_well), "{findings:?}");
        assert_eq!(last.remedy.is_some(), !last.is_well, "{last:?}");
        (findings.iter().map(|finding| finding.step).collect::<Vec<_>>(), last)
    };
    let (passed, last) = steps(all).await;
    assert_eq!(passed, ["driver", "resolve", "connect", "login", "rights", "version", "encoding", "clock"]);
    assert!(last.is_well, "{last:?}");
    let connection = server.connection(&database);
    let port = format!("Port={}", server.port);
    for (connection, step, words) in [
        (connection.replace("PostgreSQL Unicode", "Nothing"), "driver", "no driver `Nothing`"),
        ("Driver=/nowhere/x.so".to_owned(), "driver", "no file"),
        ("DSN=nothing".to_owned(), "driver", "no data source"),
        ("Driver=SQLite3;Database=/nowhere/x.sqlite".to_owned(), "connect", "cannot be read"),
        (connection.replace("127.0.0.1", "host.invalid"), "resolve", "is not known"),
        (connection.replace(&port, "Port=1"), "connect", "nothing listens at port 1"),
        (connection.replace("UID=tb", "UID=nobody"), "login", "does not exist"),
        (connection.replace("Database=doctor", "Database=nowhere"), "login", "nowhere"),
    ] {
        let (_, last) = steps(Site::new(&connection, "")).await;
        assert_eq!((last.step, last.is_well), (step, false), "{last:?}");
        assert!(last.said.contains(words), "{last:?}");
    }
}
