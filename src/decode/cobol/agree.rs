//! Whether a record that was written holds what it was written from, where items share bytes and could contradict one
//! another.

use super::encode::hex_of;
use super::number::write::units;
use crate::decode::encode::{EncodeFault, Json};
use crate::decode::format::Trim;

/// A fault where the record that was read back lacks a member or has another value. `beside` are members that are none of
/// the record's own.
pub(super) fn differs(given: &Json<'_>, read: &Json<'_>, beside: &[&str], trim: Trim) -> Result<(), EncodeFault> {
    match (given, read) {
        (Json::Object(members), Json::Object(_)) => {
            for (name, value) in members {
                match read.member(name) {
                    Some(read) => differs(value, read, &[], trim).map_err(|fault| fault.below(name))?,
                    None if beside.contains(&name.as_ref()) => {}
                    None if name.starts_with('_') || hex_of(name).is_some() => {}
                    None => return Err(EncodeFault::here("nothing", value).below(name)),
                }
            }
            Ok(())
        }
        (Json::Array(given), Json::Array(read)) if given.len() == read.len() => {
            for (index, (given, read)) in given.iter().zip(read.iter()).enumerate() {
                differs(&given, &read, &[], trim).map_err(|fault| fault.below(index))?;
            }
            Ok(())
        }
        (Json::Text(given), Json::Text(read)) if trim.apply_text(given) == trim.apply_text(read) => Ok(()),
        (Json::Number(given), Json::Number(read)) if same_number(given, read) => Ok(()),
        (Json::Text(given), Json::Number(read)) if same_number(given, read) => Ok(()),
        (Json::Null, Json::Null | Json::Number(_)) => Ok(()),
        (given, read) => Err(EncodeFault::here(read.to_string(), given)),
    }
}

fn same_number(given: &str, read: &str) -> bool {
    // To as many digits as either has; floats by their nearest value.
    let exact = |text: &str| (0..=38).find_map(|scale| units(text, scale).ok().map(|units| (units, scale)));
    match (exact(given), exact(read)) {
        (Some((a, _)), Some((b, _))) if a.magnitude == 0 || b.magnitude == 0 => a.magnitude == b.magnitude,
        (Some(a), Some(b)) => a == b,
        _ => given.parse::<f64>().ok().zip(read.parse::<f64>().ok()).is_some_and(|(given, read)| given == read),
    }
}
