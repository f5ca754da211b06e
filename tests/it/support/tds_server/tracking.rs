//! Change Tracking and CDC: triggers keep what changes, and queries bring it back.
//!
//! Both count transactions: what one changes gets the number that follows the last one that was committed. Only one
//! transaction writes at a time, so that is the order of the commits.

use super::schema::{ColumnDef, Table};
use super::sql::parser::{literal, quoted};
use super::value::collation::Collation;
use super::value::types::SqlType;
use super::wire::tokens::Column;

/// The tables behind it.
pub(crate) const SETUP: &str = r#"
    CREATE TABLE "ct$state" (current INTEGER NOT NULL, dirty INTEGER NOT NULL);
    INSERT INTO "ct$state" VALUES (0, 0);
    CREATE TABLE "ct$valid" (id INTEGER PRIMARY KEY, version INTEGER NOT NULL);
    CREATE TABLE "cdc$valid" (instance TEXT PRIMARY KEY, lsn BLOB NOT NULL);
"#;

/// Before a transaction is committed: its number is used up where it has changed anything.
pub(crate) const COMMIT: &str = r#"
    INSERT INTO "cdc.lsn_time_mapping" SELECT ts_lsn(current + 1, 1), ts_now(), ts_now(), NULL, NULL
        FROM "ct$state" WHERE dirty;
    UPDATE "ct$state" SET current = current + 1, dirty = 0 WHERE dirty;
"#;

const NEXT: &str = "(SELECT current + 1 FROM \"ct$state\")";

fn key(table: &Table) -> Vec<&ColumnDef> {
    let names = table.key().map(|key| key.columns.clone()).unwrap_or_default();
    names.iter().filter_map(|name| table.column(name)).collect()
}

fn list(columns: &[&ColumnDef], before: &str) -> String {
    columns.iter().map(|column| format!("{before}{}", quoted(&column.column.name))).collect::<Vec<_>>().join(", ")
}

/// What begins to track a table.
pub(crate) fn track(table: &Table) -> String {
    let keys = key(table);
    let (stored, id) = (quoted(&table.stored()), table.id);
    let log = quoted(&format!("ct${}", table.stored()));
    let declared: Vec<String> = keys.iter().map(|column| super::sql::ddl::stored_column(column)).collect();
    let note = |op: &str, of: &str| {
        format!(
            "INSERT INTO {log} (version, op, {}) SELECT {NEXT}, '{op}', {};",
            list(&keys, ""),
            list(&keys, &format!("{of}."))
        )
    };
    let trigger = |name: &str, on: &str, when: &str, notes: &str| {
        let name = quoted(&format!("ct${name}${}", table.stored()));
        format!(
            "CREATE TRIGGER {name} AFTER {on} ON {stored} {when} BEGIN {notes} UPDATE \"ct$state\" SET dirty = 1; END;"
        )
    };
    let same: Vec<String> =
        keys.iter().map(|k| quoted(&k.column.name)).map(|k| format!("old.{k} IS new.{k}")).collect();
    let same = same.join(" AND ");
    [
        format!("CREATE TABLE {log} (seq INTEGER PRIMARY KEY, version INTEGER, op TEXT, {});", declared.join(", ")),
        format!("INSERT OR REPLACE INTO \"ct$valid\" SELECT {id}, current FROM \"ct$state\";"),
        trigger("i", "INSERT", "", &note("I", "new")),
        trigger("d", "DELETE", "", &note("D", "old")),
        trigger("u", "UPDATE", &format!("WHEN {same}"), &note("U", "new")),
        trigger("m", "UPDATE", &format!("WHEN NOT ({same})"), &(note("D", "old") + &note("I", "new"))),
    ]
    .join("\n")
}

/// What ends it.
pub(crate) fn untrack(table: &Table) -> String {
    let stored = table.stored();
    let mut sql = format!("DELETE FROM \"ct$valid\" WHERE id = {};", table.id);
    for name in ["i", "d", "u", "m"] {
        sql += &format!("DROP TRIGGER IF EXISTS {};", quoted(&format!("ct${name}${stored}")));
    }
    sql + &format!("DROP TABLE IF EXISTS {};", quoted(&format!("ct${stored}")))
}

/// The query of `CHANGETABLE(CHANGES table, since)`.
pub(crate) fn changes(table: &Table, since: &str) -> (String, Vec<Column>) {
    let keys = key(table);
    let names = list(&keys, "");
    let log = quoted(&format!("ct${}", table.stored()));
    let sql = format!(
        "SELECT version AS SYS_CHANGE_VERSION, first AS SYS_CHANGE_CREATION_VERSION, \
         CASE WHEN op = 'U' AND first IS NOT NULL THEN 'I' ELSE op END AS SYS_CHANGE_OPERATION, \
         NULL AS SYS_CHANGE_COLUMNS, NULL AS SYS_CHANGE_CONTEXT, {names} FROM (\
         SELECT l.version, l.op, {}, (SELECT max(i.version) FROM {log} i WHERE i.op = 'I' AND i.version > g.since AND {}) \
         AS first FROM {log} l JOIN (SELECT max(seq) AS seq, ifnull(({since}), -1) AS since FROM {log} \
         WHERE version > ifnull(({since}), -1) GROUP BY {names}) g ON g.seq = l.seq)",
        list(&keys, "l."),
        keys.iter().map(|k| quoted(&k.column.name)).map(|k| format!("i.{k} = l.{k}")).collect::<Vec<_>>().join(" AND "),
    );
    let mut columns = vec![
        Column::new("SYS_CHANGE_VERSION", SqlType::BigInt),
        Column::new("SYS_CHANGE_CREATION_VERSION", SqlType::BigInt),
        Column::new("SYS_CHANGE_OPERATION", SqlType::NChar(1, Collation::DEFAULT)),
        Column::new("SYS_CHANGE_COLUMNS", SqlType::VarBinary(4100)),
        Column::new("SYS_CHANGE_CONTEXT", SqlType::VarBinary(128)),
    ];
    columns.extend(keys.iter().map(|column| column.column.clone()));
    (sql, columns)
}

/// The columns that CDC keeps of a table.
fn captured(table: &Table) -> Vec<&ColumnDef> {
    table.columns.iter().filter(|column| column.computed.is_none()).collect()
}

/// The table of a capture instance, `cdc.INSTANCE_CT`.
pub(crate) fn change_table(table: &Table, instance: &str) -> Table {
    let plain = |name: &str, declared: SqlType| ColumnDef {
        column: Column::new(name, declared),
        default: None,
        computed: None,
        sparse: false,
    };
    let mut columns = vec![
        plain("__$start_lsn", SqlType::Binary(10)),
        plain("__$end_lsn", SqlType::Binary(10)),
        plain("__$seqval", SqlType::Binary(10)),
        plain("__$operation", SqlType::Int),
        plain("__$update_mask", SqlType::VarBinary(128)),
    ];
    columns.extend(captured(table).into_iter().map(|column| {
        // What is unique or numbered there is not so here, and a rowversion is the one that it was.
        let mut declared = column.column.declared;
        if declared == SqlType::RowVersion {
            declared = SqlType::Binary(8);
        }
        plain(&column.column.name, declared)
    }));
    columns.push(plain("__$command_id", SqlType::Int));
    Table {
        schema: "cdc".to_owned(),
        name: format!("{instance}_CT"),
        id: 0,
        columns,
        indexes: Vec::new(),
        view: None,
        tracked: false,
        captures: Vec::new(),
        generated: None,
    }
}

/// What begins to capture a table.
pub(crate) fn capture(table: &Table, instance: &str) -> String {
    let columns = captured(table);
    let stored = quoted(&table.stored());
    let target = quoted(&format!("cdc.{instance}_CT"));
    let changed: Vec<String> =
        columns.iter().map(|c| quoted(&c.column.name)).map(|c| format!("old.{c} IS NOT new.{c}")).collect();
    let all: Vec<&str> = columns.iter().map(|_| "1").collect();
    let note = |op: u8, of: &str, mask: &str| {
        format!(
            "INSERT INTO {target} SELECT ts_lsn({NEXT}, 1), NULL, ts_lsn(ts_sequence(), 1), {op}, ts_mask({mask}), {}, 1;",
            list(&columns, &format!("{of}."))
        )
    };
    let trigger = |name: &str, on: &str, notes: &str| {
        let name = quoted(&format!("cdc${name}${instance}"));
        format!("CREATE TRIGGER {name} AFTER {on} ON {stored} BEGIN {notes} UPDATE \"ct$state\" SET dirty = 1; END;")
    };
    let (all, changed) = (all.join(", "), changed.join(", "));
    [
        format!(
            "INSERT OR REPLACE INTO \"cdc$valid\" SELECT {}, ts_lsn(current + 1, 1) FROM \"ct$state\";",
            literal(instance)
        ),
        trigger("i", "INSERT", &note(2, "new", &all)),
        trigger("d", "DELETE", &note(1, "old", &all)),
        trigger("u", "UPDATE", &(note(3, "old", &changed) + &note(4, "new", &changed))),
    ]
    .join("\n")
}

/// The query of `cdc.fn_cdc_get_all_changes_INSTANCE`. Outside of what the instance has, it is an error.
pub(crate) fn all_changes(
    table: &Table,
    instance: &str,
    from: &str,
    until: &str,
    keeps_old: bool,
) -> (String, Vec<Column>) {
    let made = change_table(table, instance);
    let wanted = |column: &&ColumnDef| !["__$end_lsn", "__$command_id"].contains(&column.column.name.as_str());
    let columns: Vec<&ColumnDef> = made.columns.iter().filter(wanted).collect();
    let message = "An insufficient number of arguments were supplied for the procedure or function cdc.fn_cdc_get_all_changes_ ... .";
    let (least, most) = (
        format!("(SELECT lsn FROM \"cdc$valid\" WHERE instance = {} COLLATE NOCASE)", literal(instance)),
        "(SELECT ts_lsn(current, 1) FROM \"ct$state\")",
    );
    let old = if keeps_old { "" } else { " AND \"__$operation\" <> 3" };
    let sql = format!(
        "WITH guard AS MATERIALIZED (SELECT CASE WHEN ({from}) IS NULL OR ({until}) IS NULL OR ({from}) < {least} \
         OR ({until}) > {most} OR ({from}) > ({until}) THEN ts_fail(313, {}) ELSE 1 END AS fine) \
         SELECT {} FROM guard CROSS JOIN {} c WHERE fine AND \"__$start_lsn\" >= ({from}) \
         AND \"__$start_lsn\" <= ({until}){old}",
        literal(message),
        list(&columns, "c."),
        quoted(&made.stored()),
    );
    (sql, columns.iter().map(|column| column.column.clone()).collect())
}
