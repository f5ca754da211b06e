//! The place of a call at the gate, which a login may hold for longer than the call.

use parking_lot::Mutex;

use super::connect::Behind;
use crate::gate::{Call, Permit};

/// A permit, and what has to be over before it goes back.
pub(super) struct Place {
    permit: Permit,
    behind: Mutex<Option<Behind>>,
}

impl Place {
    pub(super) fn new(permit: Permit) -> Place {
        Place { permit, behind: Mutex::new(None) }
    }

    /// Marks that the server is called from now on.
    pub(super) fn begin(&self) -> Call<'_> {
        self.permit.begin()
    }

    /// A login that cannot be ended goes on: until it is over it may become a session at the server.
    pub(super) fn wait_for(&self, behind: Behind) {
        *self.behind.lock() = Some(behind);
    }

    /// Gives the permit back: at once, or by a task of its own when the login is over. Whoever waits for an answer does not
    /// wait for that.
    pub(super) fn leave(self) {
        let Place { permit, behind } = self;
        if let Some(behind) = behind.into_inner() {
            tokio::spawn(async move {
                behind.await;
                drop(permit);
            });
        }
    }
}
