//! What a caller wants to be so of a record before it is written to (RFC 9110 section 13): it is as they know it.
//!
//! It is kept with the operation, so that whoever begins that judges it ([`super::wanted`]). A write that is done and is
//! sent again is not judged again: it has changed the record itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::veil::Veil;
use crate::record::ContentHash;

/// The conditions of a write; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// `If-Match`: the record is one of these.
    pub matches: Option<Tags>,
    /// `If-None-Match`: it is none of these.
    pub differs: Option<Tags>,
    /// `If-Unmodified-Since`: it was not changed later.
    #[serde(with = "seconds")]
    pub unmodified_since: Option<Timestamp>,
    /// Which view of the record the tags are of, where that is a part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
}

/// Representations by their hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tags {
    /// Whatever it is, as long as it is there.
    Any,
    /// One of these.
    These(#[serde(with = "hashes")] Vec<ContentHash>),
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
    /// The tags are of this view of the record; `None` for all of it.
    #[must_use]
    pub fn of_view(mut self, view: Option<&str>) -> Condition {
        let is_named = |tags: &Option<Tags>| matches!(tags, Some(Tags::These(_)));
        self.view = view.filter(|_| is_named(&self.matches) || is_named(&self.differs)).map(str::to_owned);
        self
    }

    /// The hash that its tags are held against, of a record with this one.
    pub(super) fn seen(&self, hash: ContentHash, veil: &Veil) -> ContentHash {
        self.view.as_deref().map_or(hash, |view| veil.over(view, hash))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Condition::default()
    }

    /// Whether it asks only that there is a record, or is none, and not which.
    pub(super) fn is_of_being(&self) -> bool {
        let is_any = |tags: &Option<Tags>| tags.as_ref().is_none_or(|tags| *tags == Tags::Any);
        is_any(&self.matches) && is_any(&self.differs) && self.unmodified_since.is_none()
    }

    /// As it is kept; nothing of none. Bytes and numbers: writing them cannot fail.
    pub(super) fn to_json(&self) -> Option<String> {
        (!self.is_empty()).then(|| serde_json::to_string(self).unwrap_or_default())
    }

    /// As it was kept.
    pub(super) fn from_json(json: &str) -> Option<Condition> {
        serde_json::from_str(json).ok()
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

/// A moment of a header field, which has whole seconds.
mod seconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(moment: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        moment.map(Timestamp::as_second).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        Option::<i64>::deserialize(from)?.map(Timestamp::from_second).transpose().map_err(D::Error::custom)
    }
}

/// Hashes as lists of bytes.
mod hashes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::record::ContentHash;

    pub(super) fn serialize<S: Serializer>(hashes: &[ContentHash], to: S) -> Result<S::Ok, S::Error> {
        hashes.iter().map(|hash| hash.0).collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ContentHash>, D::Error> {
        Ok(Vec::deserialize(from)?.into_iter().map(ContentHash).collect())
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
            let kept = condition.to_json().map(|json| Condition::from_json(&json).unwrap());
            assert_eq!(kept.unwrap_or_default(), condition);
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
