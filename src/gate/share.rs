//! How much of a gate single clients have, where they may only have so much of it.
//!
//! What a client has is what it holds, what it waits for, and what lingers for it: a client whose callers hang up has
//! its places until the backend is done with them. Only clients with a bound are counted, from the time they have one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Refused;
use super::core::Moment;

/// What all bounded clients have of one gate.
#[derive(Default)]
pub(super) struct Shares(Mutex<HashMap<Arc<str>, Had>>);

#[derive(Default)]
struct Had {
    /// Places held or waited for.
    taken: usize,
    /// When those settle that linger.
    lingering: Vec<Moment>,
}

impl Shares {
    /// One place more for this client, unless it has `most` of them. `None` for a client without a bound.
    pub(super) fn enter(
        self: &Arc<Self>,
        client: &Arc<str>,
        most: Option<usize>,
        now: Moment,
    ) -> Result<Option<Share>, Refused> {
        let Some(most) = most else { return Ok(None) };
        let mut shares = self.0.lock();
        let had = shares.entry(Arc::clone(client)).or_default();
        had.lingering.retain(|until| *until > now);
        if had.taken + had.lingering.len() >= most {
            return Err(Refused::ClientBusy);
        }
        had.taken += 1;
        Ok(Some(Share { shares: Arc::clone(self), client: Arc::clone(client), lingers_until: None }))
    }

    fn leave(&self, client: &Arc<str>, lingers_until: Option<Moment>) {
        let mut shares = self.0.lock();
        let Some(had) = shares.get_mut(client) else { return };
        had.taken = had.taken.saturating_sub(1);
        had.lingering.extend(lingers_until);
        // A client with nothing left takes no room.
        if had.taken == 0 && had.lingering.is_empty() {
            shares.remove(client);
        }
    }
}

/// One of the places of a bounded client; given back when dropped.
pub(super) struct Share {
    shares: Arc<Shares>,
    client: Arc<str>,
    lingers_until: Option<Moment>,
}

impl Share {
    /// Gives it back, but it goes on counting until the call has settled.
    pub(super) fn linger(mut self, until: Moment) {
        self.lingers_until = Some(until);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shares.leave(&self.client, self.lingers_until);
    }
}

#[cfg(test)]
mod tests {
    use super::Shares;
    use crate::gate::{Ask, Breaker, Config, Gate, Lane, Priority, Refused};
    use std::sync::Arc;
    use std::time::Duration;

    fn gate(max_in_flight: usize) -> Arc<Gate> {
        let config = Config {
            max_in_flight,
            queue: 100,
            breaker: Breaker { failures: 0, ..Breaker::default() },
            ..Config::default()
        };
        Gate::new("erp", config, None)
    }

    fn ask(client: &str, most: usize) -> Ask {
        Ask::new(Lane::Interactive).of(client, 1, Priority::Normal).at_most(Some(most))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_and_what_waits_count_together() {
        let gate = gate(2);
        let first = gate.admit(ask("bulk", 3)).await.unwrap();
        let _second = gate.admit(ask("bulk", 3)).await.unwrap();
        let third = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.admit(ask("bulk", 3).wait(Duration::from_secs(9))).await }
        });
        tokio::task::yield_now().await;
        let refused = gate.admit(ask("bulk", 3)).await.err();
        assert_eq!(refused, Some(Refused::ClientBusy));
        assert_eq!((refused.unwrap().as_str(), refused.unwrap().is_of_client()), ("client_busy", true));
        assert_eq!(gate.status().refused, 1);
        // Others come in, and so does a client without a bound, whatever its name.
        let wait = Duration::from_millis(1);
        assert_eq!(gate.admit(ask("web", 1).wait(wait)).await.err(), Some(Refused::Deadline));
        first.begin().answered();
        drop(first);
        let third = third.await.unwrap().unwrap();
        assert_eq!(gate.admit(ask("bulk", 2)).await.err(), Some(Refused::ClientBusy));
        drop(third);
        assert!(gate.admit(ask("bulk", 2)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_queue_gives_its_place_back() {
        let gate = gate(1);
        let _held = gate.admit(ask("bulk", 2)).await.unwrap();
        for _ in 0..10 {
            let waiting = tokio::time::timeout(Duration::from_millis(5), gate.admit(ask("bulk", 2)));
            assert!(waiting.await.is_err(), "its caller has gone");
        }
        assert_eq!(gate.admit(ask("bulk", 2)).await.err(), Some(Refused::Deadline));
        assert_eq!(gate.shares.0.lock().values().map(|had| had.taken).sum::<usize>(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_whose_end_nobody_saw_counts_until_it_has_settled() {
        let gate = gate(8);
        for _ in 0..3 {
            let permit = gate.admit(ask("bulk", 3)).await.unwrap();
            drop(permit.begin());
        }
        assert_eq!(gate.admit(ask("bulk", 3)).await.err(), Some(Refused::ClientBusy));
        tokio::time::advance(Config::default().settle - Duration::from_millis(1)).await;
        assert_eq!(gate.admit(ask("bulk", 3)).await.err(), Some(Refused::ClientBusy));
        tokio::time::advance(Duration::from_millis(1)).await;
        let permit = gate.admit(ask("bulk", 3)).await.unwrap();
        permit.begin().answered();
        drop(permit);
        assert!(gate.shares.0.lock().is_empty(), "nothing is kept of who has nothing");
    }

    #[test]
    fn a_lower_bound_holds_for_the_next() {
        let shares = Arc::new(Shares::default());
        let (client, now) = (Arc::from("bulk"), Duration::ZERO);
        let had: Vec<_> = (0..5).map(|_| shares.enter(&client, Some(5), now).ok().flatten().unwrap()).collect();
        assert!(shares.enter(&client, Some(2), now).is_err());
        drop(had);
        assert!(shares.enter(&client, Some(2), now).is_ok());
        assert!(shares.enter(&client, None, now).is_ok_and(|share| share.is_none()));
    }

    /// However callers come, stay, hang up and go, the client never has more than it may, and nothing is lost.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_storm_of_one_client_never_has_more_than_its_share() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let config = Config { max_in_flight: 8, settle: Duration::from_millis(5), ..gate(8).config() };
        let gate = Gate::new("erp", config, None);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..200u64)
            .map(|number| {
                let (gate, now, most) = (Arc::clone(&gate), Arc::clone(&now), Arc::clone(&most));
                tokio::spawn(async move {
                    for round in 0..20u64 {
                        let Ok(permit) = gate.admit(ask("bulk", 3)).await else {
                            tokio::task::yield_now().await;
                            continue;
                        };
                        let busy = now.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(busy, Ordering::SeqCst);
                        let call = permit.begin();
                        tokio::time::sleep(Duration::from_micros((number * 7 + round * 13) % 900)).await;
                        now.fetch_sub(1, Ordering::SeqCst);
                        if (number + round) % 3 == 0 { drop(call) } else { call.answered() }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(gate.admit(ask("bulk", 3)).await.unwrap());
        }
        assert_eq!(gate.admit(ask("bulk", 3)).await.err(), Some(Refused::ClientBusy));
    }
}
