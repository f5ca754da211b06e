//! Lengths that the record itself tells: by an item of the copybook, or by its type and the counters of its tables.

use crate::decode::MAX_RECORD;
use crate::decode::cobol::gaps::{Gaps, Unended};
use crate::decode::cobol::plan::Plan;
use crate::decode::cobol::settings::{Framing, Settings};
use crate::decode::copybook::Data;
use crate::record::{RejectCode, Value};

/// The item that measures a record; compiled. Counters are measured as [`Gaps`] has them.
#[derive(Clone, Debug, Default)]
pub(in crate::decode::cobol) struct Measure {
    /// The item that has the length.
    item: Option<usize>,
}

/// Why records of a layout cannot be measured: at a key of the settings, or at an item of the copybook.
pub(in crate::decode::cobol) struct Unmeasurable {
    pub(in crate::decode::cobol) key: &'static str,
    pub(in crate::decode::cobol) item: Option<usize>,
    pub(in crate::decode::cobol) message: String,
}

impl Unmeasurable {
    fn new(key: &'static str, message: impl Into<String>) -> Unmeasurable {
        Unmeasurable { key, item: None, message: message.into() }
    }
}

/// Why a record could not be measured.
pub(in crate::decode::cobol) enum Unmeasured {
    /// The bytes that say it are not there.
    TooShort,
    /// They say nothing that can be a length.
    Bad(String),
}

impl Unmeasured {
    /// What was found instead of a length.
    pub(in crate::decode::cobol) fn found(self) -> String {
        match self {
            Unmeasured::Bad(found) => found,
            Unmeasured::TooShort => "its end".to_owned(),
        }
    }
}

impl Measure {
    /// Finds the item and the tables.
    pub(in crate::decode::cobol) fn compile(plan: &Plan, settings: &Settings) -> Result<Measure, Unmeasurable> {
        let mut measure = Measure::default();
        match (settings.framing, &settings.length_field) {
            (Framing::LengthField, None) => {
                return Err(Unmeasurable::new("framing", "framing `length-field` needs `length_field`"));
            }
            (Framing::LengthField | Framing::Auto, Some(name)) => measure.item = Some(length_item(plan, name)?),
            (_, Some(_)) => {
                return Err(Unmeasurable::new("length_field", "`length_field` belongs to framing `length-field`"));
            }
            (_, None) => {}
        }
        match (settings.framing, settings.frame_header) {
            (Framing::Header, None) => {
                return Err(Unmeasurable::new("framing", "framing `header` needs `frame_header`"));
            }
            (Framing::Header | Framing::Auto, _) | (_, None) => {}
            (_, Some(_)) => {
                return Err(Unmeasurable::new("frame_header", "`frame_header` belongs to framing `header`"));
            }
        }
        let framing = settings.framing;
        let words = matches!(framing, Framing::RdwBig | Framing::RdwLittle | Framing::Blocks | Framing::Auto);
        let told = matches!(framing, Framing::Header | Framing::LengthField | Framing::Auto);
        let idle = [
            ("rdw_adjust", settings.rdw_adjust.is_some() && !words, "`rdw-be`, `rdw-le` and `bdw`"),
            (
                "bdw_adjust",
                settings.bdw_adjust.is_some() && !matches!(framing, Framing::Blocks | Framing::Auto),
                "`bdw`",
            ),
            ("length_adjust", settings.length_adjust != 0 && !told, "`header` and `length-field`"),
        ];
        match idle.into_iter().find(|(_, is_idle, _)| *is_idle) {
            Some((key, _, framings)) => Err(Unmeasurable::new(
                key,
                format!("`{key}` belongs to framing {framings}, and the framing is `{}`", framing.word()),
            )),
            None => Ok(measure),
        }
    }

    /// Whether framing `odo` is a choice at all: some record has a table of varying length, or there are several.
    pub(super) fn varies(plan: &Plan) -> bool {
        plan.records.len() > 1 || plan.records.iter().any(|&record| plan.ends_early(record))
    }

    /// Whether framing `length-field` is a choice.
    pub(super) fn has_item(&self) -> bool {
        self.item.is_some()
    }

    /// The bytes that must be there to read the length from its item.
    pub(super) fn item_end(&self, plan: &Plan) -> usize {
        self.item.map_or(0, |item| plan.items[item].offset + plan.items[item].length)
    }

    /// The length that the item in these bytes says.
    pub(in crate::decode::cobol) fn by_item(&self, plan: &Plan, bytes: &[u8]) -> Result<usize, Unmeasured> {
        let Some(index) = self.item else { return Err(Unmeasured::TooShort) };
        let item = &plan.items[index];
        let field = bytes.get(item.offset..item.offset + item.length).ok_or(Unmeasured::TooShort)?;
        let name = || plan.path(index);
        let value =
            plan.value(item, field).map_err(|fault| Unmeasured::Bad(format!("{} in {}", fault.found, name())))?;
        let number = match &value {
            Value::Decimal(number) => number.to_i64(),
            _ => None,
        };
        let length = number.and_then(|number| number.checked_add(plan.settings.length_adjust));
        let length = length.and_then(|length| usize::try_from(length).ok());
        let smallest = item.offset + item.length;
        length.filter(|length| (smallest..=MAX_RECORD).contains(length)).ok_or_else(|| match value {
            Value::Decimal(number) => Unmeasured::Bad(format!("{number} in {}", name())),
            _ => Unmeasured::Bad(format!("no number in {}", name())),
        })
    }

    /// The length of a record of this type, by its counters.
    pub(super) fn by_counters(plan: &Plan, record: usize, bytes: &[u8]) -> Result<usize, Unmeasured> {
        let length = Gaps::length(plan, bytes, record).map_err(|Unended { item, fault }| match fault.code {
            RejectCode::RecordTooShort => Unmeasured::TooShort,
            RejectCode::UnknownValue => Unmeasured::Bad(format!("{} in {}", fault.found, plan.path(item))),
            _ if plan.items[item].occurs.is_none() => {
                Unmeasured::Bad(format!("{} in what tells whether it is {}", fault.found, plan.path(item)))
            }
            _ => Unmeasured::Bad(format!("{} in the counter of {}", fault.found, plan.path(item))),
        })?;
        if length == 0 { Err(Unmeasured::Bad("a record without any bytes".to_owned())) } else { Ok(length) }
    }
}

fn length_item(plan: &Plan, name: &str) -> Result<usize, Unmeasurable> {
    let fault = |message: String| Unmeasurable::new("length_field", message);
    let found = plan.same_place(name).map_err(fault)?;
    let item = &plan.items[found];
    let whole = match item.data {
        Some(
            Data::Zoned { scale, .. }
            | Data::Packed { scale, .. }
            | Data::Binary { scale, .. }
            | Data::NationalZoned { scale, .. }
            | Data::Edited { scale, .. },
        ) => scale <= 0,
        _ => false,
    };
    if !whole {
        return Err(fault(format!("`{name}` is no whole number and cannot be the length of the record")));
    }
    if plan.moves[found] || !plan.tables_around(found).is_empty() || item.occurs.is_some() {
        return Err(fault(format!("`{name}` has no fixed place in the record")));
    }
    Ok(found)
}
