//! What a caller may write of what they may see: no record out of their sight, and no field of which they lack the scope.
//!
//! This is judged when a write comes, by what is staged or by a live read. Of a record that is written to it is judged once
//! more when the write is begun, as late as can be (`pipeline::operate`).

use std::time::Instant;

use serde_json::Value;

use super::catalog::Published;
use super::sight::Sight;
use super::write::fragment;
use super::{live, record};
use crate::http::{BodyFault, Caller, Problem, Reason, staging_problem};
use crate::mapping::{BodyMember, ExposedOperation, Mode};
use crate::pipeline::live::{Ask, Live, Reading, Wish};
use crate::staging::Staging;

/// More members of a body are not told of.
const MOST_FAULTS: usize = crate::mapping::MOST_FAULTS;

/// Refuses a write on a record that the caller does not see, one that would make or leave a record that it does not see, and
/// one that sets a field that it does not see. `published` is all of the resource.
pub(super) async fn check(
    from: (&dyn Staging, &Live),
    (published, caller, sight): (&Published, &Caller, &Sight),
    exposed: &ExposedOperation,
    (key, body): (Option<&str>, Option<&str>),
) -> Result<(), Problem> {
    if !sight.only.is_empty()
        && let Some(key) = key
        && !is_seen(from, (published, caller, sight), key).await?
    {
        return Err(record::no_such_record(published, key));
    }
    // What is no JSON is judged with the rest of the body.
    let Some(body) = body.and_then(|body| serde_json::from_str::<Value>(body).ok()) else { return Ok(()) };
    check_fields(published, caller, &exposed.members, &body)?;
    let id = &published.exposure.id;
    match sight.first_beyond(&body, key.is_none()) {
        None => Ok(()),
        Some(path) => Err(Reason::InsufficientScope
            .because(format!("you may write records of {id} only with a `{path}` of yours"))
            .why("claim")
            .hint(format!("send `{path}` as your claim says"))),
    }
}

async fn is_seen(
    (staging, live): (&dyn Staging, &Live),
    (published, caller, sight): (&Published, &Caller, &Sight),
    key: &str,
) -> Result<bool, Problem> {
    let id = &published.exposure.id;
    if published.exposure.mode == Mode::Staged {
        let found = staging.document_within(id, key, &sight.only).await;
        return Ok(found.map_err(staging_problem)?.is_some());
    }
    let ask = Ask { place: caller.client.at_gate(), patience: None };
    let asked = Instant::now();
    let read = live.read(id, key, &ask, Wish::default()).await.map_err(|error| {
        let seen = published.seen_by(caller);
        let error = live::as_seen((seen.as_deref().unwrap_or(published), sight), error);
        live::problem(published, key, error, asked.elapsed())
    })?;
    Ok(match read {
        Reading::Live { fetched, .. } => sight.shows(&fetched.payload),
        Reading::Staged(document) | Reading::Stale(document, _) => sight.shows(&document.payload),
    })
}

/// Refuses a body with a member for a field of which the caller lacks the scope.
fn check_fields(published: &Published, caller: &Caller, members: &[BodyMember], body: &Value) -> Result<(), Problem> {
    let mask = &published.exposure.access.mask;
    let missing: Vec<_> = mask.iter().filter(|masked| !caller.has(&masked.scope)).collect();
    let (mut faults, mut scopes) = (Vec::new(), Vec::new());
    for member in members {
        let hides =
            |path: &str| member.field.strip_prefix(path).is_some_and(|rest| matches!(rest.as_bytes(), [] | [b'.', ..]));
        let Some(masked) = missing.iter().find(|masked| hides(&masked.path)) else { continue };
        let before = faults.len();
        find(body, &member.path, &mut String::new(), &mut faults);
        for fault in faults.iter_mut().skip(before) {
            fault.detail = format!("writing it takes the scope `{}`", masked.scope);
        }
        if faults.len() > before && !scopes.contains(&masked.scope.as_str()) {
            scopes.push(&masked.scope);
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    faults.truncate(MOST_FAULTS);
    let names = scopes.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ");
    Err(Reason::InsufficientScope
        .because(format!(
            "the body has fields of {} that take the scope {names}; nothing was sent",
            published.exposure.id
        ))
        .why("masked")
        .hint("leave them out, or ask the operator for a key with that scope, or the issuer for a token")
        .errors(faults))
}

/// Notes where in a body something stands at this path, be it null.
fn find(value: &Value, path: &[String], pointer: &mut String, faults: &mut Vec<BodyFault>) {
    let length = pointer.len();
    match (value, path.split_first()) {
        (_, None) if faults.len() < MOST_FAULTS => {
            faults.push(BodyFault { pointer: fragment(pointer), detail: String::new() });
        }
        (Value::Array(elements), Some(_)) => {
            for (number, element) in elements.iter().enumerate() {
                pointer.push_str(&format!("/{number}"));
                find(element, path, pointer, faults);
                pointer.truncate(length);
            }
        }
        (Value::Object(members), Some((name, rest))) => {
            if let Some(below) = members.get(name) {
                pointer.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                find(below, rest, pointer, faults);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::check_fields;
    use crate::facade::catalog::tests::{caller, published};
    use crate::mapping::{BodyMember, Masked};
    use serde_json::{Value, json};

    fn told(scopes: &[&str], body: &Value) -> Vec<String> {
        let mut whole = published();
        let masked = |path: &str, scope: &str| Masked { path: path.to_owned(), scope: scope.to_owned() };
        whole.exposure.access.mask = vec![masked("customer", "pii:read"), masked("amount", "money:read")];
        let member = |path: &str, field: &str| BodyMember {
            path: path.split('.').map(str::to_owned).collect(),
            field: field.to_owned(),
        };
        let members = [
            member("sum", "amount"),
            member("buyer.vip", "customer.vip"),
            member("lines.price", "amount"),
            member("customers", "customers"),
            member("a/b~c", "amount"),
        ];
        let refused = check_fields(&whole, &caller(scopes), &members, body).err();
        let json = refused.map(|problem| problem.into_response("/", "id").into_body());
        json.map(|body| {
            let problem: Value = serde_json::from_slice(&body).unwrap();
            let errors = problem["errors"].as_array().unwrap();
            errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
        })
        .unwrap_or_default()
    }

    #[test]
    fn each_member_that_is_hidden_is_told() {
        let body = json!({ "sum": null, "buyer": { "vip": true }, "lines": [{ "price": 1 }, {}, { "price": 2 }],
            "customers": 3, "a/b~c": 1, "amount": "no member" });
        assert_eq!(
            told(&["write"], &body),
            ["#/sum", "#/buyer/vip", "#/lines/0/price", "#/lines/2/price", "#/a%7E1b%7E0c"]
        );
        assert_eq!(told(&["write", "money:read"], &body), ["#/buyer/vip"]);
        assert!(told(&["write", "money:read", "pii:read"], &body).is_empty());
        assert!(told(&["write"], &json!({ "customers": 3 })).is_empty());
        assert!(told(&["write"], &json!([1])).is_empty());
    }
}
