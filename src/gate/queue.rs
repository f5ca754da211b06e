//! Who waits: a line a lane, each place with its deadline.

use std::collections::VecDeque;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Lane, Permit};

/// Somebody waiting for a permit.
pub(super) struct Waiter {
    /// The permit goes through here; closed when the caller has left.
    pub(super) sender: oneshot::Sender<Permit>,
    /// When it began to wait.
    pub(super) asked: Instant,
    /// When waiting is over.
    pub(super) deadline: Instant,
}

/// The lines.
#[derive(Default)]
pub(super) struct Queue {
    lanes: [VecDeque<Waiter>; Lane::COUNT],
}

impl Queue {
    pub(super) fn push(&mut self, lane: Lane, waiter: Waiter) {
        self.lanes[lane.index()].push_back(waiter);
    }

    /// Places taken by callers who still wait. Those who left are forgotten here, so that they do not fill the
    /// queue.
    pub(super) fn len(&mut self) -> usize {
        for line in &mut self.lanes {
            line.retain(|waiter| !waiter.sender.is_closed());
        }
        self.lanes.iter().map(VecDeque::len).sum()
    }

    pub(super) fn is_empty(&self, lane: Lane) -> bool {
        self.lanes[lane.index()].iter().all(|waiter| waiter.sender.is_closed())
    }

    pub(super) fn waiting(&self, lane: Lane) -> usize {
        self.lanes[lane.index()].iter().filter(|waiter| !waiter.sender.is_closed()).count()
    }

    /// The first of the lane who still waits; the late and the gone are passed over.
    pub(super) fn pop(&mut self, lane: Lane, now: Instant) -> Option<Waiter> {
        let line = &mut self.lanes[lane.index()];
        while let Some(waiter) = line.pop_front() {
            if !waiter.sender.is_closed() && waiter.deadline > now {
                return Some(waiter);
            }
        }
        None
    }

    /// Takes everybody out.
    pub(super) fn drain(&mut self) -> Vec<Waiter> {
        self.lanes.iter_mut().flat_map(std::mem::take).collect()
    }
}
