//! What a caller wants to be so of a record before it is written to (RFC 9110 section 13): it is as they know it.
//!
//! It is judged when the write is begun, against what is staged, since that is what callers have read. A write that is sent
//! again is not judged again: it has changed the record itself.

use jiff::Timestamp;

use crate::record::ContentHash;

/// The conditions of a write; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// `If-Match`: the record is one of these.
    pub matches: Option<Tags>,
    /// `If-None-Match`: it is none of these.
    pub differs: Option<Tags>,
    /// `If-Unmodified-Since`: it was not changed later.
    pub unmodified_since: Option<Timestamp>,
}

/// Representations by their hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// Whatever it is, as long as it is there.
    Any,
    /// One of these.
    These(Vec<ContentHash>),
}

impl Tags {
    fn have(&self, hash: ContentHash) -> bool {
        match self {
            Tags::Any => true,
            Tags::These(hashes) => hashes.contains(&hash),
        }
    }
}

impl Condition {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Condition::default()
    }

    /// Whether it is so of a record: the hash of what is served, and when that changed; `None` where there is no record.
    pub fn holds(&self, record: Option<(ContentHash, Timestamp)>) -> bool {
        let hash = record.map(|(hash, _)| hash);
        let matches = match (&self.matches, record) {
            (Some(tags), _) => hash.is_some_and(|hash| tags.have(hash)),
            // The header field has whole seconds. It does not count beside tags.
            (None, Some((_, changed_at))) => {
                self.unmodified_since.is_none_or(|since| changed_at.as_second() <= since.as_second())
            }
            (None, None) => true,
        };
        let differs = self.differs.as_ref().is_none_or(|tags| !hash.is_some_and(|hash| tags.have(hash)));
        matches && differs
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, Tags};
    use crate::record::ContentHash;
    use jiff::Timestamp;

    #[test]
    fn a_condition_is_about_what_is_staged() {
        let (one, other) = (ContentHash([1; 16]), ContentHash([2; 16]));
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let record = Some((one, at(100)));
        let check = |condition: Condition, there: bool, absent: bool| {
            assert_eq!((condition.holds(record), condition.holds(None)), (there, absent), "{condition:?}");
        };
        let none = Condition::default;
        check(none(), true, true);
        check(Condition { matches: Some(Tags::Any), ..none() }, true, false);
        check(Condition { matches: Some(Tags::These(vec![other, one])), ..none() }, true, false);
        check(Condition { matches: Some(Tags::These(vec![other])), ..none() }, false, false);
        check(Condition { differs: Some(Tags::Any), ..none() }, false, true);
        check(Condition { differs: Some(Tags::These(vec![other])), ..none() }, true, true);
        check(Condition { unmodified_since: Some(at(100)), ..none() }, true, true);
        check(Condition { unmodified_since: Some(at(99)), ..none() }, false, true);
        let both = Condition { matches: Some(Tags::Any), unmodified_since: Some(at(99)), ..none() };
        check(both, true, false);
    }
}
