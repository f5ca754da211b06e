//! Documents of other resources that belong to those of an answer.

use super::query::{Filter, Rows};
use crate::record::ResourceId;

/// Related documents that are wanted beside others.
#[derive(Clone, Debug, PartialEq)]
pub struct Include {
    /// The resource at the other end.
    pub resource: ResourceId,
    /// Which of its documents.
    pub link: Link,
    /// What the reader may see of it at all.
    pub only: Vec<Filter>,
    /// What is wanted beside them.
    pub include: Vec<Include>,
}

/// How documents belong together.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// The values at these paths are the other document's key, part by part.
    Key(Vec<String>),
    /// The other documents whose field has the value at `from`, in the order of their keys.
    Field {
        /// Path of the value.
        from: String,
        /// Path of a declared field of the other resource.
        field: String,
        /// So many at most of each.
        limit: usize,
    },
}

/// What was included by one [`Include`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Included {
    /// The documents, each once.
    pub rows: Rows,
    /// Of each document beside which they are wanted, in its order.
    pub of: Vec<Related>,
    /// What is beside these documents themselves, one of each [`Include::include`].
    pub included: Vec<Included>,
}

/// What belongs to one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Related {
    /// Places in [`Included::rows`].
    pub rows: Vec<u32>,
    /// When there are more: the value at `from`, as text, and the key of the last one that is here.
    pub next: Option<(String, String)>,
}

/// Bytes of payload that may be included in one answer.
pub const INCLUDED_BYTES: usize = 32 << 20;
