//! One line of the queue: clients take turns by weight, each with a line of its own.
//!
//! Deficit round robin (Shreedhar and Varghese, 1996) with calls of equal cost: a client at the front is served as
//! often as its weight says, then goes to the end.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Ticket;
use crate::gate::Refused;

/// What is to become of somebody whose turn it is.
pub(super) enum Fate {
    /// It goes.
    Goes,
    /// It cannot go yet; others of its client may.
    Stays,
    /// It is told to go away.
    Refused(Refused),
    /// It has left before.
    Left,
}

#[derive(Default)]
pub(super) struct Line {
    shares: HashMap<Arc<str>, Share>,
    /// Clients with somebody waiting, in the order of their turns.
    ring: VecDeque<Arc<str>>,
    length: usize,
    /// Weights of the clients in the ring.
    weights: u64,
    /// Grants to others since somebody of this line went.
    pub(super) passed: u32,
}

struct Share {
    /// Tickets in the order of arrival, those included that have left.
    waiting: VecDeque<Ticket>,
    /// Those who still wait.
    length: usize,
    weight: u32,
    /// Calls left of the client's turn.
    credit: u32,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn push(&mut self, client: &Arc<str>, weight: u32, ticket: Ticket) {
        let weight = weight.max(1);
        let share = self.shares.entry(Arc::clone(client)).or_insert_with(|| {
            self.ring.push_back(Arc::clone(client));
            self.weights += u64::from(weight);
            Share { waiting: VecDeque::new(), length: 0, weight, credit: weight }
        });
        share.waiting.push_back(ticket);
        share.length += 1;
        self.length += 1;
    }

    /// Somebody of this client has left; its ticket is passed over when its turn comes.
    pub(super) fn leave(&mut self, client: &Arc<str>) {
        self.length = self.length.saturating_sub(1);
        if let Some(share) = self.shares.get_mut(client) {
            share.length = share.length.saturating_sub(1);
            if share.length == 0 {
                self.forget(client);
            }
        }
    }

    fn forget(&mut self, client: &Arc<str>) {
        if let Some(share) = self.shares.remove(client) {
            self.weights = self.weights.saturating_sub(u64::from(share.weight));
            self.ring.retain(|other| other != client);
        }
    }

    /// How many are served before somebody of this client who comes now: all who wait, or fewer when others take up
    /// more than their share.
    pub(super) fn ahead_of(&self, client: &Arc<str>, weight: u32) -> usize {
        let weight = u64::from(weight.max(1));
        let own = self.shares.get(client);
        let weights = if own.is_some() { self.weights } else { self.weights + weight };
        let turns = own.map_or(0, |share| share.length) as u64;
        let by_turns = (turns + 1).saturating_mul(weights) / weight;
        self.length.min(usize::try_from(by_turns.saturating_sub(1)).unwrap_or(usize::MAX))
    }

    /// Takes out the newest of the client that has most waiting for its weight. With `against`, only when that is more
    /// than this client would have with one more.
    pub(super) fn evict(
        &mut self,
        against: Option<(&Arc<str>, u32)>,
        mut waits: impl FnMut(Ticket) -> bool,
    ) -> Option<Ticket> {
        let load = |length: usize, weight: u32| length as f64 / f64::from(weight.max(1));
        let loads = self.shares.iter().map(|(client, share)| (client, load(share.length, share.weight)));
        // Of equals the one with the greater name, so that the choice does not hang on the order of a hash map.
        let (client, most) = loads.max_by(|one, other| one.1.total_cmp(&other.1).then_with(|| one.0.cmp(other.0)))?;
        if let Some((own, weight)) = against {
            let mine = self.shares.get(own).map_or(0, |share| share.length) + 1;
            if client == own || load(mine, weight) >= most {
                return None;
            }
        }
        let client = Arc::clone(client);
        let share = self.shares.get_mut(&client)?;
        let ticket = loop {
            let ticket = share.waiting.pop_back()?;
            if waits(ticket) {
                break ticket;
            }
        };
        self.leave(&client);
        Some(ticket)
    }

    /// Whether anybody may go. Those who are to be refused are taken out.
    pub(super) fn peek(&mut self, fate: impl Fn(Ticket) -> Fate, refused: &mut Vec<(Ticket, Refused)>) -> bool {
        for _ in 0..self.ring.len() {
            let Some(client) = self.ring.front().cloned() else { return false };
            if self.first_of(&client, &fate, refused).is_some() {
                return true;
            }
            self.rotate(&client);
        }
        false
    }

    /// Takes out the next who may go.
    pub(super) fn pop(
        &mut self,
        fate: impl Fn(Ticket) -> Fate,
        refused: &mut Vec<(Ticket, Refused)>,
    ) -> Option<Ticket> {
        for _ in 0..self.ring.len() {
            let client = self.ring.front().cloned()?;
            let Some(at) = self.first_of(&client, &fate, refused) else {
                self.rotate(&client);
                continue;
            };
            let share = self.shares.get_mut(&client)?;
            let ticket = share.waiting.remove(at)?;
            share.credit = share.credit.saturating_sub(1);
            let is_over = share.credit == 0;
            self.leave(&client);
            if is_over {
                self.rotate(&client);
            }
            return Some(ticket);
        }
        None
    }

    /// Where in the client's line the first stands who may go.
    fn first_of(
        &mut self,
        client: &Arc<str>,
        fate: &impl Fn(Ticket) -> Fate,
        refused: &mut Vec<(Ticket, Refused)>,
    ) -> Option<usize> {
        let mut at = 0;
        loop {
            let share = self.shares.get_mut(client)?;
            let ticket = *share.waiting.get(at)?;
            match fate(ticket) {
                Fate::Goes => return Some(at),
                Fate::Stays => at += 1,
                Fate::Left => {
                    share.waiting.remove(at);
                }
                Fate::Refused(why) => {
                    share.waiting.remove(at);
                    refused.push((ticket, why));
                    self.leave(client);
                }
            }
        }
    }

    /// The client's turn is over.
    fn rotate(&mut self, client: &Arc<str>) {
        if self.ring.front() != Some(client) {
            return;
        }
        if let Some(share) = self.shares.get_mut(client) {
            share.credit = share.weight;
        }
        self.ring.rotate_left(1);
    }
}
