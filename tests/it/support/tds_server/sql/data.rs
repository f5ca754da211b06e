//! INSERT, UPDATE and DELETE.

use std::sync::Arc;

use super::expression::Expression;
use super::lexer::Token;
use super::parser::{Parser, Source, quoted};
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::schema::{ColumnDef, Table};
use crate::support::tds_server::value::types::SqlType;
use crate::support::tds_server::wire::tokens::Column;

/// A change of rows, and what it brings (OUTPUT).
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) table: Arc<Table>,
    pub(crate) sql: String,
    pub(crate) command: u16,
    pub(crate) output: Vec<Column>,
    /// The column that numbers itself, where this statement has let it.
    pub(crate) identity: bool,
}

const INSERT: u16 = 195;
const DELETE: u16 = 196;
const UPDATE: u16 = 197;

impl Parser<'_> {
    fn changed_table(&mut self) -> Result<Arc<Table>, SqlFault> {
        let parts = self.names()?;
        let table = self.table(&parts)?;
        if table.is_system() || table.view.is_some() {
            return Err(SqlFault::new(259, "Ad hoc updates to system catalogs are not allowed."));
        }
        if self.sees("with") && matches!(self.peek_at(1), Some(Token::Sign("("))) && !self.sees_at(2, "select") {
            self.at += 2;
            self.skip_parentheses()?;
        }
        Ok(table)
    }

    pub(super) fn insert(&mut self) -> Result<Change, SqlFault> {
        self.at += 1;
        self.takes("into");
        let table = self.changed_table()?;
        let is_given = |column: &&ColumnDef| {
            column.computed.is_none() && column.column.declared != SqlType::RowVersion && !column.column.identity
        };
        let mut targets: Vec<ColumnDef> = table.columns.iter().filter(is_given).cloned().collect();
        if self.sees_sign("(") && !self.sees_at(1, "select") {
            self.at += 1;
            let names = self.name_list()?;
            let find = |name: &String| {
                table.column(name).cloned().ok_or_else(|| SqlFault::new(207, format!("Invalid column name '{name}'.")))
            };
            targets = names.iter().map(find).collect::<Result<_, _>>()?;
        }
        if targets.iter().any(|target| target.column.declared == SqlType::RowVersion) {
            return Err(SqlFault::new(273, "Cannot insert an explicit value into a timestamp column."));
        }
        let (returning, output) = self.output(&table)?;
        let names: Vec<String> = (0..targets.len()).map(|at| format!("c{at}")).collect();
        let source = if self.takes("values") {
            self.rows(&targets)?
        } else if self.takes("default") {
            self.expect("values")?;
            targets.clear();
            "SELECT 1".to_owned()
        } else if self.takes("exec") || self.takes("execute") {
            return Err(SqlFault::new(102, "INSERT ... EXEC is not served here."));
        } else {
            self.select()?.sql
        };
        let mut columns: Vec<String> = targets.iter().map(|target| quoted(&target.column.name)).collect();
        let mut values: Vec<String> = targets
            .iter()
            .zip(&names)
            .map(|(target, name)| Expression::new(name.clone(), target.column.declared).cast(&target.column.declared))
            .collect();
        let mut identity = false;
        for column in &table.columns {
            if targets.iter().any(|target| target.column.name == column.column.name) || column.computed.is_some() {
                continue;
            }
            let value = if column.column.identity {
                identity = true;
                format!("ts_identity({})", table.id)
            } else if column.column.declared == SqlType::RowVersion {
                "ts_rowversion()".to_owned()
            } else if let Some(default) = &column.default {
                default.clone()
            } else {
                continue;
            };
            columns.push(quoted(&column.column.name));
            values.push(value);
        }
        let source = if targets.is_empty() {
            "source AS (SELECT 1)".to_owned()
        } else {
            format!("source({}) AS ({source})", names.join(", "))
        };
        let sql = format!(
            "WITH {source} INSERT INTO {} ({}) SELECT {} FROM source WHERE true{returning}",
            quoted(&table.stored()),
            columns.join(", "),
            values.join(", ")
        );
        Ok(Change { table, sql, command: INSERT, output, identity })
    }

    /// The rows behind VALUES.
    fn rows(&mut self, targets: &[ColumnDef]) -> Result<String, SqlFault> {
        let mut rows = Vec::new();
        loop {
            self.expect_sign("(")?;
            let mut cells = Vec::new();
            loop {
                let at = cells.len();
                cells.push(if self.takes("default") {
                    targets.get(at).and_then(|target| target.default.clone()).unwrap_or_else(|| "NULL".to_owned())
                } else {
                    self.expression()?.sql
                });
                if !self.takes_sign(",") {
                    break;
                }
            }
            self.expect_sign(")")?;
            if cells.len() != targets.len() {
                return Err(SqlFault::new(
                    213,
                    "Column name or number of supplied values does not match table definition.",
                ));
            }
            rows.push(format!("({})", cells.join(", ")));
            if !self.takes_sign(",") {
                return Ok(format!("VALUES {}", rows.join(", ")));
            }
        }
    }

    /// `OUTPUT inserted.a, deleted.b`.
    fn output(&mut self, table: &Table) -> Result<(String, Vec<Column>), SqlFault> {
        if !self.takes("output") {
            return Ok((String::new(), Vec::new()));
        }
        let (mut sql, mut columns) = (Vec::new(), Vec::new());
        loop {
            if !self.takes("inserted") && !self.takes("deleted") {
                return Err(self.syntax());
            }
            self.expect_sign(".")?;
            if self.takes_sign("*") {
                for column in &table.columns {
                    sql.push(quoted(&column.column.name));
                    columns.push(column.column.clone());
                }
            } else {
                let name = self.name()?;
                let found =
                    table.column(&name).ok_or_else(|| SqlFault::new(207, format!("Invalid column name '{name}'.")))?;
                let mut column = found.column.clone();
                sql.push(quoted(&column.name));
                if self.takes("as") {
                    column.name = self.name()?;
                }
                columns.push(column);
            }
            if !self.takes_sign(",") {
                return Ok((format!(" RETURNING {}", sql.join(", ")), columns));
            }
        }
    }

    fn in_scope_of<T>(
        &mut self,
        table: &Table,
        alias: &str,
        read: impl FnOnce(&mut Self) -> Result<T, SqlFault>,
    ) -> Result<T, SqlFault> {
        let columns = table.columns.iter().map(|found| found.column.clone()).collect();
        self.scopes.push(vec![Source { alias: alias.to_owned(), columns }]);
        let made = read(self);
        self.scopes.pop();
        made
    }

    pub(super) fn update(&mut self) -> Result<Change, SqlFault> {
        self.at += 1;
        let limit = self.top()?;
        let table = self.changed_table()?;
        self.expect("set")?;
        let alias = table.name.clone();
        let mut output = (String::new(), Vec::new());
        let (sets, condition) = self.in_scope_of(&table, &alias, |parser| {
            let mut sets = Vec::new();
            loop {
                let name = parser.names()?.pop().unwrap_or_default();
                let target =
                    table.column(&name).ok_or_else(|| SqlFault::new(207, format!("Invalid column name '{name}'.")))?;
                let sign = ["=", "+=", "-="]
                    .into_iter()
                    .find(|sign| parser.takes_sign(sign))
                    .ok_or_else(|| parser.syntax())?;
                let value = parser.expression()?.cast(&target.column.declared);
                let stored = quoted(&target.column.name);
                sets.push(match sign {
                    "=" => format!("{stored} = {value}"),
                    _ => format!("{stored} = {stored} {} {value}", &sign[..1]),
                });
                if !parser.takes_sign(",") {
                    break;
                }
            }
            output = parser.output(&table)?;
            if parser.sees("from") {
                return Err(SqlFault::new(102, "UPDATE ... FROM is not served here."));
            }
            let condition = if parser.takes("where") { parser.expression()?.sql } else { "true".to_owned() };
            Ok((sets, condition))
        })?;
        let mut sets = sets;
        for column in table.columns.iter().filter(|column| column.column.declared == SqlType::RowVersion) {
            sets.push(format!("{} = ts_rowversion()", quoted(&column.column.name)));
        }
        let stored = quoted(&table.stored());
        let condition = limited(&stored, &quoted(&alias), &condition, limit);
        let sql =
            format!("UPDATE {stored} AS {} SET {} WHERE {condition}{}", quoted(&alias), sets.join(", "), output.0);
        Ok(Change { table, sql, command: UPDATE, output: output.1, identity: false })
    }

    pub(super) fn delete(&mut self) -> Result<Change, SqlFault> {
        self.at += 1;
        let limit = self.top()?;
        self.takes("from");
        let table = self.changed_table()?;
        let output = self.output(&table)?;
        let alias = table.name.clone();
        let condition = self.in_scope_of(&table, &alias, |parser| {
            Ok(if parser.takes("where") { parser.expression()?.sql } else { "true".to_owned() })
        })?;
        let stored = quoted(&table.stored());
        let condition = limited(&stored, &quoted(&alias), &condition, limit);
        let sql = format!("DELETE FROM {stored} AS {} WHERE {condition}{}", quoted(&alias), output.0);
        Ok(Change { table, sql, command: DELETE, output: output.1, identity: false })
    }
}

fn limited(stored: &str, alias: &str, condition: &str, limit: Option<String>) -> String {
    match limit {
        Some(limit) => format!("rowid IN (SELECT rowid FROM {stored} AS {alias} WHERE {condition} LIMIT {limit})"),
        None => condition.to_owned(),
    }
}
