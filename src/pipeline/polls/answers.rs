//! Answers that one version of a resource was given, for others that would ask the same.
//!
//! Each version of a service that is polled has a turn of its own, and goes on where it stands. Where what it would send is, to
//! the byte, what a version before it in the same run has sent, it takes the answer that was landed then; for anything else it
//! calls. So versions that stand at the same place cost the service one call a page, and no version depends on another.

use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::adapters::soap::Leniency;
use crate::landing::Landed;
use crate::mapping::Sent;

/// An answer.
#[derive(Clone)]
pub(super) struct Answered {
    pub(super) landed: Landed,
    /// The page that it names as the next.
    pub(super) token: Option<String>,
    /// What was not as it should be about it.
    pub(super) odd: Vec<Leniency>,
}

/// The answers of one run for several versions.
pub(super) struct Answers {
    /// When the first of them was asked for: what is read from them is as of then.
    pub(super) since: Timestamp,
    /// What was sent, and what came of it, by the envelope.
    by_envelope: Mutex<HashMap<String, (Sent, Answered)>>,
}

impl Answers {
    pub(super) fn new() -> Answers {
        Answers { since: Timestamp::now(), by_envelope: Mutex::default() }
    }

    /// The answer to this, to the byte and with all that goes beside it.
    pub(super) fn get(&self, sent: &Sent) -> Option<Answered> {
        let kept = self.by_envelope.lock();
        kept.get(&sent.envelope).filter(|(kept, _)| kept == sent).map(|(_, answered)| answered.clone())
    }

    pub(super) fn keep(&self, sent: &Sent, answered: &Answered) {
        self.by_envelope.lock().insert(sent.envelope.clone(), (sent.clone(), answered.clone()));
    }
}
