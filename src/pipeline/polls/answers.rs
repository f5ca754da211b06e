//! Answers that one version of a resource was given, for others that would ask the same.
//!
//! Each version of a service that is polled has a turn of its own, and goes on where it stands. Where what it would send is, to
//! the byte, what a version before it in the same run has sent, it takes the answer that was landed then; for anything else it
//! calls. So versions that stand at the same place cost the service one call a page, and no version depends on another.

use std::collections::HashMap;

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::landing::Landed;

/// An answer, and the page that it names as the next.
type Answered = (Landed, Option<String>);

/// The answers of one run for several versions.
pub(super) struct Answers {
    /// When the first of them was asked for: what is read from them is as of then.
    pub(super) since: Timestamp,
    by_envelope: Mutex<HashMap<Bytes, Answered>>,
}

impl Answers {
    pub(super) fn new() -> Answers {
        Answers { since: Timestamp::now(), by_envelope: Mutex::default() }
    }

    /// The answer to this envelope.
    pub(super) fn get(&self, envelope: &Bytes) -> Option<Answered> {
        self.by_envelope.lock().get(envelope).cloned()
    }

    pub(super) fn keep(&self, envelope: Bytes, answered: &Answered) {
        self.by_envelope.lock().insert(envelope, answered.clone());
    }
}
