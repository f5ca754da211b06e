//! Rows that the database writes as one text each.
//!
//! PostgreSQL's driver takes as long for a value as for a row: of a table of twelve columns most of its time goes into
//! values. Where many rows are asked for, PostgreSQL is asked for each of them as one text (`concat_ws`), which is cut here.
//! It says first which values are NULL, and before each text how long it is, so that no text can be taken for anything else:
//!
//! ```text
//! ;4711;5;a;b;c;12.50          4711, the text `a;b;c`, 12.50
//! ftf;4711;12.50               the same without the text
//! ```
//!
//! A text whose column has no width may be longer than a value may be: of that one no more comes than shows it.
//!
//! All else is as it was: the rows and their order, and each value in the words in which PostgreSQL itself says it.

use odbc_api::Error;
use odbc_api::handles::{SqlText, Statement, StatementRef};

use super::columns::{Ask, Planned, describe, parted};
use super::session::Session;
use super::told::{Told, as_subquery};
use crate::decode::rows::{BatchWriter, CellFault, Column, ColumnKind};

/// Fewer columns than these are not worth it.
const FEWEST: usize = 4;

/// PostgreSQL's functions have 100 arguments at most (`FUNC_MAX_ARGS`).
const MOST_ARGUMENTS: usize = 100;

/// The widest that a row may be without its texts that have no width.
const WIDEST: usize = 32 << 10;

/// The same with them.
const BOUND: usize = 4 << 20;

/// The most bytes of a number, a time or a length with what stands behind it.
const SHORT: usize = 72;

/// The statement whose rows are texts. `None` where it has none: where a value is no text, number or time, or has no width.
pub(super) fn told(
    session: &Session,
    mut statement: StatementRef<'_>,
    sql: &str,
    max_value: usize,
) -> Result<Option<Told>, Error> {
    let Some(inner) = session.writes_lines.then(|| as_subquery(sql)).flatten() else { return Ok(None) };
    statement.prepare(&SqlText::new(sql)).into_result(&statement)?;
    let plan = describe(session, statement, max_value)?;
    Ok(units(&plan, max_value).map(|units| {
        let ask = Ask::Text { wide: false, units, declared: false };
        let kind = ColumnKind::Text { max_chars: None };
        let column = Column { name: String::new(), kind, declared: String::new(), nullable: None };
        Told { sql: statement_of(inner, &plan, max_value), plan, line: Some([Planned { column, ask }]) }
    }))
}

/// The most bytes of a row, if it can be written so.
fn units(plan: &[Planned], max_value: usize) -> Option<usize> {
    let (mut bounded, mut others) = (plan.len() + 1, 0);
    for planned in plan {
        bounded += SHORT;
        match width_of(planned)? {
            Width::Short => {}
            Width::Of(units) => bounded += units,
            // A character has four bytes at most.
            Width::Any => others += 4 * (max_value + 1),
        }
    }
    let arguments = 2 + plan.len() + plan.iter().filter(|planned| has_length(planned)).count();
    let units = bounded + others;
    let fits = plan.len() >= FEWEST && arguments <= MOST_ARGUMENTS && bounded <= WIDEST && units <= BOUND;
    fits.then_some(units)
}

/// How many bytes a value has in a line, beside its length.
enum Width {
    /// So few that it needs no length.
    Short,
    /// A text of so many at most.
    Of(usize),
    /// A text of any length.
    Any,
}

/// `None` of what is not written so.
fn width_of(planned: &Planned) -> Option<Width> {
    use ColumnKind::{Boolean, Bytes, Date, DateTime, DateTimeOffset, Decimal, Float, Integer, Text, Time, Uuid};
    match planned.column.kind {
        Boolean | Integer | Decimal { .. } | Float | Date | Time | DateTime | DateTimeOffset | Uuid => {
            Some(Width::Short)
        }
        // Of other types `octet_length` is not the length of their text.
        Text { .. } => match (parted(&planned.column.declared).0.as_str(), planned.ask) {
            ("varchar" | "bpchar" | "char" | "text", Ask::Text { wide: false, units, declared: true }) => {
                Some(Width::Of(units))
            }
            // As text others lose the blanks at their end.
            ("varchar" | "text", Ask::Text { wide: false, declared: false, .. }) => Some(Width::Any),
            _ => None,
        },
        Bytes { .. } => None,
    }
}

fn has_length(planned: &Planned) -> bool {
    matches!(planned.column.kind, ColumnKind::Text { .. })
}

fn statement_of(inner: &str, plan: &[Planned], max_value: usize) -> String {
    let names: Vec<String> = (0..plan.len()).map(|index| format!("c{index}")).collect();
    let nulls: Vec<String> = names.iter().map(|name| format!("{name} is null")).collect();
    let mut values = String::new();
    for (name, planned) in names.iter().zip(plan) {
        let value = match width_of(planned) {
            // One character too many shows that it is too long. Its length is known without reading it.
            Some(Width::Any) => {
                format!(
                    "case when octet_length({name}) > {max_value} then left({name}, {}) else {name} end",
                    max_value + 1
                )
            }
            _ => name.clone(),
        };
        if has_length(planned) {
            values.push_str(&format!(", octet_length({value})"));
        }
        values.push_str(&format!(", {value}"));
    }
    let (names, nulls) = (names.join(", "), nulls.join(", "));
    // A value that is NULL is left out by `concat_ws`, and so is its length.
    format!(
        "select concat_ws(';', case num_nulls({names}) when 0 then '' else concat({nulls}) end{values}) \
         from ({inner}\n) as t({names})"
    )
}

/// A row that is being cut.
struct Cut<'r> {
    nulls: &'r [u8],
    rest: Option<&'r [u8]>,
}

/// A text that is no row.
struct Odd;

impl<'r> Cut<'r> {
    fn begin(line: &'r [u8]) -> Cut<'r> {
        let (nulls, rest) = first(line);
        Cut { nulls, rest }
    }

    /// The value of a column, `None` for NULL.
    fn next(&mut self, index: usize, has_length: bool) -> Result<Option<&'r [u8]>, Odd> {
        match self.nulls {
            [] => {}
            nulls => match nulls.get(index) {
                Some(b't') => return Ok(None),
                Some(b'f') => {}
                _ => return Err(Odd),
            },
        }
        let (value, rest) = first(self.rest.ok_or(Odd)?);
        self.rest = rest;
        if !has_length {
            return Ok(Some(value));
        }
        let length = digits(value).ok_or(Odd)?;
        let (value, behind) = rest.ok_or(Odd)?.split_at_checked(length).ok_or(Odd)?;
        self.rest = match behind {
            [] => None,
            [b';', rest @ ..] => Some(rest),
            _ => return Err(Odd),
        };
        Ok(Some(value))
    }

    fn is_over(&self, columns: usize) -> bool {
        self.rest.is_none() && (self.nulls.is_empty() || self.nulls.len() == columns)
    }
}

/// What stands before the first `;`, and what behind it.
fn first(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == b';') {
        Some(at) => (&text[..at], text.get(at + 1..)),
        None => (text, None),
    }
}

fn digits(text: &[u8]) -> Option<usize> {
    if !(1..=9).contains(&text.len()) {
        return None;
    }
    text.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + usize::from(byte - b'0')))
}

/// Writes the cells of a row; `cell` writes one that is there. Where the text is none of these columns' rows, as a driver
/// makes it that changes texts, each cell that is left is a fault.
pub(super) fn write(
    plan: &[Planned],
    line: &[u8],
    out: &mut BatchWriter,
    mut cell: impl FnMut(&Planned, &[u8], &mut BatchWriter),
) {
    let mut cut = Cut::begin(line);
    let mut is_odd = false;
    for (index, planned) in plan.iter().enumerate() {
        match cut.next(index, has_length(planned)) {
            // What stands behind the last cell shows that none can be trusted.
            Ok(_) if index + 1 == plan.len() && !cut.is_over(plan.len()) => is_odd = true,
            Ok(Some(value)) if !is_odd => cell(planned, value, out),
            Ok(None) if !is_odd => out.null(),
            _ => is_odd = true,
        }
        if is_odd {
            out.fault(CellFault::Encoding, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn planned(kind: ColumnKind, declared: &str) -> Planned {
        let ask = match kind {
            ColumnKind::Text { max_chars: Some(chars) } => {
                Ask::Text { wide: false, units: 4 * chars as usize, declared: true }
            }
            ColumnKind::Text { max_chars: None } => Ask::Text { wide: false, units: 65_536, declared: false },
            _ => Ask::Long,
        };
        let column = Column { name: String::new(), kind, declared: declared.to_owned(), nullable: None };
        Planned { column, ask }
    }

    fn number() -> Planned {
        planned(ColumnKind::Integer, "int4")
    }

    fn text() -> Planned {
        planned(ColumnKind::Text { max_chars: Some(20) }, "varchar(20)")
    }

    /// The cells of a line: the value, `NULL`, or a fault.
    fn cells(plan: &[Planned], line: &[u8]) -> Vec<String> {
        let columns: Vec<Column> = plan.iter().map(|planned| planned.column.clone()).collect();
        let mut out = BatchWriter::new(columns.into());
        out.begin();
        write(plan, line, &mut out, |_, value, out| out.value(value));
        out.end();
        let batch = out.take();
        let told = |cell| match cell {
            crate::decode::rows::Cell::Null => "NULL".to_owned(),
            crate::decode::rows::Cell::Fault(..) => "fault".to_owned(),
            crate::decode::rows::Cell::Value(value) => String::from_utf8_lossy(value).into_owned(),
        };
        batch.first().unwrap().into_iter().map(|(_, cell)| told(cell)).collect()
    }

    #[test]
    fn a_row_is_cut_as_it_was_written() {
        let plan = [number(), text(), number(), text()];
        for (line, expected) in [
            (";4711;5;a;b;c;12.50;0;", ["4711", "a;b;c", "12.50", ""]),
            ("fttf;4711;3;x;y", ["4711", "NULL", "NULL", "x;y"]),
            ("tttt", ["NULL"; 4]),
            ("tftt;1;;", ["NULL", ";", "NULL", "NULL"]),
            (";1;2;\u{e4};-7;4;\u{1f600}", ["1", "\u{e4}", "-7", "\u{1f600}"]),
            // A text that the driver has made longer, and what is no row at all.
            (";4711;5;a;b;\r\nc;12.50;0;", ["4711", "fault", "fault", "fault"]),
            (";4711;5;abcde;12.50;0;;", ["4711", "abcde", "12.50", "fault"]),
            (";4711;9;abcde;1", ["4711", "fault", "fault", "fault"]),
            ("ff;1;1;a;1;1;a", ["1", "a", "fault", "fault"]),
            ("fffff;1;1;a;1;1;a", ["1", "a", "1", "fault"]),
            ("", ["fault"; 4]),
        ] {
            assert_eq!(cells(&plan, line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn only_rows_of_bounded_texts_numbers_and_times_are_lines() {
        let plan = [number(), text(), number(), number()];
        assert_eq!(units(&plan, 65_536), Some(5 + 4 * SHORT + 80));
        let sql = statement_of("select 1", &plan, 65_536);
        assert_eq!(
            sql,
            "select concat_ws(';', case num_nulls(c0, c1, c2, c3) when 0 then '' else concat(c0 is null, c1 is null, \
             c2 is null, c3 is null) end, c0, octet_length(c1), c1, c2, c3) from (select 1\n) as t(c0, c1, c2, c3)"
        );
        let with = |planned: Planned| units(&[number(), number(), number(), planned], 65_536);
        assert!(with(planned(ColumnKind::Uuid, "uuid")).is_some());
        assert_eq!(with(planned(ColumnKind::Text { max_chars: Some(5) }, "bit(5)")), None);
        let any = || planned(ColumnKind::Text { max_chars: None }, "text");
        assert_eq!(with(any()), Some(5 + 4 * SHORT + 4 * 65_537));
        assert_eq!(with(planned(ColumnKind::Text { max_chars: None }, "bpchar")), None);
        assert_eq!(units(&[any(), any(), any(), any()], 1 << 20), None);
        let sql = statement_of("select 1", &[any()], 300);
        let value = "case when octet_length(c0) > 300 then left(c0, 301) else c0 end";
        assert!(sql.contains(&format!("octet_length({value}), {value}) from")), "{sql}");
        assert_eq!(with(planned(ColumnKind::Bytes { max: Some(8) }, "bytea")), None);
        assert_eq!(with(planned(ColumnKind::Text { max_chars: Some(10_000) }, "varchar(10000)")), None);
        assert_eq!(units(&plan[..3], 65_536), None);
        assert_eq!(units(&vec![text(); 50], 65_536), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in prop::collection::vec(prop::option::of("[;0-9a-z\u{e4}\n]{0,9}"), 4)) {
            let plan = [text(), text(), text(), text()];
            // As `concat_ws` does it.
            let is_whole = rows.iter().all(Option::is_some);
            let nulls: String = rows.iter().map(|value| if value.is_none() { 't' } else { 'f' }).collect();
            let mut line = if is_whole { String::new() } else { nulls };
            for value in rows.iter().flatten() {
                line.push_str(&format!(";{};{value}", value.len()));
            }
            let expected: Vec<String> = rows.into_iter().map(|value| value.unwrap_or("NULL".to_owned())).collect();
            prop_assert_eq!(cells(&plan, line.as_bytes()), expected);
        }

        #[test]
        fn no_bytes_do_harm(line in prop::collection::vec(prop_oneof![Just(b';'), Just(b'1'), any::<u8>()], 0..40)) {
            prop_assert_eq!(cells(&[text(), number(), text()], &line).len(), 3);
        }
    }
}
