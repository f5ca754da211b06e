//! What is declared, changed.

use std::sync::Arc;

use rusqlite::types::Value;

use super::sink::Sink;
use super::{Engine, Frame, Stop};
use crate::support::tds_server::error::{Reach, SqlFault};
use crate::support::tds_server::schema::{ColumnDef, Table};
use crate::support::tds_server::sql::ddl::{self, Definition};
use crate::support::tds_server::sql::expression::Expression;
use crate::support::tds_server::sql::parser::quoted;
use crate::support::tds_server::sql::select::Select;
use crate::support::tds_server::tracking;
use crate::support::tds_server::wire::tokens::done;

impl Engine {
    pub(super) fn define(&mut self, definition: Definition) -> Result<(), Stop> {
        if let Definition::Table(table) = &definition
            && table.name.starts_with('#')
        {
            return self.temporary_table(*table.clone());
        }
        if let Definition::Drop { name, .. } = &definition
            && let Some(at) = name.last().and_then(|name| self.temporary.iter().position(|table| table.name == *name))
        {
            let table = self.temporary.remove(at);
            return Ok(self.connection.execute_batch(&format!("DROP TABLE temp.{}", quoted(&table.name)))?);
        }
        self.writing(|engine| engine.define_stored(definition))
    }

    fn temporary_table(&mut self, table: Table) -> Result<(), Stop> {
        self.connection.execute_batch(&ddl::create(&table).join(";"))?;
        self.temporary.push(Arc::new(table));
        Ok(())
    }

    /// The table of a name, which is there.
    fn stored(&self, name: &[String]) -> Result<Arc<Table>, Stop> {
        let schema = name.iter().rev().nth(1).map_or("dbo", String::as_str);
        let last = name.last().map(String::as_str).unwrap_or_default();
        let found = self.shared.schema().table(schema, last);
        Ok(found.ok_or_else(|| {
            SqlFault::new(
                4902,
                format!(
                    "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
                    name.join(".")
                ),
            )
        })?)
    }

    fn define_stored(&mut self, definition: Definition) -> Result<(), Stop> {
        let mut schema = (*self.shared.schema()).clone();
        match definition {
            Definition::Table(table) | Definition::View(table) => {
                let mut table = *table;
                if schema.table(&table.schema, &table.name).is_some() {
                    let message = format!("There is already an object named '{}' in the database.", table.name);
                    return Err(SqlFault::new(2714, message).into());
                }
                table.id = schema.fresh_id();
                self.connection.execute_batch(&ddl::create(&table).join(";"))?;
                schema.put(table);
            }
            Definition::Procedure(procedure) => {
                schema.procedures.retain(|old| !(old.name == procedure.name && old.schema == procedure.schema));
                schema.procedures.push(Arc::new(procedure));
            }
            Definition::Schema(name) => schema.schemas.push(name),
            Definition::Index(name, index) => {
                let mut table = (*self.stored(&name)?).clone();
                self.connection.execute_batch(&ddl::create_index(&table, &index))?;
                table.indexes.push(index);
                schema.put(table);
            }
            Definition::Add(name, column) => {
                let mut table = (*self.stored(&name)?).clone();
                let default = column.default.clone();
                let mut stored = ddl::stored_column(&column);
                // Rows that are there have the default; SQLite takes no expression here.
                if default.is_some() {
                    stored = stored.replace(" NOT NULL", "");
                }
                let target = quoted(&table.stored());
                self.connection.execute_batch(&format!("ALTER TABLE {target} ADD COLUMN {stored}"))?;
                if let Some(default) = default {
                    self.connection
                        .execute_batch(&format!("UPDATE {target} SET {} = {default}", quoted(&column.column.name)))?;
                }
                table.columns.push(column);
                schema.put(table);
            }
            Definition::Alter(name, column) => {
                let mut table = (*self.stored(&name)?).clone();
                let (target, stored) = (quoted(&table.stored()), quoted(&column.name));
                let turned = Expression::new(stored.clone(), column.declared).cast(&column.declared);
                self.connection.execute_batch(&format!("UPDATE {target} SET {stored} = {turned}"))?;
                let message = format!(
                    "ALTER TABLE ALTER COLUMN failed because column '{}' does not exist in table.",
                    column.name
                );
                let old = table.columns.iter_mut().find(|old| old.column.name.eq_ignore_ascii_case(&column.name));
                old.ok_or_else(|| SqlFault::new(4924, message))?.column = column;
                schema.put(table);
            }
            Definition::DropColumn(name, column) => {
                let mut table = (*self.stored(&name)?).clone();
                self.connection.execute_batch(&format!(
                    "ALTER TABLE {} DROP COLUMN {}",
                    quoted(&table.stored()),
                    quoted(&column)
                ))?;
                table.columns.retain(|old| !old.column.name.eq_ignore_ascii_case(&column));
                schema.put(table);
            }
            Definition::Drop { what, name, if_exists } => {
                if what == "procedure" || what == "proc" {
                    let last = name.last().cloned().unwrap_or_default();
                    schema.procedures.retain(|old| !old.name.eq_ignore_ascii_case(&last));
                } else {
                    match self.stored(&name) {
                        Err(_) if if_exists => {}
                        Err(_) => {
                            let message = format!(
                                "Cannot drop the {what} '{}', because it does not exist or you do not have permission.",
                                name.join(".")
                            );
                            return Err(SqlFault::new(3701, message).reaching(Reach::Statement).into());
                        }
                        Ok(table) => {
                            if table.tracked {
                                self.connection.execute_batch(&tracking::untrack(&table))?;
                            }
                            let kind = if table.view.is_some() { "VIEW" } else { "TABLE" };
                            self.connection.execute_batch(&format!("DROP {kind} {}", quoted(&table.stored())))?;
                            schema.remove(table.id);
                        }
                    }
                }
            }
            Definition::Truncate(name) => {
                let table = self.stored(&name)?;
                // Nobody is told what went: what was read of the changes before is worth nothing after it.
                if table.tracked {
                    self.connection.execute_batch(&tracking::untrack(&table))?;
                }
                self.connection.execute_batch(&format!("DELETE FROM {}", quoted(&table.stored())))?;
                if table.tracked {
                    self.connection.execute_batch("UPDATE \"ct$state\" SET current = current + 1")?;
                    self.connection.execute_batch(&tracking::track(&table))?;
                }
            }
            Definition::Tracking(name, on) => {
                let mut table = (*self.stored(&name)?).clone();
                if on && table.key().is_none() {
                    let message = format!(
                        "Cannot enable change tracking on table '{}'. Change tracking requires a primary key on the table.",
                        table.name
                    );
                    return Err(SqlFault::new(4997, message).into());
                }
                if on && !schema.tracking {
                    let message = format!(
                        "Cannot enable change tracking on table '{}' because change tracking is disabled on the database.",
                        table.name
                    );
                    return Err(SqlFault::new(4996, message).into());
                }
                let sql = if on { tracking::track(&table) } else { tracking::untrack(&table) };
                self.connection.execute_batch(&sql)?;
                table.tracked = on;
                schema.put(table);
            }
            Definition::Database(option, on) => match option.as_str() {
                "change_tracking" => schema.tracking = on,
                "allow_snapshot_isolation" => schema.snapshot = on,
                _ => {}
            },
        }
        self.shared.declare(schema, &self.connection)?;
        Ok(())
    }

    /// Begins to capture a table (CDC).
    pub(super) fn capture(&mut self, owner: &str, name: &str, instance: &str) -> Result<(), Stop> {
        let mut table = (*self.stored(&[owner.to_owned(), name.to_owned()])?).clone();
        let mut schema = (*self.shared.schema()).clone();
        let mut made = tracking::change_table(&table, instance);
        made.id = schema.fresh_id();
        table.captures.push(instance.to_owned());
        let sql = ddl::create(&made).join(";") + ";" + &tracking::capture(&table, instance);
        self.writing(|engine| {
            engine.connection.execute_batch(&sql)?;
            schema.put(made);
            schema.put(table);
            Ok(engine.shared.declare(schema, &engine.connection)?)
        })
    }

    /// SELECT ... INTO #table.
    pub(super) fn select_into(
        &mut self,
        name: &str,
        query: &Select,
        frame: &Frame,
        sink: &mut Sink,
    ) -> Result<(), Stop> {
        if !name.starts_with('#') {
            return Err(SqlFault::new(102, "SELECT INTO is served for temporary tables only.").into());
        }
        let rows: Vec<Vec<Value>> = {
            let mut statement = self.connection.prepare(&query.sql)?;
            Engine::bind(&mut statement, frame)?;
            let (mut rows, mut all) = (statement.raw_query(), Vec::new());
            while let Some(row) = rows.next()? {
                all.push((0..query.columns.len()).map(|at| row.get(at)).collect::<Result<_, _>>()?);
            }
            all
        };
        let column = |column: &crate::support::tds_server::wire::tokens::Column| {
            let column =
                crate::support::tds_server::wire::tokens::Column { identity: false, nullable: true, ..column.clone() };
            ColumnDef { column, default: None, computed: None, sparse: false }
        };
        let table = Table {
            schema: String::new(),
            name: name.to_owned(),
            id: -1,
            columns: query.columns.iter().map(column).collect(),
            indexes: Vec::new(),
            view: None,
            tracked: false,
            captures: Vec::new(),
            generated: None,
        };
        let marks = vec!["?"; table.columns.len()].join(", ");
        let insert = format!("INSERT INTO {} VALUES ({marks})", quoted(name));
        self.temporary_table(table)?;
        let mut statement = self.connection.prepare(&insert)?;
        for row in &rows {
            statement.execute(rusqlite::params_from_iter(row))?;
        }
        sink.done(frame.done, done::COUNT, 193, rows.len() as u64);
        Ok(())
    }
}
