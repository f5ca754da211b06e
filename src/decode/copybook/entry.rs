//! What a data description entry says, before any of it is given a place.

use super::Spot;
use super::layout::ValueName;
use super::picture::Picture;

/// An entry of level 01 to 49, 66 or 77. Those of level 88 are kept with the entry whose values they name.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) level: u8,
    /// As written; `None` for FILLER.
    pub(super) name: Option<String>,
    /// The place of the name, or of the level number where there is none.
    pub(super) spot: Spot,
    pub(super) picture: Option<(Picture, Spot)>,
    pub(super) usage: Option<Usage>,
    pub(super) sign: Option<Sign>,
    /// Where its own SIGN clause is, which is not that of a group around it.
    pub(super) own_sign: Option<Spot>,
    pub(super) occurs: Option<OccursClause>,
    pub(super) redefines: Option<(String, Spot)>,
    /// RENAMES of level 66: the first and the last item.
    pub(super) renames: Option<(Path, Path)>,
    pub(super) synchronized: bool,
    pub(super) blank_when_zero: bool,
    pub(super) justified: bool,
    /// Whether it has a VALUE clause.
    pub(super) valued: bool,
    pub(super) values: Vec<ValueName>,
    /// True when a fault of the entry itself was reported: what follows from it is not said again.
    pub(super) broken: bool,
}

impl Entry {
    pub(super) fn new(level: u8, spot: Spot) -> Entry {
        Entry {
            level,
            name: None,
            spot,
            picture: None,
            usage: None,
            sign: None,
            own_sign: None,
            occurs: None,
            redefines: None,
            renames: None,
            synchronized: false,
            blank_when_zero: false,
            justified: false,
            valued: false,
            values: Vec::new(),
            broken: false,
        }
    }
}

/// A name with its qualifiers, from the inside out, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) names: Vec<String>,
    pub(super) spot: Spot,
}

/// The SIGN clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sign {
    pub(super) leading: bool,
    pub(super) separate: bool,
}

/// The OCCURS clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OccursClause {
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) depending: Option<Path>,
    pub(super) spot: Spot,
}

/// How an item is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    Display,
    /// COMP, COMP-4, BINARY: high byte first, bounded by its picture.
    Binary,
    /// COMP-5: the machine's own byte order, bounded by its size.
    Native,
    /// COMP-N: as COMP-X.
    NativeShort,
    /// COMP-X: high byte first, bounded by its size, as few bytes as hold its digits or as many as `X` says.
    Short,
    /// BINARY-CHAR, -SHORT, -LONG, -DOUBLE: COMP-5 without a picture.
    Integer {
        size: u8,
        signed: bool,
    },
    /// COMP-1, FLOAT-SHORT.
    Float,
    /// COMP-2, FLOAT-LONG.
    Double,
    /// FLOAT-BINARY-32, -64: IEEE 754, whatever COMP-1 and COMP-2 are.
    BinaryFloat {
        size: u8,
    },
    /// FLOAT-DECIMAL-16, -34: IEEE 754-2008 with the coefficient as a binary integer.
    DecimalFloat {
        size: u8,
    },
    /// COMP-3, PACKED-DECIMAL.
    Packed,
    /// COMP-6, PACKED-DECIMAL WITH NO SIGN: packed without a sign.
    PackedUnsigned,
    Index,
    Pointer,
    /// PROCEDURE-POINTER: 8 bytes.
    ProcedurePointer,
    FunctionPointer,
    /// NATIONAL: UTF-16, high byte first.
    National,
    /// DISPLAY-1: the double-byte characters of the code page.
    DoubleByte,
    Utf8,
}

/// Words that are a usage.
pub(super) const USAGES: &[(&str, Usage)] = &[
    ("DISPLAY", Usage::Display),
    ("BINARY", Usage::Binary),
    ("COMP", Usage::Binary),
    ("COMPUTATIONAL", Usage::Binary),
    ("COMP-4", Usage::Binary),
    ("COMPUTATIONAL-4", Usage::Binary),
    ("COMP-5", Usage::Native),
    ("COMPUTATIONAL-5", Usage::Native),
    ("COMP-N", Usage::NativeShort),
    ("COMPUTATIONAL-N", Usage::NativeShort),
    ("COMP-X", Usage::Short),
    ("COMPUTATIONAL-X", Usage::Short),
    ("BINARY-CHAR", Usage::Integer { size: 1, signed: true }),
    ("BINARY-SHORT", Usage::Integer { size: 2, signed: true }),
    ("BINARY-LONG", Usage::Integer { size: 4, signed: true }),
    ("BINARY-DOUBLE", Usage::Integer { size: 8, signed: true }),
    ("SIGNED-SHORT", Usage::Integer { size: 2, signed: true }),
    ("SIGNED-INT", Usage::Integer { size: 4, signed: true }),
    ("UNSIGNED-SHORT", Usage::Integer { size: 2, signed: false }),
    ("UNSIGNED-INT", Usage::Integer { size: 4, signed: false }),
    ("COMP-1", Usage::Float),
    ("COMPUTATIONAL-1", Usage::Float),
    ("FLOAT-SHORT", Usage::Float),
    ("COMP-2", Usage::Double),
    ("COMPUTATIONAL-2", Usage::Double),
    ("FLOAT-LONG", Usage::Double),
    ("FLOAT-BINARY-32", Usage::BinaryFloat { size: 4 }),
    ("FLOAT-BINARY-64", Usage::BinaryFloat { size: 8 }),
    ("FLOAT-DECIMAL-16", Usage::DecimalFloat { size: 8 }),
    ("FLOAT-DECIMAL-34", Usage::DecimalFloat { size: 16 }),
    ("COMP-3", Usage::Packed),
    ("COMPUTATIONAL-3", Usage::Packed),
    ("PACKED-DECIMAL", Usage::Packed),
    ("COMP-6", Usage::PackedUnsigned),
    ("COMPUTATIONAL-6", Usage::PackedUnsigned),
    ("INDEX", Usage::Index),
    ("POINTER", Usage::Pointer),
    ("PROCEDURE-POINTER", Usage::ProcedurePointer),
    ("PROGRAM-POINTER", Usage::ProcedurePointer),
    ("FUNCTION-POINTER", Usage::FunctionPointer),
    ("NATIONAL", Usage::National),
    ("DISPLAY-1", Usage::DoubleByte),
    ("UTF-8", Usage::Utf8),
];

/// Usages whose bytes depend on the machine, or on what the compiler was told, in ways that no copybook shows.
pub(super) const OTHER_USAGES: &[&str] = &[
    "OBJECT",
    "BINARY-C-LONG",
    "SIGNED-LONG",
    "UNSIGNED-LONG",
    "FLOAT-EXTENDED",
    "FLOAT-BINARY-128",
    "FLOAT-DECIMAL-7",
    "BIT",
    "COMP-0",
    "COMP-9",
    "COMP-10",
    "COMP-15",
    "HANDLE",
];
