//! The query string of a URL: its parameters, each name once.

use std::borrow::Cow;

use super::{Problem, Reason};
use crate::record::key::{DecodeKeyError, decode_part};

/// Parameters at most. A resource may well declare as many filters; more is no honest question.
const MAX_PARAMETERS: usize = 256;

/// For routes that take no parameters.
pub fn refuse_any(raw: &str) -> Result<(), Problem> {
    match pairs(raw)?.first() {
        None => Ok(()),
        Some(pair) => Err(Reason::UnknownParameter.because(format!("`{}`: no parameters are taken here", pair.name))),
    }
}

/// One `name=value`.
pub struct Parameter<'a> {
    /// Decoded.
    pub name: Cow<'a, str>,
    /// As it was sent: lists are split before they are decoded, so that a value may hold an encoded comma.
    pub raw_value: &'a str,
    /// All of it as it was sent.
    pub written: &'a str,
}

/// The parameters in order, each name once.
pub fn pairs(raw: &str) -> Result<Vec<Parameter<'_>>, Problem> {
    let mut pairs: Vec<Parameter<'_>> = Vec::new();
    for written in raw.split('&').filter(|written| !written.is_empty()) {
        let (raw_name, raw_value) = written.split_once('=').unwrap_or((written, ""));
        let name = decoded(raw_name).map_err(|fault| {
            let detail = format!("the name of a parameter, `{}`, cannot be read: {fault}", raw_name.escape_debug());
            Reason::InvalidParameter.because(detail).hint(AS_UTF_8)
        })?;
        if pairs.iter().any(|pair| pair.name == name) {
            return Err(Reason::InvalidParameter
                .because(format!("`{name}` is given twice"))
                .hint("give each parameter once; for one of several values use `field[in]=a,b`"));
        }
        if pairs.len() == MAX_PARAMETERS {
            return Err(Reason::InvalidParameter.because(format!("more than {MAX_PARAMETERS} parameters")));
        }
        if let Err(fault) = decoded(raw_value) {
            let detail = format!("`{name}`: its value `{}` cannot be read: {fault}", raw_value.escape_debug());
            return Err(Reason::InvalidParameter.because(detail).hint(AS_UTF_8));
        }
        pairs.push(Parameter { name, raw_value, written });
    }
    Ok(pairs)
}

/// What helps where a text cannot be read.
const AS_UTF_8: &str =
    "send text as UTF-8, each byte that needs it as `%` and two hexadecimal digits: `%C3%A9` for an e with an acute";

/// Decodes the value of a query string, where `+` is a blank.
pub fn decode(raw: &str) -> Result<Cow<'_, str>, Problem> {
    let refused = |fault| Reason::InvalidParameter.because(format!("`{}`: {fault}", raw.escape_debug())).hint(AS_UTF_8);
    decoded(raw).map_err(refused)
}

fn decoded(raw: &str) -> Result<Cow<'_, str>, DecodeKeyError> {
    match raw.contains('+') {
        false => decode_part(raw),
        true => decode_part(&raw.replace('+', " ")).map(|text| Cow::Owned(text.into_owned())),
    }
}

/// Copies a parameter into a URL of ours; what does not belong into a URL or into a `Link` is encoded.
pub fn push_harmless(written: &str, out: &mut String) {
    for byte in written.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}
