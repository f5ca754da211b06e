//! FROM: tables, joins, queries in parentheses, and functions that bring rows.

use std::sync::Arc;

use super::lexer::Token;
use super::parser::{Parser, Source, quoted};
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::schema::Table;
use crate::support::tds_server::tracking;
use crate::support::tds_server::wire::tokens::Column;

impl Parser<'_> {
    /// All of a FROM, and the one table whose rows are made, where it is that alone.
    pub(super) fn from(&mut self) -> Result<(String, Option<Arc<Table>>), SqlFault> {
        let (mut sql, mut only) = self.source()?;
        loop {
            let join = if self.takes_sign(",") {
                ", "
            } else if self.takes("inner") {
                self.expect("join")?;
                " JOIN "
            } else if self.takes("join") {
                " JOIN "
            } else if self.takes("left") {
                self.outer_join()?;
                " LEFT JOIN "
            } else if self.takes("right") {
                self.outer_join()?;
                " RIGHT JOIN "
            } else if self.takes("full") {
                self.outer_join()?;
                " FULL JOIN "
            } else if self.takes("cross") {
                self.expect("join")?;
                " CROSS JOIN "
            } else {
                return Ok((sql, only));
            };
            let (next, made) = self.source()?;
            if made.is_some() || only.is_some() {
                return Err(SqlFault::new(102, "A table whose rows are made is read alone."));
            }
            only = None;
            sql += join;
            sql += &next;
            if self.takes("on") {
                sql += &format!(" ON {}", self.expression()?.sql);
            }
        }
    }

    fn outer_join(&mut self) -> Result<(), SqlFault> {
        self.takes("outer");
        self.expect("join")
    }

    fn bring(&mut self, alias: &str, columns: Vec<Column>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(Source { alias: alias.to_owned(), columns });
        }
    }

    fn alias(&mut self) -> Result<Option<String>, SqlFault> {
        if self.takes("as") { Ok(Some(self.name()?)) } else { Ok(self.bare_alias()) }
    }

    fn source(&mut self) -> Result<(String, Option<Arc<Table>>), SqlFault> {
        if self.takes_sign("(") {
            // What stands beside it is not seen from within.
            let beside = self.scopes.last_mut().map(std::mem::take).unwrap_or_default();
            let query =
                if self.takes("values") { self.values_source() } else { self.select().map(|q| (q.sql, q.columns)) };
            if let Some(scope) = self.scopes.last_mut() {
                *scope = beside;
            }
            let (sql, mut columns) = query?;
            self.expect_sign(")")?;
            let alias = self.alias()?.unwrap_or_else(|| "q".to_owned());
            let mut sql = format!("({sql})");
            if self.takes_sign("(") {
                let names = self.name_list()?;
                let list: Vec<String> = names.iter().map(|name| quoted(name)).collect();
                for (column, name) in columns.iter_mut().zip(&names) {
                    column.name.clone_from(name);
                }
                sql = format!("(WITH q({}) AS {sql} SELECT * FROM q)", list.join(", "));
            }
            self.bring(&alias, columns);
            return Ok((format!("{sql} AS {}", quoted(&alias)), None));
        }
        if self.sees("changetable") {
            self.at += 1;
            return self.changes();
        }
        let parts = self.names()?;
        if self.sees_sign("(") && !self.is_hint() {
            return self.function(&parts);
        }
        if let [name] = &parts[..]
            && let Some(named) = self.named.iter().rev().find(|named| named.alias.eq_ignore_ascii_case(name)).cloned()
        {
            let alias = self.alias()?.unwrap_or_else(|| name.clone());
            self.bring(&alias, named.columns);
            return Ok((format!("{} AS {}", quoted(&named.alias), quoted(&alias)), None));
        }
        let table = self.table(&parts)?;
        let alias = self.alias()?.unwrap_or_else(|| table.name.clone());
        if self.sees("with") && matches!(self.peek_at(1), Some(Token::Sign("("))) {
            self.at += 2;
            self.skip_parentheses()?;
        } else if self.sees_sign("(") && self.is_hint() {
            self.at += 1;
            self.skip_parentheses()?;
        }
        self.bring(&alias, table.columns.iter().map(|found| found.column.clone()).collect());
        let made = table.generated.is_some().then(|| Arc::clone(&table));
        Ok((format!("{} AS {}", quoted(&table.stored()), quoted(&alias)), made))
    }

    /// The old form of hints: `FROM t (NOLOCK)`.
    fn is_hint(&self) -> bool {
        ["nolock", "readpast", "updlock", "holdlock", "rowlock", "tablock", "readcommittedlock"]
            .iter()
            .any(|hint| self.sees_at(1, hint))
    }

    fn values_source(&mut self) -> Result<(String, Vec<Column>), SqlFault> {
        let mut rows = Vec::new();
        let mut columns = Vec::new();
        loop {
            self.expect_sign("(")?;
            let mut cells = Vec::new();
            loop {
                let value = self.expression()?;
                if rows.is_empty() {
                    let declared = value.declared.unwrap_or(crate::support::tds_server::value::types::SqlType::Int);
                    columns.push(Column::new(&format!("column{}", columns.len() + 1), declared));
                }
                cells.push(value.sql);
                if !self.takes_sign(",") {
                    break;
                }
            }
            self.expect_sign(")")?;
            rows.push(format!("({})", cells.join(", ")));
            if !self.takes_sign(",") {
                return Ok((format!("VALUES {}", rows.join(", ")), columns));
            }
        }
    }

    /// `CHANGETABLE(CHANGES table, version) AS alias`.
    fn changes(&mut self) -> Result<(String, Option<Arc<Table>>), SqlFault> {
        self.expect_sign("(")?;
        self.expect("changes")?;
        let parts = self.names()?;
        let table = self.table(&parts)?;
        self.expect_sign(",")?;
        let since = self.expression()?;
        self.expect_sign(")")?;
        if !table.tracked {
            let message = format!("Change tracking is not enabled on table '{}'.", table.name);
            return Err(SqlFault::new(22_105, message));
        }
        let (sql, columns) = tracking::changes(&table, &since.sql);
        let alias = self.alias()?.unwrap_or_else(|| "CT".to_owned());
        self.bring(&alias, columns);
        Ok((format!("({sql}) AS {}", quoted(&alias)), None))
    }

    /// Functions of CDC, and those whose rows do not matter.
    fn function(&mut self, parts: &[String]) -> Result<(String, Option<Arc<Table>>), SqlFault> {
        let name = parts.last().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        self.expect_sign("(")?;
        let mut arguments = Vec::new();
        while !self.takes_sign(")") {
            arguments.push(self.expression()?);
            self.takes_sign(",");
        }
        let unknown = || SqlFault::new(208, format!("Invalid object name '{}'.", parts.join(".")));
        let instance = name.strip_prefix("fn_cdc_get_all_changes_").ok_or_else(unknown)?;
        let table = self.schema.captured(instance).cloned().ok_or_else(unknown)?;
        let [from, until, option] = &arguments[..] else {
            return Err(SqlFault::new(
                313,
                format!("An insufficient number of arguments were supplied for the procedure or function {name}."),
            ));
        };
        let keeps_old = option.sql.to_ascii_lowercase().contains("update old");
        let (sql, columns) = tracking::all_changes(&table, instance, &from.sql, &until.sql, keeps_old);
        let alias = self.alias()?.unwrap_or_else(|| name.clone());
        self.bring(&alias, columns);
        Ok((format!("({sql}) AS {}", quoted(&alias)), None))
    }
}
