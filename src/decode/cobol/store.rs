//! The bytes of one item's value.

use std::borrow::Cow;

use super::edit::edit;
use super::number::write::{Unfit, Units, binary, float, packed, units, zoned};
use super::number::{write_decimal_float, write_external};
use super::plan::Plan;
use super::reading::{Compiler, Overpunch, Zone};
use super::settings::ByteOrder;
use crate::decode::code_page::Unencodable;
use crate::decode::copybook::{Data, EditMark, Item};
use crate::decode::encode::{EncodeFault, Json};

/// How values are stored.
#[derive(Clone, Copy)]
pub(super) struct Store<'a> {
    pub(super) plan: &'a Plan,
    zone: Zone,
}

impl<'a> Store<'a> {
    pub(super) fn new(plan: &'a Plan) -> Store<'a> {
        let own = match plan.settings.reading.compiler {
            Compiler::Ibm => Overpunch::Translated,
            Compiler::Gnu | Compiler::MicroFocus => Overpunch::MicroFocus,
        };
        // Several forms are read; one is written.
        let zone = if plan.zone == Zone::Ascii(Overpunch::Auto) { Zone::Ascii(own) } else { plan.zone };
        Store { plan, zone }
    }

    /// What a value of this item begins as: blanks in text, zero in numbers.
    pub(super) fn initial(&self, item: &Item) -> Option<Vec<u8>> {
        let value = if is_text(item.data) { Json::Text(Cow::Borrowed("")) } else { Json::Number("0") };
        self.value(item, &value).ok()
    }

    /// The bytes of an elementary item.
    pub(super) fn value(&self, item: &Item, value: &Json<'_>) -> Result<Vec<u8>, EncodeFault> {
        let plan = self.plan;
        let fault = |found: String| EncodeFault::here(plan.expected(item), found);
        if is_text(item.data) {
            return match value {
                // Low values are no text: they are read as null.
                Json::Null => Ok(vec![0; item.length]),
                Json::Text(text) => self.text(item, text),
                other => Err(fault(format!("{other}"))),
            };
        }
        let text = match value {
            Json::Number(text) => *text,
            Json::Text(text) => text.as_ref(),
            Json::Null => return blank_number(plan, item).ok_or_else(|| fault("null".to_owned())),
            other => return Err(fault(other.to_string())),
        };
        let written = match item.data {
            Some(Data::Float | Data::Double) => float(text, item.length, plan.float),
            Some(Data::Ieee { decimal: false }) => float(text, item.length, plan.ieee()),
            Some(Data::Ieee { decimal: true }) => write_decimal_float(text, item.length, plan.native),
            Some(Data::External { national }) => self.external(item, text, national),
            Some(data) => self.number(item, data, text),
            None => Err(Unfit::NotANumber),
        };
        written.map_err(|unfit| {
            fault(match unfit {
                Unfit::NotANumber => format!("{value}, which is no number"),
                Unfit::Inexact => format!("{value}, which has more digits behind the point"),
                Unfit::TooLarge => format!("{value}, which is too large"),
                Unfit::Negative => format!("{value}, which is negative"),
            })
        })
    }

    fn number(&self, item: &Item, data: Data, text: &str) -> Result<Vec<u8>, Unfit> {
        match data {
            Data::Zoned { digits, scale, sign } => {
                let units = units(text, scale)?;
                match item.blank_when_zero && units.magnitude == 0 {
                    true => Ok(vec![self.plan.encoding.blank(); item.length]),
                    false => zoned(units, digits, sign, self.zone),
                }
            }
            Data::NationalZoned { digits, scale, sign } => {
                let units = units(text, scale)?;
                let narrow = match item.blank_when_zero && units.magnitude == 0 {
                    true => vec![b' '; item.length / 2],
                    false => zoned(units, digits, sign, Zone::Ascii(Overpunch::MicroFocus))?,
                };
                Ok(narrow.into_iter().flat_map(|byte| [0, byte]).collect())
            }
            Data::Packed { digits, scale, signed, sign_nibble } => {
                packed(units(text, scale)?, digits, signed, sign_nibble)
            }
            Data::Binary { digits, scale, signed, native, full } => {
                let order = if native { self.plan.native } else { ByteOrder::Big };
                binary(units(text, scale)?, item.length, digits, signed, full, order)
            }
            Data::Edited { digits, scale, signed, national } => {
                self.edited(item, units(text, scale)?, digits, signed, national)
            }
            Data::Text | Data::National | Data::DoubleByte | Data::Utf8 => Err(Unfit::NotANumber),
            Data::Float | Data::Double | Data::Ieee { .. } | Data::External { .. } => Err(Unfit::NotANumber),
        }
    }

    fn external(&self, item: &Item, text: &str, national: bool) -> Result<Vec<u8>, Unfit> {
        let text = write_external(text, &item.marks, self.plan.editing.point)?;
        match national {
            true => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            false => self.plan.encoding.encode(&text).map_err(|_| Unfit::NotANumber),
        }
    }

    fn edited(&self, item: &Item, units: Units, digits: u8, signed: bool, national: bool) -> Result<Vec<u8>, Unfit> {
        if units.negative && !signed {
            return Err(Unfit::Negative);
        }
        let text =
            match item.blank_when_zero && units.magnitude == 0 && !item.marks.contains(&EditMark::Suppressed('*')) {
                true => String::new(),
                false => edit(&item.marks, &units.digits(digits)?, units.negative, self.plan.editing),
            };
        let (mut bytes, blank): (Vec<u8>, &[u8]) = match national {
            true => (text.encode_utf16().flat_map(u16::to_be_bytes).collect(), b"\0 "),
            // A currency that the page lacks was refused when the copybook was read by it.
            false => (
                self.plan.encoding.encode(&text).map_err(|_| Unfit::NotANumber)?,
                if self.plan.encoding.blank() == b' ' { b" " } else { b"\x40" },
            ),
        };
        while bytes.len() < item.length {
            bytes.extend_from_slice(blank);
        }
        if bytes.len() == item.length { Ok(bytes) } else { Err(Unfit::TooLarge) }
    }

    fn text(&self, item: &Item, text: &str) -> Result<Vec<u8>, EncodeFault> {
        let encoding = &self.plan.encoding;
        let (encoded, blank, page): (Result<Vec<u8>, Unencodable>, &[u8], &str) = match item.data {
            Some(Data::National) => (Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()), b"\0 ", "UTF-16"),
            Some(Data::Utf8) => (Ok(text.as_bytes().to_vec()), b" ", "utf-8"),
            Some(Data::DoubleByte) => {
                let blank: &[u8] = if encoding.blank() == b' ' { b"  " } else { b"\x40\x40" };
                (encoding.encode_double(text), blank, encoding.name())
            }
            _ => {
                let blank: &[u8] = if encoding.blank() == b' ' { b" " } else { b"\x40" };
                (encoding.encode(text), blank, encoding.name())
            }
        };
        let mut bytes = encoded
            .map_err(|unencodable| EncodeFault::here(format!("{} in {page}", self.plan.expected(item)), unencodable))?;
        if bytes.len() > item.length {
            let found = format!("{} of {} bytes", Json::Text(Cow::Borrowed(text)), bytes.len());
            return Err(EncodeFault::here(self.plan.expected(item), found));
        }
        let missing = (item.length - bytes.len()) / blank.len();
        let padding = blank.repeat(missing);
        if item.justified {
            bytes.splice(0..0, padding);
        } else {
            bytes.extend(padding);
        }
        bytes.resize(item.length, blank.first().copied().unwrap_or_default());
        Ok(bytes)
    }
}

fn is_text(data: Option<Data>) -> bool {
    matches!(data, Some(Data::Text | Data::National | Data::DoubleByte | Data::Utf8))
}

/// The bytes of a number that has no value; `None` for those whose bytes are always a number.
fn blank_number(plan: &Plan, item: &Item) -> Option<Vec<u8>> {
    match item.data? {
        Data::Zoned { .. } | Data::Edited { national: false, .. } | Data::External { national: false } => {
            Some(vec![plan.encoding.blank(); item.length])
        }
        Data::NationalZoned { .. } | Data::Edited { national: true, .. } | Data::External { national: true } => {
            Some(b"\0 ".repeat(item.length / 2))
        }
        Data::Packed { sign_nibble: true, .. } => Some(vec![0; item.length]),
        _ => None,
    }
}
