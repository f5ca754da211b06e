//! Cursors: where a list goes on, sealed so that nobody can forge one or use it with another question.
//!
//! A cursor holds the sort values and key of the last row it was given for. Its seal (HMAC-SHA-256, half of it)
//! covers them together with the resource, the filters, the order and its fields' types, so a cursor that was changed or belongs to
//! another question is refused. It is stateless: it works after a restart and never expires.
//!
//! What it holds is nobody's to read: where a live list ends for now is told by the key of the last row that the database gave,
//! which may be one that the caller does not see. So the values are veiled by a stream that is made of the seal (RFC 5297 has
//! the construction: the seal is a function of all that is veiled, so no stream is used for two texts).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::http::{Problem, Reason};
use crate::mapping::{Exposure, FieldType};
use crate::staging::{Comparison, Condition, Filter, ListQuery, Scalar};

/// The first byte, so that the form can change.
const VERSION: u8 = 2;

/// The first byte of cursors that anybody could read. Those that are out there stay good.
const OPEN: u8 = 1;

/// Bytes of the seal.
const SEAL_LENGTH: usize = 16;

/// Seals and opens cursors.
#[derive(Clone)]
pub(super) struct Seal {
    /// Begun with the secret; cloned for every cursor.
    keyed: Hmac<Sha256>,
}

impl Seal {
    pub(super) fn new(secret: [u8; 32]) -> Seal {
        // HMAC fills a shorter key with zeros up to the hash's block; doing it here leaves nothing to fail.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&secret);
        Seal { keyed: Hmac::new(&block.into()) }
    }

    /// The cursor that goes on after the row with these values.
    pub(super) fn close(&self, of: &Exposure, query: &ListQuery, after: &[Scalar]) -> String {
        let mut bytes = vec![VERSION];
        after.iter().for_each(|value| write_scalar(value, &mut bytes));
        let seal = self.mac(of, query, &bytes).finalize().into_bytes();
        let seal = &seal[..SEAL_LENGTH];
        self.veil(seal, &mut bytes);
        bytes.extend_from_slice(seal);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Veils all but the version, or takes the veil off again.
    fn veil(&self, seal: &[u8], bytes: &mut [u8]) {
        let values = bytes.get_mut(1..).unwrap_or_default();
        for (number, part) in (0u64..).zip(values.chunks_mut(32)) {
            let mut mac = self.keyed.clone();
            mac.update(b"tollbridge cursor veil\0");
            mac.update(seal);
            mac.update(&number.to_le_bytes());
            part.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(byte, veil)| *byte ^= veil);
        }
    }

    /// The seal over a place in the feed of a resource. It begins unlike that of a list.
    pub(super) fn of_feed(&self, resource: &str, place: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(b"tollbridge feed\0");
        mac.update(resource.as_bytes());
        mac.update(b"\0");
        mac.update(place);
        mac
    }

    /// The values in a cursor that was given for this question.
    pub(super) fn open(&self, of: &Exposure, query: &ListQuery, cursor: &str) -> Result<Vec<Scalar>, Problem> {
        let foreign = || {
            Reason::InvalidCursor
                .because("`cursor` was not given for this question, or was changed on its way")
                .hint("follow `page.next` of the answer as it is, or begin again without `cursor`")
        };
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| foreign())?;
        let end = bytes.len().checked_sub(SEAL_LENGTH);
        let Some((values, seal)) = end.and_then(|end| bytes.split_at_mut_checked(end)) else {
            return Err(foreign());
        };
        if values.first() == Some(&VERSION) {
            self.veil(seal, values);
        }
        self.mac(of, query, values).verify_truncated_left(seal).map_err(|_| foreign())?;
        let (_, mut rest) =
            values.split_first().filter(|(form, _)| matches!(**form, VERSION | OPEN)).ok_or_else(foreign)?;
        let mut after = Vec::with_capacity(query.sort.len() + 1);
        while !rest.is_empty() {
            after.push(read_scalar(&mut rest).ok_or_else(foreign)?);
        }
        if after.len() != query.sort.len() + 1 {
            return Err(foreign());
        }
        Ok(after)
    }

    /// The seal over the question and the values.
    fn mac(&self, of: &Exposure, query: &ListQuery, values: &[u8]) -> Hmac<Sha256> {
        let mut question = b"tollbridge cursor\0".to_vec();
        write_text(&of.id.to_string(), &mut question);
        write_filters(&query.filters, &mut question);
        // Cursors from before there were any stay good: no text that could stand here is so long.
        if !query.only.is_empty() || !query.groups.is_empty() {
            question.extend_from_slice(&u32::MAX.to_le_bytes());
            write_filters(&query.only, &mut question);
            write_conditions(&query.groups, &mut question);
        }
        for key in &query.sort {
            write_text(&key.path, &mut question);
            question.push(u8::from(key.descending));
            // A field whose type has changed compares in another way, so an old cursor means nothing to it.
            let field_type = of.sort.iter().find(|field| field.path == key.path).map(|field| field.field_type);
            let name = match field_type {
                // Cursors from before their forms were told apart stay good.
                Some(FieldType::Time { .. }) => "Some(Time)".to_owned(),
                Some(FieldType::Datetime { .. }) => "Some(Datetime)".to_owned(),
                other => format!("{other:?}"),
            };
            write_text(&name, &mut question);
        }
        let mut mac = self.keyed.clone();
        mac.update(&(question.len() as u64).to_le_bytes());
        mac.update(&question);
        mac.update(values);
        mac
    }
}

fn write_filters(filters: &[Filter], out: &mut Vec<u8>) {
    out.extend_from_slice(&(filters.len() as u32).to_le_bytes());
    filters.iter().for_each(|filter| write_filter(filter, out));
}

fn write_conditions(conditions: &[Condition], out: &mut Vec<u8>) {
    out.extend_from_slice(&(conditions.len() as u32).to_le_bytes());
    for condition in conditions {
        match condition {
            Condition::Field(filter) => {
                out.push(0);
                write_filter(filter, out);
            }
            Condition::All(conditions) => {
                out.push(1);
                write_conditions(conditions, out);
            }
            Condition::Any(conditions) => {
                out.push(2);
                write_conditions(conditions, out);
            }
        }
    }
}

fn write_filter(filter: &Filter, out: &mut Vec<u8>) {
    write_text(&filter.path, out);
    out.push(operator_number(filter.comparison));
    out.extend_from_slice(&(filter.values.len() as u32).to_le_bytes());
    filter.values.iter().for_each(|value| write_scalar(value, out));
}

fn operator_number(comparison: Comparison) -> u8 {
    match comparison {
        Comparison::Equal => 0,
        Comparison::NotEqual => 1,
        Comparison::Greater => 2,
        Comparison::GreaterOrEqual => 3,
        Comparison::Less => 4,
        Comparison::LessOrEqual => 5,
        Comparison::In => 6,
        Comparison::Prefix => 7,
        Comparison::NotIn => 8,
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn write_scalar(value: &Scalar, out: &mut Vec<u8>) {
    match value {
        Scalar::Null => out.push(0),
        Scalar::Text(text) => {
            out.push(1);
            write_text(text, out);
        }
        Scalar::Integer(number) => {
            out.push(2);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Scalar::Number(number) => {
            out.push(3);
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}

fn read_scalar(rest: &mut &[u8]) -> Option<Scalar> {
    let (kind, tail) = rest.split_first()?;
    *rest = tail;
    match kind {
        0 => Some(Scalar::Null),
        1 => {
            let length = u32::from_le_bytes(take(rest)?) as usize;
            let (text, tail) = rest.split_at_checked(length)?;
            *rest = tail;
            String::from_utf8(text.to_vec()).ok().map(Scalar::Text)
        }
        2 => take(rest).map(i64::from_le_bytes).map(Scalar::Integer),
        3 => take(rest).map(f64::from_le_bytes).map(Scalar::Number),
        _ => None,
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::Seal;
    use crate::facade::catalog::tests::exposure;
    use crate::mapping::{Exposure, FieldType};
    use crate::staging::{Comparison, Condition, Filter, ListQuery, Scalar, SortKey};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use hmac::Mac;
    use proptest::prelude::*;

    fn orders() -> Exposure {
        exposure("orders", 1)
    }

    fn question(status: &str, descending: bool) -> ListQuery {
        let values = vec![Scalar::Text(status.to_owned())];
        ListQuery {
            filters: vec![Filter { path: "status".into(), comparison: Comparison::Equal, values }],
            sort: vec![SortKey { path: "amount".into(), descending }],
            ..ListQuery::default()
        }
    }

    fn row() -> Vec<Scalar> {
        vec![Scalar::Number(12.5), Scalar::Text("4711".into())]
    }

    #[test]
    fn a_cursor_opens_for_its_own_question_only() {
        let seal = Seal::new([7; 32]);
        let cursor = seal.close(&orders(), &question("open", true), &row());
        let check = |seal: &Seal, of: &Exposure, question: &ListQuery, expected: bool| {
            let opened = seal.open(of, question, &cursor);
            assert_eq!(opened.ok(), expected.then(row));
        };
        check(&seal, &orders(), &question("open", true), true);
        check(&Seal::new([7; 32]), &orders(), &question("open", true), true);
        check(&seal, &orders(), &question("closed", true), false);
        check(&seal, &orders(), &question("open", false), false);
        check(&seal, &exposure("orders", 2), &question("open", true), false);
        check(&Seal::new([8; 32]), &orders(), &question("open", true), false);
        let mut wider = orders();
        wider.sort[1].field_type = FieldType::Decimal { precision: 13, scale: 4, as_string: false };
        check(&seal, &wider, &question("open", true), false);
        let mut grouped = question("open", true);
        grouped.groups.push(Condition::Any(grouped.filters.iter().cloned().map(Condition::Field).collect()));
        check(&seal, &orders(), &grouped, false);
        let bounded = ListQuery { only: question("open", true).filters, ..question("open", true) };
        check(&seal, &orders(), &bounded, false);
        // The limit may change from page to page.
        check(&seal, &orders(), &ListQuery { limit: 5, ..question("open", true) }, true);
    }

    #[test]
    fn what_it_holds_is_nobodys_to_read_and_those_from_before_stay_good() {
        let (seal, question) = (Seal::new([7; 32]), question("open", true));
        let long = "K".repeat(100);
        let row = vec![Scalar::Number(12.5), Scalar::Text(long.clone())];
        let cursor = seal.close(&orders(), &question, &row);
        let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        assert!(!bytes.windows(4).any(|bytes| bytes == b"KKKK"), "{cursor}");
        // No part of the veil is that of another part, or of another cursor.
        let other = seal.close(&orders(), &question, &[Scalar::Number(12.25), Scalar::Text(long)]);
        let other = URL_SAFE_NO_PAD.decode(other).unwrap();
        assert!(bytes[33..65] != bytes[65..97] && bytes[33..65] != other[33..65]);
        assert_eq!(seal.open(&orders(), &question, &cursor).unwrap(), row);
        // As it was made before: the same, and not veiled.
        let mut open = vec![super::OPEN];
        row.iter().for_each(|value| super::write_scalar(value, &mut open));
        let mac = seal.mac(&orders(), &question, &open).finalize().into_bytes();
        open.extend_from_slice(&mac[..super::SEAL_LENGTH]);
        assert_eq!(seal.open(&orders(), &question, &URL_SAFE_NO_PAD.encode(open)).unwrap(), row);
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let seal = Seal::new([7; 32]);
        let cursor = seal.close(&orders(), &question("open", true), &row());
        for at in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(seal.open(&orders(), &question("open", true), &changed).is_err(), "{changed}");
        }
    }

    fn scalar() -> impl Strategy<Value = Scalar> {
        prop_oneof![
            Just(Scalar::Null),
            "\\PC{0,20}".prop_map(Scalar::Text),
            any::<i64>().prop_map(Scalar::Integer),
            (-1e15f64..1e15).prop_map(Scalar::Number),
        ]
    }

    proptest! {
        #[test]
        fn values_come_back(first in scalar(), key in "\\PC{0,30}") {
            let after = vec![first, Scalar::Text(key)];
            let seal = Seal::new([1; 32]);
            let cursor = seal.close(&orders(), &question("x", false), &after);
            prop_assert_eq!(seal.open(&orders(), &question("x", false), &cursor).ok(), Some(after));
        }

        #[test]
        fn noise_never_opens(noise in "[A-Za-z0-9_-]{0,200}") {
            prop_assert!(Seal::new([1; 32]).open(&orders(), &question("x", false), &noise).is_err());
        }
    }
}
