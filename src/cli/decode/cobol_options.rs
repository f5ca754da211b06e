//! The options of `decode` that say what compiler wrote a COBOL file and what it was told.

use clap::Args;

use super::options::word;
use crate::decode::cobol::{BinaryRange, Compiler, CounterMap, EditedAs, Overpunch, Reading, View};
use crate::decode::copybook::BinarySize;

/// See the module.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct CobolOptions {
    /// Compiler that the file comes from: ibm, gnu, mf; it says what the next four are [default: ibm]
    #[arg(long, value_name = "DIALECT", value_parser = word(Compiler::WORDS), help_heading = "cobol")]
    pub dialect: Option<Compiler>,
    /// Bytes of binary numbers: 2-4-8, 1-2-4-8, 1--8 [default: the dialect's]
    #[arg(long, value_name = "SIZES", value_parser = word(BinarySize::WORDS), help_heading = "cobol")]
    pub binary_size: Option<BinarySize>,
    /// How large COMP may be: picture, full (TRUNC(BIN)) [default: picture]
    #[arg(long, value_name = "RANGE", value_parser = word(BinaryRange::WORDS), help_heading = "cobol")]
    pub binary_range: Option<BinaryRange>,
    /// How a sign lies over a digit in ASCII: auto, translated, mf, realia [default: auto]
    #[arg(long, value_name = "FORM", value_parser = word(Overpunch::WORDS), help_heading = "cobol")]
    pub sign: Option<Overpunch>,
    /// Bytes of POINTER: 4, 8 [default: the dialect's]
    #[arg(long, value_name = "N", value_parser = ["4", "8"], help_heading = "cobol")]
    pub pointer: Option<String>,
    /// DECIMAL-POINT IS COMMA
    #[arg(long, help_heading = "cobol")]
    pub decimal_comma: bool,
    /// The currency's character in pictures [default: $]
    #[arg(long, value_name = "C", value_parser = Reading::parse_currency, help_heading = "cobol")]
    pub currency: Option<char>,
    /// What edited numbers are read as: number, text [default: number]
    #[arg(long, value_name = "KIND", value_parser = word(EditedAs::WORDS), help_heading = "cobol")]
    pub edited: Option<EditedAs>,
    /// What a counter's values stand for: FIELD:A=0,B=1 (repeatable)
    #[arg(long, value_name = "MAP", value_parser = CounterMap::parse, help_heading = "cobol")]
    pub odo_map: Vec<CounterMap>,
    /// When an item that shares its bytes is meant: ITEM:FIELD=A,B (repeatable)
    #[arg(long, value_name = "RULE", value_parser = View::parse_option, help_heading = "cobol")]
    pub view: Vec<View>,
    /// What the compiler was told to define, for >>IF in the copybook: NAME or NAME=VALUE (repeatable)
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = Reading::parse_define, help_heading = "cobol")]
    pub define: Vec<(String, String)>,
}

impl CobolOptions {
    /// What they say of the bytes.
    pub(crate) fn reading(&self) -> Reading {
        Reading {
            compiler: self.dialect.unwrap_or_default(),
            binary_size: self.binary_size,
            binary_range: self.binary_range.unwrap_or_default(),
            overpunch: self.sign,
            pointer: self.pointer.as_ref().and_then(|bytes| bytes.parse().ok()),
            decimal_comma: self.decimal_comma,
            currency: self.currency,
            edited: self.edited.unwrap_or_default(),
            odo_map: self.odo_map.clone(),
            views: self.view.clone(),
            define: self.define.clone(),
        }
    }

    /// Every option with whether it was given.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, bool)> {
        [
            ("--dialect", self.dialect.is_some()),
            ("--binary-size", self.binary_size.is_some()),
            ("--binary-range", self.binary_range.is_some()),
            ("--sign", self.sign.is_some()),
            ("--pointer", self.pointer.is_some()),
            ("--decimal-comma", self.decimal_comma),
            ("--currency", self.currency.is_some()),
            ("--edited", self.edited.is_some()),
            ("--odo-map", !self.odo_map.is_empty()),
            ("--view", !self.view.is_empty()),
            ("--define", !self.define.is_empty()),
        ]
        .into_iter()
    }
}
