//! Bytes at one place of a record say which type it is.

use super::super::number::Number;
use super::super::plan::Plan;
use crate::decode::CodePage;
use crate::decode::copybook::{Data, EditMark};
use crate::record::{Decimal, RejectCode};

/// The place and what its values stand for.
pub(super) struct Router {
    offset: usize,
    length: usize,
    ids: Ids,
    /// The field as it was written, for messages.
    name: String,
    /// The values as they were written.
    map: Vec<(String, u16)>,
}

enum Ids {
    /// Bytes of the field's whole length, with their kind.
    Bytes(Vec<(Box<[u8]>, u16)>),
    /// Texts in a code page whose characters take several bytes.
    Texts(Vec<(String, u16)>),
    /// Texts of an item in another code page than the record's.
    Foreign(usize, Vec<(String, u16)>),
    /// Numbers, with the characters of their picture where it is an edited one.
    Numbers(Data, Vec<EditMark>, Vec<(Decimal, u16)>),
}

/// A record whose type is not known.
pub(in crate::decode::cobol) struct Unroutable {
    pub(in crate::decode::cobol) code: RejectCode,
    pub(in crate::decode::cobol) expected: String,
    pub(in crate::decode::cobol) found: String,
}

impl Router {
    /// Compiles the place and its values. The fault is a sentence.
    pub(super) fn compile(plan: &Plan, field: &str, map: &[(String, u16)]) -> Result<Router, String> {
        let (offset, length, data, item) = match place(field) {
            Some((offset, length)) => (offset, length, Data::Text, None),
            None => {
                let found = plan.same_place(field)?;
                let item = &plan.items[found];
                let data = item.data.ok_or_else(|| format!("`{field}` is a group; name one of its items"))?;
                if plan.moves[found] || !plan.tables_around(found).is_empty() || item.occurs.is_some() {
                    return Err(format!("`{field}` has no fixed place in the record"));
                }
                (item.offset, item.length, data, Some(found))
            }
        };
        let ids = match data {
            Data::Text => text_ids(&plan.encoding, length, map)?,
            Data::National | Data::DoubleByte | Data::Utf8 => Ids::Foreign(
                item.unwrap_or_default(),
                map.iter().map(|(id, kind)| (id.trim().to_owned(), *kind)).collect(),
            ),
            Data::Float | Data::Double | Data::Ieee { .. } | Data::External { .. } => {
                return Err(format!("`{field}` is floating point and tells no types apart"));
            }
            _ => {
                let number = |(id, kind): &(String, u16)| match Decimal::parse(id, b'.', None) {
                    Ok(number) => Ok((number, *kind)),
                    Err(_) => Err(format!("`{field}` is a number, and `{id}` is none")),
                };
                let marks = item.map(|item| plan.items[item].marks.clone()).unwrap_or_default();
                Ids::Numbers(data, marks, map.iter().map(number).collect::<Result<_, String>>()?)
            }
        };
        Ok(Router { offset, length, ids, name: field.to_owned(), map: map.to_vec() })
    }

    /// The kind that a value of the field stands for, as JSON has it.
    pub(super) fn kind_of_id(&self, id: &str) -> Option<u16> {
        let number = Decimal::parse(id, b'.', None).ok();
        let is_same = |known: &str| match &self.ids {
            Ids::Numbers(..) => number.is_some() && Decimal::parse(known, b'.', None).ok() == number,
            Ids::Bytes(_) | Ids::Texts(_) | Ids::Foreign(..) => known.trim() == id.trim(),
        };
        self.map.iter().find(|(known, _)| is_same(known)).map(|(_, kind)| *kind)
    }

    /// Where the place ends: no record may be shorter.
    pub(super) fn end(&self) -> usize {
        self.offset + self.length
    }

    /// The kind of a record.
    #[inline]
    pub(super) fn route(&self, plan: &Plan, record: &[u8]) -> Result<u16, Unroutable> {
        let Some(bytes) = record.get(self.offset..self.offset + self.length) else {
            return Err(self.too_short(record.len()));
        };
        let found = match &self.ids {
            Ids::Bytes(ids) => match ids.iter().find(|(id, _)| **id == *bytes) {
                Some((_, kind)) => Some(*kind),
                None => by_content(ids, bytes, plan.encoding.blank()),
            },
            Ids::Texts(ids) => match plan.encoding.decode(bytes) {
                Ok(text) => ids.iter().find(|(id, _)| id == text.trim_matches([' ', '\0'])).map(|(_, kind)| *kind),
                Err(_) => None,
            },
            Ids::Foreign(item, ids) => match plan.text(&plan.items[*item], bytes) {
                Ok(text) => ids.iter().find(|(id, _)| id == text.trim()).map(|(_, kind)| *kind),
                Err(_) => None,
            },
            Ids::Numbers(data, marks, ids) => {
                let number = plan.number(*data, marks, bytes).ok().and_then(|(n, scale)| decimal(n, scale));
                number.and_then(|number| ids.iter().find(|(id, _)| *id == number).map(|(_, kind)| *kind))
            }
        };
        found.ok_or_else(|| self.unknown(plan, bytes))
    }

    #[cold]
    fn too_short(&self, length: usize) -> Unroutable {
        Unroutable {
            code: RejectCode::RecordTooShort,
            expected: format!(
                "the record type in {} at bytes {} to {}",
                self.name,
                self.offset + 1,
                self.offset + self.length
            ),
            found: format!("a record of {length} bytes"),
        }
    }

    #[cold]
    fn unknown(&self, plan: &Plan, bytes: &[u8]) -> Unroutable {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let shown = match &self.ids {
            Ids::Numbers(data, marks, _) => {
                plan.number(*data, marks, bytes).ok().and_then(|(n, scale)| decimal(n, scale)).map(|n| n.to_string())
            }
            Ids::Foreign(item, _) => plan.text(&plan.items[*item], bytes).ok().map(|text| format!("{:?}", text.trim())),
            Ids::Bytes(_) | Ids::Texts(_) => plan.encoding.decode(bytes).ok().map(|text| format!("{:?}", text.trim())),
        };
        Unroutable {
            code: RejectCode::UnknownType,
            expected: format!("a known record type in {}", self.name),
            found: shown.map_or_else(|| hex.clone(), |shown| format!("{shown} ({hex})")),
        }
    }
}

/// `OFFSET:LENGTH`.
fn place(field: &str) -> Option<(usize, usize)> {
    let (offset, length) = field.split_once(':')?;
    let place = (offset.trim().parse().ok()?, length.trim().parse().ok()?);
    (place.1 > 0 && place.0 <= crate::decode::MAX_RECORD && place.1 <= 4096).then_some(place)
}

/// An id that stands elsewhere in the field than at its start, between blanks or low values.
#[cold]
fn by_content(ids: &[(Box<[u8]>, u16)], bytes: &[u8], blank: u8) -> Option<u16> {
    let content = |bytes: &[u8]| {
        let solid = |byte: &u8| *byte != blank && *byte != 0;
        let from = bytes.iter().position(solid)?;
        let to = bytes.iter().rposition(solid)?;
        bytes.get(from..=to).map(<[u8]>::to_vec)
    };
    let wanted = content(bytes)?;
    ids.iter().find(|(id, _)| content(id).as_ref() == Some(&wanted)).map(|(_, kind)| *kind)
}

fn text_ids(page: &CodePage, length: usize, map: &[(String, u16)]) -> Result<Ids, String> {
    let encoded: Option<Vec<_>> =
        map.iter().map(|(id, kind)| Some((encode(page, id)?, *kind, id.starts_with("0x")))).collect();
    let Some(encoded) = encoded else {
        return Ok(Ids::Texts(map.iter().map(|(id, kind)| (id.trim().to_owned(), *kind)).collect()));
    };
    let mut ids = Vec::new();
    for ((mut bytes, kind, is_hex), (id, _)) in encoded.into_iter().zip(map) {
        if bytes.len() > length || (is_hex && bytes.len() != length) {
            return Err(format!("the value `{id}` has not the {length} bytes of the field"));
        }
        bytes.resize(length, page.blank());
        ids.push((bytes.into_boxed_slice(), kind));
    }
    Ok(Ids::Bytes(ids))
}

/// A value as the field holds it: `0x` with hex digits, or text in a code page of one byte a character.
fn encode(page: &CodePage, text: &str) -> Option<Vec<u8>> {
    if let Some(hex) = text.strip_prefix("0x")
        && hex.len() % 2 == 0
        && !hex.is_empty()
    {
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok());
        if let Some(bytes) = bytes.collect() {
            return Some(bytes);
        }
    }
    page.tables()?;
    page.encode(text).ok()
}

fn decimal(number: Number, scale: i8) -> Option<Decimal> {
    let units = i128::try_from(number.magnitude).ok()?;
    let units = if number.negative { -units } else { units };
    let zeros = u32::from(scale.min(0).unsigned_abs());
    Decimal::new(units.checked_mul(10i128.checked_pow(zeros)?)?, scale.max(0).unsigned_abs()).ok()
}
