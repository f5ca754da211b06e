//! RawRecord -> Document: a mapping file compiled against its layout into a plan that runs per record.
//! Pure: no file, no clock, no network.

mod exposure;

pub use exposure::{Exposure, FieldType, QueryField};
