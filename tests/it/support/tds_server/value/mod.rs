//! Types and values, apart from how they travel.

pub(crate) mod cast;
pub(crate) mod collation;
pub(crate) mod exact;
pub(crate) mod moment;
pub(crate) mod types;
