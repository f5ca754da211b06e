//! One element against its declaration: X12.5 section 3.5 and ISO 9735 section 10 for the forms of numbers.

use std::borrow::Cow;

use super::super::message::{Data, Message};
use super::super::segment::{components, elements, pieces, released, repetitions};
use super::{Element, Holds, Kind, Simple};
use crate::record::{Decimal, FieldFault, RejectCode, Value};

/// What is wrong with a segment, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::decode::edi) struct Bad {
    pub(in crate::decode::edi) fault: FieldFault,
    /// `02 quantity`, where it is about an element.
    pub(in crate::decode::edi) element: Option<String>,
    /// Its place in the message.
    pub(in crate::decode::edi) span: Option<(u32, u32)>,
}

impl Bad {
    pub(in crate::decode::edi) fn new(code: RejectCode, expected: impl Into<String>, found: impl Into<String>) -> Bad {
        let fault = FieldFault { code, expected: expected.into(), found: found.into() };
        Bad { fault, element: None, span: None }
    }

    fn at(self, number: String, data: Data<'_>) -> Bad {
        Bad { element: Some(number), span: Some(data.span()), ..self }
    }
}

/// Checks every element of a segment.
pub(in crate::decode::edi) fn check_segment(
    message: &Message,
    segment: usize,
    declared: &[Element],
) -> Result<(), Bad> {
    let Some(syntax) = message.syntax() else { return Ok(()) };
    let separators = &syntax.separators;
    let data = message.segment(segment);
    let mut written = elements(data.bytes, separators).skip(1);
    for (index, element) in declared.iter().enumerate() {
        let number = || label(index, element);
        let piece = written.next().map_or(Data { bytes: b"", ..data }, |piece| data.piece(piece));
        check(message, piece, element, &number)?;
    }
    if let Some(surplus) = written.position(|surplus| !surplus.is_empty()) {
        let number = format!("{:02}", declared.len() + surplus + 1);
        let expected = format!("at most {} elements", declared.len());
        return Err(Bad::new(RejectCode::Unexpected, expected, format!("element {number}")).at(number, data));
    }
    Ok(())
}

fn label(index: usize, element: &Element) -> String {
    let name = element.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
    format!("{:02}{name}", index + 1)
}

fn check(message: &Message, data: Data<'_>, element: &Element, number: &dyn Fn() -> String) -> Result<(), Bad> {
    let Some(syntax) = message.syntax() else { return Ok(()) };
    let separators = &syntax.separators;
    if data.bytes.is_empty() {
        return if element.required {
            Err(Bad::new(RejectCode::Absent, "a value", "nothing").at(number(), data))
        } else {
            Ok(())
        };
    }
    if element.name.is_none() {
        let found = message.shown(data.bytes);
        return Err(
            Bad::new(RejectCode::Unexpected, "nothing, as the schema does not use it", found).at(number(), data)
        );
    }
    let mut count = 0;
    for one in repetitions(data.bytes, separators) {
        count += 1;
        let one = data.piece(one);
        match &element.holds {
            Holds::Value(simple) => check_simple(message, one, simple, separators.component, number)?,
            Holds::Composite(parts) => {
                let mut written = components(one.bytes, separators);
                for (index, part) in parts.iter().enumerate() {
                    let number = || format!("{}.{}", number(), label(index, part));
                    let piece = written.next().map_or(Data { bytes: b"", ..one }, |piece| one.piece(piece));
                    // An empty repetition keeps its place and nothing else.
                    if !one.bytes.is_empty() {
                        check(message, piece, part, &number)?;
                    }
                }
                if written.any(|surplus| !surplus.is_empty()) {
                    let expected = format!("at most {} components", parts.len());
                    return Err(Bad::new(RejectCode::Unexpected, expected, "more").at(number(), one));
                }
            }
        }
    }
    if count > element.repeat {
        let expected = format!("at most {} repetitions", element.repeat);
        return Err(Bad::new(RejectCode::Unexpected, expected, count.to_string()).at(number(), data));
    }
    Ok(())
}

fn check_simple(
    message: &Message,
    data: Data<'_>,
    simple: &Simple,
    component: u8,
    number: &dyn Fn() -> String,
) -> Result<(), Bad> {
    if data.bytes.is_empty() {
        return Ok(());
    }
    if message.is_ascii(data) && is_good(data.bytes, simple) {
        return Ok(());
    }
    let release = message.syntax().and_then(|syntax| syntax.separators.release);
    if data.bytes.contains(&component) && pieces(data.bytes, component, release).nth(1).is_some() {
        let found = message.shown(data.bytes);
        return Err(Bad::new(RejectCode::Unexpected, "a single value", found).at(number(), data));
    }
    match read(message, data, simple) {
        Ok(_) => Ok(()),
        Err(fault) => Err(Bad { fault, element: Some(number()), span: Some(data.span()) }),
    }
}

/// True when [`read`] has a value for printable ASCII without separators; what it says no to is for that to judge.
fn is_good(bytes: &[u8], simple: &Simple) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let length = match simple.kind {
        Kind::Implied(0) if digits.iter().all(u8::is_ascii_digit) => digits.len(),
        // At most one mark, and digits beside it.
        Kind::Real => {
            let count = digits.iter().filter(|byte| byte.is_ascii_digit()).count();
            let marks = digits.iter().filter(|byte| matches!(byte, b'.' | b',')).count();
            if count + marks != digits.len() || marks > 1 {
                return false;
            }
            count
        }
        Kind::Implied(_) => return false,
        _ => bytes.len(),
    };
    let is_number = matches!(simple.kind, Kind::Implied(_) | Kind::Real);
    if !(simple.min..=simple.max).contains(&length) || (is_number && !(1..=38).contains(&length)) {
        return false;
    }
    if !simple.values.is_empty() && !simple.values.iter().any(|value| value.as_bytes() == bytes) {
        return false;
    }
    let text = || std::str::from_utf8(bytes).unwrap_or_default();
    match simple.kind {
        Kind::Text | Kind::Implied(_) | Kind::Real => true,
        Kind::Letters => bytes.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b' '),
        Kind::Date => is_date(text()),
        Kind::Time => is_time(text()),
    }
}

/// The value of data that is not empty.
pub(in crate::decode::edi) fn read<'a>(
    message: &'a Message,
    data: Data<'a>,
    simple: &Simple,
) -> Result<Value<'a>, FieldFault> {
    let Some(syntax) = message.syntax() else { return Ok(Value::Null) };
    let text = match released(data.bytes, &syntax.separators) {
        Cow::Borrowed(bytes) => syntax.encoding.decode(bytes),
        Cow::Owned(bytes) => syntax.encoding.decode(&bytes).map(|text| Cow::Owned(text.into_owned())),
    };
    let text = text.map_err(|unmappable| message.unmappable(unmappable))?;
    let fault = |code: RejectCode, expected: String| FieldFault { code, expected, found: format!("`{text}`") };
    if !simple.values.is_empty() && !simple.values.iter().any(|value| *value == text) {
        return Err(fault(RejectCode::UnknownValue, format!("one of {}", simple.values.join(", "))));
    }
    let length = match simple.kind {
        Kind::Implied(_) | Kind::Real => text.bytes().filter(u8::is_ascii_digit).count(),
        _ => text.chars().count(),
    };
    if !(simple.min..=simple.max).contains(&length) {
        let what = if matches!(simple.kind, Kind::Implied(_) | Kind::Real) { "digits" } else { "characters" };
        let expected = format!("{}, {} to {} {what}", simple.written, simple.min, simple.max);
        return Err(fault(RejectCode::RuleBroken, expected));
    }
    match simple.kind {
        Kind::Text => Ok(Value::Text(text)),
        Kind::Letters if text.chars().all(|char| char.is_alphabetic() || char == ' ') => Ok(Value::Text(text)),
        Kind::Letters => Err(fault(RejectCode::BadType, format!("letters ({})", simple.written))),
        Kind::Implied(scale) => {
            let whole = Decimal::parse(&text, b'.', None).ok().filter(|_| !text.contains(['.', '+']));
            let shifted = whole.and_then(|whole| Decimal::new(whole.units(), scale).ok());
            let expected = || format!("a whole number ({}) of at most 38 digits", simple.written);
            shifted.map(Value::Decimal).ok_or_else(|| fault(RejectCode::BadDigit, expected()))
        }
        Kind::Real => {
            // Either mark may stand for the decimal point in EDIFACT; a number has no other use for them.
            let point = if text.contains(',') { b',' } else { b'.' };
            let number = Decimal::parse(&text, point, None).ok().filter(|_| !text.contains('+'));
            let expected = || format!("a number ({}) of at most 38 digits", simple.written);
            number.map(Value::Decimal).ok_or_else(|| fault(RejectCode::BadDigit, expected()))
        }
        Kind::Date if is_date(&text) => Ok(Value::Text(text)),
        Kind::Date => Err(fault(RejectCode::BadDate, "a date, CCYYMMDD or YYMMDD".to_owned())),
        Kind::Time if is_time(&text) => Ok(Value::Text(text)),
        Kind::Time => Err(fault(RejectCode::BadDate, "a time, HHMM, HHMMSS or HHMMSSDD".to_owned())),
    }
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

fn is_date(text: &str) -> bool {
    let digits = text.as_bytes();
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(digits.len(), 6 | 8) {
        return false;
    }
    let (year, rest) = digits.split_at(digits.len() - 4);
    let (year, month, day) = (number(year), number(&rest[..2]), number(&rest[2..]));
    // Of a year without its century the century does not matter: 2000 is a leap year, as is every fourth year.
    let leap = year.is_multiple_of(4) && (digits.len() == 6 || !year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=last).contains(&day)
}

fn is_time(text: &str) -> bool {
    let digits = text.as_bytes();
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(digits.len(), 4 | 6..=8) {
        return false;
    }
    let part = |from: usize| digits.get(from..from + 2).map_or(0, number);
    part(0) < 24 && part(2) < 60 && part(4) < 60
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Kind, Simple};
    use super::{is_date, is_good, is_time, read};
    use crate::decode::CodePage;
    use crate::decode::edi::message::{Data, Message};
    use crate::decode::edi::syntax::{Separators, Standard};

    proptest! {
        /// What is found good at a glance is good when it is looked at closely.
        #[test]
        fn a_glance_and_a_look_agree(text in "-?[0-9]{0,40}|-?[0-9]{0,3}[.,]?[0-9]{0,3}|[0-9 a-z.,+-]{1,9}", kind in 0usize..7, min in 0usize..4, max in 3usize..45) {
            let kind = [Kind::Text, Kind::Letters, Kind::Implied(0), Kind::Implied(2), Kind::Real, Kind::Date, Kind::Time][kind];
            let values = if text.len() == 3 { vec![text.replace('1', "2")] } else { Vec::new() };
            let simple = Simple { kind, min, max, values, written: "X".to_owned() };
            let separators = Separators { element: b'*', component: b':', repetition: None, release: None, segment: b'~' };
            let message = Message::of(Standard::X12, separators, &CodePage::utf8(), b"");
            if is_good(text.as_bytes(), &simple) {
                let value = read(&message, Data { bytes: text.as_bytes(), offset: 0 }, &simple);
                prop_assert!(value.is_ok(), "{:?}", value);
            }
        }
    }

    #[test]
    fn dates_and_times_of_the_calendar() {
        for (text, good) in [
            ("20240229", true),
            ("20230229", false),
            ("19000229", false),
            ("000229", true),
            ("261031", true),
            ("20261331", false),
            ("20260431", false),
            ("2026103", false),
            ("2026-1-1", false),
            ("20261000", false),
        ] {
            assert_eq!(is_date(text), good, "{text}");
        }
        for (text, good) in [
            ("0000", true),
            ("2359", true),
            ("2400", false),
            ("1260", false),
            ("125960", false),
            ("12595999", true),
            ("1259595", true),
            ("12:00", false),
            ("120", false),
        ] {
            assert_eq!(is_time(text), good, "{text}");
        }
    }
}
