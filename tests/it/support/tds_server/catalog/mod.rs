//! The catalog: `sys.*` and `INFORMATION_SCHEMA.*`, kept as tables that are filled anew when something is declared.

mod layout;
pub(crate) mod procedures;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::schema::{ColumnDef, Schema, Table};
use super::sql::ddl;
use super::sql::parser::{literal, quoted};
use super::value::collation::Collation;
use super::value::types::SqlType;
use layout::{TABLES, VIEWS, columns};

fn system(schema: &mut Schema, (owner, name, written): &(&str, &str, &str), view: Option<String>) -> Table {
    Table {
        schema: (*owner).to_owned(),
        name: (*name).to_owned(),
        id: schema.fresh_id(),
        columns: columns(written),
        indexes: Vec::new(),
        view,
        tracked: false,
        captures: Vec::new(),
        generated: None,
    }
}

/// Makes its tables.
pub(crate) fn create(schema: &mut Schema, connection: &Connection) -> rusqlite::Result<()> {
    for written in TABLES {
        let table = system(schema, written, None);
        connection.execute_batch(&ddl::create(&table).join(";"))?;
        schema.put(table);
    }
    for written in VIEWS {
        let table = system(schema, written, None);
        schema.put(table);
    }
    Ok(())
}

/// The user's tables and views.
fn users(schema: &Schema) -> impl Iterator<Item = &std::sync::Arc<Table>> {
    schema.tables.iter().filter(|table| !table.is_system() && table.schema != "cdc")
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn number(number: impl Into<i64>) -> Value {
    Value::Integer(number.into())
}

const THEN: &str = "2020-01-01 00:00:00.000";

/// Fills its tables anew.
pub(crate) fn fill(schema: &Schema, database: &str, connection: &Connection) -> rusqlite::Result<()> {
    for (owner, name, _) in TABLES {
        // The times of commits are kept by the commits.
        if *name != "lsn_time_mapping" {
            connection.execute(&format!("DELETE FROM {}", quoted(&format!("{owner}.{name}"))), [])?;
        }
    }
    for (table, rows) in rows(schema, database) {
        let Some(width) = rows.first().map(Vec::len) else { continue };
        let marks = vec!["?"; width].join(", ");
        let mut insert = connection.prepare(&format!("INSERT INTO {} VALUES ({marks})", quoted(table)))?;
        for row in rows {
            insert.execute(rusqlite::params_from_iter(row))?;
        }
    }
    for (view, sql) in views(schema) {
        connection.execute_batch(&format!("DROP VIEW IF EXISTS {0}; CREATE VIEW {0} AS {sql}", quoted(view)))?;
    }
    Ok(())
}

fn views(schema: &Schema) -> [(&'static str, String); 3] {
    let (mut partitions, mut statistics, mut tracked) = (Vec::new(), Vec::new(), Vec::new());
    for table in users(schema).filter(|table| table.view.is_none()) {
        let id = table.id;
        let rows = match &table.generated {
            Some((rows, _)) => rows.to_string(),
            None => format!("(SELECT count(*) FROM {})", quoted(&table.stored())),
        };
        let index = i64::from(table.key().is_some());
        partitions.push(format!("SELECT {id} AS partition_id, {id} AS object_id, {index} AS index_id, 1 AS partition_number, {id} AS hobt_id, {rows} AS rows"));
        statistics.push(format!("SELECT {id} AS partition_id, {id} AS object_id, {index} AS index_id, 1 AS partition_number, {rows} AS row_count, 1 AS used_page_count, 1 AS reserved_page_count"));
        if table.tracked {
            let valid = format!("(SELECT version FROM \"ct$valid\" WHERE id = {id})");
            tracked.push(format!("SELECT {id} AS object_id, 0 AS is_track_columns_updated_on, {valid} AS min_valid_version, 0 AS begin_version, {valid} AS cleanup_version"));
        }
    }
    let all = |mut parts: Vec<String>, columns: &str| {
        let empty: Vec<String> =
            columns.split(',').filter_map(|c| c.trim().split(' ').next()).map(|c| format!("NULL AS {c}")).collect();
        parts.push(format!("SELECT {} WHERE false", empty.join(", ")));
        parts.join(" UNION ALL ")
    };
    [
        ("sys.partitions", all(partitions, VIEWS[0].2)),
        ("sys.dm_db_partition_stats", all(statistics, VIEWS[1].2)),
        ("sys.change_tracking_tables", all(tracked, VIEWS[2].2)),
    ]
}

type Rows = Vec<Vec<Value>>;

fn rows(schema: &Schema, database: &str) -> Vec<(&'static str, Rows)> {
    let schemas = schema.schema_names();
    let schema_id = |name: &str| number(schema.schema_id(name).unwrap_or(1));
    let mut all: Vec<(&'static str, Rows)> = Vec::new();
    all.push(("sys.schemas", schemas.iter().map(|(id, name)| vec![text(name), number(*id), number(1)]).collect()));
    let snapshot = i64::from(schema.snapshot);
    let cdc = i64::from(schema.tables.iter().any(|table| !table.captures.is_empty()));
    all.push((
        "sys.databases",
        vec![vec![
            text(database),
            number(5),
            text(Collation::DEFAULT.name),
            number(150),
            number(snapshot),
            text(if schema.snapshot { "ON" } else { "OFF" }),
            number(0),
            number(cdc),
            number(0),
            text("MULTI_USER"),
            number(0),
            text("ONLINE"),
            number(0),
            text(THEN),
        ]],
    ));
    all.push(("sys.types", types()));
    let (mut objects, mut tables, mut views, mut columns, mut computed, mut identities) =
        (Rows::new(), Rows::new(), Rows::new(), Rows::new(), Rows::new(), Rows::new());
    let (mut indexes, mut index_columns, mut keys) = (Rows::new(), Rows::new(), Rows::new());
    let (mut standard, mut standard_tables, mut usage, mut constraints) =
        (Rows::new(), Rows::new(), Rows::new(), Rows::new());
    let (mut captures, mut captured) = (Rows::new(), Rows::new());
    for table in users(schema) {
        let id = number(table.id);
        let is_view = table.view.is_some();
        let (kind, words) = if is_view { ("V ", "VIEW") } else { ("U ", "USER_TABLE") };
        let head = vec![text(&table.name), id.clone(), schema_id(&table.schema)];
        objects.push(vec![
            text(&table.name),
            id.clone(),
            Value::Null,
            schema_id(&table.schema),
            number(0),
            text(kind),
            text(words),
            text(THEN),
            text(THEN),
            number(0),
        ]);
        let tail = vec![text(kind), text(words), text(THEN), text(THEN), number(0)];
        if is_view {
            views.push([head, tail].concat());
        } else {
            let cdc = vec![number(i64::from(!table.captures.is_empty())), number(0), number(0), number(0)];
            tables.push([head, tail, cdc].concat());
        }
        standard_tables.push(vec![
            text(database),
            text(&table.schema),
            text(&table.name),
            text(if is_view { "VIEW" } else { "BASE TABLE" }),
        ]);
        for (at, def) in table.columns.iter().enumerate() {
            let place = number(at as i64 + 1);
            columns.push(column(table, def, at));
            if def.computed.is_some() {
                computed.push(vec![id.clone(), text(&def.column.name), place.clone(), text("(computed)"), number(0)]);
            }
            if def.column.identity {
                identities.push(vec![id.clone(), text(&def.column.name), place]);
            }
            standard.push(standard_column(database, table, def, at));
        }
        for (at, index) in table.indexes.iter().enumerate() {
            let index_id = number(at as i64 + if table.key().is_some() { 1 } else { 2 });
            let clustered = index.is_primary;
            indexes.push(vec![
                id.clone(),
                text(&index.name),
                index_id.clone(),
                number(if clustered { 1 } else { 2 }),
                text(if clustered { "CLUSTERED" } else { "NONCLUSTERED" }),
                number(i64::from(index.is_unique)),
                number(i64::from(index.is_primary)),
                number(i64::from(index.is_constraint && !index.is_primary)),
                number(0),
                number(0),
                Value::Null,
                number(0),
            ]);
            for (ordinal, name) in index.columns.iter().enumerate() {
                let ordinal = number(ordinal as i64 + 1);
                let place = table.columns.iter().position(|c| c.column.name.eq_ignore_ascii_case(name)).unwrap_or(0);
                index_columns.push(vec![
                    id.clone(),
                    index_id.clone(),
                    ordinal.clone(),
                    number(place as i64 + 1),
                    ordinal.clone(),
                    number(0),
                    number(0),
                    number(0),
                ]);
                if index.is_constraint {
                    usage.push(vec![
                        text(&table.schema),
                        text(&index.name),
                        text(&table.schema),
                        text(&table.name),
                        text(name),
                        ordinal,
                    ]);
                }
            }
            if index.is_constraint {
                let (kind, words) =
                    if index.is_primary { ("PK", "PRIMARY_KEY_CONSTRAINT") } else { ("UQ", "UNIQUE_CONSTRAINT") };
                keys.push(vec![
                    text(&index.name),
                    number(table.id + 1 + at as i32),
                    schema_id(&table.schema),
                    id.clone(),
                    text(kind),
                    text(words),
                    index_id,
                    number(0),
                ]);
                let standard = words.trim_end_matches("_CONSTRAINT").replace('_', " ");
                constraints.push(vec![
                    text(&table.schema),
                    text(&index.name),
                    text(&table.schema),
                    text(&table.name),
                    text(standard),
                ]);
            }
        }
        if table.key().is_none() && !is_view {
            indexes.push(vec![
                id.clone(),
                Value::Null,
                number(0),
                number(0),
                text("HEAP"),
                number(0),
                number(0),
                number(0),
                number(0),
                number(0),
                Value::Null,
                number(0),
            ]);
        }
        for instance in &table.captures {
            let made = schema.table("cdc", &format!("{instance}_CT")).map_or(0, |made| made.id);
            captures.push(vec![
                number(made),
                number(0),
                id.clone(),
                text(instance),
                Value::Null,
                Value::Null,
                number(0),
                number(0),
                Value::Null,
                table.key().map_or(Value::Null, |key| text(&key.name)),
                Value::Null,
                text(THEN),
            ]);
            for (at, def) in table.columns.iter().enumerate().filter(|(_, def)| def.computed.is_none()) {
                captured.push(vec![
                    number(made),
                    text(&def.column.name),
                    number(at as i64 + 1),
                    text(def.column.declared.word()),
                    number(at as i64 + 1),
                    number(0),
                ]);
            }
        }
    }
    let (mut procedures, mut parameters) = (Rows::new(), Rows::new());
    for (at, procedure) in schema.procedures.iter().enumerate() {
        let id = number(1_000_000 + at as i64);
        procedures.push(vec![
            text(&procedure.name),
            id.clone(),
            schema_id(&procedure.schema),
            text("P "),
            text("SQL_STORED_PROCEDURE"),
            text(THEN),
            text(THEN),
            number(0),
        ]);
        objects.push(vec![
            text(&procedure.name),
            id.clone(),
            Value::Null,
            schema_id(&procedure.schema),
            number(0),
            text("P "),
            text("SQL_STORED_PROCEDURE"),
            text(THEN),
            text(THEN),
            number(0),
        ]);
        for (place, parameter) in procedure.parameters.iter().enumerate() {
            let declared = parameter.declared;
            let (precision, scale) = declared.digits();
            parameters.push(vec![
                id.clone(),
                text(&parameter.name),
                number(place as i64 + 1),
                number(declared.id()),
                number(user_type(&declared)),
                number(declared.bytes()),
                number(precision),
                number(scale),
                number(i64::from(parameter.is_out)),
                number(i64::from(parameter.default.is_some())),
            ]);
        }
    }
    if schema.tracking {
        all.push((
            "sys.change_tracking_databases",
            vec![vec![number(5), number(1), number(2), number(3), text("DAYS")]],
        ));
    }
    all.extend([
        ("sys.objects", objects),
        ("sys.tables", tables),
        ("sys.views", views),
        ("sys.columns", columns),
        ("sys.computed_columns", computed),
        ("sys.identity_columns", identities),
        ("sys.indexes", indexes),
        ("sys.index_columns", index_columns),
        ("sys.key_constraints", keys),
        ("sys.procedures", procedures),
        ("sys.parameters", parameters),
        ("cdc.change_tables", captures),
        ("cdc.captured_columns", captured),
        ("INFORMATION_SCHEMA.COLUMNS", standard),
        ("INFORMATION_SCHEMA.TABLES", standard_tables),
        ("INFORMATION_SCHEMA.KEY_COLUMN_USAGE", usage),
        ("INFORMATION_SCHEMA.TABLE_CONSTRAINTS", constraints),
    ]);
    all
}

/// `user_type_id`: that of the system type, but for a rowversion's.
fn user_type(declared: &SqlType) -> i64 {
    i64::from(declared.id())
}

fn collation(declared: &SqlType) -> Value {
    declared.collation().map_or(Value::Null, |collation| text(collation.name))
}

fn column(table: &Table, def: &ColumnDef, at: usize) -> Vec<Value> {
    let declared = &def.column.declared;
    let (precision, scale) = declared.digits();
    let flag = |flag: bool| number(i64::from(flag));
    vec![
        number(table.id),
        text(&def.column.name),
        number(at as i64 + 1),
        number(declared.id()),
        number(user_type(declared)),
        number(declared.bytes()),
        number(precision),
        number(scale),
        collation(declared),
        flag(def.column.nullable),
        flag(true),
        flag(false),
        flag(def.column.identity),
        flag(def.computed.is_some()),
        flag(def.sparse),
        flag(false),
        flag(false),
        number(0),
        number(0),
    ]
}

fn standard_column(database: &str, table: &Table, def: &ColumnDef, at: usize) -> Vec<Value> {
    use super::value::types::Family;
    let declared = &def.column.declared;
    let (precision, scale) = declared.digits();
    let family = declared.family();
    let is_number = matches!(family, Family::Whole | Family::Exact | Family::Binary64);
    let octets = declared.bytes();
    let characters = if declared.is_wide() && octets > 0 { octets / 2 } else { octets };
    let has_length = (family == Family::Text && *declared != SqlType::Guid) || family == Family::Bytes;
    let when = |condition: bool, value: Value| if condition { value } else { Value::Null };
    vec![
        text(database),
        text(&table.schema),
        text(&table.name),
        text(&def.column.name),
        number(at as i64 + 1),
        def.default.as_ref().map_or(Value::Null, |default| text(format!("({})", literal(default)))),
        text(if def.column.nullable { "YES" } else { "NO" }),
        text(declared.word()),
        when(has_length, number(characters)),
        when(has_length, number(octets)),
        when(is_number, number(precision)),
        when(is_number, number(10)),
        when(is_number, number(scale)),
        when(family == Family::Temporal, number(scale)),
        Value::Null,
        collation(declared),
    ]
}

fn types() -> Rows {
    let words = [
        "image",
        "text",
        "uniqueidentifier",
        "date",
        "time",
        "datetime2",
        "datetimeoffset",
        "tinyint",
        "smallint",
        "int",
        "smalldatetime",
        "real",
        "money",
        "datetime",
        "float",
        "sql_variant",
        "ntext",
        "bit",
        "decimal",
        "numeric",
        "smallmoney",
        "bigint",
        "varbinary",
        "varchar",
        "binary",
        "char",
        "timestamp",
        "nvarchar",
        "nchar",
        "xml",
    ];
    let row = |name: &str, declared: &SqlType, user: i64| {
        let (precision, scale) = declared.digits();
        let length = if declared.collation().is_some() { 8000 } else { declared.bytes() };
        vec![
            text(name),
            number(declared.id()),
            number(user),
            number(4),
            number(length),
            number(precision),
            number(scale),
            collation(declared),
            number(1),
            number(0),
            number(0),
            number(0),
        ]
    };
    let made = |word: &&str| SqlType::named(word, &[], Collation::DEFAULT);
    let mut rows: Rows =
        words.iter().filter_map(|word| made(word).map(|declared| row(word, &declared, user_type(&declared)))).collect();
    rows.push(row("sysname", &SqlType::NAME, 256));
    rows
}
