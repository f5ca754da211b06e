//! One line of the queue: clients take turns by weight, each with a line of its own.
//!
//! Deficit round robin (Shreedhar and Varghese, 1996) with calls of equal cost: a client at the front is served as
//! often as its weight says, then goes to the end. Nothing here takes longer for more who wait than the logarithm of
//! their number.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::Ticket;

/// A client of the line, as long as it has somebody waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ShareId(u32);

#[derive(Default)]
pub(super) struct Line {
    by_client: HashMap<Arc<str>, ShareId>,
    shares: Vec<Share>,
    /// Shares that stand for nobody now.
    unused: Vec<ShareId>,
    /// Clients with somebody who may go, in the order of their turns. An entry whose turn is not its share's any more
    /// is passed over.
    ring: VecDeque<(ShareId, u64)>,
    next_turn: u64,
    /// What each client has waiting for its weight.
    loads: BTreeSet<(u64, ShareId)>,
    length: usize,
    /// Weights of the clients.
    weights: u64,
    /// Grants to others since somebody of this line went.
    pub(super) passed: u32,
}

struct Share {
    client: Arc<str>,
    /// Who may go, in the order of arrival.
    ready: BTreeSet<Ticket>,
    /// Who has to let another call of its serial key go first.
    held: BTreeSet<Ticket>,
    weight: u32,
    /// Calls left of the client's turn.
    credit: u32,
    /// Its entry in the ring.
    turn: Option<u64>,
}

impl Share {
    fn length(&self) -> usize {
        self.ready.len() + self.held.len()
    }

    fn load(&self) -> u64 {
        load(self.length(), self.weight)
    }
}

/// What a client has waiting for its weight, in parts that are small enough.
fn load(length: usize, weight: u32) -> u64 {
    ((length as u64) << 24) / u64::from(weight.max(1))
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Somebody of this client waits; `ready` when it may go as soon as there is a place.
    pub(super) fn push(&mut self, client: &Arc<str>, weight: u32, ticket: Ticket, ready: bool) -> ShareId {
        let id = match self.by_client.get(client) {
            Some(id) => *id,
            None => self.enter(client, weight.max(1)),
        };
        self.change(id, |share| if ready { share.ready.insert(ticket) } else { share.held.insert(ticket) });
        self.length += 1;
        id
    }

    /// Somebody who was held may go.
    pub(super) fn release(&mut self, id: ShareId, ticket: Ticket) {
        self.change(id, |share| share.held.remove(&ticket) && share.ready.insert(ticket));
    }

    /// Somebody has left, or is refused.
    pub(super) fn leave(&mut self, id: ShareId, ticket: Ticket) {
        if self.change(id, |share| share.ready.remove(&ticket) || share.held.remove(&ticket)) {
            self.length -= 1;
        }
    }

    /// Who goes next: of the client whose turn it is the oldest, or the newest.
    pub(super) fn first(&mut self, newest: bool) -> Option<Ticket> {
        while let Some((id, turn)) = self.ring.front().copied() {
            let share = &self.shares[id.0 as usize];
            if share.turn == Some(turn) {
                return if newest { share.ready.last().copied() } else { share.ready.first().copied() };
            }
            self.ring.pop_front();
        }
        None
    }

    /// The first goes.
    pub(super) fn serve(&mut self, id: ShareId, ticket: Ticket) {
        let share = &mut self.shares[id.0 as usize];
        share.credit = share.credit.saturating_sub(1);
        if share.credit == 0 {
            // Its turn is over; with somebody left it goes to the end.
            share.credit = share.weight;
            share.turn = None;
        }
        self.leave(id, ticket);
    }

    /// How many are served before somebody of this client who comes now: all who wait, or fewer when others take up
    /// more than their share.
    pub(super) fn ahead_of(&self, client: &Arc<str>, weight: u32, newest: bool) -> usize {
        let weight = u64::from(weight.max(1));
        let own = self.by_client.get(client);
        let weights = if own.is_some() { self.weights } else { self.weights + weight };
        // The newest stands before the others of its client.
        let own = own.filter(|_| !newest).map_or(0, |id| self.shares[id.0 as usize].length()) as u64;
        let by_turns = (own + 1).saturating_mul(weights) / weight;
        self.length.min(usize::try_from(by_turns.saturating_sub(1)).unwrap_or(usize::MAX))
    }

    /// Who gives way to others: the newest (or the oldest, where the newest go first) of the client that has most waiting
    /// for its weight. With `against`, only when that is more than this client would have with one more.
    pub(super) fn last(&self, against: Option<(&Arc<str>, u32)>, newest: bool) -> Option<Ticket> {
        let (most, id) = *self.loads.last()?;
        let share = &self.shares[id.0 as usize];
        if let Some((client, weight)) = against {
            let own = self.by_client.get(client);
            let with_one_more = own.map_or(0, |own| self.shares[own.0 as usize].length()) + 1;
            let is_most = own == Some(&id) || load(with_one_more, weight) >= most;
            if is_most && !newest {
                return None;
            }
            if is_most {
                return own.and_then(|own| self.shares[own.0 as usize].ready.first().copied());
            }
        }
        if newest {
            share.ready.first().or_else(|| share.held.first()).copied()
        } else {
            share.ready.last().max(share.held.last()).copied()
        }
    }

    fn enter(&mut self, client: &Arc<str>, weight: u32) -> ShareId {
        let (ready, held, turn) = (BTreeSet::new(), BTreeSet::new(), None);
        let share = Share { client: Arc::clone(client), ready, held, weight, credit: weight, turn };
        let id = match self.unused.pop() {
            Some(id) => {
                self.shares[id.0 as usize] = share;
                id
            }
            None => {
                self.shares.push(share);
                // There are fewer clients than tickets in a queue.
                ShareId(self.shares.len() as u32 - 1)
            }
        };
        self.by_client.insert(Arc::clone(client), id);
        self.weights += u64::from(weight);
        id
    }

    /// Changes who waits of a client, and keeps the rest in step.
    fn change(&mut self, id: ShareId, change: impl FnOnce(&mut Share) -> bool) -> bool {
        let share = &mut self.shares[id.0 as usize];
        let before = (share.length() > 0).then(|| share.load());
        let changed = change(share);
        let after = (share.length() > 0).then(|| share.load());
        if before != after {
            before.map(|load| self.loads.remove(&(load, id)));
            after.map(|load| self.loads.insert((load, id)));
        }
        if share.ready.is_empty() {
            // Who has nobody for its turn loses it.
            (share.turn, share.credit) = (None, share.weight);
        } else if share.turn.is_none() {
            share.turn = Some(self.next_turn);
            self.ring.push_back((id, self.next_turn));
            self.next_turn += 1;
        }
        if before.is_some() && after.is_none() {
            self.weights -= u64::from(share.weight);
            self.by_client.remove(&share.client);
            self.unused.push(id);
        }
        if self.ring.len() > 2 * self.by_client.len() + 32 {
            let shares = &self.shares;
            self.ring.retain(|(id, turn)| shares[id.0 as usize].turn == Some(*turn));
        }
        changed
    }
}
