//! Values of the driver as cells of a row, in their canonical form.
//!
//! The driver gives `money` as a floating-point number, and text of UTF-8 by a code page. Statements are written so that
//! neither travels (see `shape`); where one does all the same, in a result of a procedure, the value is the one that was
//! seen on the line (see `witness`), and one that was not seen is a value that cannot be read.

use std::io::Write;
use std::sync::Arc;

use tiberius::{ColumnData, ColumnType, Row};

use super::line::Control;
use super::witness::{Keep, Raw};
use super::{kind, moment};
use crate::decode::rows::{BatchWriter, CellFault, Column, ColumnKind};
use crate::record::Decimal;

/// From this amount on (225 billion) a floating-point number stands for more than one amount of `money`,
const MANY: f64 = 225_179_981_368.524_8;

/// up to the largest one that `money` holds, rounded up.
const MOST_MONEY: f64 = 922_337_203_685_478.0;

/// The most bytes of a value that are kept where it cannot be read.
const KEPT: usize = 4096;

/// A column as it is read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// What its values are.
    pub(super) kind: ColumnKind,
    /// How they travel.
    pub(super) wire: ColumnType,
    /// Nobody has said what its statement brings: the code page of its text is the driver's guess.
    pub(super) is_guessed: bool,
}

/// Turns rows into cells.
pub(super) struct Cells {
    columns: Vec<Reading>,
    max: usize,
    scratch: Vec<u8>,
    /// What was seen of the result, and its number among those of the answer.
    seen: Option<(Arc<Control>, usize)>,
}

impl Cells {
    pub(super) fn new(columns: Vec<Reading>, max: usize) -> Cells {
        Cells { columns, max, scratch: Vec::with_capacity(64), seen: None }
    }

    /// Of a result that was read along: what was seen of it counts.
    pub(super) fn seen(mut self, control: &Arc<Control>, set: usize) -> Cells {
        let is_known = control.witness().keeps(set).is_some_and(|keeps| keeps.len() == self.columns.len());
        self.seen = is_known.then(|| (Arc::clone(control), set));
        // Text that is not kept is in a code page that the driver knows.
        self.columns.iter_mut().for_each(|column| column.is_guessed &= !is_known);
        self
    }

    /// Appends a row.
    pub(super) fn row(&mut self, row: &Row, out: &mut BatchWriter) {
        out.begin();
        let mut cells = row.cells();
        for (at, column) in self.columns.iter().enumerate() {
            let raw = self.seen.as_ref().and_then(|(control, set)| {
                let mut witness = control.witness();
                let is_kept = witness.keeps(*set)?.get(at).is_some_and(|keep| *keep != Keep::Nothing);
                if is_kept { witness.next_of(*set) } else { None }
            });
            if let Some(raw) = &raw {
                cells.next();
                as_seen(column, raw, self.max, &mut self.scratch, out);
                continue;
            }
            match cells.next() {
                Some((_, data)) => cell(column, data, self.max, &mut self.scratch, out),
                // The driver gives a cell a column.
                None => out.fault(CellFault::Invalid, b""),
            }
        }
        out.end();
    }
}

/// Appends a cell as it was seen.
fn as_seen(column: &Reading, raw: &Raw, max: usize, scratch: &mut Vec<u8>, out: &mut BatchWriter) {
    scratch.clear();
    match raw {
        Raw::Money(None) | Raw::Text(None) => out.null(),
        Raw::Money(Some(units)) => match (amount(*units), column.kind) {
            (Some(amount), ColumnKind::Decimal { .. }) => {
                amount.write(scratch);
                out.value(scratch);
            }
            _ => out.fault(CellFault::Invalid, units.to_string().as_bytes()),
        },
        Raw::Text(Some(bytes)) if bytes.len() > max => out.fault(CellFault::TooLong, &bytes[..KEPT.min(bytes.len())]),
        Raw::Text(Some(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => out.value(text.as_bytes()),
            Err(_) => out.fault(CellFault::Encoding, &bytes[..KEPT.min(bytes.len())]),
        },
    }
}

/// An amount of so many ten-thousandths.
fn amount(units: i64) -> Option<Decimal> {
    Decimal::new(i128::from(units), 4).ok()
}

/// Appends a cell.
fn cell(column: &Reading, data: &ColumnData<'_>, max: usize, scratch: &mut Vec<u8>, out: &mut BatchWriter) {
    match data {
        ColumnData::String(Some(text)) => return words(column, text, max, out),
        ColumnData::Xml(Some(xml)) => return words(column, xml.as_ref().as_ref(), max, out),
        ColumnData::Binary(Some(bytes)) if matches!(column.kind, ColumnKind::Bytes { .. }) => {
            return if bytes.len() > max {
                out.fault(CellFault::TooLong, &bytes[..KEPT.min(bytes.len())]);
            } else {
                out.value(bytes);
            };
        }
        _ => {}
    }
    scratch.clear();
    match written(column, data, scratch) {
        Some(true) => out.value(scratch),
        Some(false) => out.null(),
        None => {
            let raw = format!("{data:?}");
            out.fault(CellFault::Invalid, &raw.as_bytes()[..KEPT.min(raw.len())]);
        }
    }
}

/// Appends text.
fn words(column: &Reading, text: &str, max: usize, out: &mut BatchWriter) {
    if !matches!(column.kind, ColumnKind::Text { .. }) {
        return out.fault(CellFault::Invalid, begin(text));
    }
    let is_wide = !matches!(column.wire, ColumnType::BigVarChar | ColumnType::BigChar | ColumnType::Text);
    // Most texts are short enough whatever they hold: as UTF-16 they have at most twice the bytes of UTF-8.
    if text.len() * 2 > max {
        let units: usize = text.encode_utf16().count();
        if if is_wide { units * 2 } else { units } > max {
            return out.fault(CellFault::TooLong, begin(text));
        }
    }
    if column.is_guessed && !is_wide && !text.is_ascii() && may_be_utf8(text) {
        return out.fault(CellFault::Encoding, begin(text));
    }
    // The driver puts U+FFFD where there is half a pair of surrogates. One that was stored as such says the same: that a
    // character was lost before it came here.
    if is_wide && !text.is_ascii() && text.contains('\u{fffd}') {
        let raw: Vec<u8> = text.encode_utf16().take(KEPT / 2).flat_map(u16::to_le_bytes).collect();
        return out.fault(CellFault::Encoding, &raw);
    }
    out.value(text.as_bytes());
}

/// Whether text of a code page may be UTF-8 that was taken for it. The driver does not know the collations of SQL Server 2019
/// whose text is UTF-8, and reads theirs by the code page of the language; in a code page as it is meant, text that is good
/// UTF-8 too hardly occurs.
fn may_be_utf8(text: &str) -> bool {
    use encoding_rs as page;
    // What the code page does not have became U+FFFD.
    text.contains('\u{fffd}')
        || [
            page::WINDOWS_1252,
            page::WINDOWS_1250,
            page::WINDOWS_1251,
            page::WINDOWS_1253,
            page::WINDOWS_1254,
            page::WINDOWS_1255,
            page::WINDOWS_1256,
            page::WINDOWS_1257,
            page::WINDOWS_1258,
            page::WINDOWS_874,
            page::SHIFT_JIS,
            page::GBK,
            page::EUC_KR,
            page::BIG5,
        ]
        .iter()
        .any(|page| {
            let (bytes, _, is_lost) = page.encode(text);
            !is_lost && std::str::from_utf8(&bytes).is_ok()
        })
}

/// The beginning of a text, at a character's border.
fn begin(text: &str) -> &[u8] {
    let mut end = KEPT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text.as_bytes()[..end]
}

/// Writes a value that is neither text nor bytes: `Some(false)` for NULL, `None` where it is no value of the column.
fn written(column: &Reading, data: &ColumnData<'_>, out: &mut Vec<u8>) -> Option<bool> {
    let is_variant = column.wire == ColumnType::SSVariant;
    let is = |kind: ColumnKind| is_variant || column.kind == kind;
    let integer = |number: Option<i64>, out: &mut Vec<u8>| match number {
        None => Some(false),
        Some(number) if is_variant || column.kind == ColumnKind::Integer => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            Some(true)
        }
        Some(_) => None,
    };
    match data {
        ColumnData::U8(number) => integer(number.map(i64::from), out),
        ColumnData::I16(number) => integer(number.map(i64::from), out),
        ColumnData::I32(number) => integer(number.map(i64::from), out),
        ColumnData::I64(number) => integer(*number, out),
        ColumnData::Bit(Some(flag)) if is(ColumnKind::Boolean) => {
            out.push(b'0' + u8::from(*flag));
            Some(true)
        }
        ColumnData::Numeric(Some(number)) => {
            let number = Decimal::new(number.value(), number.scale()).ok()?;
            match column.kind {
                ColumnKind::Decimal { scale, .. } => number.rescale(scale).ok()?.write(out),
                _ if is_variant => number.write(out),
                _ => return None,
            }
            Some(true)
        }
        // An amount that nobody has seen.
        ColumnData::F64(Some(_)) if matches!(column.kind, ColumnKind::Decimal { .. }) => None,
        // In a sql_variant an amount looks like a number; where it could be one that was rounded, it is not taken.
        ColumnData::F64(Some(number)) if is_variant && (MANY..=MOST_MONEY).contains(&number.abs()) => None,
        ColumnData::F64(Some(number)) if is(ColumnKind::Float) => float(*number, out),
        ColumnData::F32(Some(number)) if is(ColumnKind::Float) => {
            write!(out, "{number}").ok()?;
            Some(true)
        }
        ColumnData::Guid(Some(uuid)) if is(ColumnKind::Uuid) => {
            out.extend_from_slice(uuid.hyphenated().encode_lower(&mut [0; 36]).as_bytes());
            Some(true)
        }
        ColumnData::Date(Some(date)) if is(ColumnKind::Date) => moment::date(*date, out).map(|()| true),
        ColumnData::Time(Some(time)) if is(ColumnKind::Time) => moment::time(*time, out).map(|()| true),
        ColumnData::DateTime(Some(moment)) if is(ColumnKind::DateTime) => moment::datetime(*moment, out).map(|()| true),
        ColumnData::SmallDateTime(Some(moment)) if is(ColumnKind::DateTime) => {
            moment::smalldatetime(*moment, out).map(|()| true)
        }
        ColumnData::DateTime2(Some(moment)) if is(ColumnKind::DateTime) => {
            moment::datetime2(*moment, out).map(|()| true)
        }
        ColumnData::DateTimeOffset(Some(moment)) if is(ColumnKind::DateTimeOffset) => {
            moment::datetimeoffset(*moment, out).map(|()| true)
        }
        ColumnData::Binary(Some(bytes)) if is_variant => {
            // As it is written in SQL: text cannot hold bytes.
            out.extend_from_slice(b"0x");
            for byte in bytes.iter() {
                write!(out, "{byte:02x}").ok()?;
            }
            Some(true)
        }
        ColumnData::Bit(None)
        | ColumnData::Numeric(None)
        | ColumnData::F32(None)
        | ColumnData::F64(None)
        | ColumnData::Guid(None)
        | ColumnData::Date(None)
        | ColumnData::Time(None)
        | ColumnData::DateTime(None)
        | ColumnData::SmallDateTime(None)
        | ColumnData::DateTime2(None)
        | ColumnData::DateTimeOffset(None)
        | ColumnData::Binary(None)
        | ColumnData::String(None)
        | ColumnData::Xml(None) => Some(false),
        _ => None,
    }
}

fn float(number: f64, out: &mut Vec<u8>) -> Option<bool> {
    write!(out, "{number}").ok()?;
    Some(true)
}

/// The columns of rows whose statement was not described, by their types on the way and, for decimals, their values.
pub(super) fn by_rows(columns: &[tiberius::Column], rows: &[Row]) -> (Vec<Column>, Vec<Reading>) {
    let scale = |at: usize| {
        rows.iter().find_map(|row| match row.get_column_data(at) {
            Ok(ColumnData::Numeric(Some(number))) => Some(number.scale()),
            _ => None,
        })
    };
    let each = columns.iter().enumerate().map(|(at, column)| {
        let wire = column.column_type();
        let kind = kind::of_wire(wire, scale(at)).unwrap_or(ColumnKind::Decimal { precision: 38, scale: 0 });
        let described = Column { name: column.name().to_owned(), kind, declared: String::new(), nullable: None };
        (described, Reading { kind, wire, is_guessed: true })
    });
    each.unzip()
}

/// A single value in the canonical form of a kind: what comes out of a procedure.
pub(super) fn single(wanted: ColumnKind, data: &ColumnData<'_>, seen: Option<Raw>) -> Result<Option<Vec<u8>>, String> {
    match (wanted, seen) {
        (ColumnKind::Decimal { scale, .. }, Some(Raw::Money(Some(units)))) => {
            let mut out = Vec::new();
            let amount = amount(units).and_then(|amount| amount.rescale(scale).ok());
            amount.ok_or_else(|| format!("{units} ten-thousandths have more than {scale} decimals"))?.write(&mut out);
            return Ok(Some(out));
        }
        (ColumnKind::Text { .. }, Some(Raw::Money(Some(units)))) => {
            let mut out = Vec::new();
            amount(units).ok_or_else(|| units.to_string())?.write(&mut out);
            return Ok(Some(out));
        }
        (ColumnKind::Text { .. }, Some(Raw::Text(Some(bytes)))) => {
            let text = String::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
            return Ok(Some(text.into_bytes()));
        }
        (_, Some(Raw::Money(None) | Raw::Text(None))) => return Ok(None),
        _ => {}
    }
    let wire = match (wanted, data) {
        (ColumnKind::Text { .. }, ColumnData::String(_) | ColumnData::Xml(_)) => ColumnType::NVarchar,
        (ColumnKind::Text { .. }, _) => ColumnType::SSVariant,
        _ => ColumnType::Null,
    };
    match (wanted, data) {
        (ColumnKind::Text { .. }, ColumnData::String(Some(text))) => return Ok(Some(text.as_bytes().to_vec())),
        (ColumnKind::Text { .. }, ColumnData::Xml(Some(xml))) => {
            let text: &str = xml.as_ref().as_ref();
            return Ok(Some(text.as_bytes().to_vec()));
        }
        (ColumnKind::Bytes { .. }, ColumnData::Binary(Some(bytes))) => return Ok(Some(bytes.to_vec())),
        _ => {}
    }
    let mut out = Vec::new();
    // Whole numbers come as what the procedure declares.
    let reading = match (wanted, data) {
        (ColumnKind::Decimal { scale, .. }, whole) if whole_number(whole).is_some() => {
            let number = Decimal::from_i64(whole_number(whole).unwrap_or_default());
            number.rescale(scale).map_err(|error| error.to_string())?.write(&mut out);
            return Ok(Some(out));
        }
        (kind, _) => Reading { kind, wire, is_guessed: true },
    };
    match written(&reading, data, &mut out) {
        Some(true) => Ok(Some(out)),
        Some(false) => Ok(None),
        None => Err(format!("{data:?} is no value of the kind that was asked for ({wanted:?})")),
    }
}

fn whole_number(data: &ColumnData<'_>) -> Option<i64> {
    match data {
        ColumnData::U8(number) => number.map(i64::from),
        ColumnData::I16(number) => number.map(i64::from),
        ColumnData::I32(number) => number.map(i64::from),
        ColumnData::I64(number) => *number,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use std::sync::Arc;

    /// The cell that a value becomes, without the head of its file and the length of its row.
    fn bytes(kind: ColumnKind, wire: ColumnType, data: ColumnData<'static>, max: usize) -> Vec<u8> {
        let column = Column { name: "a".to_owned(), kind, declared: String::new(), nullable: None };
        let mut out = BatchWriter::new(Arc::from([column]));
        let head = out.size();
        let row = Row::builder().column("a", wire, data).build();
        Cells::new(vec![Reading { kind, wire, is_guessed: false }], max).row(&row, &mut out);
        out.take().bytes[head + 4..].to_vec()
    }

    fn value(kind: ColumnKind, wire: ColumnType, data: ColumnData<'static>) -> String {
        let cell = bytes(kind, wire, data, 1 << 20);
        match cell.as_slice() {
            [0] => "NULL".to_owned(),
            [1, fault, ..] => format!("{:?}", CellFault::from_byte(*fault).unwrap()),
            [length, text @ ..] => {
                assert_eq!(usize::from(*length), text.len() + 2);
                String::from_utf8(text.to_vec()).unwrap()
            }
            [] => unreachable!(),
        }
    }

    const MONEY: ColumnKind = ColumnKind::Decimal { precision: 19, scale: 4 };
    const TEXT: ColumnKind = ColumnKind::Text { max_chars: None };

    #[test]
    fn values_have_their_canonical_form() {
        let decimal = |precision, scale| ColumnKind::Decimal { precision, scale };
        let numeric =
            |units, scale| ColumnData::Numeric(Some(tiberius::numeric::Numeric::new_with_scale(units, scale)));
        let nines = 99_999_999_999_999_999_999_999_999_999_999_999_999;
        for (kind, wire, data, expected) in [
            (ColumnKind::Integer, ColumnType::Int1, ColumnData::U8(Some(255)), "255"),
            (ColumnKind::Integer, ColumnType::Int8, ColumnData::I64(Some(i64::MIN)), "-9223372036854775808"),
            (ColumnKind::Integer, ColumnType::Int4, ColumnData::I32(None), "NULL"),
            (ColumnKind::Boolean, ColumnType::Bit, ColumnData::Bit(Some(true)), "1"),
            (decimal(38, 0), ColumnType::Decimaln, numeric(-nines, 0), "-99999999999999999999999999999999999999"),
            (decimal(38, 38), ColumnType::Decimaln, numeric(1, 38), "0.00000000000000000000000000000000000001"),
            (decimal(5, 2), ColumnType::Decimaln, numeric(-150, 2), "-1.50"),
            (MONEY, ColumnType::Money, ColumnData::F64(Some(-0.0001)), "Invalid"),
            (MONEY, ColumnType::Money, ColumnData::F64(None), "NULL"),
            (ColumnKind::Float, ColumnType::Float4, ColumnData::F32(Some(0.1)), "0.1"),
            (ColumnKind::Float, ColumnType::Float8, ColumnData::F64(Some(-1.5e-7)), "-0.00000015"),
            (ColumnKind::Integer, ColumnType::Int4, ColumnData::F64(Some(1.0)), "Invalid"),
            (
                TEXT,
                ColumnType::NVarchar,
                ColumnData::String(Some(Cow::Borrowed("Zürich \u{1f511}"))),
                "Zürich \u{1f511}",
            ),
            (TEXT, ColumnType::NVarchar, ColumnData::String(Some(Cow::Borrowed("a\u{fffd}"))), "Encoding"),
            (TEXT, ColumnType::SSVariant, ColumnData::I32(Some(7)), "7"),
            (TEXT, ColumnType::SSVariant, ColumnData::F64(Some(12.25)), "12.25"),
            (TEXT, ColumnType::SSVariant, ColumnData::F64(Some(300_000_000_000.5)), "Invalid"),
            (TEXT, ColumnType::SSVariant, ColumnData::Binary(Some(Cow::Borrowed(&[1, 0xab]))), "0x01ab"),
            (TEXT, ColumnType::SSVariant, ColumnData::String(None), "NULL"),
        ] {
            assert_eq!(value(kind, wire, data.clone()), expected, "{data:?}");
        }
        let uuid = tiberius::Uuid::from_u128(0x0197_F7A2_0000_7000_8000_0000_0000_00AB);
        let text = value(ColumnKind::Uuid, ColumnType::Guid, ColumnData::Guid(Some(uuid)));
        assert_eq!(text, "0197f7a2-0000-7000-8000-0000000000ab");
    }

    #[test]
    fn what_is_too_long_is_told_with_its_beginning() {
        let long = |wire, text: String| bytes(TEXT, wire, ColumnData::String(Some(Cow::Owned(text))), 10_000);
        // 5000 characters are 10000 bytes as nvarchar, and half of it as varchar.
        assert_eq!(long(ColumnType::NVarchar, "x".repeat(5000)).len(), 5002);
        assert_eq!(long(ColumnType::NVarchar, "x".repeat(5001))[..2], [1, CellFault::TooLong as u8]);
        assert_eq!(long(ColumnType::BigVarChar, "x".repeat(10_000)).len(), 10_002);
        let cut = long(ColumnType::BigVarChar, "ü".repeat(10_001));
        assert_eq!((cut[0], cut[1]), (1, CellFault::TooLong as u8));
        assert!(std::str::from_utf8(&cut[4..]).is_ok());
        let blob = ColumnData::Binary(Some(Cow::Owned(vec![7; 10_001])));
        let cut = bytes(ColumnKind::Bytes { max: None }, ColumnType::BigVarBin, blob, 10_000);
        assert_eq!((cut[1], cut.len()), (CellFault::TooLong as u8, 2 + 2 + KEPT));
    }

    #[test]
    fn utf8_that_was_taken_for_a_code_page_is_no_text() {
        let cell = |wire, is_guessed, text: &str| {
            let column = Column { name: "a".to_owned(), kind: TEXT, declared: String::new(), nullable: None };
            let mut out = BatchWriter::new(Arc::from([column]));
            let head = out.size();
            let row = Row::builder().column("a", wire, ColumnData::String(Some(text.to_owned().into()))).build();
            Cells::new(vec![Reading { kind: TEXT, wire, is_guessed }], 1 << 20).row(&row, &mut out);
            out.take().bytes[head + 4] != 1
        };
        // \u{c3}\u{bc} is the UTF-8 of \u{fc} read as windows-1252; the others are the same by other pages.
        for (text, is_taken) in [
            ("M\u{c3}\u{bc}ller", false),
            ("\u{420}\u{a0}", false),
            ("\u{fffd}", false),
            ("M\u{fc}ller", true),
            ("\u{41c}\u{43e}\u{441}\u{43a}\u{432}\u{430}", true),
            ("\u{6771}\u{4eac}", true),
            ("plain", true),
        ] {
            assert_eq!(cell(ColumnType::BigVarChar, true, text), is_taken, "{text}");
        }
        assert!(cell(ColumnType::BigVarChar, false, "M\u{c3}\u{bc}ller"), "its code page is known");
        assert!(cell(ColumnType::NVarchar, true, "M\u{c3}\u{bc}ller"));
    }

    #[test]
    fn single_values_are_those_of_their_kind() {
        let kind = ColumnKind::Decimal { precision: 9, scale: 2 };
        let single = |wanted, data, seen| single(wanted, &data, seen);
        assert_eq!(single(kind, ColumnData::I32(Some(5)), None), Ok(Some(b"5.00".to_vec())));
        assert_eq!(single(ColumnKind::Integer, ColumnData::I32(None), None), Ok(None));
        assert_eq!(single(TEXT, ColumnData::I32(Some(5)), None), Ok(Some(b"5".to_vec())));
        assert!(single(ColumnKind::Date, ColumnData::I32(Some(5)), None).is_err());
        let money = |units| Some(Raw::Money(Some(units)));
        assert_eq!(
            single(MONEY, ColumnData::F64(Some(0.0)), money(i64::MAX)),
            Ok(Some(b"922337203685477.5807".to_vec()))
        );
        assert_eq!(single(kind, ColumnData::F64(Some(0.0)), money(12_500)), Ok(Some(b"1.25".to_vec())));
        assert!(single(kind, ColumnData::F64(Some(0.0)), money(12_501)).is_err());
        assert!(single(kind, ColumnData::F64(Some(1.25)), None).is_err(), "nobody has seen it");
    }

    proptest::proptest! {
        /// The driver makes a floating-point number of an amount in a sql_variant. Up to [`MANY`] that is the one nearest to
        /// it, whose fewest digits are its own; beyond it is not taken.
        #[test]
        fn an_amount_in_a_variant_is_exact_or_a_fault(units in proptest::prelude::any::<i64>(), shift in 0u32..40) {
            let units = units >> shift;
            let column = Reading { kind: TEXT, wire: ColumnType::SSVariant, is_guessed: false };
            let mut out = Vec::new();
            let amount = units as f64 / 1e4;
            match written(&column, &ColumnData::F64(Some(amount)), &mut out) {
                Some(true) => {
                    let read = Decimal::parse(std::str::from_utf8(&out).unwrap(), b'.', None).unwrap();
                    proptest::prop_assert_eq!(read.rescale(4).unwrap().units(), i128::from(units));
                }
                other => proptest::prop_assert!(other.is_none() && units.unsigned_abs() >= 2_250_000_000_000_000),
            }
        }
    }
}
