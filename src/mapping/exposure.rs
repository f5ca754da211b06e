//! What of a mapping the outside world sees: the resource's name, key, schema, and which fields may be asked
//! for. The facade is built from these alone.

use std::time::Duration;

use jiff::Timestamp;

use super::access::Access;
use super::operations::ExposedOperation;
use crate::record::ResourceId;

/// A declared type of a mapped field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// JSON string.
    String,
    /// JSON integer; a JSON string when `as_string` (beyond 53 bits a JSON number is not safe).
    Integer {
        /// Written as a JSON string.
        as_string: bool,
    },
    /// Exact decimal of `precision` digits, `scale` of them behind the point, always written with all of them.
    Decimal {
        /// All digits.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
        /// Written as a JSON string: the default beyond 15 digits.
        as_string: bool,
    },
    /// Binary floating point, a JSON number.
    Number,
    /// JSON true or false.
    Boolean,
    /// ISO 8601 date.
    Date,
    /// ISO 8601 time.
    Time {
        /// What of a second is written.
        fraction: Fraction,
    },
    /// RFC 3339 timestamp, or a local one of the same form without an offset.
    Datetime {
        /// Which of the two.
        offset: Offset,
        /// What of a second is written.
        fraction: Fraction,
    },
    /// Base64 in a JSON string.
    Bytes,
    /// Fields below it.
    Object,
    /// Elements of one kind.
    Array,
    /// Whatever the source has.
    Any,
}

/// Whether timestamps of a field say how far they are from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset {
    /// All are in UTC, with `Z`: the mapping names a zone, or the source gives an offset.
    Utc,
    /// None has an offset.
    Local,
    /// In UTC, with `Z`, where the column that is read has an offset, else without: which of the two shows when it is read.
    AsRead,
}

/// How fractions of a second are written, so that texts have the order of the moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fraction {
    /// Not at all: whole seconds.
    Absent,
    /// In nine digits, always.
    Whole,
    /// As far as they say something; before a `Z` in nine digits.
    Shortest,
}

/// A field that callers may filter or sort by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryField {
    /// Dotted path in the document.
    pub path: String,
    /// Its type; never object, array, bytes or any.
    pub field_type: FieldType,
}

/// Records of another resource that callers may have beside those of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedRelation {
    /// The member under which they stand.
    pub name: String,
    /// The resource at the other end.
    pub resource: ResourceId,
    /// Which of its records.
    pub link: RelationLink,
}

/// How records belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelationLink {
    /// The values of these fields are the other record's key: one, or none.
    One {
        /// Paths, one of each part of the key.
        key: Vec<String>,
    },
    /// Records whose `field` has the value of `key` here.
    Many {
        /// Path in this resource.
        key: String,
        /// Path of a filter of the other resource.
        field: String,
        /// So many at most beside one record.
        limit: usize,
    },
}

/// Where answers about a resource come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// From staging.
    #[default]
    Staged,
    /// From the backend, each time.
    Live,
    /// From staging while that is fresh, else from the backend.
    Hybrid,
}

impl Mode {
    /// The word in mappings and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Staged => "staged",
            Mode::Live => "live",
            Mode::Hybrid => "hybrid",
        }
    }
}

/// How a version of a resource ends (RFC 9745, RFC 8594).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retirement {
    /// Since when, or from when on, it should not be used any more.
    pub deprecated: Option<Timestamp>,
    /// When it stops answering.
    pub sunset: Option<Timestamp>,
    /// The version that takes its place.
    pub successor: Option<u32>,
    /// Address of a page for people about it.
    pub notice: Option<String>,
}

/// A resource as the facade shows it.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// Name and version.
    pub id: ResourceId,
    /// For people.
    pub title: String,
    /// For people, longer.
    pub description: Option<String>,
    /// Names of the key fields, in order.
    pub key: Vec<String>,
    /// Fields allowed in filters.
    pub filter: Vec<QueryField>,
    /// Fields allowed in `sort`.
    pub sort: Vec<QueryField>,
    /// What may be had beside a record.
    pub relations: Vec<ExposedRelation>,
    /// What of it is not for everybody who may read it.
    pub access: Access,
    /// The scope that reading takes.
    pub read_scope: String,
    /// Where answers come from.
    pub mode: Mode,
    /// Older than this counts as stale.
    pub max_age: Option<Duration>,
    /// What is stale for at most so long is served when the backend cannot be asked.
    pub stale_if_error: Option<Duration>,
    /// JSON Schema (2020-12) of one document, derived from the mapping.
    pub schema: serde_json::Value,
    /// Whether a live resource has a list all the same: its backend can be asked for several records.
    pub lists: bool,
    /// What may be written.
    pub operations: Vec<ExposedOperation>,
    /// How this version ends.
    pub retirement: Retirement,
    /// Statuses that faults of its service have, by the mapping.
    pub fault_statuses: Vec<u16>,
    /// A record as it is served, for people.
    pub example: Option<serde_json::Value>,
}

impl Exposure {
    /// Whether its lists are read from the backend.
    pub fn has_live_list(&self) -> bool {
        self.mode == Mode::Live && self.lists
    }

    /// Whether its records are staged, so that it is known what happened to them and where they came from.
    pub fn keeps_records(&self) -> bool {
        self.mode != Mode::Live || self.stale_if_error.is_some()
    }

    /// Whether it has a list at all: what is read one by one has none.
    pub fn has_list(&self) -> bool {
        self.mode != Mode::Live || self.lists
    }
}
