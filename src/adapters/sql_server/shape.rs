//! What a statement brings, before it is asked: the server describes it (`sp_describe_first_result_set`), once for each
//! text. By that the declared types of its columns are known, and it is written anew where a value would not travel well:
//!
//! - `money` becomes `decimal`: the driver would make a floating-point number of it.
//! - Text of a code page that cannot say every byte, or that the driver does not know, becomes `nvarchar`: the server turns
//!   it into Unicode.
//! - A text parameter that is compared with a `varchar` column is turned into `varchar`
//!   (`sp_describe_undeclared_parameters`), so that the column's index is used.
//!
//! The types are changed by `WITH RESULT SETS`, which leaves the statement itself and its order as it is. What a server
//! cannot describe is asked as it stands.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tiberius::{ColumnData, Row};

use super::bind::{self, Bound};
use super::connect::Connection;
use super::exchange::{self, Trouble};
use super::kind;
use super::statement;
use super::watch::Watch;
use crate::adapters::sql::Dialect;
use crate::decode::rows::ColumnKind;

/// So many statements are remembered; then all are forgotten.
const REMEMBERED: usize = 512;

/// Code pages of which every byte is a character, and which the driver knows.
const TOTAL: [&str; 5] = ["1250", "1251", "1252", "1254", "1256"];

/// A statement as it is asked.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// The statement.
    pub(super) sql: String,
    /// Its columns; `None` where the server did not describe any.
    pub(super) columns: Option<Vec<Described>>,
}

/// A column as the server describes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) declared: String,
    pub(super) nullable: Option<bool>,
    /// `None` for types that are the database's own.
    pub(super) kind: Option<ColumnKind>,
    collation: Option<String>,
}

/// What is known of statements.
#[derive(Default)]
pub(super) struct Shapes {
    known: Mutex<HashMap<(String, String), Arc<Shape>>>,
    code_pages: Mutex<HashMap<String, Option<String>>>,
    /// The server cannot describe statements.
    cannot: AtomicBool,
}

impl Shapes {
    /// Forgets a statement: what came was not what had been described.
    pub(super) fn forget(&self, sql: &str) {
        self.known.lock().retain(|(known, _), _| known != sql);
    }

    /// The shape of a statement with `?` for what is bound.
    pub(super) async fn of(
        &self,
        place: &str,
        connection: &mut Connection,
        watch: &mut Watch<'_>,
        sql: &str,
        bound: &[Bound],
    ) -> Result<Arc<Shape>, Trouble> {
        let plain: String = bound.iter().map(|bound| if bind::is_plain_text(bound) { 'a' } else { '-' }).collect();
        let declarations = bind::declarations(bound);
        let key = (sql.to_owned(), format!("{declarations}/{plain}"));
        if let Some(known) = self.known.lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        if self.cannot.load(Ordering::Acquire) {
            return Ok(Arc::new(Shape { sql: statement::numbered(sql, &[]), columns: None }));
        }
        let narrow = self.narrow(place, connection, watch, sql, bound).await?;
        let numbered = statement::numbered(sql, &narrow);
        let Some(columns) = self.describe(place, connection, watch, &numbered, &declarations).await? else {
            return Ok(Arc::new(Shape { sql: numbered, columns: None }));
        };
        let retyped = self.retyped(place, connection, watch, &columns).await?;
        let columns = Some(columns).filter(|columns| !columns.is_empty());
        let sql = match retyped {
            Some(types) => statement::retyped(&numbered, &declarations, bound.len(), &types),
            None => numbered,
        };
        let shape = Arc::new(Shape { sql, columns });
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, Arc::clone(&shape));
        Ok(shape)
    }

    /// Which parameters are text that meets a `varchar` column.
    async fn narrow(
        &self,
        place: &str,
        connection: &mut Connection,
        watch: &mut Watch<'_>,
        sql: &str,
        bound: &[Bound],
    ) -> Result<Vec<bool>, Trouble> {
        if !bound.iter().any(bind::is_plain_text) {
            return Ok(Vec::new());
        }
        let question = "EXEC sys.sp_describe_undeclared_parameters @tsql = @P1";
        let asked = [text(statement::numbered(sql, &[]))];
        let Some(rows) = soft(exchange::few(place, connection, watch, question, &asked).await)? else {
            return Ok(Vec::new());
        };
        let mut narrow = vec![false; bound.len()];
        for row in rows {
            let number = named(&row, "name").and_then(|name| name.strip_prefix("@P")?.parse::<usize>().ok());
            let (base, _) = kind::parts(&named(&row, "suggested_system_type_name").unwrap_or_default());
            let at = number.unwrap_or(0).wrapping_sub(1);
            if let (Some(flag), Some(bound)) = (narrow.get_mut(at), bound.get(at)) {
                *flag = bind::is_plain_text(bound) && matches!(base.as_str(), "varchar" | "char");
            }
        }
        Ok(narrow)
    }

    async fn describe(
        &self,
        place: &str,
        connection: &mut Connection,
        watch: &mut Watch<'_>,
        sql: &str,
        declarations: &str,
    ) -> Result<Option<Vec<Described>>, Trouble> {
        let question = "EXEC sys.sp_describe_first_result_set @tsql = @P1, @params = @P2";
        let asked = [text(sql.to_owned()), text(declarations.to_owned())];
        let asked = exchange::few(place, connection, watch, question, &asked).await;
        if let Err(Trouble::Told(error)) = &asked
            && matches!(error.native, Some(2812 | 208))
            && error.message.contains("sp_describe_first_result_set")
        {
            self.cannot.store(true, Ordering::Release);
        }
        let Some(rows) = soft(asked)? else { return Ok(None) };
        Ok(Some(rows.iter().filter_map(described).collect()))
    }

    /// The types that the columns are to travel with; `None` where they may travel as they are.
    async fn retyped(
        &self,
        place: &str,
        connection: &mut Connection,
        watch: &mut Watch<'_>,
        columns: &[Described],
    ) -> Result<Option<String>, Trouble> {
        let (mut types, mut changed) = (Vec::new(), 0);
        for (at, column) in columns.iter().enumerate() {
            let is_total = match &column.collation {
                Some(collation) => self.is_total(place, connection, watch, collation).await?,
                None => true,
            };
            let Some((written, is_changed)) = travelling(column, is_total) else { return Ok(None) };
            changed += usize::from(is_changed);
            // The same name twice, or none, cannot be written; whoever reads by place has the names from the description.
            let is_single = columns.iter().filter(|other| other.name.eq_ignore_ascii_case(&column.name)).count() == 1;
            let name = match is_single && !column.name.is_empty() {
                true => Dialect::SqlServer.quoted(&column.name),
                false => format!("[c{}]", at + 1),
            };
            types.push(format!("{name} {written} NULL"));
        }
        Ok((changed > 0).then(|| types.join(", ")))
    }

    /// Whether text of a collation can be read byte by byte as it is.
    async fn is_total(
        &self,
        place: &str,
        connection: &mut Connection,
        watch: &mut Watch<'_>,
        collation: &str,
    ) -> Result<bool, Trouble> {
        let known = self.code_pages.lock().get(collation).cloned();
        let page = match known {
            Some(page) => page,
            None => {
                let question = "SELECT CAST(COLLATIONPROPERTY(@P1, 'CodePage') AS int) AS page";
                let asked = [text(collation.to_owned())];
                let rows = soft(exchange::few(place, connection, watch, question, &asked).await)?;
                let page = rows.and_then(|rows| exchange::text(rows.first()?, 0));
                self.code_pages.lock().insert(collation.to_owned(), page.clone());
                page
            }
        };
        // What is not known is left as it is.
        Ok(page.is_none_or(|page| TOTAL.contains(&page.as_str())))
    }
}

/// The type that a column travels with, and whether it is another than its own; `None` where it has no name that could be
/// written.
fn travelling(column: &Described, is_total: bool) -> Option<(String, bool)> {
    let (base, numbers) = kind::parts(&column.declared);
    let collate = |declared: &str| match &column.collation {
        Some(collation) => format!("{declared} COLLATE {collation}"),
        None => declared.to_owned(),
    };
    Some(match base.as_str() {
        "" => return None,
        "money" => ("decimal(19,4)".to_owned(), true),
        "smallmoney" => ("decimal(10,4)".to_owned(), true),
        "timestamp" => ("binary(8)".to_owned(), false),
        "text" if is_total => (collate("varchar(max)"), false),
        "ntext" => ("nvarchar(max)".to_owned(), false),
        "image" => ("varbinary(max)".to_owned(), false),
        "varchar" | "char" | "text" if !is_total => match numbers.first() {
            Some(length @ 1..=4000) => (format!("nvarchar({length})"), true),
            _ => ("nvarchar(max)".to_owned(), true),
        },
        "varchar" | "char" | "nvarchar" | "nchar" => (collate(&column.declared), false),
        _ => (column.declared.clone(), false),
    })
}

/// A column of the answer; hidden ones are not part of the result.
fn described(row: &Row) -> Option<Described> {
    if named(row, "is_hidden").is_some_and(|flag| flag == "1") {
        return None;
    }
    let declared = named(row, "system_type_name").unwrap_or_default();
    Some(Described {
        name: named(row, "name").unwrap_or_default(),
        kind: kind::of_declared(&declared),
        declared,
        nullable: named(row, "is_nullable").map(|flag| flag == "1"),
        collation: named(row, "collation_name"),
    })
}

fn named(row: &Row, name: &str) -> Option<String> {
    let at = row.columns().iter().position(|column| column.name().eq_ignore_ascii_case(name))?;
    exchange::text(row, at)
}

fn text(text: String) -> Bound {
    Bound(ColumnData::String(Some(text.into())))
}

/// What the server will not describe is asked as it stands: then it says itself what is wrong with it.
fn soft<T>(asked: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(Trouble::Told(error)) if error.native.is_some() => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(declared: &str, collation: Option<&str>) -> Described {
        Described {
            name: "a".to_owned(),
            declared: declared.to_owned(),
            nullable: Some(true),
            kind: kind::of_declared(declared),
            collation: collation.map(str::to_owned),
        }
    }

    #[test]
    fn types_travel_so_that_nothing_is_lost() {
        for (declared, collation, is_total, expected) in [
            ("money", None, true, Some(("decimal(19,4)", true))),
            ("smallmoney", None, true, Some(("decimal(10,4)", true))),
            ("decimal(38,10)", None, true, Some(("decimal(38,10)", false))),
            (
                "varchar(20)",
                Some("Latin1_General_CI_AS"),
                true,
                Some(("varchar(20) COLLATE Latin1_General_CI_AS", false)),
            ),
            ("varchar(20)", Some("Greek_CI_AS"), false, Some(("nvarchar(20)", true))),
            ("varchar(8000)", Some("Latin1_General_100_CI_AS_SC_UTF8"), false, Some(("nvarchar(max)", true))),
            ("text", Some("Japanese_CI_AS"), false, Some(("nvarchar(max)", true))),
            ("nvarchar(max)", Some("Greek_CI_AS"), false, Some(("nvarchar(max) COLLATE Greek_CI_AS", false))),
            ("timestamp", None, true, Some(("binary(8)", false))),
            ("", None, true, None),
        ] {
            let found = travelling(&column(declared, collation), is_total);
            assert_eq!(found.as_ref().map(|(text, changed)| (text.as_str(), *changed)), expected, "{declared}");
        }
    }
}
