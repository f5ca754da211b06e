//! Columns become fields: their names, their types, and what the sample says beyond these.

use super::sample::{Column, Sample};
use super::{ROW, quoted};
use crate::adapters::sql::{TableColumn, TableInfo};
use crate::decode::rows::ColumnKind;
use crate::mapping::OPERATION;
use crate::record::RejectCode;

/// A proposed field.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) column: String,
    pub(super) rules: Vec<String>,
    /// One sentence each.
    pub(super) reasons: Vec<String>,
    /// Whether people can search and sort by it.
    pub(super) is_comparable: bool,
}

/// Whether a column's name is that of one which Tollbridge makes itself.
pub(super) fn is_ours(name: &str) -> bool {
    [ROW, OPERATION].iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

/// JSON numbers of more digits are not compared exactly.
const COMPARED_DIGITS: u8 = 15;

/// The fields of all columns but the rowversion's, which means nothing outside.
pub(super) fn of(info: &TableInfo, sample: &Sample, key: &[String]) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let is_shown = |column: &TableColumn| !column.is_rowversion && !is_ours(&column.column.name);
    for (at, column) in info.columns.iter().enumerate().filter(|(_, column)| is_shown(column)) {
        let mut name = plain_name(&column.column.name);
        let taken = |name: &str, fields: &[Field]| fields.iter().any(|field| field.name == name);
        let mut number = 2;
        let stem = name.clone();
        while taken(&name, &fields) {
            name = format!("{stem}_{number}");
            number += 1;
        }
        fields.push(field(name, column, sample.column(at), key.contains(&column.column.name)));
    }
    fields
}

/// The field of rows that have no key.
pub(super) fn of_row(others: &[Field]) -> Field {
    let name = ["row", "row_id", "row_key"].into_iter().find(|name| others.iter().all(|field| field.name != *name));
    Field {
        name: name.unwrap_or("row_of_table").to_owned(),
        column: ROW.to_owned(),
        rules: vec![format!("from = {}", quoted(ROW)), "type = \"string\"".to_owned()],
        reasons: vec!["a hash of the whole row, and which of several equal rows it is".to_owned()],
        is_comparable: true,
    }
}

/// Words of dates before which, or after which, nothing happened.
pub(super) const SENTINELS: [(&str, &str); 7] = [
    ("0000-00-00", "no date, as MySQL and MariaDB write it"),
    ("0001-01-01", "no date, as Db2 for i and .NET write it"),
    ("1753-01-01", "no date, as Dynamics NAV writes it"),
    ("1899-12-30", "no date, as FoxPro and Access write it"),
    ("1900-01-01", "no date, as Dynamics AX and many programs on SQL Server write it"),
    ("9999-12-31", "never"),
    ("2999-12-31", "never"),
];

fn field(name: String, column: &TableColumn, seen: &Column, is_key: bool) -> Field {
    let kind = column.column.kind;
    let mut rules = vec![format!("from = {}", quoted(&column.column.name))];
    let mut reasons = Vec::new();
    let declared = &column.column.declared;
    let type_name = match kind {
        ColumnKind::Boolean => "boolean".to_owned(),
        ColumnKind::Integer => "integer".to_owned(),
        ColumnKind::Decimal { scale: 0, precision } if precision <= 18 => "integer".to_owned(),
        ColumnKind::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        ColumnKind::Float => {
            reasons.push(format!("{}: a binary float ({declared}); it may not be exact", column.column.name));
            "number".to_owned()
        }
        ColumnKind::Text { .. } | ColumnKind::Uuid => "string".to_owned(),
        ColumnKind::Bytes { .. } => "bytes".to_owned(),
        ColumnKind::Date => "date".to_owned(),
        ColumnKind::Time => "time".to_owned(),
        ColumnKind::DateTime => {
            reasons.push(format!("{}: a time without a zone; say its `zone` if it is known", column.column.name));
            "datetime".to_owned()
        }
        ColumnKind::DateTimeOffset => "datetime".to_owned(),
    };
    let boolean = seen.yes_and_no();
    let day = seen.day_format().filter(|_| boolean.is_none() && !(is_key && seen.zeros > 0));
    match (&boolean, day) {
        (Some((yes, no)), _) => {
            reasons.push(format!("only {yes} and {no} among {} values", seen.values));
            rules.push("type = \"boolean\"".to_owned());
            rules.push(format!("true_if = [{}], false_if = [{}]", quoted(yes), quoted(no)));
        }
        (None, Some(format)) => {
            reasons.push(format!("{declared}, and all {} values are days written as {format}", seen.values));
            rules.push("type = \"date\"".to_owned());
            rules.push(format!("format = {}", quoted(format)));
            if seen.zeros > 0 {
                reasons.push(format!("{} zeros stand for no date", seen.zeros));
                rules.push("null_if = [\"0\", \"00000000\"]".to_owned());
            }
        }
        (None, None) if seen.large > 0 => {
            reasons
                .push(format!("{} values are beyond 53 bits, which a JSON number does not hold exactly", seen.large));
            rules.push(format!("type = {}", quoted(&type_name)));
            rules.push("as = \"string\"".to_owned());
        }
        (None, None) => rules.push(format!("type = {}", quoted(&type_name))),
    }
    if kind == ColumnKind::DateTimeOffset {
        rules.push("format = \"%Y-%m-%dT%H:%M:%S%.f%z\"".to_owned());
    }
    let sentinels: Vec<_> = SENTINELS.iter().zip(&seen.sentinels).filter(|(_, count)| **count > 0).collect();
    for ((value, meaning), count) in &sentinels {
        reasons.push(format!("{value} comes {count} times: {meaning}"));
    }
    // Of a key they are values like others: it is always there.
    if !sentinels.is_empty() && !is_key {
        let written: Vec<_> = sentinels
            .iter()
            .map(|((value, _), _)| match kind {
                ColumnKind::DateTime => quoted(&format!("{value}T00:00:00")),
                ColumnKind::DateTimeOffset => quoted(&format!("{value}T00:00:00Z")),
                _ => quoted(value),
            })
            .collect();
        rules.push(format!("null_if = [{}]", written.join(", ")));
    }
    if seen.padded > 0 && !is_key {
        reasons.push(format!("{} of {} values end in spaces ({declared})", seen.padded, seen.values));
        rules.push("trim = \"right\"".to_owned());
    }
    if seen.values == 0 && seen.nulls > 0 {
        reasons.push(format!("{} had no value in any of the {} rows", column.column.name, seen.nulls));
    }
    reasons
        .extend(seen.faults.iter().map(|(code, count)| format!("{count} values could not be read: {}", remedy(*code))));
    // Blank counts as absent, and most texts of old tables may be blank although they are never null.
    let may_be_blank = matches!(kind, ColumnKind::Text { .. }) && !is_key;
    let may_be_null = rules.iter().any(|rule| rule.starts_with("null_if"));
    if column.column.nullable == Some(false) && !may_be_blank && !may_be_null {
        rules.push("required = true".to_owned());
    }
    if column.is_computed {
        reasons.push(format!("{} is computed by the database", column.column.name));
    }
    let is_text_of_number = rules.iter().any(|rule| rule == "as = \"string\"");
    let is_long = boolean.is_none() && day.is_none() && type_name != "integer" && digits(kind) > COMPARED_DIGITS;
    let is_comparable = !(matches!(kind, ColumnKind::Bytes { .. }) || is_text_of_number || is_long);
    Field { name, column: column.column.name.clone(), rules, reasons, is_comparable }
}

fn digits(kind: ColumnKind) -> u8 {
    if let ColumnKind::Decimal { precision, .. } = kind { precision } else { 0 }
}

/// What to look at where values cannot be read.
fn remedy(code: RejectCode) -> &'static str {
    match code {
        RejectCode::Unmappable => "they are no text in the column's encoding; see the backend's `encoding`",
        RejectCode::ValueTooLong => "they are longer than the backend's `max_value_bytes` lets them be",
        RejectCode::ValueTruncated => "the driver gave only a part of them",
        RejectCode::BadDate => "they are no dates or times of the calendar; each makes a dead letter of its row",
        _ => "they are no values of the column's type; each makes a dead letter of its row",
    }
}

/// A name in lower-case letters, digits and `_`: `CustNo$` becomes `cust_no`.
pub(super) fn plain_name(written: &str) -> String {
    let mut name = String::new();
    let mut before = ' ';
    for c in written.chars() {
        let folded = match c {
            'ä' | 'Ä' => "ae",
            'ö' | 'Ö' => "oe",
            'ü' | 'Ü' => "ue",
            'ß' => "ss",
            _ => "",
        };
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            name.push('_');
        }
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !folded.is_empty() {
            name.push_str(folded);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
        before = c;
    }
    let name = name.trim_matches('_');
    match name.chars().next() {
        None => "field".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("f_{name}"),
        Some(_) => name.to_owned(),
    }
}
