//! How numbers are written: in the source's text, and in JSON.

use super::fail;
use crate::diagnostic::{Node, Table};
use crate::mapping::convert::Bounds;
use crate::mapping::literal;
use crate::mapping::number::NumberStyle;
use crate::mapping::types::Type;
use crate::record::FieldKind;

/// JSON numbers of up to so many digits are exact doubles.
pub(super) const DOUBLE_DIGITS: u8 = 15;

/// The style of the numbers that the source writes as text.
pub(super) fn style(table: &Table<'_>, common: NumberStyle, kind: FieldKind) -> NumberStyle {
    let mut style = common;
    if let Some(point) = table.read("decimal_point", decimal_point) {
        style.point = point;
    }
    if table.has("grouping") {
        style.grouping = table.read("grouping", grouping).flatten();
    }
    if style.grouping == Some(style.point) {
        fail(
            table,
            if table.has("grouping") { "grouping" } else { "decimal_point" },
            "decimal point and grouping are the same".to_owned(),
            "",
        );
    }
    if !matches!(kind, FieldKind::Text { .. }) {
        style = NumberStyle::PLAIN;
    }
    style.implied_scale = table.integer("implied_scale", 0..=38).map(|scale| scale as u8);
    style
}

/// Reads `decimal_point`.
pub(in crate::mapping) fn decimal_point(node: &Node) -> Result<u8, String> {
    match node.as_str() {
        Some(".") => Ok(b'.'),
        Some(",") => Ok(b','),
        _ => Err("expected \".\" or \",\"".to_owned()),
    }
}

/// Reads `grouping`; an empty text is none.
pub(in crate::mapping) fn grouping(node: &Node) -> Result<Option<u8>, String> {
    match node.as_str().map(str::as_bytes) {
        Some([]) => Ok(None),
        Some([mark @ (b'.' | b',' | b'\'' | b'_' | b' ')]) => Ok(Some(*mark)),
        _ => Err("expected one of \".\", \",\", \"'\", \"_\", \" \"".to_owned()),
    }
}

/// Whether an integer or decimal is written as a JSON string; reports an `as` that is neither.
pub(in crate::mapping) fn as_string(table: &Table<'_>, value_type: Type, kind: Option<FieldKind>) -> Option<bool> {
    if table.has("as") {
        return table.one_of("as", &[("number", false), ("string", true)]);
    }
    Some(match (value_type, kind) {
        (Type::Decimal { precision, .. }, _) => precision > DOUBLE_DIGITS,
        (Type::Integer | Type::Any, Some(FieldKind::Number { digits, .. })) => digits > DOUBLE_DIGITS,
        _ => false,
    })
}

/// Reads `min` and `max` of a number.
pub(super) fn bounds(table: &Table<'_>, value_type: Type) -> Bounds {
    if !value_type.is_number() {
        return Bounds::default();
    }
    let bounds = Bounds { min: table.read("min", literal::number), max: table.read("max", literal::number) };
    if let (Some(min), Some(max)) = (bounds.min, bounds.max)
        && min > max
    {
        fail(table, "max", format!("max {max} is less than min {min}"), "");
    }
    bounds
}

/// A decimal must hold every value that the layout's field can have.
pub(super) fn holds(table: &Table<'_>, kind: FieldKind, precision: u8, scale: u8) {
    let FieldKind::Number { digits, scale: layout_scale, .. } = kind else { return };
    let implied = table.integer("implied_scale", 0..=38).unwrap_or(0) as u8;
    let layout_scale = layout_scale + implied;
    let whole = digits.saturating_sub(layout_scale);
    if layout_scale > scale || whole > precision - scale {
        let wanted = Type::Decimal { precision: (whole + layout_scale).max(1), scale: layout_scale }.name();
        let message =
            format!("decimal({precision},{scale}) cannot hold every value of the layout's field, which needs {wanted}");
        fail(table, "type", message, &format!("declare it {wanted}, and narrow it by `min` and `max`"));
    }
}

/// The most digits that a number can have.
pub(super) fn digits(value_type: Type, kind: FieldKind, style: &NumberStyle, bounds: Bounds) -> Option<u8> {
    let by_bounds = match (bounds.min, bounds.max) {
        (Some(min), Some(max)) => Some(min.integer_digits().max(max.integer_digits()) as u8),
        _ => None,
    };
    let by_layout = match kind {
        FieldKind::Number { digits, .. } => Some(digits),
        FieldKind::Text { max_chars } => max_chars.and_then(|chars| u8::try_from(chars).ok()),
        _ => None,
    };
    match value_type {
        Type::Decimal { precision, .. } => Some(precision),
        Type::Integer => {
            let implied = style.implied_scale.unwrap_or(0);
            [by_bounds, by_layout.map(|digits| digits.saturating_sub(implied))].into_iter().flatten().min()
        }
        _ => None,
    }
}
