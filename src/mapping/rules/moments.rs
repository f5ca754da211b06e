//! Dates and times: their formats and zone.

use jiff::tz::TimeZone;

use super::fail;
use crate::diagnostic::Table;
use crate::mapping::field::misplaced;
use crate::mapping::schedule::time_zone;
use crate::mapping::temporal::{Format, Moment};
use crate::mapping::types::Type;
use crate::record::FieldKind;

/// What `format`, `zone` and `century_pivot` say; empty for other types.
pub(super) struct Moments {
    pub(super) formats: Vec<Format>,
    pub(super) zone: Option<TimeZone>,
    /// Served in UTC, with `Z`.
    pub(super) utc: bool,
    /// Served with a fraction of a second.
    pub(super) fraction: bool,
    /// The fraction is served as far as it says something.
    pub(super) loose: bool,
    /// Those that the source gives an offset are served in UTC, with `Z`, and others as they are.
    pub(super) offset_as_given: bool,
}

impl Moments {
    /// `canonical`: the source writes moments as databases' rows are landed.
    pub(super) fn read(table: &Table<'_>, value_type: Type, kind: FieldKind, canonical: bool) -> Moments {
        let zone = table.read("zone", |node| time_zone(node.as_str().unwrap_or_default()));
        let mut formats = formats(table, value_type, kind, canonical);
        let has_offset = formats.iter().any(Format::has_offset);
        let fraction = formats.iter().any(Format::has_fraction);
        if has_offset {
            misplaced(table, "zone", "beside a format with %z", "the data itself says the offset");
        }
        if formats.iter().any(|format| format.has_fraction() != fraction) {
            let message = "some formats have a fraction of a second and some have none".to_owned();
            fail(table, "format", message, "texts of different length do not sort; make them two fields or add %f");
        }
        if has_offset && zone.is_none() && formats.iter().any(|format| !format.has_offset()) {
            let message = "some formats have an offset and some have none".to_owned();
            fail(table, "format", message, "add %z to all of them, or name a `zone`");
        }
        let utc = zone.is_some() || has_offset;
        let loose = fraction && !utc && formats.iter().any(Format::is_loose);
        let mut offset_as_given = false;
        if canonical && value_type == Type::Datetime && !table.has("format") {
            // A column of a database has an offset in all its rows or in none, and which of the two shows when it is read.
            formats.extend(Format::compile("%Y-%m-%dT%H:%M:%S%.f%z", Moment::Datetime, 0));
            offset_as_given = !utc;
        }
        Moments { utc, formats, zone, fraction, loose, offset_as_given }
    }
}

fn formats(table: &Table<'_>, value_type: Type, kind: FieldKind, canonical: bool) -> Vec<Format> {
    let (moment, iso) = match value_type {
        Type::Date => (Moment::Date, "%Y-%m-%d"),
        Type::Time => (Moment::Time, "%H:%M:%S"),
        Type::Datetime => (Moment::Datetime, "%Y-%m-%dT%H:%M:%S"),
        _ => return Vec::new(),
    };
    let pivot = table.integer("century_pivot", 0..=100).unwrap_or(69) as i16;
    let width = match kind {
        FieldKind::Number { digits, .. } => Some(u32::from(digits)),
        FieldKind::Text { max_chars } => max_chars,
        _ => None,
    };
    let written = table.strings("format");
    if written.is_none() && table.has("format") {
        return Vec::new();
    }
    let written = written.unwrap_or_else(|| {
        let compact = matches!(kind, FieldKind::Number { digits: 8, .. }) && moment == Moment::Date;
        match moment {
            _ if compact => vec!["%Y%m%d".to_owned()],
            // Many old tables have dates in columns of dates and times.
            Moment::Date if canonical => vec![iso.to_owned(), "%Y-%m-%dT00:00:00".to_owned()],
            Moment::Time | Moment::Datetime if canonical => vec![format!("{iso}%.f")],
            _ => vec![iso.to_owned()],
        }
    });
    let mut formats = Vec::new();
    for text in &written {
        match Format::compile(text, moment, pivot) {
            Ok(format) => formats.push(format),
            Err(message) => fail(table, "format", format!("format `{text}`: {message}"), ""),
        }
    }
    if let (Some(width), Some(format)) = (width, formats.first())
        && formats.iter().all(|format| format.shortest() > width as usize)
    {
        let shortest = format.shortest();
        let message = format!(
            "format `{}` takes {shortest} characters at least, and the layout's field has {width}",
            format.text()
        );
        let place = if table.has("format") { "format" } else { "type" };
        fail(table, place, message, "say by `format` how the source writes it, like format = \"%Y%m%d\"");
    }
    formats
}
