//! What an elementary item holds and how many bytes that takes, by its picture, usage and sign.

use super::BinarySize;
use super::entry::{Entry, Sign, Usage};
use super::layout::{Builder, Data, SignPosition};
use super::picture::{Category, edit_marks};

/// The most digits of a binary number of up to 8 bytes.
const MAX_BINARY_DIGITS: u8 = 18;
/// Bytes of PROCEDURE-POINTER, whatever the machine.
const PROCEDURE_POINTER: usize = 8;
/// Bytes that a character of UTF-8 may take.
const UTF8: usize = 4;

impl Builder<'_> {
    /// Gives an elementary item its data, length and words.
    pub(super) fn elementary(&mut self, index: usize) {
        let entry = &self.entries[index];
        let name = entry.name.as_deref().unwrap_or("FILLER");
        let found = match &entry.picture {
            None => match without_picture(entry, self.dialect.pointer) {
                Some((data, length, words)) => Ok((data, length, words.to_owned())),
                None if entry.broken => return,
                None => {
                    let help = "give it a PICTURE, or put items with higher level numbers below it";
                    Err(entry.spot.fault(format!("`{name}` has no PICTURE")).help(help))
                }
            },
            Some((_, spot)) => self.with_picture(entry, name).map_err(|message| spot.fault(message)),
        };
        let (data, length, words) = match found {
            Ok(found) => found,
            Err(fault) => return self.faults.push(fault),
        };
        // A number whose digits are all suppressed is blank when it is zero.
        let suppressed = matches!(data, Data::Edited { .. }) && !words.contains('9');
        let text = matches!(data, Data::Text | Data::National | Data::DoubleByte | Data::Utf8);
        if entry.justified && !text {
            self.faults.push(entry.spot.fault(format!("`{name}` is JUSTIFIED and no text")));
        }
        let numeric = matches!(data, Data::Zoned { .. } | Data::Edited { .. } | Data::NationalZoned { .. });
        if entry.blank_when_zero && !numeric && !(self.dialect.edited_text && data == Data::Text) {
            self.faults.push(entry.spot.fault(format!("`{name}` is BLANK WHEN ZERO and no number in text form")));
        }
        if let Some(spot) = &entry.own_sign
            && !matches!(data, Data::Zoned { sign: Some(_), .. } | Data::NationalZoned { sign: Some(_), .. })
        {
            let help = "SIGN goes with an `S` in the PICTURE, and with digits as text";
            self.faults
                .push(spot.fault(format!("`{name}` has a SIGN and no sign that it could say more of")).help(help));
        }
        let marks = match data {
            Data::Edited { .. } | Data::External { .. } => {
                edit_marks(words.split(' ').next().unwrap_or_default(), self.dialect)
            }
            _ => Vec::new(),
        };
        let item = &mut self.items[index];
        (item.data, item.length, item.picture, item.marks) = (Some(data), length, words, marks);
        item.blank_when_zero |= suppressed;
    }

    /// Data, length and words of an item that has a picture; or what is wrong with them.
    fn with_picture(&self, entry: &Entry, name: &str) -> Result<(Data, usize, String), String> {
        let Some((picture, _)) = &entry.picture else { return Err(format!("`{name}` has no PICTURE")) };
        let usage = entry.usage.unwrap_or(Usage::Display);
        let words = match usage {
            Usage::Display => "",
            Usage::Binary => " COMP",
            Usage::Native => " COMP-5",
            Usage::NativeShort => " COMP-N",
            Usage::Short => " COMP-X",
            Usage::Packed => " COMP-3",
            Usage::PackedUnsigned => " COMP-6",
            Usage::National => " NATIONAL",
            Usage::DoubleByte => " DISPLAY-1",
            Usage::Utf8 => " UTF-8",
            Usage::Float | Usage::Double | Usage::BinaryFloat { .. } | Usage::DecimalFloat { .. } => {
                return Err(format!("`{name}` is floating point and has no PICTURE"));
            }
            Usage::Integer { .. } | Usage::Index => {
                return Err(format!("`{name}` has its size by its USAGE and no PICTURE"));
            }
            Usage::Pointer | Usage::ProcedurePointer | Usage::FunctionPointer => {
                return Err(format!("`{name}` is an address and has no PICTURE"));
            }
        };
        let (data, length) = match (picture.category, usage) {
            (Category::Text, Usage::Display) => (Data::Text, picture.size),
            (Category::Text, Usage::Short | Usage::NativeShort)
                if picture.size <= 8 && picture.text.starts_with('X') =>
            {
                (binary(0, 0, false, false, true), picture.size)
            }
            (Category::Text | Category::National, Usage::National) | (Category::National, Usage::Display) => {
                (Data::National, 2 * picture.size)
            }
            (Category::DoubleByte, Usage::Display | Usage::DoubleByte) | (Category::National, Usage::DoubleByte) => {
                (Data::DoubleByte, 2 * picture.size)
            }
            (Category::Utf8, Usage::Display | Usage::Utf8) => (Data::Utf8, UTF8 * picture.size),
            (Category::Edited { .. }, Usage::Display) if self.dialect.edited_text => (Data::Text, picture.size),
            (Category::Edited { .. }, Usage::National) if self.dialect.edited_text => {
                (Data::National, 2 * picture.size)
            }
            (Category::Edited { digits, scale, signed }, Usage::Display) => {
                (Data::Edited { digits, scale, signed, national: false }, picture.size)
            }
            (Category::Edited { digits, scale, signed }, Usage::National) => {
                (Data::Edited { digits, scale, signed, national: true }, 2 * picture.size)
            }
            (Category::External, Usage::Display) => (Data::External { national: false }, picture.size),
            (Category::External, Usage::National) => (Data::External { national: true }, 2 * picture.size),
            (Category::Numeric { digits, scale, signed }, Usage::Display) => {
                let sign = signed.then_some(position(entry.sign));
                (Data::Zoned { digits, scale, sign }, picture.size + usize::from(is_separate(sign)))
            }
            (Category::Numeric { digits, scale, signed }, Usage::National) => {
                let sign = signed.then_some(position(entry.sign));
                if signed && !is_separate(sign) {
                    return Err(format!("`{name}` is national: its sign must be SEPARATE"));
                }
                (Data::NationalZoned { digits, scale, sign }, 2 * (picture.size + usize::from(signed)))
            }
            (Category::Numeric { digits, scale, signed }, Usage::Packed) => {
                (Data::Packed { digits, scale, signed, sign_nibble: true }, usize::from(digits) / 2 + 1)
            }
            (Category::Numeric { digits, scale, signed }, Usage::PackedUnsigned) => {
                if signed {
                    return Err(format!("`{name}` is COMP-6 and cannot be signed"));
                }
                (Data::Packed { digits, scale, signed, sign_nibble: false }, usize::from(digits).div_ceil(2))
            }
            (
                Category::Numeric { digits, scale, signed },
                Usage::Binary | Usage::Native | Usage::NativeShort | Usage::Short,
            ) => {
                let size = match usage {
                    Usage::Short | Usage::NativeShort => BinarySize::OneToEight,
                    _ => self.dialect.binary_size,
                };
                // COMP-X and COMP-N have no room for a sign of its own.
                let needs_bit = signed && !matches!(usage, Usage::Short | Usage::NativeShort);
                let Some(length) = binary_length(digits, needs_bit, size) else {
                    return Err(format!("`{name}` is binary and has more than {MAX_BINARY_DIGITS} digits"));
                };
                // GnuCOBOL writes COMP-N high byte first, as COMP-X.
                let native = usage == Usage::Native;
                let full = usage != Usage::Binary || self.dialect.binary_full;
                (binary(digits, scale, signed, native, full), length)
            }
            _ => return Err(format!("`{name}` is{words} and needs a PICTURE of `9`, `S`, `V` and `P`")),
        };
        Ok((data, length, format!("{}{words}{}", picture.text, sign_words(entry))))
    }
}

fn binary(digits: u8, scale: i8, signed: bool, native: bool, full: bool) -> Data {
    Data::Binary { digits, scale, signed, native, full }
}

/// What usages without a picture hold.
fn without_picture(entry: &Entry, pointer: usize) -> Option<(Data, usize, &'static str)> {
    let native = |signed| binary(0, 0, signed, true, true);
    Some(match entry.usage? {
        Usage::Float => (Data::Float, 4, "COMP-1"),
        Usage::Double => (Data::Double, 8, "COMP-2"),
        Usage::BinaryFloat { size: 4 } => (Data::Ieee { decimal: false }, 4, "FLOAT-BINARY-32"),
        Usage::BinaryFloat { .. } => (Data::Ieee { decimal: false }, 8, "FLOAT-BINARY-64"),
        Usage::DecimalFloat { size: 8 } => (Data::Ieee { decimal: true }, 8, "FLOAT-DECIMAL-16"),
        Usage::DecimalFloat { .. } => (Data::Ieee { decimal: true }, 16, "FLOAT-DECIMAL-34"),
        Usage::Integer { size: 1, signed: true } => (native(true), 1, "BINARY-CHAR"),
        Usage::Integer { size: 1, signed: false } => (native(false), 1, "BINARY-CHAR UNSIGNED"),
        Usage::Integer { size: 2, signed: true } => (native(true), 2, "BINARY-SHORT"),
        Usage::Integer { size: 2, signed: false } => (native(false), 2, "BINARY-SHORT UNSIGNED"),
        Usage::Integer { size: 4, signed: true } => (native(true), 4, "BINARY-LONG"),
        Usage::Integer { size: 4, signed: false } => (native(false), 4, "BINARY-LONG UNSIGNED"),
        Usage::Integer { signed: true, .. } => (native(true), 8, "BINARY-DOUBLE"),
        Usage::Integer { signed: false, .. } => (native(false), 8, "BINARY-DOUBLE UNSIGNED"),
        Usage::Index => (native(true), 4, "INDEX"),
        Usage::Pointer => (native(false), pointer, "POINTER"),
        Usage::FunctionPointer => (native(false), pointer, "FUNCTION-POINTER"),
        Usage::ProcedurePointer => (native(false), PROCEDURE_POINTER, "PROCEDURE-POINTER"),
        _ => return None,
    })
}

/// Bytes of a binary number; `None` where it has more digits than can be stored.
fn binary_length(digits: u8, signed: bool, size: BinarySize) -> Option<usize> {
    Some(match (size, digits) {
        (BinarySize::TwoFourEight, 1..=4) => 2,
        (BinarySize::TwoFourEight, 5..=9) => 4,
        (BinarySize::TwoFourEight, 10..=MAX_BINARY_DIGITS) => 8,
        (BinarySize::TwoFourEight, _) => return None,
        (BinarySize::OneTwoFourEight, 1..=2) => 1,
        (BinarySize::OneTwoFourEight, 3..=4) => 2,
        (BinarySize::OneTwoFourEight, 5..=9) => 4,
        (BinarySize::OneTwoFourEight, 10..=MAX_BINARY_DIGITS) => 8,
        (BinarySize::OneToEight, 1..=2) => 1,
        (BinarySize::OneToEight, 3..=4) => 2,
        // A signed number needs a bit more: seven digits fit three bytes without a sign only.
        (BinarySize::OneToEight, 5..=6) => 3,
        (BinarySize::OneToEight, 7) => 3 + usize::from(signed),
        (BinarySize::OneToEight, 8..=9) => 4,
        (BinarySize::OneToEight, 10..=11) => 5,
        (BinarySize::OneToEight, 12) => 5 + usize::from(signed),
        (BinarySize::OneToEight, 13..=14) => 6,
        (BinarySize::OneToEight, 15..=16) => 7,
        (BinarySize::OneToEight, 17..=MAX_BINARY_DIGITS) => 8,
        (BinarySize::OneTwoFourEight | BinarySize::OneToEight, _) => 16,
    })
}

fn position(sign: Option<Sign>) -> SignPosition {
    match sign {
        Some(Sign { leading: true, separate: true }) => SignPosition::LeadingSeparate,
        Some(Sign { leading: true, separate: false }) => SignPosition::Leading,
        Some(Sign { leading: false, separate: true }) => SignPosition::TrailingSeparate,
        _ => SignPosition::Trailing,
    }
}

fn is_separate(sign: Option<SignPosition>) -> bool {
    matches!(sign, Some(SignPosition::LeadingSeparate | SignPosition::TrailingSeparate))
}

fn sign_words(entry: &Entry) -> &'static str {
    let signed = matches!(&entry.picture, Some((p, _)) if matches!(p.category, Category::Numeric { signed: true, .. }));
    let display = matches!(entry.usage, None | Some(Usage::Display | Usage::National));
    match entry.sign {
        Some(sign) if signed && display => match (sign.leading, sign.separate) {
            (true, true) => " SIGN LEADING SEPARATE",
            (true, false) => " SIGN LEADING",
            (false, true) => " SIGN TRAILING SEPARATE",
            (false, false) => "",
        },
        _ => "",
    }
}
