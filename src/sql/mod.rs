//! How databases are spoken to, as far as it can be said without one: dialects, names of tables, and statements as people
//! write them. Doors to databases and mappings both use these words.

mod text;

use std::fmt;

pub use text::{NamedSql, NamedSqlFault};

/// How a reading sees what others write. There is no `READ UNCOMMITTED`: what was never committed is not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Only what is committed, row by row.
    #[default]
    ReadCommitted,
    /// As of one moment, without locks; where the server does not offer it, the call fails.
    Snapshot,
}

/// A table's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct TableName {
    /// The database, where it is not the connection's own.
    pub catalog: Option<String>,
    /// The schema.
    pub schema: Option<String>,
    /// The table or view.
    pub table: String,
}

impl TableName {
    /// Reads a name as people write it: up to three parts with points between them, each perhaps in `[]`, `""` or
    /// backquotes. The fault says what is wrong.
    pub fn parse(text: &str) -> Result<TableName, String> {
        let (mut parts, mut rest) = (Vec::new(), text.trim());
        loop {
            let (part, after) = name_part(rest)?;
            parts.push(part);
            match after.strip_prefix('.') {
                Some(next) => rest = next,
                None if after.is_empty() => break,
                None => return Err(format!("`{after}` stands behind the name of a table")),
            }
        }
        let mut parts = parts.into_iter().rev();
        let (table, schema, catalog) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        if parts.next().is_some() {
            return Err("a table has at most three names: database, schema and its own".to_owned());
        }
        // `db..table` leaves the schema to the login.
        let schema = schema.filter(|name| !name.is_empty());
        match (table.is_empty(), &catalog) {
            (true, _) => Err("a table needs a name".to_owned()),
            (_, Some(catalog)) if catalog.is_empty() => Err("the name begins with a point".to_owned()),
            (false, _) if schema.is_none() && text.trim().starts_with('.') => {
                Err("the name begins with a point".to_owned())
            }
            _ => Ok(TableName { catalog, schema, table }),
        }
    }

    /// The name in a statement, each part in quotes.
    pub fn quoted(&self, dialect: Dialect) -> String {
        let schema = match (&self.catalog, &self.schema) {
            // SQL Server's `db..table`.
            (Some(_), None) if dialect == Dialect::SqlServer => Some(String::new()),
            (_, schema) => schema.as_ref().map(|name| dialect.quoted(name)),
        };
        let parts = [self.catalog.as_ref().map(|name| dialect.quoted(name)), schema, Some(dialect.quoted(&self.table))];
        parts.into_iter().flatten().collect::<Vec<_>>().join(".")
    }
}

impl fmt::Display for TableName {
    /// As a person would write it: [`TableName::parse`] reads it. Parts that would not be read as they are stand in quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = match (&self.catalog, &self.schema) {
            (Some(_), None) => Some(""),
            (_, schema) => schema.as_deref(),
        };
        for part in [self.catalog.as_deref(), schema].into_iter().flatten() {
            write!(f, "{}.", written_part(part))?;
        }
        f.write_str(&written_part(&self.table))
    }
}

/// A part of a name, in quotes where it has characters that cannot stand without, or that nobody would see.
fn written_part(part: &str) -> std::borrow::Cow<'_, str> {
    let is_plain = part.chars().all(|c| !c.is_whitespace() && !c.is_control() && !ODD.contains(c) && c != '.');
    match is_plain {
        true => part.into(),
        false => format!("[{}]", part.replace(']', "]]")).into(),
    }
}

/// What stands in a name only within quotes.
const ODD: &str = "'\";,()[]`";

/// The first part of a name, out of its quotes, and what stands behind it.
fn name_part(text: &str) -> Result<(String, &str), String> {
    let closing = match text.chars().next() {
        Some('[') => ']',
        Some('"') => '"',
        Some('`') => '`',
        _ => {
            let end = text.find('.').unwrap_or(text.len());
            let (part, rest) = text.split_at(end);
            if let Some(odd) = part.chars().find(|c| c.is_whitespace() || c.is_control() || ODD.contains(*c)) {
                return Err(format!("`{odd}` cannot stand in a name without quotes: write it in `[]` or `\"\"`"));
            }
            return Ok((part.to_owned(), rest));
        }
    };
    let (mut part, mut rest) = (String::new(), text.get(1..).unwrap_or_default());
    while let Some((before, after)) = rest.split_once(closing) {
        part.push_str(before);
        match after.strip_prefix(closing) {
            Some(again) => {
                part.push(closing);
                rest = again;
            }
            None if part.is_empty() => return Err("there is nothing in the quotes".to_owned()),
            None => return Ok((part, after)),
        }
    }
    Err(format!("a name in quotes does not end: `{closing}` is missing"))
}

/// The ways in which databases write the same differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQL Server, also through ODBC.
    SqlServer,
    /// PostgreSQL.
    Postgres,
    /// MariaDB and MySQL.
    MySql,
    /// SQLite.
    Sqlite,
    /// Oracle.
    Oracle,
    /// Db2, for i and for LUW.
    Db2,
    /// Informix.
    Informix,
    /// Progress OpenEdge.
    Progress,
    /// Firebird.
    Firebird,
    /// What every ODBC driver takes.
    Generic,
}

impl Dialect {
    /// The placeholder of the value with this number, from 1. Every ODBC driver takes `?`; TDS wants names, which only
    /// its own door gives: it rewrites `?` itself.
    pub fn placeholder(self, _number: usize) -> String {
        "?".to_owned()
    }

    /// Whether a text that is compared with a number is made one, as far as is known. Others compare letter by letter, or not
    /// at all.
    pub fn makes_numbers_of_texts(self) -> bool {
        use Dialect::{Db2, Firebird, Informix, MySql, Oracle, SqlServer};
        matches!(self, SqlServer | MySql | Oracle | Db2 | Informix | Firebird)
    }

    /// A name in quotes, so that it is taken as it is.
    pub fn quoted(self, name: &str) -> String {
        match self {
            Dialect::SqlServer => format!("[{}]", name.replace(']', "]]")),
            // SQLite takes what stands in double quotes for a text where no column has this name.
            Dialect::MySql | Dialect::Sqlite => format!("`{}`", name.replace('`', "``")),
            _ => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Dialect, TableName};

    #[test]
    fn names_of_tables_are_read_and_quoted() {
        let check = |text: &str, shown: &str, quoted: &str| {
            let name = TableName::parse(text).unwrap();
            assert_eq!(
                (name.to_string().as_str(), name.quoted(Dialect::SqlServer).as_str()),
                (shown, quoted),
                "{text}"
            );
            assert_eq!(TableName::parse(shown), Ok(name), "what is shown is read again");
        };
        check("ITEMS", "ITEMS", "[ITEMS]");
        check(" dbo.ITEMS ", "dbo.ITEMS", "[dbo].[ITEMS]");
        check("NAV.dbo.[Cronus AG$Item]", "NAV.dbo.[Cronus AG$Item]", "[NAV].[dbo].[Cronus AG$Item]");
        check("NAV..ITEMS", "NAV..ITEMS", "[NAV]..[ITEMS]");
        check("\"a.\"\"b\".`c`", "[a.\"b].c", "[a.\"b].[c]");
        check("[a]]b]", "[a]]b]", "[a]]b]");
        assert_eq!(TableName::parse("s.t").unwrap().quoted(Dialect::Postgres), "\"s\".\"t\"");
    }

    #[test]
    fn a_name_of_sqlite_is_never_a_text() {
        let of = |name: &str| Dialect::Sqlite.quoted(name);
        assert_eq!([of("amount"), of("a`b"), of("a\"b")], ["`amount`", "`a``b`", "`a\"b`"]);
    }

    #[test]
    fn what_is_no_name_of_a_table_is_told() {
        for text in ["", " ", ".", ".t", "a.", "a.b.c.d", "a b", "t; drop table t", "[a", "[]", "\"a\"b", "t--'"] {
            assert!(TableName::parse(text).is_err(), "{text}");
        }
    }
}
