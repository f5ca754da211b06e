//! Simple types: what a text means, what its JSON is, and what it must be like.

use std::sync::{Arc, OnceLock};

use regex::{Regex, RegexBuilder};

use super::TypeId;

/// The type of a text.
#[derive(Clone, Debug)]
pub struct Simple {
    /// One value, a list of them, or one of several types.
    pub variety: Variety,
    /// What is done with white space before anything else.
    pub white_space: WhiteSpace,
    /// What the text must be like beyond its built-in type, with what the base types ask.
    pub facets: Option<Box<Facets>>,
}

/// How many values a text holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variety {
    /// One.
    Atomic(Builtin),
    /// Items between blanks, each of this simple type. As JSON an array.
    List(TypeId),
    /// The first of these simple types that the text fits.
    Union(Vec<TypeId>),
}

/// What is done with white space (XSD 1.0 part 2, 4.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhiteSpace {
    /// Nothing.
    Preserve,
    /// Each tab and line end becomes a blank.
    Replace,
    /// The same; then blanks at the ends go, and many become one.
    Collapse,
}

/// What the JSON of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKind {
    /// A string, as it stands.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A number; it has at most 53 bits.
    Integer,
    /// A whole number of any length: a string, or the exact digits as a number.
    LargeInteger,
    /// A decimal: a string, or the exact digits as a number.
    Decimal,
    /// A number; `INF`, `-INF` and `NaN` are strings.
    Float,
}

macro_rules! builtins {
    ($($variant:ident $name:literal $json:ident $(in $range:expr)?,)*) => {
        /// The built-in simple types of XML Schema 1.0.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Builtin {
            $(#[doc = concat!("`xs:", $name, "`")] $variant,)*
        }

        impl Builtin {
            /// All of them.
            pub const ALL: &'static [Builtin] = &[$(Builtin::$variant,)*];

            /// The local name, in the namespace of XML Schema.
            pub const fn name(self) -> &'static str {
                match self { $(Builtin::$variant => $name,)* }
            }

            /// What its JSON is.
            pub const fn json(self) -> JsonKind {
                match self { $(Builtin::$variant => JsonKind::$json,)* }
            }

            /// The smallest and largest of a whole number.
            pub const fn range(self) -> Option<(i128, i128)> {
                match self {
                    $($(Builtin::$variant => Some($range),)?)*
                    _ => None,
                }
            }
        }
    };
}

/// Stands for no bound: no whole number that is read here has so many digits.
const FAR: i128 = i128::MAX;

builtins! {
    AnySimple "anySimpleType" Text,
    String "string" Text,
    NormalizedString "normalizedString" Text,
    Token "token" Text,
    Language "language" Text,
    NmToken "NMTOKEN" Text,
    NameText "Name" Text,
    NcName "NCName" Text,
    Id "ID" Text,
    IdRef "IDREF" Text,
    Entity "ENTITY" Text,
    AnyUri "anyURI" Text,
    QName "QName" Text,
    Notation "NOTATION" Text,
    Boolean "boolean" Boolean,
    Decimal "decimal" Decimal,
    Integer "integer" LargeInteger in (-FAR, FAR),
    NonPositiveInteger "nonPositiveInteger" LargeInteger in (-FAR, 0),
    NegativeInteger "negativeInteger" LargeInteger in (-FAR, -1),
    NonNegativeInteger "nonNegativeInteger" LargeInteger in (0, FAR),
    PositiveInteger "positiveInteger" LargeInteger in (1, FAR),
    Long "long" LargeInteger in (i64::MIN as i128, i64::MAX as i128),
    Int "int" Integer in (i32::MIN as i128, i32::MAX as i128),
    Short "short" Integer in (i16::MIN as i128, i16::MAX as i128),
    Byte "byte" Integer in (i8::MIN as i128, i8::MAX as i128),
    UnsignedLong "unsignedLong" LargeInteger in (0, u64::MAX as i128),
    UnsignedInt "unsignedInt" Integer in (0, u32::MAX as i128),
    UnsignedShort "unsignedShort" Integer in (0, u16::MAX as i128),
    UnsignedByte "unsignedByte" Integer in (0, u8::MAX as i128),
    Float "float" Float,
    Double "double" Float,
    Duration "duration" Text,
    DateTime "dateTime" Text,
    Time "time" Text,
    Date "date" Text,
    YearMonth "gYearMonth" Text,
    Year "gYear" Text,
    MonthDay "gMonthDay" Text,
    Day "gDay" Text,
    Month "gMonth" Text,
    HexBinary "hexBinary" Text,
    Base64Binary "base64Binary" Text,
}

impl Builtin {
    /// What is done with white space where no facet says otherwise.
    pub const fn white_space(self) -> WhiteSpace {
        match self {
            Builtin::String | Builtin::AnySimple => WhiteSpace::Preserve,
            Builtin::NormalizedString => WhiteSpace::Replace,
            _ => WhiteSpace::Collapse,
        }
    }

    /// The type that it restricts.
    pub(in crate::wsdl) const fn base(self) -> Option<Builtin> {
        Some(match self {
            Builtin::AnySimple => return None,
            Builtin::NormalizedString => Builtin::String,
            Builtin::Token => Builtin::NormalizedString,
            Builtin::Language | Builtin::NmToken | Builtin::NameText => Builtin::Token,
            Builtin::NcName => Builtin::NameText,
            Builtin::Id | Builtin::IdRef | Builtin::Entity => Builtin::NcName,
            Builtin::Integer => Builtin::Decimal,
            Builtin::NonPositiveInteger | Builtin::NonNegativeInteger | Builtin::Long => Builtin::Integer,
            Builtin::NegativeInteger => Builtin::NonPositiveInteger,
            Builtin::PositiveInteger | Builtin::UnsignedLong => Builtin::NonNegativeInteger,
            Builtin::Int => Builtin::Long,
            Builtin::Short => Builtin::Int,
            Builtin::Byte => Builtin::Short,
            Builtin::UnsignedInt => Builtin::UnsignedLong,
            Builtin::UnsignedShort => Builtin::UnsignedInt,
            Builtin::UnsignedByte => Builtin::UnsignedShort,
            _ => Builtin::AnySimple,
        })
    }

    /// Whether an empty text is a value of it.
    pub const fn takes_empty(self) -> bool {
        matches!(
            self,
            Builtin::AnySimple
                | Builtin::String
                | Builtin::NormalizedString
                | Builtin::Token
                | Builtin::AnyUri
                | Builtin::HexBinary
                | Builtin::Base64Binary
        )
    }
}

/// What a text must be like beyond its built-in type.
#[derive(Clone, Debug, Default)]
pub struct Facets {
    /// The values that are allowed; any when there is none.
    pub enumeration: Vec<Box<str>>,
    /// The text fits one pattern of each step of derivation.
    pub patterns: Vec<Vec<Pattern>>,
    /// Characters, bytes of a binary, items of a list: at least.
    pub min_length: Option<u64>,
    /// The same, at most.
    pub max_length: Option<u64>,
    /// The lowest value, as it is written, and whether it belongs to the range.
    pub min: Option<(Box<str>, bool)>,
    /// The highest value, and whether it belongs to the range.
    pub max: Option<(Box<str>, bool)>,
    /// Digits of a decimal, zeros at its ends not counted, at most.
    pub total_digits: Option<u32>,
    /// Of these behind the point, at most.
    pub fraction_digits: Option<u32>,
}

/// A pattern that a text fits as a whole.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As the schema has it.
    pub text: Box<str>,
    /// In the words of the `regex` crate; `None` where they cannot say it.
    translated: Option<Box<str>>,
    compiled: Arc<OnceLock<Option<Regex>>>,
}

/// What a compiled pattern may take, in bytes.
const MAX_COMPILED: usize = 1 << 20;

impl Pattern {
    pub(in crate::wsdl) fn new(text: Box<str>, translated: Option<Box<str>>) -> Pattern {
        Pattern { text, translated, compiled: Arc::default() }
    }

    /// In the words of the `regex` crate; `None` where they cannot say it.
    pub fn words(&self) -> Option<&str> {
        self.translated.as_deref()
    }

    /// Compiles it, or says why that cannot be.
    pub(in crate::wsdl) fn compiled(&self) -> Result<(), String> {
        let translated = self.translated.as_deref().unwrap_or_default();
        let regex = RegexBuilder::new(translated).size_limit(MAX_COMPILED).build();
        let reason = |error: regex::Error| {
            let text = error.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        };
        let (regex, result) = match regex {
            Ok(regex) => (Some(regex), Ok(())),
            Err(error) => (None, Err(reason(error))),
        };
        self.compiled.get_or_init(|| regex);
        result
    }

    /// Whether a text fits. Every text fits what cannot be checked; the import has a finding about it.
    pub fn fits(&self, text: &str) -> bool {
        if self.translated.is_some() && self.compiled.get().is_none() {
            let _ = self.compiled();
        }
        self.compiled.get().and_then(Option::as_ref).is_none_or(|regex| regex.is_match(text))
    }
}
