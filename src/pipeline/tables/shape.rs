//! A table as its database knows it: under which names its columns go there, of what kind they are, and what has changed
//! since they were read last.

use std::collections::{HashMap, HashSet};

use crate::adapters::sql::{Dialect, TableColumn, TableInfo, TableName};
use crate::decode::rows::{Column, ColumnKind};
use crate::diagnostic::nearest;

/// Types whose values have no order.
const UNORDERED: [&str; 13] = [
    "xml",
    "xmltype",
    "json",
    "geography",
    "geometry",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
    "xid",
];

/// A table, ready to be written into statements.
#[derive(Clone, Debug)]
pub(in crate::pipeline) struct Shape {
    pub(in crate::pipeline) dialect: Dialect,
    /// Its name in a statement.
    pub(super) from: String,
    /// A condition on all its rows.
    pub(super) condition: Option<String>,
    /// Whether it is known to be a table and no view.
    pub(in crate::pipeline) is_table: bool,
    /// Whether it can be read as of one moment; `None` where nobody says.
    pub(super) has_snapshots: Option<bool>,
    /// The database's own columns, by the mapping's names; none where it does not tell.
    columns: HashMap<String, Column>,
    primary_key: Vec<String>,
    /// Columns of which no two rows have the same, in the database's own words.
    unique: Vec<Vec<String>>,
    /// Columns of text, by the mapping's names, in which the database takes only what is the same for equal.
    exact: HashSet<String>,
}

impl Shape {
    /// A table of which nothing is known but its name.
    pub(in crate::pipeline) fn plain(dialect: Dialect, from: String) -> Shape {
        let columns = HashMap::new();
        Shape {
            dialect,
            from,
            condition: None,
            is_table: false,
            has_snapshots: None,
            columns,
            primary_key: Vec::new(),
            unique: Vec::new(),
            exact: HashSet::new(),
        }
    }

    /// A table as its database describes it, for these names of the mapping. The names that it does not have, each with
    /// the nearest, where there are any.
    pub(super) fn of(
        dialect: Dialect,
        name: &TableName,
        info: &TableInfo,
        wanted: &[String],
    ) -> Result<Shape, Vec<String>> {
        let written = if info.name.table.is_empty() { name } else { &info.name };
        // Database and schema are the database's own words where the mapping names them, else they stay unsaid.
        let own = TableName {
            catalog: name.catalog.as_ref().and(written.catalog.clone()).or_else(|| name.catalog.clone()),
            schema: name.schema.as_ref().and(written.schema.clone()).or_else(|| name.schema.clone()),
            table: written.table.clone(),
        };
        let mut shape = Shape::plain(dialect, own.quoted(dialect));
        shape.has_snapshots = info.snapshot_isolation;
        shape.is_table = !info.is_view && !info.columns.is_empty();
        shape.primary_key.clone_from(&info.primary_key);
        let unique = info.indexes.iter().filter(|index| index.is_unique).map(|index| index.columns.clone());
        shape.unique = unique.chain([info.primary_key.clone()]).filter(|columns| !columns.is_empty()).collect();
        let mut missing = Vec::new();
        for name in wanted {
            let exact = info.columns.iter().find(|column| column.column.name == *name);
            let mut alike = info.columns.iter().filter(|column| column.column.name.eq_ignore_ascii_case(name));
            let found = exact.or_else(|| alike.next().filter(|_| alike.next().is_none()));
            match found {
                Some(found) => {
                    shape.columns.insert(name.clone(), found.column.clone());
                    if is_exact(dialect, found) && !(info.is_view && dialect == Dialect::Sqlite) {
                        shape.exact.insert(name.clone());
                    }
                }
                None => {
                    let known = info.columns.iter().map(|column| column.column.name.as_str());
                    missing.push(match nearest(name, known) {
                        Some(near) => format!("{name} (did you mean {near}?)"),
                        None => name.clone(),
                    });
                }
            }
        }
        if info.columns.is_empty() || missing.is_empty() { Ok(shape) } else { Err(missing) }
    }

    /// Whether the database sees to it that no two rows have the same in these columns.
    pub(super) fn is_unique(&self, names: &[String]) -> bool {
        let own: Vec<&str> = names
            .iter()
            .map(|name| self.columns.get(name).map_or(name.as_str(), |column| column.name.as_str()))
            .collect();
        self.unique
            .iter()
            .any(|unique| unique.iter().all(|column| own.iter().any(|own| own.eq_ignore_ascii_case(column))))
    }

    /// Whether rows can be put into the order of this column, as far as is known. Databases cannot compare documents and
    /// drawings, and some of them no long texts.
    pub(in crate::pipeline) fn is_orderable(&self, name: &str) -> bool {
        let Some(column) = self.columns.get(name) else { return true };
        let declared = column.declared.to_ascii_lowercase();
        let word = declared.split(['(', ' ']).next().unwrap_or_default();
        let long: &[&str] = match self.dialect {
            Dialect::SqlServer => &["text", "ntext", "image"],
            Dialect::Oracle | Dialect::Db2 | Dialect::Generic => &["clob", "nclob", "dbclob", "blob", "long", "bfile"],
            Dialect::Informix => &["text", "byte", "clob", "blob"],
            _ => &[],
        };
        !long.contains(&word) && !UNORDERED.contains(&word)
    }

    /// Whether two texts that are written differently are two in this column, as far as is known. Most databases take `a`
    /// for `A` in some of their collations, or leave out blanks at the end, and `07` is `7` wherever a number is compared. Of
    /// a query nobody says how its columns compare: an answer tells neither a collation nor what stands behind a type.
    pub(in crate::pipeline) fn tells_spellings(&self, name: &str) -> bool {
        self.exact.contains(name)
    }

    /// The name of a column in a statement.
    pub(in crate::pipeline) fn quoted(&self, name: &str) -> String {
        self.dialect.quoted(self.columns.get(name).map_or(name, |column| column.name.as_str()))
    }

    /// A column among those that are read: under the mapping's name, whatever its own is.
    pub(in crate::pipeline) fn selected(&self, name: &str) -> String {
        let quoted = self.quoted(name);
        match self.columns.get(name) {
            Some(column) if column.name != name => format!("{quoted} as {}", self.dialect.quoted(name)),
            _ => quoted,
        }
    }

    /// Whether a column may have no value, as far as is known.
    pub(super) fn may_be_null(&self, name: &str) -> bool {
        match self.columns.get(name) {
            Some(column) => column.nullable != Some(false) && !self.primary_key.contains(&column.name),
            None => true,
        }
    }

    /// What has changed of columns that were read under the mapping's names.
    pub(super) fn gone(&self, before: &[Column]) -> Vec<String> {
        let now: Vec<Column> =
            self.columns.iter().map(|(name, column)| Column { name: name.clone(), ..column.clone() }).collect();
        if now.is_empty() { Vec::new() } else { changed(before, &now) }
    }

    /// The kind of a column, where it is known before it is read.
    pub(in crate::pipeline) fn kind(&self, name: &str) -> Option<ColumnKind> {
        self.columns.get(name).map(|column| column.kind)
    }

    /// As what the values of a column are compared, where it is known. Drivers tell of texts where exact numbers are declared
    /// that may be longer than theirs: `numeric` of PostgreSQL, `number` of Oracle, all that SQLite has.
    pub(in crate::pipeline) fn compared_as(&self, name: &str) -> Option<ColumnKind> {
        let column = self.columns.get(name)?;
        let (is_told_as_text, declared) =
            (matches!(column.kind, ColumnKind::Text { .. }), column.declared.to_ascii_lowercase());
        let is_number = match self.dialect {
            Dialect::Sqlite => compares_as_number(&declared),
            _ => NUMBERS.contains(&declared.split(['(', ' ']).next().unwrap_or_default()),
        };
        match is_told_as_text && is_number {
            true => Some(ColumnKind::Decimal { precision: 38, scale: 6 }),
            false => Some(column.kind),
        }
    }
}

/// Types of exact numbers, as they are declared.
const NUMBERS: [&str; 5] = ["numeric", "decimal", "dec", "number", "decfloat"];

/// Whether SQLite compares what is in a column of this declared type as a number, whatever its driver says that it is
/// ("Determination Of Column Affinity" in its documentation).
fn compares_as_number(declared: &str) -> bool {
    let is_blob = declared.is_empty() || declared.contains("blob");
    declared.contains("int") || !is_blob && !compares_as_text(declared)
}

/// Whether a column of text is compared byte by byte. What is padded is not: 'A' and 'A ' are one there.
fn is_exact(dialect: Dialect, column: &TableColumn) -> bool {
    let declared = column.column.declared.to_ascii_lowercase();
    let word = declared.split('(').next().unwrap_or_default().trim();
    let collation = column.collation.as_deref().map(str::to_ascii_lowercase);
    match dialect {
        // Its collations break ties by the bytes, unless they say otherwise, which the catalog tells in words of its own.
        Dialect::Postgres => {
            matches!(word, "varchar" | "character varying" | "text" | "name")
                && collation.is_none_or(|name| !name.contains("nondeterministic"))
        }
        Dialect::MySql => {
            word != "char" && collation.is_some_and(|name| name.ends_with("nopad_bin") || name == "utf8mb4_0900_bin")
        }
        // A collation is told only where the table says another than its default.
        Dialect::Sqlite => compares_as_text(&declared) && collation.is_none(),
        Dialect::Oracle => word.contains("varchar") && collation.is_some_and(|name| name == "binary"),
        // SQL Server leaves out blanks at the end in every collation. Of others nobody says it.
        _ => false,
    }
}

/// Whether SQLite compares a column of this declared type with a text as text. In all others but those of no type a text that
/// looks like a number is one: '07', '7.0' and '7e0' are 7 ("Determination Of Column Affinity" in its documentation).
fn compares_as_text(declared: &str) -> bool {
    !declared.contains("int") && ["char", "clob", "text"].iter().any(|word| declared.contains(word))
}

/// What has changed about columns since they were read last, a sentence each. Columns that are new change nothing, nor
/// does more room for the same.
pub(super) fn changed(before: &[Column], now: &[Column]) -> Vec<String> {
    let mut changes = Vec::new();
    for old in before {
        match now.iter().find(|column| column.name == old.name) {
            None => changes.push(format!("{} is gone", old.name)),
            Some(new) if !is_alike(old.kind, new.kind) => {
                changes.push(format!("{} was {} and is {}", old.name, described(old), described(new)));
            }
            Some(_) => {}
        }
    }
    changes
}

/// Whether values of both kinds read alike.
fn is_alike(one: ColumnKind, other: ColumnKind) -> bool {
    match (one, other) {
        (ColumnKind::Text { .. }, ColumnKind::Text { .. }) | (ColumnKind::Bytes { .. }, ColumnKind::Bytes { .. }) => {
            true
        }
        (ColumnKind::Decimal { scale, .. }, ColumnKind::Decimal { scale: other, .. }) => scale == other,
        (one, other) => one == other,
    }
}

fn described(column: &Column) -> String {
    if column.declared.is_empty() { column.kind.words() } else { column.declared.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sql::TableColumn;

    fn column(name: &str, kind: ColumnKind, declared: &str, nullable: Option<bool>) -> Column {
        Column { name: name.to_owned(), kind, declared: declared.to_owned(), nullable }
    }

    fn info(columns: Vec<Column>) -> TableInfo {
        let columns = columns.into_iter().map(|column| TableColumn {
            column,
            is_computed: false,
            is_identity: false,
            is_rowversion: false,
            collation: None,
        });
        let name = TableName { catalog: None, schema: Some("public".to_owned()), table: "items".to_owned() };
        TableInfo { name, columns: columns.collect(), primary_key: vec!["no".to_owned()], ..TableInfo::default() }
    }

    #[test]
    fn names_are_the_databases_own() {
        let text = ColumnKind::Text { max_chars: None };
        let info =
            info(vec![column("no", text, "", None), column("Name", text, "", None), column("NAME", text, "", None)]);
        let name = TableName { table: "ITEMS".to_owned(), ..TableName::default() };
        let wanted = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let shape = Shape::of(Dialect::Postgres, &name, &info, &wanted(&["NO", "NAME"])).unwrap();
        assert_eq!((shape.from.as_str(), shape.selected("NO").as_str()), ("\"items\"", "\"no\" as \"NO\""));
        assert_eq!((shape.selected("NAME").as_str(), shape.quoted("NO").as_str()), ("\"NAME\"", "\"no\""));
        assert_eq!((shape.may_be_null("NO"), shape.may_be_null("NAME")), (false, true));
        let missing = Shape::of(Dialect::Postgres, &name, &info, &wanted(&["NOO", "name", "zzz"])).unwrap_err();
        assert_eq!(missing, ["NOO (did you mean no?)", "name (did you mean Name?)", "zzz"]);
    }

    #[test]
    fn a_column_is_exact_where_nothing_else_is_equal() {
        let check = |dialect, declared: &str, collation: Option<&str>, expected| {
            let column = column("no", ColumnKind::Text { max_chars: None }, declared, None);
            let collation = collation.map(str::to_owned);
            let column =
                TableColumn { column, is_computed: false, is_identity: false, is_rowversion: false, collation };
            assert_eq!(is_exact(dialect, &column), expected, "{dialect:?} {column:?}");
        };
        check(Dialect::Postgres, "varchar(9)", Some("de_DE"), true);
        check(Dialect::Postgres, "text", None, true);
        check(Dialect::Postgres, "text", Some("ndcoll, nondeterministic"), false);
        check(Dialect::Postgres, "bpchar", Some("default"), false);
        check(Dialect::Postgres, "citext", Some("default"), false);
        check(Dialect::MySql, "varchar", Some("utf8mb4_general_ci"), false);
        check(Dialect::MySql, "varchar", Some("utf8mb4_bin"), false);
        check(Dialect::MySql, "varchar", Some("utf8mb4_nopad_bin"), true);
        check(Dialect::MySql, "varchar", None, false);
        check(Dialect::Sqlite, "varchar", None, true);
        check(Dialect::Sqlite, "varchar", Some("by COLLATE"), false);
        check(Dialect::Sqlite, "NATIVE CHARACTER(70)", None, true);
        check(Dialect::Sqlite, "TEXT", None, true);
        check(Dialect::Sqlite, "decimal(9,2)", None, false);
        check(Dialect::Sqlite, "NUMERIC", None, false);
        check(Dialect::Sqlite, "real", None, false);
        check(Dialect::Sqlite, "date", None, false);
        check(Dialect::Sqlite, "CHARINT", None, false);
        check(Dialect::Postgres, "uuid", None, false);
        check(Dialect::Postgres, "numeric(9,2)", None, false);
        check(Dialect::MySql, "int", None, false);
        check(Dialect::MySql, "decimal(9,2)", None, false);
        check(Dialect::SqlServer, "varchar", Some("Latin1_General_BIN2"), false);
        check(Dialect::Oracle, "VARCHAR2(9)", Some("BINARY"), true);
        check(Dialect::Oracle, "CHAR(9)", Some("BINARY"), false);
        check(Dialect::Db2, "VARCHAR(9)", None, false);
    }

    #[test]
    fn drift_is_what_reads_differently() {
        let decimal = |scale| ColumnKind::Decimal { precision: 9, scale };
        let text = |max_chars| ColumnKind::Text { max_chars };
        let before = [column("A", text(Some(9)), "", None), column("B", decimal(2), "decimal(9,2)", None)];
        let alike =
            [column("B", decimal(2), "", None), column("A", text(None), "", None), column("C", text(None), "", None)];
        assert!(changed(&before, &alike).is_empty());
        let other = [column("B", text(Some(20)), "varchar(20)", None)];
        assert_eq!(changed(&before, &other), ["A is gone", "B was decimal(9,2) and is varchar(20)"]);
        let scaled = [column("A", text(None), "", None), column("B", decimal(4), "", None)];
        assert_eq!(changed(&before, &scaled), ["B was decimal(9,2) and is decimal(9,4)"]);
    }
}
