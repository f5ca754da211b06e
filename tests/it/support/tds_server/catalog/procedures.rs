//! The procedures by which drivers list tables, columns, keys and indexes: `sp_tables`, `sp_columns`, `sp_pkeys` and
//! `sp_statistics`, as Microsoft's reference has them ("Catalog stored procedures"). The columns of their results are those of
//! ODBC's catalogue functions, under the names of its second version.

use rusqlite::types::Value;

use super::{Rows, number, text, users};
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::schema::{ColumnDef, Schema, Table};
use crate::support::tds_server::shared;
use crate::support::tds_server::value::types::{Family, MAX, SqlType};
use crate::support::tds_server::wire::tokens::Column;

/// An answer: its columns and rows.
pub(crate) type Listing = (Vec<Column>, Rows);

/// What a procedure was given, by name or by place.
pub(crate) struct Given<'g> {
    pub(crate) database: &'g str,
    /// The values by their names; `None` is NULL.
    pub(crate) named: &'g dyn Fn(usize, &str) -> Option<String>,
}

impl Given<'_> {
    /// A table is named by the same three in all of them.
    fn table(&self) -> (Option<String>, Option<String>) {
        ((self.named)(0, "@table_name"), (self.named)(1, "@table_owner"))
    }

    /// The procedures list what is in this database alone.
    fn check_database(&self) -> Result<(), SqlFault> {
        match (self.named)(2, "@table_qualifier") {
            Some(named) if !named.is_empty() && !named.eq_ignore_ascii_case(self.database) => Err(SqlFault::new(
                15_250,
                "The database name component of the object qualifier must be the name of the current database.",
            )),
            _ => Ok(()),
        }
    }
}

/// The answer of a procedure of this name; `None` where it is none of these.
pub(crate) fn listing(name: &str, schema: &Schema, given: &Given<'_>) -> Result<Option<Listing>, SqlFault> {
    let made = match name {
        "sp_tables" => tables(schema, given)?,
        "sp_columns" => columns(schema, given)?,
        "sp_pkeys" => keys(schema, given)?,
        "sp_statistics" => statistics(schema, given)?,
        _ => return Ok(None),
    };
    Ok(Some(made))
}

fn declared(written: &[(&str, &str)]) -> Vec<Column> {
    shared::columns(written).into_iter().map(|def| def.column).collect()
}

/// Whether a name is like a pattern of LIKE, whatever the case of its letters.
fn is_like(name: &str, pattern: &str) -> bool {
    fn from(name: &[char], pattern: &[char]) -> bool {
        match (pattern, name) {
            ([], _) => name.is_empty(),
            (['%', rest @ ..], _) => (0..=name.len()).any(|at| from(&name[at..], rest)),
            (_, []) => false,
            (['_', rest @ ..], [_, others @ ..]) => from(others, rest),
            (['[', rest @ ..], [first, others @ ..]) => match rest.iter().position(|sign| *sign == ']') {
                Some(end) => rest[..end].contains(first) && from(others, &rest[end + 1..]),
                None => *first == '[' && from(others, rest),
            },
            ([sign, rest @ ..], [first, others @ ..]) => sign == first && from(others, rest),
        }
    }
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    from(&letters(name), &letters(pattern))
}

/// Whether a part of a name is the one that is asked for; without one, any is.
fn is_named(part: &str, wanted: &Option<String>) -> bool {
    wanted.as_ref().is_none_or(|wanted| part.eq_ignore_ascii_case(wanted))
}

fn is_meant(part: &str, pattern: &Option<String>) -> bool {
    pattern.as_ref().is_none_or(|pattern| is_like(part, pattern))
}

/// The table that is named exactly.
fn exactly<'s>(schema: &'s Schema, given: &Given<'_>, procedure: &str) -> Result<Vec<&'s Table>, SqlFault> {
    let (name, owner) = given.table();
    let Some(name) = name else {
        let message =
            format!("Procedure or function '{procedure}' expects parameter '@table_name', which was not supplied.");
        return Err(SqlFault::new(201, message));
    };
    given.check_database()?;
    let is_it = |table: &&Table| table.name.eq_ignore_ascii_case(&name) && is_named(&table.schema, &owner);
    Ok(users(schema).map(|table| &**table).filter(is_it).collect())
}

fn tables(schema: &Schema, given: &Given<'_>) -> Result<Listing, SqlFault> {
    let (name, owner) = given.table();
    given.check_database()?;
    // A list in quotes: `'TABLE','VIEW'`.
    let kinds = (given.named)(3, "@table_type").map(|kinds| {
        kinds.split(',').map(|kind| kind.trim().trim_matches('\'').to_ascii_uppercase()).collect::<Vec<_>>()
    });
    let mut rows = Rows::new();
    for table in &schema.tables {
        // The catalog's own are views of the server.
        let kind = match (table.is_system() || table.view.is_some(), table.schema == "cdc") {
            (true, _) => "VIEW",
            (false, true) => "SYSTEM TABLE",
            (false, false) => "TABLE",
        };
        let is_wanted = kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|wanted| wanted == kind));
        if is_wanted && is_meant(&table.name, &name) && is_meant(&table.schema, &owner) {
            rows.push(vec![text(given.database), text(&table.schema), text(&table.name), text(kind), Value::Null]);
        }
    }
    rows.sort_by_key(|row| [3, 0, 1, 2].map(|at| format!("{:?}", row[at])));
    let columns = declared(&[
        ("TABLE_QUALIFIER", "sysname"),
        ("TABLE_OWNER", "sysname"),
        ("TABLE_NAME", "sysname"),
        ("TABLE_TYPE", "varchar(32)"),
        ("REMARKS", "varchar(254)"),
    ]);
    Ok((columns, rows))
}

/// ODBC's numbers of a type: of its values, of its family, and which kind of time it is.
fn odbc_type(declared: &SqlType) -> (i64, i64, Option<i64>) {
    use SqlType::*;
    let one = |number: i64| (number, number, None);
    match declared {
        Bit => one(-7),
        TinyInt => one(-6),
        SmallInt => one(5),
        Int => one(4),
        BigInt => one(-5),
        Real => one(7),
        Float => one(6),
        SmallMoney | Money | Decimal(..) => one(3),
        Numeric(..) => one(2),
        Date => (91, 9, Some(1)),
        SmallDateTime | DateTime | DateTime2(_) => (93, 9, Some(3)),
        Time(_) => (-154, -154, None),
        DateTimeOffset(_) => (-155, -155, None),
        Guid => one(-11),
        Char(..) => one(1),
        VarChar(..) => one(12),
        NChar(..) => one(-8),
        NVarChar(..) => one(-9),
        SqlType::Text(_) => one(-1),
        NText(_) => one(-10),
        Binary(_) | RowVersion => one(-2),
        VarBinary(_) => one(-3),
        Image => one(-4),
        Xml => one(-152),
        Variant => one(-150),
    }
}

/// Characters or digits, and bytes; long types have 0 of both.
fn sizes(declared: &SqlType) -> (i64, i64) {
    use SqlType::*;
    match declared {
        VarChar(MAX, _) | NVarChar(MAX, _) | VarBinary(MAX) | Xml => (0, 0),
        SqlType::Text(_) | Image => (2_147_483_647, 2_147_483_647),
        NText(_) => (1_073_741_823, 2_147_483_646),
        _ => {
            let (digits, bytes) = (i64::from(declared.digits().0), declared.bytes());
            match declared.family() {
                Family::Text if declared.is_wide() => (bytes / 2, bytes),
                Family::Text | Family::Bytes | Family::Variant => (bytes, bytes),
                // As they are written.
                Family::Exact => (digits, digits + 2),
                _ => (digits, bytes),
            }
        }
    }
}

fn columns(schema: &Schema, given: &Given<'_>) -> Result<Listing, SqlFault> {
    let (name, owner) = given.table();
    given.check_database()?;
    let wanted = (given.named)(3, "@column_name");
    let mut rows = Rows::new();
    let mut found: Vec<&Table> = users(schema).map(|table| &**table).collect();
    found.retain(|table| is_meant(&table.name, &name) && is_meant(&table.schema, &owner));
    found.sort_by_key(|table| (table.schema.clone(), table.name.clone()));
    for table in found {
        for (at, def) in table.columns.iter().enumerate().filter(|(_, def)| is_meant(&def.column.name, &wanted)) {
            rows.push(column(given.database, table, def, at));
        }
    }
    let columns = declared(&[
        ("TABLE_QUALIFIER", "sysname"),
        ("TABLE_OWNER", "sysname"),
        ("TABLE_NAME", "sysname"),
        ("COLUMN_NAME", "sysname"),
        ("DATA_TYPE", "smallint"),
        ("TYPE_NAME", "sysname"),
        ("PRECISION", "int"),
        ("LENGTH", "int"),
        ("SCALE", "smallint"),
        ("RADIX", "smallint"),
        ("NULLABLE", "smallint"),
        ("REMARKS", "varchar(254)"),
        ("COLUMN_DEF", "nvarchar(4000)"),
        ("SQL_DATA_TYPE", "smallint"),
        ("SQL_DATETIME_SUB", "smallint"),
        ("CHAR_OCTET_LENGTH", "int"),
        ("ORDINAL_POSITION", "int"),
        ("IS_NULLABLE", "varchar(254)"),
        ("SS_DATA_TYPE", "tinyint"),
    ]);
    Ok((columns, rows))
}

fn column(database: &str, table: &Table, def: &ColumnDef, at: usize) -> Vec<Value> {
    let own = &def.column.declared;
    let (kind, family, time) = odbc_type(own);
    let (precision, length) = sizes(own);
    let is_number = matches!(own.family(), Family::Whole | Family::Exact | Family::Binary64);
    let has_scale = is_number || own.family() == Family::Temporal;
    let is_octets = matches!(own.family(), Family::Text | Family::Bytes) && *own != SqlType::Guid;
    let when = |condition: bool, value: Value| if condition { value } else { Value::Null };
    let name = if def.column.identity { format!("{} identity", own.word()) } else { own.word().to_owned() };
    vec![
        text(database),
        text(&table.schema),
        text(&table.name),
        text(&def.column.name),
        number(kind),
        text(name),
        number(precision),
        number(length),
        when(has_scale, number(own.digits().1)),
        when(is_number, number(if own.family() == Family::Binary64 { 2 } else { 10 })),
        number(i64::from(def.column.nullable)),
        Value::Null,
        def.default.as_ref().map_or(Value::Null, |default| text(format!("({default})"))),
        number(family),
        time.map_or(Value::Null, number),
        when(is_octets, number(length)),
        number(at as i64 + 1),
        text(if def.column.nullable { "YES" } else { "NO" }),
        number(own.id()),
    ]
}

fn keys(schema: &Schema, given: &Given<'_>) -> Result<Listing, SqlFault> {
    let mut rows = Rows::new();
    for table in exactly(schema, given, "sp_pkeys")? {
        let Some(key) = table.key() else { continue };
        for (at, name) in key.columns.iter().enumerate() {
            rows.push(vec![
                text(given.database),
                text(&table.schema),
                text(&table.name),
                text(name),
                number(at as i64 + 1),
                text(&key.name),
            ]);
        }
    }
    let columns = declared(&[
        ("TABLE_QUALIFIER", "sysname"),
        ("TABLE_OWNER", "sysname"),
        ("TABLE_NAME", "sysname"),
        ("COLUMN_NAME", "sysname"),
        ("KEY_SEQ", "smallint"),
        ("PK_NAME", "sysname"),
    ]);
    Ok((columns, rows))
}

fn statistics(schema: &Schema, given: &Given<'_>) -> Result<Listing, SqlFault> {
    let index_name = (given.named)(3, "@index_name");
    let only_unique = (given.named)(4, "@is_unique").is_some_and(|only| only.eq_ignore_ascii_case("Y"));
    let mut rows = Rows::new();
    for table in exactly(schema, given, "sp_statistics")? {
        let head = || vec![text(given.database), text(&table.schema), text(&table.name)];
        // The table itself comes first.
        let whole = [Value::Null, Value::Null, Value::Null, number(0), Value::Null, Value::Null, Value::Null];
        rows.push([head(), whole.to_vec(), vec![number(0), number(1), Value::Null]].concat());
        let mut indexes: Vec<_> = table.indexes.iter().collect();
        indexes.retain(|index| (index.is_unique || !only_unique) && is_meant(&index.name, &index_name));
        // The key is the clustered one here.
        indexes.sort_by_key(|index| (!index.is_unique, !index.is_primary, index.name.clone()));
        for index in indexes {
            for (at, name) in index.columns.iter().enumerate() {
                let own = [
                    number(i64::from(!index.is_unique)),
                    text(&table.name),
                    text(&index.name),
                    number(if index.is_primary { 1 } else { 3 }),
                    number(at as i64 + 1),
                    text(name),
                    text("A"),
                    number(0),
                    number(1),
                    Value::Null,
                ];
                rows.push([head(), own.to_vec()].concat());
            }
        }
    }
    let columns = declared(&[
        ("TABLE_QUALIFIER", "sysname"),
        ("TABLE_OWNER", "sysname"),
        ("TABLE_NAME", "sysname"),
        ("NON_UNIQUE", "smallint"),
        ("INDEX_QUALIFIER", "sysname"),
        ("INDEX_NAME", "sysname"),
        ("TYPE", "smallint"),
        ("SEQ_IN_INDEX", "smallint"),
        ("COLUMN_NAME", "sysname"),
        ("COLLATION", "char(1)"),
        ("CARDINALITY", "int"),
        ("PAGES", "int"),
        ("FILTER_CONDITION", "varchar(128)"),
    ]);
    Ok((columns, rows))
}
