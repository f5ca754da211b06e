//! What a field holds beside text: numbers in the forms that COBOL and its machines give them.
//!
//! A number of so many bytes has the most digits that they hold. Which sign half-bytes, overpunched digits and ranges are
//! good is the same as for copybooks.

use crate::decode::copybook::{Data, SignPosition};

/// The form of a field's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Type {
    /// Characters.
    #[default]
    Text,
    /// One digit a byte, the sign over the last one: `PIC S9(5)`.
    Zoned,
    /// One digit a byte, without a sign.
    ZonedUnsigned,
    /// One digit a byte, the sign over the first one.
    ZonedLeading,
    /// One digit a byte, and a byte with the sign behind them.
    SignTrailing,
    /// One digit a byte, and a byte with the sign before them.
    SignLeading,
    /// Two digits a byte, the last half-byte the sign: COMP-3.
    Packed,
    /// The same, never negative.
    PackedUnsigned,
    /// Two digits a byte and nothing else: COMP-6.
    PackedBare,
    /// Two's complement, high byte first: COMP.
    Binary,
    /// The same without a sign.
    BinaryUnsigned,
    /// Two's complement, low byte first.
    BinaryLittle,
    /// The same without a sign.
    BinaryLittleUnsigned,
    /// IBM hexadecimal floating point, of 4 or 8 bytes.
    FloatIbm,
    /// IEEE floating point, high byte first.
    FloatIeee,
    /// IEEE floating point, low byte first.
    FloatLittle,
}

impl Type {
    /// The words for it.
    pub const WORDS: &'static [(&'static str, Type)] = &[
        ("text", Type::Text),
        ("zoned", Type::Zoned),
        ("zoned-unsigned", Type::ZonedUnsigned),
        ("zoned-leading", Type::ZonedLeading),
        ("sign-trailing", Type::SignTrailing),
        ("sign-leading", Type::SignLeading),
        ("packed", Type::Packed),
        ("packed-unsigned", Type::PackedUnsigned),
        ("packed-bare", Type::PackedBare),
        ("binary", Type::Binary),
        ("binary-unsigned", Type::BinaryUnsigned),
        ("binary-le", Type::BinaryLittle),
        ("binary-le-unsigned", Type::BinaryLittleUnsigned),
        ("float-ibm", Type::FloatIbm),
        ("float-ieee", Type::FloatIeee),
        ("float-ieee-le", Type::FloatLittle),
    ];

    /// The type with this name.
    pub(super) fn find(word: &str) -> Option<Type> {
        Type::WORDS.iter().find(|(name, _)| *name == word).map(|(_, found)| *found)
    }

    /// The names, for messages.
    pub(super) fn names() -> String {
        Type::WORDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// True for what has bytes that may be line ends.
    pub(super) fn is_binary(self) -> bool {
        let text = [Type::Text, Type::Zoned, Type::ZonedUnsigned, Type::ZonedLeading];
        !text.contains(&self) && !matches!(self, Type::SignTrailing | Type::SignLeading)
    }
}

/// A type with the number of digits behind the point that is not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The type.
    pub kind: Type,
    /// Digits behind the point.
    pub scale: u8,
}

/// The most digits of a number.
const MOST_DIGITS: usize = 38;

impl Form {
    /// What so many bytes of it hold, and its picture; or why it cannot have so many.
    pub(in crate::decode) fn data(self, length: usize) -> Result<(Data, String), String> {
        let digits = match self.kind {
            Type::Text if self.scale > 0 => return Err("a text has no digits behind a point".to_owned()),
            Type::Text => return Ok((Data::Text, format!("X({length})"))),
            Type::FloatIbm | Type::FloatIeee | Type::FloatLittle => {
                return match (length, self.scale) {
                    (_, 1..) => Err("a floating-point number has its point where it is".to_owned()),
                    (4, 0) => Ok((Data::Float, "COMP-1".to_owned())),
                    (8, 0) => Ok((Data::Double, "COMP-2".to_owned())),
                    _ => Err(format!("a floating-point number has 4 or 8 bytes, not {length}")),
                };
            }
            Type::Zoned | Type::ZonedUnsigned | Type::ZonedLeading => length,
            Type::SignTrailing | Type::SignLeading => length - 1,
            Type::Packed | Type::PackedUnsigned => 2 * length - 1,
            Type::PackedBare => 2 * length,
            Type::Binary | Type::BinaryUnsigned | Type::BinaryLittle | Type::BinaryLittleUnsigned => match length {
                1 => 3,
                2 => 5,
                3 => 7,
                4 => 10,
                5 => 13,
                6 => 15,
                7 => 17,
                8 => 19,
                _ => return Err(format!("a binary number has 1 to 8 bytes, not {length}")),
            },
        };
        let scale = usize::from(self.scale);
        if !(1..=MOST_DIGITS).contains(&digits) {
            return Err(format!("a number has 1 to {MOST_DIGITS} digits, not {digits}"));
        }
        if scale > digits {
            return Err(format!("of {digits} digits {scale} cannot stand behind the point"));
        }
        let zoned = |sign| Data::Zoned { digits: digits as u8, scale: self.scale as i8, sign };
        let packed = |signed: bool, sign_nibble: bool| Data::Packed {
            digits: digits as u8,
            scale: self.scale as i8,
            signed,
            sign_nibble,
        };
        let binary = |signed: bool, native: bool| Data::Binary {
            digits: digits as u8,
            scale: self.scale as i8,
            signed,
            native,
            full: true,
        };
        let (data, signed, usage) = match self.kind {
            Type::Zoned => (zoned(Some(SignPosition::Trailing)), true, ""),
            Type::ZonedLeading => (zoned(Some(SignPosition::Leading)), true, " SIGN LEADING"),
            Type::SignTrailing => (zoned(Some(SignPosition::TrailingSeparate)), true, " SIGN TRAILING SEPARATE"),
            Type::SignLeading => (zoned(Some(SignPosition::LeadingSeparate)), true, " SIGN LEADING SEPARATE"),
            Type::Packed => (packed(true, true), true, " COMP-3"),
            Type::PackedUnsigned => (packed(false, true), false, " COMP-3"),
            Type::PackedBare => (packed(false, false), false, " COMP-6"),
            Type::Binary => (binary(true, false), true, " COMP"),
            Type::BinaryUnsigned => (binary(false, false), false, " COMP"),
            Type::BinaryLittle => (binary(true, true), true, " COMP-5"),
            Type::BinaryLittleUnsigned => (binary(false, true), false, " COMP-5"),
            _ => (zoned(None), false, ""),
        };
        let sign = if signed { "S" } else { "" };
        let whole = if digits > scale { format!("9({})", digits - scale) } else { String::new() };
        let behind = if scale > 0 { format!("V9({scale})") } else { String::new() };
        Ok((data, format!("{sign}{whole}{behind}{usage}")))
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Type};

    #[test]
    fn pictures_of_types() {
        let check = |kind: &str, length: usize, scale: u8, expected: Result<&str, &str>| {
            let form = Form { kind: Type::find(kind).unwrap(), scale };
            let found = form.data(length).map(|(_, picture)| picture);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{kind} {length}");
        };
        check("text", 7, 0, Ok("X(7)"));
        check("zoned", 5, 2, Ok("S9(3)V9(2)"));
        check("zoned-unsigned", 3, 3, Ok("V9(3)"));
        check("sign-leading", 6, 0, Ok("S9(5) SIGN LEADING SEPARATE"));
        check("packed", 4, 2, Ok("S9(5)V9(2) COMP-3"));
        check("packed-bare", 2, 0, Ok("9(4) COMP-6"));
        check("binary-le", 4, 0, Ok("S9(10) COMP-5"));
        check("float-ibm", 8, 0, Ok("COMP-2"));
        check("float-ieee", 6, 0, Err("a floating-point number has 4 or 8 bytes, not 6"));
        check("binary", 9, 0, Err("a binary number has 1 to 8 bytes, not 9"));
        check("packed", 20, 0, Err("a number has 1 to 38 digits, not 39"));
        check("sign-trailing", 1, 0, Err("a number has 1 to 38 digits, not 0"));
        check("zoned", 3, 4, Err("of 3 digits 4 cannot stand behind the point"));
        check("text", 3, 1, Err("a text has no digits behind a point"));
        assert_eq!(Type::find("Packed"), None);
    }
}
