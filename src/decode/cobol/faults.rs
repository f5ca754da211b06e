//! What is wrong with an item's bytes, in words.

use super::number::Bad;
use super::plan::Plan;
use crate::decode::code_page::Unmappable;
use crate::decode::copybook::{Data, Item};
use crate::record::{FieldFault, RejectCode};

impl Plan {
    /// What an item is, for messages.
    pub(super) fn expected(&self, item: &Item) -> String {
        match item.data {
            Some(Data::Float | Data::Double | Data::Ieee { .. }) => item.picture.clone(),
            None => "a group".to_owned(),
            Some(Data::Binary { digits: 0, .. }) if !item.picture.starts_with('X') => item.picture.clone(),
            Some(_) => format!("PIC {}", item.picture),
        }
    }

    /// The fault of an item whose bytes are no value.
    #[cold]
    pub(super) fn fault(&self, item: &Item, bytes: &[u8], bad: Bad) -> FieldFault {
        let hex = hex(bytes);
        let nibbles = matches!(item.data, Some(Data::Packed { .. }));
        let at = |index: usize| {
            let byte = bytes.get(index).copied().unwrap_or_default();
            format!("{byte:02X} at byte {} of {hex}", index + 1)
        };
        let blank = bad != Bad::NotFinite && self.is_blank(bytes) && !bytes.is_empty();
        let (code, found) = match bad {
            _ if blank && bytes.iter().all(|byte| *byte == 0) => (RejectCode::Blank, format!("low values ({hex})")),
            _ if blank => (RejectCode::Blank, format!("blanks ({hex})")),
            Bad::Blank => (RejectCode::Blank, format!("no digits ({hex})")),
            Bad::Digit(index) if nibbles => (RejectCode::BadDigit, format!("a digit above 9 in {}", at(index))),
            Bad::Digit(index) => (RejectCode::BadDigit, format!("no digit: {}", at(index))),
            Bad::Sign(index) if nibbles => {
                let sign = bytes.get(index).copied().unwrap_or_default() & 15;
                (RejectCode::BadSign, format!("sign {sign:X} in {}", at(index)))
            }
            Bad::Sign(index) => (RejectCode::BadSign, format!("no sign that its picture allows: {}", at(index))),
            Bad::Overflow => (RejectCode::Overflow, format!("a number that its picture cannot hold ({hex})")),
            Bad::NotFinite => (RejectCode::BadType, format!("no finite number ({hex})")),
        };
        FieldFault { code, expected: self.expected(item), found }
    }

    #[cold]
    pub(super) fn unmappable(&self, item: &Item, unmappable: Unmappable) -> FieldFault {
        let page = match item.data {
            Some(Data::National) => "UTF-16",
            Some(Data::Utf8) => "utf-8",
            _ => self.encoding.name(),
        };
        FieldFault {
            code: RejectCode::Unmappable,
            expected: format!("{} in {page}", self.expected(item)),
            found: format!("byte {:02X} after {} bytes of the text", unmappable.byte, unmappable.index),
        }
    }

    /// The fault of an item that the record ends before.
    #[cold]
    pub(super) fn too_short(&self, item: &Item, offset: usize, record: usize) -> FieldFault {
        FieldFault {
            code: RejectCode::RecordTooShort,
            expected: format!("{} at bytes {} to {}", self.expected(item), offset + 1, offset + item.length),
            found: format!("a record of {record} bytes"),
        }
    }
}

/// Bytes in hex, as many as help a person.
fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 24;
    let mut text: String = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02X}")).collect();
    if bytes.len() > SHOWN {
        text.push_str("...");
    }
    text
}
