//! What the server's catalog says of tables.

use super::bind::Bound;
use super::connect::Connection;
use super::exchange::{Trouble, few, flag, text};
use super::watch::Watch;
use super::{fault, kind};
use crate::adapters::sql::{Certainty, Dialect, Index, SqlErrorKind, TableColumn, TableInfo, TableName};
use crate::decode::rows::{Column, ColumnKind};

/// A connection that asks the catalog.
pub(super) struct Catalog<'c, 'w> {
    pub(super) place: &'c str,
    pub(super) connection: &'c mut Connection,
    pub(super) watch: &'c mut Watch<'w>,
}

type Answer = Vec<tiberius::Row>;

impl Catalog<'_, '_> {
    async fn ask(&mut self, sql: &str, bound: &[&str]) -> Result<Answer, Trouble> {
        let bound: Vec<_> =
            bound.iter().map(|text| Bound(tiberius::ColumnData::String(Some((*text).to_owned().into())))).collect();
        few(self.place, self.connection, self.watch, sql, &bound).await
    }

    /// The same, where the answer is not needed: what may not be asked is told in `missing`.
    async fn ask_softly(
        &mut self,
        sql: &str,
        bound: &[&str],
        missing: Option<(&mut Vec<String>, &str)>,
    ) -> Result<Answer, Trouble> {
        match self.ask(sql, bound).await {
            Ok(rows) => Ok(rows),
            Err(Trouble::Told(error)) if error.native.is_some() => {
                if let (SqlErrorKind::Rights, Some((sentences, sentence))) = (error.kind, missing) {
                    sentences.push(sentence.to_owned());
                }
                Ok(Vec::new())
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// The tables and views that we may see.
    pub(super) async fn tables(&mut self) -> Result<Vec<TableName>, Trouble> {
        let sql = "SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES ORDER BY TABLE_SCHEMA, TABLE_NAME";
        let rows = self.ask(sql, &[]).await?;
        let name = |row: &tiberius::Row| Some(TableName { catalog: None, schema: text(row, 0), table: text(row, 1)? });
        Ok(rows.iter().filter_map(name).collect())
    }

    /// All about a table.
    pub(super) async fn table(&mut self, wanted: &TableName) -> Result<TableInfo, Trouble> {
        let catalog = wanted.catalog.as_deref().map(|name| format!("{}.", quoted(name))).unwrap_or_default();
        let written = written(wanted);
        let mut info = self.columns(wanted, &catalog, &written).await?;
        let indexes = format!(
            "SELECT i.name, i.is_primary_key, i.is_unique, c.name FROM {catalog}sys.indexes AS i \
             JOIN {catalog}sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id \
             JOIN {catalog}sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id \
             WHERE i.object_id = OBJECT_ID(@P1) AND k.key_ordinal > 0 AND i.is_hypothetical = 0 AND i.is_disabled = 0 \
             AND i.has_filter = 0 \
             ORDER BY i.index_id, k.key_ordinal"
        );
        for row in self.ask_softly(&indexes, &[&written], None).await? {
            let (Some(name), Some(column)) = (text(&row, 0), text(&row, 3)) else { continue };
            if flag(&row, 1) == Some(true) {
                info.primary_key.push(column.clone());
            }
            match info.indexes.last_mut().filter(|index| index.name == name) {
                Some(index) => index.columns.push(column),
                None => {
                    info.indexes.push(Index { name, columns: vec![column], is_unique: flag(&row, 2) == Some(true) })
                }
            }
        }
        let rows = format!(
            "SELECT SUM(rows) FROM {catalog}sys.partitions WHERE object_id = OBJECT_ID(@P1) AND index_id IN (0, 1)"
        );
        let rows = self.ask_softly(&rows, &[&written], None).await?;
        info.rows = rows.first().and_then(|row| text(row, 0)).and_then(|rows| rows.parse().ok());
        self.changes(&catalog, &written, &mut info).await?;
        self.rights(&catalog, &written, &mut info).await?;
        Ok(info)
    }

    async fn columns(&mut self, wanted: &TableName, catalog: &str, written: &str) -> Result<TableInfo, Trouble> {
        let sql = format!(
            "SELECT s.name, o.name, o.type, c.name, COALESCE(t.name, u.name), c.max_length, c.precision, c.scale, \
             c.is_nullable, c.is_computed, c.is_identity, c.collation_name \
             FROM {catalog}sys.objects AS o JOIN {catalog}sys.schemas AS s ON s.schema_id = o.schema_id \
             JOIN {catalog}sys.columns AS c ON c.object_id = o.object_id \
             JOIN {catalog}sys.types AS u ON u.user_type_id = c.user_type_id \
             LEFT JOIN {catalog}sys.types AS t ON t.user_type_id = c.system_type_id \
             WHERE o.object_id = OBJECT_ID(@P1) AND o.type IN ('U', 'V') ORDER BY c.column_id"
        );
        let rows = self.ask(&sql, &[written]).await.map_err(|trouble| match (trouble, &wanted.catalog) {
            (Trouble::Told(error), Some(database)) if error.kind == SqlErrorKind::Missing => {
                let said = format!("there is no database `{database}`, or the login may not see it");
                Trouble::Told(fault::own(self.place, SqlErrorKind::Missing, Certainty::NotBegun, said))
            }
            (trouble, _) => trouble,
        })?;
        let Some(first) = rows.first() else {
            let said = format!(
                "there is no table or view {written}, or the login may not see it; look at its name and schema, or GRANT \
                 SELECT (or VIEW DEFINITION) ON {written} TO the login"
            );
            return Err(Trouble::Told(fault::own(self.place, SqlErrorKind::Missing, Certainty::NotBegun, said)));
        };
        let name = TableName {
            catalog: wanted.catalog.clone(),
            schema: text(first, 0),
            table: text(first, 1).unwrap_or_else(|| wanted.table.clone()),
        };
        let is_view = text(first, 2).is_some_and(|kind| kind.trim() == "V");
        let columns = rows.iter().filter_map(column).collect();
        Ok(TableInfo { name, is_view, columns, ..TableInfo::default() })
    }

    /// What the server keeps of changes.
    async fn changes(&mut self, catalog: &str, written: &str, info: &mut TableInfo) -> Result<(), Trouble> {
        if let Some(database) = info.name.catalog.clone() {
            let home = "SELECT CASE WHEN DB_ID(@P1) = DB_ID() THEN 1 ELSE 0 END";
            let home = self.ask_softly(home, &[&database], None).await?;
            info.is_elsewhere = home.first().and_then(|row| flag(row, 0)) == Some(false);
        }
        let tracked = format!("SELECT 1 FROM {catalog}sys.change_tracking_tables WHERE object_id = OBJECT_ID(@P1)");
        info.change_tracking = !self.ask_softly(&tracked, &[written], None).await?.is_empty();
        let database = match &info.name.catalog {
            Some(name) => format!("'{}'", name.replace('\'', "''")),
            None => "DB_NAME()".to_owned(),
        };
        let state = format!(
            "SELECT snapshot_isolation_state, is_cdc_enabled FROM {catalog}sys.databases WHERE name = {database}"
        );
        let state = self.ask_softly(&state, &[], None).await?;
        // 1 is ON; 2 and 3 are on the way.
        info.snapshot_isolation = state.first().and_then(|row| text(row, 0)).map(|state| state == "1");
        if state.first().and_then(|row| flag(row, 1)) == Some(true) {
            let instances = format!(
                "SELECT capture_instance FROM {catalog}cdc.change_tables WHERE source_object_id = OBJECT_ID(@P1) \
                 ORDER BY create_date"
            );
            let sentence = "the database captures changes (CDC), but the login may not see of which tables: GRANT SELECT ON \
                            SCHEMA::cdc TO it";
            let rows = self.ask_softly(&instances, &[written], Some((&mut info.missing_rights, sentence))).await?;
            info.capture_instances = rows.iter().filter_map(|row| text(row, 0)).collect();
        }
        Ok(())
    }

    async fn rights(&mut self, catalog: &str, written: &str, info: &mut TableInfo) -> Result<(), Trouble> {
        let sql = "SELECT HAS_PERMS_BY_NAME(@P1, 'OBJECT', 'SELECT'), \
                   HAS_PERMS_BY_NAME(@P1, 'OBJECT', 'VIEW CHANGE TRACKING'), \
                   HAS_PERMS_BY_NAME(@P1, 'OBJECT', 'VIEW DEFINITION')";
        let rows = self.ask_softly(sql, &[written], None).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let lacks = |at: usize| flag(row, at) == Some(false);
        let grant = |right: &str| format!("GRANT {right} ON {written} TO the login");
        // A right may be given, and denied, column by column.
        let sql = format!(
            "SELECT name, HAS_PERMS_BY_NAME(@P1, 'OBJECT', 'SELECT', name, 'COLUMN') FROM {catalog}sys.columns \
             WHERE object_id = OBJECT_ID(@P1)"
        );
        let columns = self.ask_softly(&sql, &[written], None).await?;
        let is_granted = |row: &&tiberius::Row| flag(row, 1) == Some(true);
        let has_some = columns.iter().any(|row| is_granted(&row));
        if has_some {
            info.hidden = columns.iter().filter(|row| !is_granted(row)).filter_map(|row| text(row, 0)).collect();
        }
        if lacks(0) && !has_some {
            info.is_unreadable = true;
            info.missing_rights.push(format!("the login may not read the table: {}", grant("SELECT")));
        }
        if lacks(1) && info.change_tracking {
            info.hides_tracking = true;
            let grant = grant("VIEW CHANGE TRACKING");
            info.missing_rights.push(format!("the login may not see which rows changed: {grant}"));
        }
        if lacks(2) {
            let grant = grant("VIEW DEFINITION");
            info.missing_rights.push(format!("the login may not see keys and computed columns: {grant}"));
        }
        Ok(())
    }
}

/// A column of the catalog.
fn column(row: &tiberius::Row) -> Option<TableColumn> {
    let base = text(row, 4)?;
    let number = |at: usize| text(row, at).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let declared = declared(&base, number(5), number(6), number(7));
    let kind = kind::of_declared(&declared).unwrap_or(ColumnKind::Bytes { max: None });
    Some(TableColumn {
        is_rowversion: matches!(base.as_str(), "timestamp" | "rowversion"),
        column: Column { name: text(row, 3)?, kind, declared, nullable: flag(row, 8) },
        is_computed: flag(row, 9) == Some(true),
        is_identity: flag(row, 10) == Some(true),
        collation: text(row, 11),
    })
}

/// A type as it is declared. The catalog counts bytes, and -1 is `max`.
fn declared(base: &str, length: i64, precision: i64, scale: i64) -> String {
    let sized = |length: i64| if length < 0 { format!("{base}(max)") } else { format!("{base}({length})") };
    match base {
        "nvarchar" | "nchar" => sized(if length < 0 { length } else { length / 2 }),
        "varchar" | "char" | "varbinary" | "binary" => sized(length),
        "decimal" | "numeric" => format!("{base}({precision},{scale})"),
        "datetime2" | "time" | "datetimeoffset" => format!("{base}({scale})"),
        _ => base.to_owned(),
    }
}

fn quoted(name: &str) -> String {
    Dialect::SqlServer.quoted(name)
}

/// A table's name as it is written in SQL. A schema in between may be left out where there is a catalog.
fn written(name: &TableName) -> String {
    let mut out = String::new();
    if let Some(catalog) = &name.catalog {
        out.push_str(&quoted(catalog));
        out.push('.');
    }
    match &name.schema {
        Some(schema) => out.push_str(&format!("{}.", quoted(schema))),
        None if name.catalog.is_some() => out.push('.'),
        None => {}
    }
    out.push_str(&quoted(&name.table));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_as_they_are_declared() {
        for ((base, length, precision, scale), expected) in [
            (("nvarchar", 100, 0, 0), "nvarchar(50)"),
            (("nvarchar", -1, 0, 0), "nvarchar(max)"),
            (("varbinary", 16, 0, 0), "varbinary(16)"),
            (("decimal", 9, 11, 2), "decimal(11,2)"),
            (("datetime2", 8, 27, 7), "datetime2(7)"),
            (("int", 4, 10, 0), "int"),
        ] {
            assert_eq!(declared(base, length, precision, scale), expected);
        }
        let name = |catalog: Option<&str>, schema: Option<&str>| {
            let owned = |text: &str| text.to_owned();
            written(&TableName { catalog: catalog.map(owned), schema: schema.map(owned), table: "a]b".to_owned() })
        };
        assert_eq!(name(Some("x"), None), "[x]..[a]]b]");
        assert_eq!(name(None, Some("dbo")), "[dbo].[a]]b]");
    }
}
