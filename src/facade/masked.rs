//! A resource as callers see it who lack the scope of some of its fields: the same resource, without them.
//!
//! It is made once for each set of scopes that somebody lacks. Everything that answers from a [`Published`] (fields, filters,
//! sorts, columns, relations) then answers without the fields, since for it they are not there; documents are cut by its
//! [`Published::mask`]. Whoever has all scopes has the resource itself, and documents as they are stored.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::catalog::Published;
use super::projection::Projection;
use crate::http::Caller;
use crate::mapping::{Exposure, RelationLink};

/// So many are kept; there are no more than combinations of scopes.
const MOST: usize = 256;

impl Published {
    /// The resource as a caller sees it; `None` where that is all of it.
    pub(super) fn seen_by(&self, caller: &Caller) -> Option<Arc<Published>> {
        let mask = &self.exposure.access.mask;
        let missing: Vec<&str> =
            mask.iter().filter(|masked| !caller.has(&masked.scope)).map(|masked| masked.path.as_str()).collect();
        if missing.is_empty() {
            return None;
        }
        let mut variants = self.variants.lock();
        if let Some((_, variant)) = variants.iter().find(|(paths, _)| paths == &missing) {
            return Some(Arc::clone(variant));
        }
        let variant = Arc::new(self.without(&missing));
        if variants.len() < MOST {
            variants.push((missing.into_iter().map(str::to_owned).collect(), Arc::clone(&variant)));
        }
        Some(variant)
    }

    fn without(&self, paths: &[&str]) -> Published {
        let is_masked = |path: &str| {
            paths
                .iter()
                .any(|masked| path == *masked || path.strip_prefix(masked).is_some_and(|rest| rest.starts_with('.')))
        };
        let mut exposure = self.exposure.clone();
        exposure.filter.retain(|field| !is_masked(&field.path));
        exposure.sort.retain(|field| !is_masked(&field.path));
        // Who is beside a record would tell the value by which it stands there.
        exposure.relations.retain(|relation| match &relation.link {
            RelationLink::One { key } => !key.iter().any(|path| is_masked(path)),
            RelationLink::Many { key, .. } => !is_masked(key),
        });
        paths.iter().for_each(|path| remove(&mut exposure.schema, path));
        let mask = all_of(&exposure);
        Published { mask: Some(mask), view: Some(paths.join(",")), ..Published::new(exposure) }
    }

    /// The fields of an answer: those that were asked for, and no more than the caller sees.
    pub(super) fn fields(&self, asked: Option<Projection>) -> Option<Projection> {
        match (asked, &self.mask) {
            (asked, None) => asked,
            (None, Some(mask)) => Some(mask.clone()),
            (Some(asked), Some(mask)) => Some(asked.within(mask)),
        }
    }
}

/// All fields that are in the schema.
fn all_of(exposure: &Exposure) -> Projection {
    Projection::of_schema(&exposure.schema)
}

/// Takes a field out of a schema.
fn remove(schema: &mut Value, path: &str) {
    let object = if schema.get("items").is_some() { schema.get_mut("items") } else { Some(schema) };
    let Some(object) = object.and_then(Value::as_object_mut) else { return };
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    match rest {
        Some(rest) => {
            let below = object.get_mut("properties").and_then(|properties| properties.get_mut(name));
            if let Some(below) = below {
                remove(below, rest);
            }
        }
        None => {
            object
                .get_mut("properties")
                .and_then(Value::as_object_mut)
                .map(|properties: &mut Map<_, _>| properties.shift_remove(name));
            if let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) {
                required.retain(|required| required != name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::facade::catalog::tests::{caller, published};
    use crate::facade::projection::Projection;
    use crate::mapping::Masked;

    const DOCUMENT: &str = r#"{"order_no":"1","status":"open","amount":10.50,"customer":{"vip":true,"name":"a"}}"#;

    fn cut(fields: Option<&str>, scopes: &[&str]) -> String {
        let mut whole = published();
        let masked = |path: &str, scope: &str| Masked { path: path.to_owned(), scope: scope.to_owned() };
        whole.exposure.access.mask = vec![masked("customer.vip", "pii:read"), masked("amount", "money:read")];
        let seen = whole.seen_by(&caller(scopes));
        let seen = seen.as_deref().unwrap_or(&whole);
        let asked = fields.map(|fields| Projection::parse(&seen.exposure.schema, fields));
        let Ok(asked) = asked.transpose() else { return "no such field".to_owned() };
        let Some(fields) = seen.fields(asked) else { return "as stored".to_owned() };
        let mut out = Vec::new();
        fields.write(DOCUMENT.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_without_their_scope_are_not_there() {
        assert_eq!(cut(None, &["*"]), "as stored");
        assert_eq!(cut(None, &["orders:read", "pii:read", "money:read"]), "as stored");
        // All reading is not yet reading of what takes more.
        assert_eq!(
            cut(None, &["read", "money:read"]),
            r#"{"order_no":"1","status":"open","amount":10.50,"customer":{}}"#
        );
        assert_eq!(cut(None, &["read"]), r#"{"order_no":"1","status":"open","customer":{}}"#);
        assert_eq!(cut(Some("customer"), &["read"]), r#"{"customer":{}}"#);
        assert_eq!(
            cut(Some("customer,order_no"), &["read", "pii:read"]),
            r#"{"order_no":"1","customer":{"vip":true}}"#
        );
        assert_eq!(cut(Some("amount"), &["read"]), "no such field");
        assert_eq!(cut(Some("customer.vip"), &["read"]), "no such field");
    }

    #[test]
    fn they_are_in_no_question_either() {
        let mut whole = published();
        whole.exposure.access.mask = vec![Masked { path: "amount".to_owned(), scope: "money:read".to_owned() }];
        let seen = whole.seen_by(&caller(&["read"])).unwrap();
        let has = |fields: &[crate::mapping::QueryField]| fields.iter().any(|field| field.path == "amount");
        assert!(has(&whole.exposure.filter) && !has(&seen.exposure.filter) && !has(&seen.exposure.sort));
        assert!(std::sync::Arc::ptr_eq(&seen, &whole.seen_by(&caller(&["stock:read"])).unwrap()));
    }
}
