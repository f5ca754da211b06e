//! Where a record ends: by the layout's length, by lines, by record and block descriptor words, by a header or an item
//! that says the length, by the layout and its counters.
//!
//! [`Framer::find`] answers for any place in the window what frame begins there and changes nothing, so that whoever
//! gathers several records into one document can look ahead. A file that ends inside a record gives a reject with the
//! bytes that are there. A length that cannot be is the end of the stream, because nothing tells where the next record
//! begins.

mod auto;
mod frame;
mod header;
mod measure;
mod spanned;
#[cfg(test)]
mod spanned_tests;
#[cfg(test)]
mod tests;
mod words;

pub(super) use auto::detect;
pub use auto::{Candidate, Evidence};
pub(in crate::decode) use frame::Place;
pub(super) use frame::{Bad, Frame, Framer, Step, by_counters};
pub(in crate::decode) use header::FRAME_HEADER;
pub use header::{FrameHeader, LengthCounts, LengthType};
pub(super) use measure::Measure;
pub(super) use spanned::{Spanned, Stream};
pub(super) use words::{Convention, first_word};

/// Bytes of a record or block descriptor word.
pub(super) const WORD: usize = 4;
