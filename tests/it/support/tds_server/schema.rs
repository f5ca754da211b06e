//! What the database declares: tables, procedures, and answers that tests have put in the place of the database's own.

use std::sync::Arc;

use rusqlite::types::Value;

use super::sql::lexer::Token;
use super::value::types::SqlType;
use super::wire::tokens::Column;

/// A column as it is declared.
#[derive(Clone, Debug)]
pub(crate) struct ColumnDef {
    pub(crate) column: Column,
    /// SQLite's text of its default.
    pub(crate) default: Option<String>,
    /// SQLite's text of how it is computed.
    pub(crate) computed: Option<String>,
    pub(crate) sparse: bool,
}

/// An index or a key.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) is_unique: bool,
    pub(crate) is_primary: bool,
    /// Whether it is a constraint of the table.
    pub(crate) is_constraint: bool,
}

/// Makes the cells of row number `n`.
pub(crate) type Generate = Arc<dyn Fn(u64, &mut Vec<Value>) + Send + Sync>;

/// A table, or a view.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) id: i32,
    pub(crate) columns: Vec<ColumnDef>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) view: Option<String>,
    /// Whether Change Tracking is on.
    pub(crate) tracked: bool,
    /// The capture instances of CDC.
    pub(crate) captures: Vec<String>,
    /// Rows that are made when they are asked for: how many, and how.
    pub(crate) generated: Option<(u64, Generate)>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}", self.schema, self.name)
    }
}

impl Table {
    /// Its name in SQLite.
    pub(crate) fn stored(&self) -> String {
        if self.name.starts_with('#') { self.name.clone() } else { format!("{}.{}", self.schema, self.name) }
    }

    pub(crate) fn column(&self, name: &str) -> Option<&ColumnDef> {
        self.columns.iter().find(|found| found.column.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn key(&self) -> Option<&Index> {
        self.indexes.iter().find(|index| index.is_primary)
    }

    pub(crate) fn is_system(&self) -> bool {
        ["sys", "INFORMATION_SCHEMA"].contains(&self.schema.as_str())
    }
}

/// A parameter of a procedure.
#[derive(Clone, Debug)]
pub(crate) struct ProcedureParameter {
    /// With its `@`.
    pub(crate) name: String,
    pub(crate) declared: SqlType,
    pub(crate) default: Option<Vec<Token>>,
    pub(crate) is_out: bool,
}

/// A procedure in T-SQL.
#[derive(Clone, Debug)]
pub(crate) struct Procedure {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) parameters: Vec<ProcedureParameter>,
    pub(crate) body: Vec<Token>,
}

/// An answer to an exact text, in the place of the database's own.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Value>>,
}

/// All that is declared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schema {
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) procedures: Vec<Arc<Procedure>>,
    pub(crate) answers: Vec<Arc<Answer>>,
    /// Schemas beyond `dbo`, `sys`, `cdc` and `INFORMATION_SCHEMA`.
    pub(crate) schemas: Vec<String>,
    next_id: i32,
    /// Whether the database offers snapshot isolation.
    pub(crate) snapshot: bool,
    /// Whether the database tracks changes.
    pub(crate) tracking: bool,
    /// Rights that the login lacks, as `HAS_PERMS_BY_NAME` names them.
    pub(crate) missing_rights: Vec<String>,
}

impl Schema {
    pub(crate) fn table(&self, schema: &str, name: &str) -> Option<Arc<Table>> {
        let same =
            |table: &&Arc<Table>| table.name.eq_ignore_ascii_case(name) && table.schema.eq_ignore_ascii_case(schema);
        self.tables.iter().find(same).cloned()
    }

    pub(crate) fn by_id(&self, id: i32) -> Option<&Arc<Table>> {
        self.tables.iter().find(|table| table.id == id)
    }

    pub(crate) fn procedure(&self, parts: &[String]) -> Option<Arc<Procedure>> {
        let (name, before) = parts.split_last()?;
        let schema = before.last().filter(|schema| !schema.is_empty()).map_or("dbo", String::as_str);
        let same = |procedure: &&Arc<Procedure>| {
            procedure.name.eq_ignore_ascii_case(name) && procedure.schema.eq_ignore_ascii_case(schema)
        };
        self.procedures.iter().find(same).cloned()
    }

    pub(crate) fn fresh_id(&mut self) -> i32 {
        self.next_id += 1;
        245_575_913 + self.next_id * 16
    }

    /// Takes a table in, in the place of one with the same name.
    pub(crate) fn put(&mut self, table: Table) {
        self.tables.retain(|old| !(old.name == table.name && old.schema == table.schema));
        self.tables.push(Arc::new(table));
    }

    pub(crate) fn remove(&mut self, id: i32) {
        self.tables.retain(|table| table.id != id);
    }

    /// The table of a capture instance.
    pub(crate) fn captured(&self, instance: &str) -> Option<&Arc<Table>> {
        let has = |table: &&Arc<Table>| table.captures.iter().any(|name| name.eq_ignore_ascii_case(instance));
        self.tables.iter().find(has)
    }

    /// `dbo` is 1, as in every database.
    pub(crate) fn schema_names(&self) -> Vec<(i32, String)> {
        let known = [(1, "dbo"), (3, "INFORMATION_SCHEMA"), (4, "sys"), (5, "cdc")];
        let mut names: Vec<(i32, String)> = known.iter().map(|(id, name)| (*id, (*name).to_owned())).collect();
        names.extend(self.schemas.iter().enumerate().map(|(at, name)| (6 + at as i32, name.clone())));
        names
    }

    pub(crate) fn schema_id(&self, name: &str) -> Option<i32> {
        self.schema_names().iter().find(|(_, found)| found.eq_ignore_ascii_case(name)).map(|(id, _)| *id)
    }
}
