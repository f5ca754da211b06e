//! What a caller may write: no record out of their sight, and no field of which they lack the scope.
//!
//! It is judged by what the operation itself has read of the body, and nothing of a body is done that was not judged: there
//! is one parser, and no way around it.

use super::OperateError;
use super::within::Within;
use crate::decode::Json;
use crate::mapping::{InputFault, MOST_FAULTS, Masked, NotARequest, Verb, WriteOperation, WriteRequest};

/// What a caller may write of a resource.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// The records that they see: what is written must stay one of them.
    pub within: Within,
    /// The fields of which they lack the scope.
    pub hidden: Vec<Masked>,
}

/// Why a write is none that its caller may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overreach {
    /// The body has fields that take scopes which the caller lacks.
    Hidden {
        /// Where.
        faults: Vec<InputFault>,
        /// Which.
        scopes: Vec<String>,
    },
    /// It would make or leave a record that its caller does not see, by the field at this path.
    Beyond(String),
}

/// The body and key of a request, judged: what they are, and whether the caller may ask for it. A body with a field that is
/// hidden is not judged any further: its faults would say what the field may be.
pub(super) fn judged(
    write: &WriteOperation,
    body: Option<&str>,
    key: Option<&str>,
    allowed: &Allowed,
) -> Result<(WriteRequest, Option<Overreach>), OperateError> {
    let body = match body {
        Some(text) if write.takes_body() => {
            Some(Json::parse(text).map_err(|fault| OperateError::NotJson(fault.to_string()))?)
        }
        Some(_) => return Err(OperateError::NoBody),
        None => None,
    };
    let hidden = body.as_ref().and_then(|body| allowed.first_hidden(write, body));
    let request = match (write.read(body.as_ref(), key), &hidden) {
        (Ok(request), _) => request,
        (Err(NotARequest::Key), _) => return Err(OperateError::NoRecord),
        (Err(NotARequest::Body(_)), Some(hidden)) => return Err(OperateError::NotAllowed(hidden.clone())),
        (Err(NotARequest::Body(faults)), None) => return Err(OperateError::Invalid(faults)),
    };
    let is_new = write.exposed.verb == Verb::Create;
    let beyond = || allowed.within.first_beyond(write, body.as_ref(), is_new);
    let overreach = hidden.or_else(|| beyond().map(|path| Overreach::Beyond(path.to_owned())));
    Ok((request, overreach))
}

impl Allowed {
    /// Every member of a body for a field of which the caller lacks the scope, be it null.
    fn first_hidden(&self, write: &WriteOperation, body: &Json<'_>) -> Option<Overreach> {
        let (mut faults, mut scopes) = (Vec::new(), Vec::new());
        for member in &write.exposed.members {
            let hides =
                |path: &str| member.field.strip_prefix(path).is_some_and(|rest| matches!(rest.as_bytes(), [] | [b'.', ..]));
            let Some(masked) = self.hidden.iter().find(|masked| hides(&masked.path)) else { continue };
            let before = faults.len();
            find(body, &member.path, &mut String::new(), &mut faults);
            for fault in faults.iter_mut().skip(before) {
                fault.detail = format!("writing it takes the scope `{}`", masked.scope);
            }
            if faults.len() > before && !scopes.contains(&masked.scope) {
                scopes.push(masked.scope.clone());
            }
        }
        (!faults.is_empty()).then_some(Overreach::Hidden { faults, scopes })
    }
}

/// Notes where in a body something stands at this path, be it null.
fn find(value: &Json<'_>, path: &[String], pointer: &mut String, faults: &mut Vec<InputFault>) {
    let length = pointer.len();
    if faults.len() >= MOST_FAULTS {
        return;
    }
    match (value, path.split_first()) {
        (_, None) => faults.push(InputFault { pointer: pointer.clone(), detail: String::new() }),
        (Json::Array(elements), Some(_)) => {
            for (number, element) in elements.iter().enumerate() {
                pointer.push_str(&format!("/{number}"));
                find(&element, path, pointer, faults);
                pointer.truncate(length);
                if faults.len() >= MOST_FAULTS {
                    return;
                }
            }
        }
        (Json::Object(_), Some((name, rest))) => {
            if let Some(below) = value.member(name) {
                pointer.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                find(below, rest, pointer, faults);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}
