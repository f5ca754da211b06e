//! What the ERP has done, by its own clock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::fairness::jain;

/// One call, from the start of its work to the end.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The number that was asked for.
    pub(crate) key: String,
    pub(crate) began: Duration,
    /// `None` while it is at work.
    pub(crate) ended: Option<Duration>,
    /// When its caller hung up before there was an answer.
    pub(crate) left: Option<Duration>,
}

/// All that was done so far.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) calls: Vec<Call>,
    pub(crate) at_work: usize,
    /// The most calls that were at work at once, as counted while it happened.
    pub(crate) most: usize,
    /// How often it was locked because of too many.
    pub(crate) halts: usize,
    /// The last lock: from, until.
    #[allow(dead_code, reason = "the proofs ask for it")]
    pub(crate) lock: Option<(Duration, Duration)>,
    /// Calls whose connection was cut off while the work went on.
    pub(crate) cut: usize,
}

impl Trace {
    /// The most calls that were at work at once, by the starts and ends; those that are at work stay so.
    pub(crate) fn most_by_the_clock(&self) -> usize {
        let mut events: Vec<(Duration, bool)> = Vec::with_capacity(2 * self.calls.len());
        for call in &self.calls {
            events.push((call.began, true));
            events.extend(call.ended.map(|ended| (ended, false)));
        }
        // Of what happened in the same nanosecond, ends count first: the same place was given on.
        events.sort_unstable();
        let (mut at_work, mut most) = (0usize, 0);
        for (_, begins) in events {
            at_work = if begins { at_work + 1 } else { at_work.saturating_sub(1) };
            most = most.max(at_work);
        }
        most
    }

    /// Calls at work at a moment.
    pub(crate) fn at_work_at(&self, moment: Duration) -> usize {
        let works = |call: &&Call| call.began <= moment && call.ended.is_none_or(|ended| moment < ended);
        self.calls.iter().filter(works).count()
    }

    /// Calls for nobody: whose connection was closed before they were answered.
    pub(crate) fn dead(&self) -> usize {
        self.calls.iter().filter(|call| call.left.is_some()).count()
    }

    /// Calls that ended within this time.
    pub(crate) fn ended_within(&self, from: Duration, until: Duration) -> usize {
        self.calls.iter().filter(|call| call.ended.is_some_and(|ended| from <= ended && ended < until)).count()
    }

    /// Calls by client: what stands before the `-` of the key.
    pub(crate) fn by_client(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in &self.calls {
            let client = call.key.split_once('-').map_or("", |(client, _)| client);
            *counts.entry(client.to_owned()).or_default() += 1;
        }
        counts
    }

    /// Jain's index over the clients.
    pub(crate) fn fairness(&self) -> f64 {
        jain(&self.by_client().values().map(|count| *count as f64).collect::<Vec<_>>())
    }
}
