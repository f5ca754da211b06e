//! CREATE, ALTER, DROP and TRUNCATE.

use super::lexer::Token;
use super::parser::{Parser, Source, quoted};
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::schema::{ColumnDef, Index, Procedure, ProcedureParameter, Table};
use crate::support::tds_server::sql::expression::order_of;
use crate::support::tds_server::value::types::{Family, SqlType};
use crate::support::tds_server::wire::tokens::Column;

/// A change of what is declared.
#[derive(Debug)]
pub(crate) enum Definition {
    Table(Box<Table>),
    View(Box<Table>),
    Procedure(Procedure),
    Schema(String),
    Index(Vec<String>, Index),
    Add(Vec<String>, ColumnDef),
    /// A column of another type.
    Alter(Vec<String>, Column),
    DropColumn(Vec<String>, String),
    Drop {
        what: String,
        name: Vec<String>,
        if_exists: bool,
    },
    Truncate(Vec<String>),
    Tracking(Vec<String>, bool),
    /// `ALTER DATABASE ... SET option`.
    Database(String, bool),
}

impl Parser<'_> {
    pub(super) fn definition(&mut self) -> Result<Definition, SqlFault> {
        if self.takes("truncate") {
            self.expect("table")?;
            return Ok(Definition::Truncate(self.names()?));
        }
        if self.takes("drop") {
            let what = self.name()?.to_ascii_lowercase();
            let if_exists = self.takes("if");
            if if_exists {
                self.expect("exists")?;
            }
            let name = self.names()?;
            return Ok(Definition::Drop { what, name, if_exists });
        }
        if self.takes("alter") {
            return self.alter();
        }
        self.expect("create")?;
        let _ = self.takes("or") && self.takes("alter");
        if self.takes("table") {
            return self.create_table();
        }
        if self.takes("view") {
            let (schema, name) = self.new_name()?;
            self.expect("as")?;
            let query = self.select()?;
            let column = |column: Column| ColumnDef { column, default: None, computed: None, sparse: false };
            let columns = query.columns.into_iter().map(column).collect();
            return Ok(Definition::View(Box::new(table(schema, name, columns, Some(query.sql)))));
        }
        if self.takes("procedure") || self.takes("proc") {
            return self.create_procedure();
        }
        if self.takes("schema") {
            return Ok(Definition::Schema(self.name()?));
        }
        let is_unique = self.takes("unique");
        let _ = self.takes("clustered") || self.takes("nonclustered");
        if self.takes("index") {
            let name = self.name()?;
            self.expect("on")?;
            let table = self.names()?;
            self.expect_sign("(")?;
            let columns = self.key_columns()?;
            return Ok(Definition::Index(
                table,
                Index { name, columns, is_unique, is_primary: false, is_constraint: false },
            ));
        }
        Err(self.syntax())
    }

    fn new_name(&mut self) -> Result<(String, String), SqlFault> {
        let mut parts = self.names()?;
        let name = parts.pop().unwrap_or_default();
        Ok((parts.pop().unwrap_or_else(|| "dbo".to_owned()), name))
    }

    /// Columns of a key up to the closing parenthesis.
    fn key_columns(&mut self) -> Result<Vec<String>, SqlFault> {
        let mut columns = Vec::new();
        loop {
            columns.push(self.name()?);
            let _ = self.takes("asc") || self.takes("desc");
            if !self.takes_sign(",") {
                break;
            }
        }
        self.expect_sign(")")?;
        Ok(columns)
    }

    fn create_table(&mut self) -> Result<Definition, SqlFault> {
        let (schema, name) = self.new_name()?;
        self.expect_sign("(")?;
        let mut made = table(schema, name, Vec::new(), None);
        loop {
            let mut constraint = None;
            if self.takes("constraint") {
                constraint = Some(self.name()?);
            }
            if constraint.is_some() || self.sees("primary") || self.sees("unique") {
                self.table_constraint(&mut made, constraint)?;
            } else {
                self.column_definition(&mut made)?;
            }
            if !self.takes_sign(",") {
                break;
            }
        }
        self.expect_sign(")")?;
        for index in made.indexes.iter().filter(|index| index.is_primary) {
            for column in &mut made.columns {
                column.column.nullable &=
                    !index.columns.iter().any(|name| name.eq_ignore_ascii_case(&column.column.name));
            }
        }
        Ok(Definition::Table(Box::new(made)))
    }

    fn table_constraint(&mut self, made: &mut Table, name: Option<String>) -> Result<(), SqlFault> {
        let is_primary = self.takes("primary");
        if is_primary {
            self.expect("key")?;
        } else {
            self.expect("unique")?;
        }
        let _ = self.takes("clustered") || self.takes("nonclustered");
        self.expect_sign("(")?;
        let columns = self.key_columns()?;
        let name = name.unwrap_or_else(|| format!("{}_{}", if is_primary { "PK" } else { "UQ" }, made.name));
        made.indexes.push(Index { name, columns, is_unique: true, is_primary, is_constraint: true });
        Ok(())
    }

    fn column_definition(&mut self, made: &mut Table) -> Result<(), SqlFault> {
        let name = self.name()?;
        // A column by the old name of the type needs no name of its own.
        if self.takes("as") {
            let columns = made.columns.iter().map(|found| found.column.clone()).collect();
            self.scopes.push(vec![Source { alias: String::new(), columns }]);
            let value = self.expression();
            self.scopes.pop();
            let value = value?;
            let _ = self.takes("persisted");
            let declared = value.declared.unwrap_or(SqlType::Int);
            let column = Column { computed: true, ..Column::new(&name, declared) };
            made.columns.push(ColumnDef { column, default: None, computed: Some(value.sql), sparse: false });
            return Ok(());
        }
        let declared = self.declared()?;
        let mut column = Column::new(&name, declared);
        let (mut default, mut sparse) = (None, false);
        column.nullable = declared != SqlType::RowVersion;
        loop {
            if self.takes("not") {
                self.expect("null")?;
                column.nullable = false;
            } else if self.takes("null") {
                column.nullable = true;
            } else if self.takes("sparse") {
                sparse = true;
            } else if self.takes("identity") {
                (column.identity, column.nullable) = (true, false);
                if self.takes_sign("(") {
                    self.skip_parentheses()?;
                }
            } else if self.takes("default") {
                default = Some(self.expression()?.cast(&declared));
            } else if self.takes("constraint") {
                self.name()?;
            } else if self.sees("primary") || self.sees("unique") {
                let is_primary = self.takes("primary");
                if is_primary {
                    self.expect("key")?;
                    column.nullable = false;
                } else {
                    self.at += 1;
                }
                let _ = self.takes("clustered") || self.takes("nonclustered");
                let index = format!("{}_{}_{name}", if is_primary { "PK" } else { "UQ" }, made.name);
                let columns = vec![name.clone()];
                made.indexes.push(Index { name: index, columns, is_unique: true, is_primary, is_constraint: true });
            } else {
                break;
            }
        }
        made.columns.push(ColumnDef { column, default, computed: None, sparse });
        Ok(())
    }

    fn alter(&mut self) -> Result<Definition, SqlFault> {
        if self.takes("database") {
            self.name()?;
            self.expect("set")?;
            let option = self.name()?.to_ascii_lowercase();
            self.takes_sign("=");
            let on = self.takes("on");
            let _ = on || self.takes("off");
            return Ok(Definition::Database(option, on));
        }
        self.expect("table")?;
        let name = self.names()?;
        if self.takes("add") {
            let mut made = table(String::new(), String::new(), Vec::new(), None);
            self.column_definition(&mut made)?;
            let column = made.columns.pop().ok_or_else(|| self.syntax())?;
            return Ok(Definition::Add(name, column));
        }
        if self.takes("drop") {
            self.expect("column")?;
            return Ok(Definition::DropColumn(name, self.name()?));
        }
        if self.takes("alter") {
            self.expect("column")?;
            let mut made = table(String::new(), String::new(), Vec::new(), None);
            self.column_definition(&mut made)?;
            let column = made.columns.pop().ok_or_else(|| self.syntax())?;
            return Ok(Definition::Alter(name, column.column));
        }
        let on = self.takes("enable");
        if !on {
            self.expect("disable")?;
        }
        self.expect("change_tracking")?;
        if self.takes("with") {
            self.expect_sign("(")?;
            self.skip_parentheses()?;
        }
        Ok(Definition::Tracking(name, on))
    }

    fn create_procedure(&mut self) -> Result<Definition, SqlFault> {
        let (schema, name) = self.new_name()?;
        let open = self.takes_sign("(");
        let mut parameters = Vec::new();
        while matches!(self.peek(), Some(Token::Variable(_))) {
            let name = self.variable()?;
            self.takes("as");
            let declared = self.declared()?;
            let mut default = None;
            if self.takes_sign("=") {
                let start = self.at;
                self.expression()?;
                default = Some(self.tokens[start..self.at].to_vec());
            }
            let is_out = self.takes("output") || self.takes("out");
            parameters.push(ProcedureParameter { name, declared, default, is_out });
            self.takes_sign(",");
        }
        if open {
            self.expect_sign(")")?;
        }
        self.expect("as")?;
        let body = self.tokens[self.at..].to_vec();
        self.at = self.tokens.len();
        Ok(Definition::Procedure(Procedure { schema, name, parameters, body }))
    }
}

fn table(schema: String, name: String, columns: Vec<ColumnDef>, view: Option<String>) -> Table {
    Table {
        schema,
        name,
        id: 0,
        columns,
        indexes: Vec::new(),
        view,
        tracked: false,
        captures: Vec::new(),
        generated: None,
    }
}

/// How SQLite keeps a column.
pub(crate) fn stored_column(def: &ColumnDef) -> String {
    let declared = &def.column.declared;
    let affinity = match declared.family() {
        Family::Whole => "INTEGER",
        Family::Binary64 => "REAL",
        Family::Bytes => "BLOB",
        _ => "TEXT",
    };
    let mut sql = format!("{} {affinity}", quoted(&def.column.name));
    if let Some(order) = order_of(declared) {
        sql += &format!(" COLLATE {order}");
    }
    if !def.column.nullable {
        sql += " NOT NULL";
    }
    if let Some(computed) = &def.computed {
        sql += &format!(" GENERATED ALWAYS AS ({computed}) VIRTUAL");
    }
    sql
}

/// SQLite's statements that make a table.
pub(crate) fn create(table: &Table) -> Vec<String> {
    let stored = quoted(&table.stored());
    if let Some(view) = &table.view {
        return vec![format!("CREATE VIEW {stored} AS {view}")];
    }
    let mut parts: Vec<String> = table.columns.iter().map(stored_column).collect();
    if let Some(key) = table.key() {
        let columns: Vec<String> = key.columns.iter().map(|name| quoted(name)).collect();
        parts.push(format!("PRIMARY KEY ({})", columns.join(", ")));
    }
    let temporary = if table.name.starts_with('#') { "TEMP " } else { "" };
    let mut all = vec![format!("CREATE {temporary}TABLE {stored} ({})", parts.join(", "))];
    all.extend(table.indexes.iter().filter(|index| !index.is_primary).map(|index| create_index(table, index)));
    all
}

/// SQLite's statement that makes an index.
pub(crate) fn create_index(table: &Table, index: &Index) -> String {
    let columns: Vec<String> = index.columns.iter().map(|name| quoted(name)).collect();
    let unique = if index.is_unique { "UNIQUE " } else { "" };
    let name = quoted(&format!("{}.{}", table.stored(), index.name));
    format!("CREATE {unique}INDEX {name} ON {} ({})", quoted(&table.stored()), columns.join(", "))
}

impl Parser<'_> {
    /// Parameters with their types: `@a int, @b nvarchar(10) OUTPUT`.
    pub(crate) fn parameters(&mut self) -> Result<Vec<(String, SqlType)>, SqlFault> {
        let mut all = Vec::new();
        while !self.is_at_end() {
            let name = self.variable()?;
            self.takes("as");
            let declared = self.declared()?;
            let _ = self.takes("output") || self.takes("out");
            all.push((name, declared));
            if !self.takes_sign(",") && !self.is_at_end() {
                return Err(self.syntax());
            }
        }
        Ok(all)
    }
}
