//! Statements that read a table, in the dialect of its database. Rows are walked by their keys, never by counting them off:
//! rows that come and go meanwhile move nothing.

use super::cell::Cell;
use super::shape::Shape;
use crate::adapters::sql::{Dialect, Value};

/// A statement that is being put together.
pub(in crate::pipeline) struct Select<'a> {
    shape: &'a Shape,
    columns: Vec<String>,
    conditions: Vec<String>,
    parameters: Vec<Value>,
    groups: Vec<String>,
    order: Vec<String>,
    limit: Option<u32>,
    is_locking: bool,
}

impl<'a> Select<'a> {
    /// Reads these columns, by the names that the mapping has for them.
    pub(in crate::pipeline) fn new(shape: &'a Shape, columns: &[String]) -> Select<'a> {
        let columns = columns.iter().map(|name| shape.selected(name)).collect();
        let conditions = shape.condition.iter().map(|condition| format!("({condition})")).collect();
        Select {
            shape,
            columns,
            conditions,
            parameters: Vec::new(),
            groups: Vec::new(),
            order: Vec::new(),
            limit: None,
            is_locking: false,
        }
    }

    /// Reads whatever columns there are.
    pub(in crate::pipeline) fn all(shape: &'a Shape) -> Select<'a> {
        Select { columns: vec!["*".to_owned()], ..Select::new(shape, &[]) }
    }

    /// One more column, written in SQL.
    pub(super) fn also(mut self, expression: &str, name: &str) -> Select<'a> {
        self.columns.push(format!("{expression} as {}", self.shape.dialect.quoted(name)));
        self
    }

    /// Only rows for which this holds, with a value for each `?`.
    pub(in crate::pipeline) fn only(
        mut self,
        condition: String,
        values: impl IntoIterator<Item = Value>,
    ) -> Select<'a> {
        self.conditions.push(condition);
        self.parameters.extend(values);
        self
    }

    /// Only rows that have a value in all these columns.
    pub(super) fn without_nulls(mut self, columns: &[String]) -> Select<'a> {
        let nullable = columns.iter().filter(|name| self.shape.may_be_null(name));
        let conditions: Vec<String> = nullable.map(|name| format!("{} is not null", self.shape.quoted(name))).collect();
        self.conditions.extend(conditions);
        self
    }

    /// Only rows behind this one, in the order of these columns; with `or_equal` also those that are equal in them.
    pub(in crate::pipeline) fn behind(self, columns: &[String], values: &[Cell], or_equal: bool) -> Select<'a> {
        self.beside(columns, values, (">", if or_equal { ">=" } else { ">" }))
    }

    /// Only rows before this one, in the order of these columns, and those that are equal in them.
    pub(super) fn up_to(self, columns: &[String], values: &[Cell]) -> Select<'a> {
        self.beside(columns, values, ("<", "<="))
    }

    fn beside(mut self, columns: &[String], values: &[Cell], (sign, last_sign): (&str, &str)) -> Select<'a> {
        let quoted: Vec<String> = columns.iter().map(|name| self.shape.quoted(name)).collect();
        let parts = quoted.iter().zip(values).count();
        if let (true, Some(first), Some(value)) = (parts > 1, quoted.first(), values.first()) {
            // Says nothing new, but lets a database begin in its index.
            self = self.only(format!("{first} {sign}= ?"), [value.value()]);
        }
        let mut choices = Vec::new();
        let mut bound = Vec::new();
        for last in 0..parts {
            let sign = if last + 1 == parts { last_sign } else { sign };
            let mut terms: Vec<String> = quoted.iter().take(last).map(|name| format!("{name} = ?")).collect();
            terms.extend(quoted.get(last).map(|name| format!("{name} {sign} ?")));
            bound.extend(values.iter().take(last + 1).map(Cell::value));
            choices.push(if terms.len() > 1 { format!("({})", terms.join(" and ")) } else { terms.concat() });
        }
        match choices.as_slice() {
            [] => self,
            [one] => self.only(one.clone(), bound),
            _ => self.only(format!("({})", choices.join(" or ")), bound),
        }
    }

    /// Only rows that are equal to one of these in these columns.
    pub(super) fn any_of(self, columns: &[String], keys: &[Vec<Cell>]) -> Select<'a> {
        let quoted: Vec<String> = columns.iter().map(|name| self.shape.quoted(name)).collect();
        let condition = match quoted.as_slice() {
            [one] => format!("{one} in ({})", vec!["?"; keys.len()].join(", ")),
            _ => {
                let terms: Vec<String> = quoted.iter().map(|name| format!("{name} = ?")).collect();
                format!("({})", vec![format!("({})", terms.join(" and ")); keys.len()].join(" or "))
            }
        };
        self.only(condition, keys.iter().flatten().map(Cell::value))
    }

    /// One row for each that several rows have in these columns.
    pub(super) fn shared(mut self, columns: &[String]) -> Select<'a> {
        self.groups = columns.iter().map(|name| self.shape.quoted(name)).collect();
        self
    }

    /// In the order of these columns.
    pub(in crate::pipeline) fn ordered(mut self, columns: &[String]) -> Select<'a> {
        self.order = columns.iter().map(|name| self.shape.quoted(name)).collect();
        self
    }

    /// From the greatest down.
    pub(super) fn descending(mut self, columns: &[String]) -> Select<'a> {
        self.order = columns.iter().map(|name| format!("{} desc", self.shape.quoted(name))).collect();
        self
    }

    /// The first rows only, where the dialect has words for that; else all come, and whoever reads stops.
    pub(in crate::pipeline) fn first(mut self, rows: u32) -> Select<'a> {
        self.limit = Some(rows);
        self
    }

    /// Keeps others from changing the rows that come, to the end of the transaction, where the dialect has words for that.
    pub(in crate::pipeline) fn locking(mut self, is_locking: bool) -> Select<'a> {
        self.is_locking = is_locking;
        self
    }

    /// The statement and what is bound to it.
    pub(in crate::pipeline) fn build(self) -> (String, Vec<Value>) {
        let from = self.shape.from.clone();
        self.build_from(&from)
    }

    /// As [`Select::build`], with something else in the place of the table.
    pub(in crate::pipeline) fn build_from(self, from: &str) -> (String, Vec<Value>) {
        let (before, after) = match self.limit {
            Some(rows) => limit(self.shape.dialect, rows),
            None => Default::default(),
        };
        let (hint, lock) = if self.is_locking { lock(self.shape.dialect) } else { Default::default() };
        let mut sql = format!("select {before}{} from {from}{hint}", self.columns.join(", "));
        if !self.conditions.is_empty() {
            sql.push_str(" where ");
            sql.push_str(&self.conditions.join(" and "));
        }
        if !self.groups.is_empty() {
            sql.push_str(&format!(" group by {} having count(*) > 1", self.groups.join(", ")));
        }
        if !self.order.is_empty() {
            sql.push_str(" order by ");
            sql.push_str(&self.order.join(", "));
        }
        sql.push_str(&after);
        sql.push_str(lock);
        (sql, self.parameters)
    }
}

/// What stands before the columns and at the end, so that only the first rows come.
fn limit(dialect: Dialect, rows: u32) -> (String, String) {
    let before = |words: &str| (format!("{words} "), String::new());
    let after = |words: String| (String::new(), format!(" {words}"));
    match dialect {
        Dialect::SqlServer => before(&format!("top ({rows})")),
        Dialect::Progress => before(&format!("top {rows}")),
        Dialect::Informix | Dialect::Firebird => before(&format!("first {rows}")),
        Dialect::Postgres | Dialect::MySql | Dialect::Sqlite => after(format!("limit {rows}")),
        Dialect::Oracle | Dialect::Db2 => after(format!("fetch first {rows} rows only")),
        Dialect::Generic => Default::default(),
    }
}

/// What stands behind the table and at the end, so that the rows are kept from others. SQLite needs no words for it: who has
/// read in a transaction cannot write any more when another has written since.
fn lock(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        Dialect::SqlServer => (" with (updlock, holdlock)", ""),
        Dialect::Postgres | Dialect::MySql | Dialect::Oracle => ("", " for update"),
        Dialect::Db2 => ("", " with rs use and keep update locks"),
        Dialect::Firebird => ("", " with lock"),
        Dialect::Informix | Dialect::Progress | Dialect::Sqlite | Dialect::Generic => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::rows::ColumnKind;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn cell(number: i64) -> Cell {
        Cell { kind: ColumnKind::Integer, text: number.to_string() }
    }

    fn shape(dialect: Dialect) -> Shape {
        let mut shape = Shape::plain(dialect, "t".to_owned());
        shape.condition = Some("A = 1 or B = 2".to_owned());
        shape
    }

    #[test]
    fn rows_are_walked_by_their_keys() {
        let shape = shape(Dialect::SqlServer);
        let key = names(&["A", "B", "C"]);
        let (sql, bound) = Select::new(&shape, &names(&["A", "x]y"]))
            .behind(&key, &[cell(1), cell(2), cell(3)], false)
            .ordered(&key)
            .first(5)
            .build();
        assert_eq!(
            sql,
            "select top (5) [A], [x]]y] from t where (A = 1 or B = 2) and [A] >= ? and \
             ([A] > ? or ([A] = ? and [B] > ?) or ([A] = ? and [B] = ? and [C] > ?)) order by [A], [B], [C]"
        );
        let numbers: Vec<Value> = [1, 1, 1, 2, 1, 2, 3].map(Value::Integer).to_vec();
        assert_eq!(bound, numbers);
    }

    #[test]
    fn keys_are_asked_for_together() {
        let shape = shape(Dialect::Postgres);
        let (one, two) = (names(&["A"]), names(&["A", "B"]));
        let (sql, bound) = Select::new(&shape, &one).any_of(&one, &[vec![cell(1)], vec![cell(2)]]).shared(&one).build();
        assert_eq!(
            sql,
            "select \"A\" from t where (A = 1 or B = 2) and \"A\" in (?, ?) group by \"A\" having count(*) > 1"
        );
        assert_eq!(bound, [1, 2].map(Value::Integer));
        let (sql, bound) =
            Select::new(&shape, &one).any_of(&two, &[vec![cell(1), cell(2)], vec![cell(3), cell(4)]]).build();
        assert!(sql.ends_with(r#"(("A" = ? and "B" = ?) or ("A" = ? and "B" = ?))"#), "{sql}");
        assert_eq!(bound, [1, 2, 3, 4].map(Value::Integer));
    }

    #[test]
    fn the_first_rows_in_each_dialect() {
        let check = |dialect, expected: &str| {
            let shape = Shape::plain(dialect, "t".to_owned());
            let select = Select::new(&shape, &names(&["A"])).behind(&names(&["A"]), &[cell(7)], true).first(9);
            assert_eq!(select.build(), (expected.to_owned(), vec![Value::Integer(7)]), "{dialect:?}");
        };
        check(Dialect::SqlServer, "select top (9) [A] from t where [A] >= ?");
        check(Dialect::Postgres, "select \"A\" from t where \"A\" >= ? limit 9");
        check(Dialect::MySql, "select `A` from t where `A` >= ? limit 9");
        check(Dialect::Oracle, "select \"A\" from t where \"A\" >= ? fetch first 9 rows only");
        check(Dialect::Informix, "select first 9 \"A\" from t where \"A\" >= ?");
        check(Dialect::Generic, "select \"A\" from t where \"A\" >= ?");
    }
}
