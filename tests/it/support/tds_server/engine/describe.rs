//! What a statement brings and takes, before it is done: `sp_describe_first_result_set` and
//! `sp_describe_undeclared_parameters`.

use std::collections::HashMap;

use rusqlite::types::Value;

use super::sink::Sink;
use super::{Engine, Stop};
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::shared;
use crate::support::tds_server::sql::lexer::tokens;
use crate::support::tds_server::sql::parser::Parser;
use crate::support::tds_server::sql::statement::Statement;
use crate::support::tds_server::value::types::SqlType;
use crate::support::tds_server::wire::tokens::{Column, Done};

/// How `system_type_name` writes a type.
fn written(declared: &SqlType) -> String {
    if *declared == SqlType::RowVersion { "timestamp".to_owned() } else { declared.to_string() }
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn number(number: impl Into<i64>) -> Value {
    Value::Integer(number.into())
}

fn columns(written: &[(&str, &str)]) -> Vec<Column> {
    shared::columns(written).into_iter().map(|def| def.column).collect()
}

impl Engine {
    pub(super) fn describe_result(
        &mut self,
        sql: &str,
        declared: &str,
        done: Done,
        sink: &mut Sink,
    ) -> Result<(), Stop> {
        let variables: HashMap<String, SqlType> = self.declared(declared)?.into_iter().collect();
        let row = |(at, column): (usize, Column)| {
            let (precision, scale) = column.declared.digits();
            let flag = |flag: bool| number(i64::from(flag));
            let name = if column.name.is_empty() { Value::Null } else { text(&column.name) };
            let collation = column.declared.collation().map_or(Value::Null, |collation| text(collation.name));
            vec![
                number(0),
                number(at as i64 + 1),
                name,
                flag(column.nullable),
                number(column.declared.id()),
                text(written(&column.declared)),
                number(column.declared.bytes()),
                number(precision),
                number(scale),
                collation,
                flag(column.identity),
                flag(column.computed),
            ]
        };
        let rows: Vec<Vec<Value>> = self.first_result(sql, variables)?.into_iter().enumerate().map(row).collect();
        let columns = columns(&[
            ("is_hidden", "bit"),
            ("column_ordinal", "int"),
            ("name", "sysname"),
            ("is_nullable", "bit"),
            ("system_type_id", "int"),
            ("system_type_name", "nvarchar(256)"),
            ("max_length", "smallint"),
            ("precision", "tinyint"),
            ("scale", "tinyint"),
            ("collation_name", "sysname"),
            ("is_identity_column", "bit"),
            ("is_computed_column", "bit"),
        ]);
        self.rows(&columns, &rows, done, sink)
    }

    /// The columns of the first result; none where there is none.
    fn first_result(&mut self, sql: &str, variables: HashMap<String, SqlType>) -> Result<Vec<Column>, Stop> {
        let (tokens, temporary, facts) = (tokens(sql)?, self.temporary.clone(), self.facts.clone());
        if let Some(shared) = self.elsewhere(&tokens) {
            return self.there(shared, |there| there.first_result(sql, variables));
        }
        let mut parser = Parser::new(&tokens, self.shared.schema(), &temporary, &facts, variables);
        loop {
            parser.skip_separators();
            if parser.is_at_end() {
                return Ok(Vec::new());
            }
            match parser.statement()? {
                Statement::Query(query) if query.variables.is_empty() && query.into.is_none() => {
                    return Ok(query.columns);
                }
                Statement::Change(change) if !change.output.is_empty() => return Ok(change.output),
                Statement::Execute { .. } | Statement::ExecuteText(_) => {
                    let message = "The metadata could not be determined because the statement invokes a procedure.";
                    return Err(SqlFault::new(11_512, message).into());
                }
                _ => {}
            }
        }
    }

    pub(super) fn describe_parameters(&mut self, sql: &str, done: Done, sink: &mut Sink) -> Result<(), Stop> {
        let (tokens, temporary, facts) = (tokens(sql)?, self.temporary.clone(), self.facts.clone());
        if let Some(shared) = self.elsewhere(&tokens) {
            return self.there(shared, |there| there.describe_parameters(sql, done, sink));
        }
        let mut parser = Parser::new(&tokens, self.shared.schema(), &temporary, &facts, HashMap::new());
        parser.undeclared = Some(Vec::new());
        loop {
            parser.skip_separators();
            if parser.is_at_end() {
                break;
            }
            parser.statement()?;
        }
        let mut rows = Vec::new();
        for (at, (name, declared)) in parser.undeclared.unwrap_or_default().into_iter().enumerate() {
            let Some(declared) = declared else {
                let message = format!("The parameter type cannot be deduced because no type was found for '{name}'.");
                return Err(SqlFault::new(11_502, message).into());
            };
            let (precision, scale) = declared.digits();
            rows.push(vec![
                number(at as i64 + 1),
                text(name.to_ascii_uppercase()),
                number(declared.id()),
                text(written(&declared)),
                number(declared.bytes()),
                number(precision),
                number(scale),
            ]);
        }
        let columns = columns(&[
            ("parameter_ordinal", "int"),
            ("name", "sysname"),
            ("suggested_system_type_id", "int"),
            ("suggested_system_type_name", "nvarchar(256)"),
            ("suggested_max_length", "smallint"),
            ("suggested_precision", "tinyint"),
            ("suggested_scale", "tinyint"),
        ]);
        self.rows(&columns, &rows, done, sink)
    }
}
