//! What a good record becomes.

use xxhash_rust::xxh3::xxh3_128;

use super::Position;

/// 128-bit content hash (XXH3) of a document's JSON bytes; equal means unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 16]);

impl ContentHash {
    /// The hash of the bytes that are served.
    pub fn of(payload: &[u8]) -> ContentHash {
        ContentHash(xxh3_128(payload).to_be_bytes())
    }
}

/// A translated record, ready to stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The key as the URL has it: key fields joined by `~`, each percent-encoded.
    pub key: String,
    /// The JSON object that is served, in UTF-8, fields in the mapping's order.
    pub payload: Vec<u8>,
    /// Hash of `payload`.
    pub hash: ContentHash,
    /// Where the record lies in its input.
    pub position: Position,
}
