//! How the bytes of a copybook's items are read: what the compiler that wrote them was and was told. The keys of
//! `[source.cobol]` that say so.
//!
//! A dialect stands for a set of choices; each of them can be made apart.

use crate::decode::code_page::Family;
use crate::decode::copybook::{Alignment, BinarySize, Dialect, SourceFormat};
use crate::diagnostic::{Key, Node, Presence, Table, Written};

/// The compiler that the file comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compiler {
    /// Enterprise COBOL and its ancestors.
    #[default]
    Ibm,
    /// GnuCOBOL with its own configuration, on a machine with the low byte first.
    Gnu,
    /// Micro Focus without IBMCOMP, on a machine with the low byte first.
    MicroFocus,
}

impl Compiler {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Compiler)] =
        &[("ibm", Compiler::Ibm), ("gnu", Compiler::Gnu), ("mf", Compiler::MicroFocus)];
}

/// How large a binary number may be that is not COMP-5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BinaryRange {
    /// As its picture says (TRUNC(STD)).
    #[default]
    Picture,
    /// As its bytes allow (TRUNC(BIN)).
    Full,
}

impl BinaryRange {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, BinaryRange)] =
        &[("picture", BinaryRange::Picture), ("full", BinaryRange::Full)];
}

/// How a sign lies over a digit in ASCII. In EBCDIC there is one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overpunch {
    /// Both [`Overpunch::Translated`] and [`Overpunch::MicroFocus`]: no byte means two things.
    #[default]
    Auto,
    /// EBCDIC translated: `{` and `A` to `I` plus, `}` and `J` to `R` minus. Digits are plus.
    Translated,
    /// Micro Focus and GnuCOBOL: digits plus, `p` to `y` minus.
    MicroFocus,
    /// CA-Realia: digits plus, blank and `!` to `)` minus.
    Realia,
}

impl Overpunch {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Overpunch)] = &[
        ("auto", Overpunch::Auto),
        ("translated", Overpunch::Translated),
        ("mf", Overpunch::MicroFocus),
        ("realia", Overpunch::Realia),
    ];
}

/// What digits of a zoned number look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    Ebcdic,
    Ascii(Overpunch),
}

/// What an edited number is read as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EditedAs {
    /// The number.
    #[default]
    Number,
    /// Its characters.
    Text,
}

impl EditedAs {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, EditedAs)] = &[("number", EditedAs::Number), ("text", EditedAs::Text)];
}

/// What the values of a table's counter stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterMap {
    /// The counter's name.
    pub field: String,
    /// Values with the number of elements.
    pub counts: Vec<(String, usize)>,
}

/// When the bytes of an item that others redefine are that item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The alternative: the item that is redefined or one that redefines it.
    pub item: String,
    /// The field that tells.
    pub field: String,
    /// Its values for this alternative.
    pub values: Vec<String>,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What the rest follows from where it is not said.
    pub compiler: Compiler,
    /// Bytes of binary numbers.
    pub binary_size: Option<BinarySize>,
    /// How large binary numbers may be.
    pub binary_range: BinaryRange,
    /// How a sign lies over a digit in ASCII.
    pub overpunch: Option<Overpunch>,
    /// Bytes of an address: 4 or 8.
    pub pointer: Option<usize>,
    /// DECIMAL-POINT IS COMMA.
    pub decimal_comma: bool,
    /// The currency's character in pictures.
    pub currency: Option<char>,
    /// What edited numbers are read as.
    pub edited: EditedAs,
    /// Counters that are no numbers.
    pub odo_map: Vec<CounterMap>,
    /// Rules that choose among items which share bytes.
    pub views: Vec<View>,
    /// What the compiler was told to define, for `>>IF`.
    pub define: Vec<(String, String)>,
}

pub(super) const COMPILER: Key = Key {
    name: "dialect",
    shape: "\"ibm\" | \"gnu\" | \"mf\"",
    presence: Presence::Default("\"ibm\""),
    doc: "compiler that the file comes from: Enterprise COBOL, GnuCOBOL or Micro Focus; what binary_size, sign, pointer, \
          float and comp5 are unless they are given",
};
pub(super) const BINARY_SIZE: Key = Key {
    name: "binary_size",
    shape: "\"2-4-8\" | \"1-2-4-8\" | \"1--8\"",
    presence: Presence::Optional,
    doc: "bytes that COMP and COMP-5 take by their digits; `2-4-8` for ibm, `1-2-4-8` for gnu, `1--8` for mf",
};
pub(super) const BINARY_RANGE: Key = Key {
    name: "binary_range",
    shape: "\"picture\" | \"full\"",
    presence: Presence::Default("\"picture\""),
    doc: "how large COMP may be: as its picture says, or as its bytes allow (TRUNC(BIN))",
};
pub(in crate::decode) const SIGN: Key = Key {
    name: "sign",
    shape: "\"auto\" | \"translated\" | \"mf\" | \"realia\"",
    presence: Presence::Optional,
    doc: "how a sign lies over a digit in ASCII: `{A`-`I` and `}J`-`R` (translated from EBCDIC), `p`-`y` minus (mf, gnu), \
          blank to `)` minus (realia); `auto` takes the first two and writes the dialect's; for \
          ibm and without a dialect, `encode` wants one that is named",
};
pub(super) const POINTER: Key = Key {
    name: "pointer",
    shape: "4 | 8",
    presence: Presence::Optional,
    doc: "bytes of POINTER and FUNCTION-POINTER; 4 for ibm, 8 for gnu and mf",
};
pub(super) const DECIMAL_COMMA: Key = Key {
    name: "decimal_comma",
    shape: "boolean",
    presence: Presence::Default("false"),
    doc: "DECIMAL-POINT IS COMMA: comma and point change places in pictures and in edited numbers",
};
pub(super) const CURRENCY: Key = Key {
    name: "currency",
    shape: "character",
    presence: Presence::Default("\"$\""),
    doc: "the currency's character in pictures and in edited numbers (CURRENCY SIGN IS)",
};
pub(super) const EDITED: Key = Key {
    name: "edited",
    shape: "\"number\" | \"text\"",
    presence: Presence::Default("\"number\""),
    doc: "what edited numbers like `ZZ9.99-` are read as",
};
pub(super) const ODO_MAP: Key = Key {
    name: "odo_map",
    shape: "table of tables",
    presence: Presence::Optional,
    doc: "what a counter's values stand for, where they are not the number of elements: { FLAG = { Y = 1, N = 0 } }",
};
pub(super) const VIEWS: Key = Key {
    name: "views",
    shape: "table",
    presence: Presence::Optional,
    doc: "when an item that shares its bytes with others (REDEFINES) is the one that is meant: \
          { DETAIL-A = \"REC-TYPE=A,B\" }; an item without a rule is meant when no rule holds",
};

pub(super) const DEFINE: Key = Key {
    name: "define",
    shape: "table",
    presence: Presence::Optional,
    doc: "what the compiler was told to define, for `>>IF` in the copybook: { REGION = \"EU\", LEVEL = 3 }",
};

impl Reading {
    /// Reads the keys; faults go through the table.
    pub(super) fn read(table: &Table<'_>) -> Option<Reading> {
        let compiler = table.one_of("dialect", Compiler::WORDS);
        let binary_size = table.one_of("binary_size", BinarySize::WORDS);
        let binary_range = table.one_of("binary_range", BinaryRange::WORDS);
        let overpunch = table.one_of("sign", Overpunch::WORDS);
        let pointer = table.read("pointer", |node| match &node.value {
            Written::Integer(4) => Ok(4),
            Written::Integer(8) => Ok(8),
            _ => Err("an address has 4 or 8 bytes".to_owned()),
        });
        let decimal_comma = table.boolean("decimal_comma");
        let currency = table.read("currency", |node| match node.as_str() {
            Some(text) => Reading::parse_currency(text),
            None => Err(format!("expected a character, found {}", node.kind())),
        });
        let edited = table.one_of("edited", EditedAs::WORDS);
        let odo_map = table.free("odo_map").filter_map(|(field, node)| {
            let counts = counts_of(node);
            counts
                .map(|counts| CounterMap { field: field.to_owned(), counts })
                .map_err(|e| table.fail(node.fault(e)))
                .ok()
        });
        let odo_map: Vec<_> = odo_map.collect();
        let views = table.free("views").filter_map(|(item, node)| {
            let view = match node.as_str() {
                Some(rule) => View::parse(item, rule),
                None => Err(format!("expected a string, found {}", node.kind())),
            };
            view.map_err(|error| table.fail(node.fault(error))).ok()
        });
        let views: Vec<_> = views.collect();
        let define = table.free("define").filter_map(|(name, node)| match &node.value {
            Written::String(value) => Some((name.to_owned(), value.clone())),
            Written::Integer(value) => Some((name.to_owned(), value.to_string())),
            _ => {
                table.fail(node.fault(format!("expected a string or an integer, found {}", node.kind())));
                None
            }
        });
        let define: Vec<_> = define.collect();
        Some(Reading {
            compiler: compiler?,
            binary_size,
            binary_range: binary_range?,
            overpunch,
            pointer,
            decimal_comma: decimal_comma?,
            currency,
            edited: edited?,
            odo_map,
            views,
            define,
        })
    }

    /// Reads `NAME` or `NAME=VALUE`.
    pub fn parse_define(text: &str) -> Result<(String, String), String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        match name.trim() {
            "" => Err(format!("`{text}` is not of the form NAME or NAME=VALUE")),
            name => Ok((name.to_owned(), value.trim().to_owned())),
        }
    }

    /// The currency's character, unless it means something else in a picture.
    pub fn parse_currency(text: &str) -> Result<char, String> {
        const TAKEN: &str = "0123456789ABCDEGNPRSUVXZ+-,.*/;()\"'= ";
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(char), None) if !TAKEN.contains(char.to_ascii_uppercase()) => Ok(char),
            _ => Err(format!("`{text}` is no character that can stand for the currency")),
        }
    }

    /// How the copybook is read.
    pub(super) fn dialect(&self, format: SourceFormat) -> Dialect {
        let (binary_size, alignment, pointer) = match self.compiler {
            Compiler::Ibm => (BinarySize::TwoFourEight, Alignment::Ibm, 4),
            Compiler::Gnu => (BinarySize::OneTwoFourEight, Alignment::Natural, 8),
            Compiler::MicroFocus => (BinarySize::OneToEight, Alignment::None, 8),
        };
        Dialect {
            format,
            decimal_comma: self.decimal_comma,
            currency: self.currency.unwrap_or('$'),
            binary_size: self.binary_size.unwrap_or(binary_size),
            binary_full: self.binary_range == BinaryRange::Full,
            alignment,
            pointer: self.pointer.unwrap_or(pointer),
            edited_text: self.edited == EditedAs::Text,
            strict_levels: self.compiler == Compiler::Gnu,
            larger_redefines: self.compiler == Compiler::MicroFocus,
            decimal_floats: self.compiler == Compiler::Gnu,
            defines: self.define.clone(),
        }
    }

    /// How zoned numbers look in a code page of this family.
    pub(super) fn zone(&self, family: Family) -> Zone {
        match family {
            Family::Ebcdic => Zone::Ebcdic,
            Family::Ascii => Zone::Ascii(self.overpunch.unwrap_or_default()),
        }
    }
}

fn counts_of(node: &Node) -> Result<Vec<(String, usize)>, String> {
    let Some(entries) = node.as_table() else {
        return Err(format!("expected a table like {{ Y = 1, N = 0 }}, found {}", node.kind()));
    };
    let count = |(value, node): (&String, &Node)| match &node.value {
        Written::Integer(count) => usize::try_from(*count).map(|count| (value.clone(), count)).ok(),
        _ => None,
    };
    let counts: Option<Vec<_>> = entries.iter().map(count).collect();
    counts.filter(|counts| !counts.is_empty()).ok_or_else(|| "a value stands for a number of elements".to_owned())
}

impl CounterMap {
    /// Reads `FIELD:A=0,B=1`.
    pub fn parse(text: &str) -> Result<CounterMap, String> {
        let wrong = || format!("`{text}` is not of the form FIELD:A=0,B=1");
        let (field, counts) = text.split_once(':').ok_or_else(wrong)?;
        let count = |pair: &str| {
            let (value, count) = pair.split_once('=')?;
            Some((value.to_owned(), count.trim().parse().ok()?))
        };
        let counts: Option<Vec<_>> = counts.split(',').map(count).collect();
        match counts {
            Some(counts) if !field.trim().is_empty() => Ok(CounterMap { field: field.trim().to_owned(), counts }),
            _ => Err(wrong()),
        }
    }
}

impl View {
    /// Reads `FIELD=A,B` for an item.
    pub fn parse(item: &str, rule: &str) -> Result<View, String> {
        match rule.split_once('=') {
            Some((field, values)) if !field.trim().is_empty() && !item.trim().is_empty() => Ok(View {
                item: item.trim().to_owned(),
                field: field.trim().to_owned(),
                values: values.split(',').map(|value| value.trim().to_owned()).collect(),
            }),
            _ => Err(format!("`{rule}` is not of the form FIELD=A,B")),
        }
    }

    /// Reads `ITEM:FIELD=A,B`.
    pub fn parse_option(text: &str) -> Result<View, String> {
        let (item, rule) = text.split_once(':').ok_or_else(|| format!("`{text}` is not of the form ITEM:FIELD=A,B"))?;
        View::parse(item, rule)
    }
}
