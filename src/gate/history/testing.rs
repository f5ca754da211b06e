//! An observer that keeps what it is told of each call, for tests.

use std::time::Duration;

use parking_lot::Mutex;

use super::PastCall;
use crate::gate::{Lane, Observer, Refused};

/// See the module.
#[derive(Default)]
pub(in crate::gate) struct Kept(pub(in crate::gate) Mutex<Vec<PastCall>>);

impl Observer for Kept {
    fn granted(&self, _: Lane, _: Duration) {}
    fn refused(&self, _: Refused) {}
    fn ended(&self, _: bool, _: Duration) {}

    fn keeps_record(&self) -> bool {
        true
    }

    fn passed(&self, call: PastCall) {
        self.0.lock().push(call);
    }
}
