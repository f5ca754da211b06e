//! The clock that all processes of a machine read alike.
//!
//! Not the wall clock: that is put forward and back while calls run, and each process would have read it at another
//! time. This one is CLOCK_MONOTONIC, which timeouts run by as well: what a call may still take and what is left of the
//! time for which a place is held are the same time. It stands still while the machine sleeps, so that a place is then
//! held too long rather than too short. It begins anew with each start of the machine, and so marks name the start.

use std::io;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::mark::key_of;

/// A time of the machine's clock, since its start.
pub(in crate::gate) type MachineTime = Duration;

/// The time that it is.
pub(in crate::gate) fn machine_time() -> MachineTime {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// One start of the machine: never 0, which is written by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gate) struct Boot(pub(super) u64);

impl Boot {
    /// As of a text that is another one after each start.
    pub(super) fn of(id: &str) -> Boot {
        Boot(key_of(id.trim()))
    }

    /// This one.
    pub(in crate::gate) fn current() -> io::Result<Boot> {
        const ID: &str = "/proc/sys/kernel/random/boot_id";
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{ID}: {error}"));
        std::fs::read_to_string(ID).map(|id| Boot::of(&id)).map_err(named)
    }
}
