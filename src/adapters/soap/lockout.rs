//! What keeps a domain from locking our account: with a password that nobody has taken yet one call tries, and the others wait
//! for what comes of it; after a refusal it is tried seldom.
//!
//! It is known for the whole process: services that have the same account know it together, and a reload forgets nothing. A
//! domain counts the refusals of all its servers; so does this, as long as none of them has taken the password. Once one has,
//! a refusal is that server's own (its rights, its certificate), and counts for it alone.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as Flight, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

use super::config::Windows;

/// How long a password is left alone after refusals in a row: four tries in half an hour. Domains lock accounts after five and
/// more within ten minutes to half an hour.
const WAITS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(150), Duration::from_secs(900)];

/// A password that a server took so recently is taken for good by all calls at once.
const FRESH: Duration = Duration::from_secs(60);

/// The first call with a password that was good earlier is waited for so long. A server says no at once; what takes longer is
/// the call itself.
const PRESUMED: Duration = Duration::from_secs(1);

/// So long before a call's time is over it is told that nothing of it was sent.
const IN_TIME: Duration = Duration::from_millis(5);

/// The most passwords that are remembered; those that nobody uses any more go first.
const MOST: usize = 1024;

/// What is known of passwords, by account and password.
static ALL: LazyLock<Mutex<HashMap<[u8; 32], Arc<Lockout>>>> = LazyLock::new(Mutex::default);

/// What is known of an account's password.
#[derive(Default)]
pub(super) struct Lockout {
    known: Mutex<Known>,
    /// Who tries it first.
    flight: Arc<Flight<()>>,
}

#[derive(Default)]
struct Known {
    servers: HashMap<String, AtServer>,
    /// The refusals by all servers in a row, as long as none has taken it; and the last that did refuse.
    refused: Option<(Refused, String)>,
}

/// What a server has said of it.
#[derive(Clone, Copy, Default)]
struct AtServer {
    taken: Option<Instant>,
    refused: Option<Refused>,
}

/// Refusals in a row.
#[derive(Clone, Copy)]
struct Refused {
    last: Instant,
    times: usize,
}

impl Refused {
    /// One more; those of calls that tried at the same time count once.
    fn again(before: Option<Refused>, began: Instant, now: Instant) -> Refused {
        let times = match before {
            Some(before) if began <= before.last => before.times,
            Some(before) => before.times + 1,
            None => 1,
        };
        Refused { last: now, times }
    }

    fn until(self) -> Instant {
        self.last + WAITS[self.times.clamp(1, WAITS.len()) - 1]
    }
}

/// The right to try it at a server.
pub(super) struct Turn {
    began: Instant,
    /// Of whoever tries it first.
    flight: Option<OwnedMutexGuard<()>>,
}

/// Why it is not tried.
#[derive(Debug)]
pub(super) enum Barred {
    /// It was refused, and is left alone for so long.
    Refused { left: Duration, is_here: bool },
    /// Whoever tries it first has no answer in the time that this call has.
    Late,
}

/// What one may think of it.
#[derive(Clone, Copy, PartialEq)]
enum Trust {
    /// Nobody has taken it yet.
    None,
    /// It was good earlier, or is at another server.
    Earlier,
    /// This server has taken it just now.
    Fresh,
}

impl Lockout {
    /// What is known of this account's password. A name without a domain is each server's own.
    pub(super) fn of(account: &Windows, server: &str, password: &str) -> Arc<Lockout> {
        let is_local = account.domain.is_empty() && !account.user.contains('@');
        let mut digest = Sha256::new();
        let names = [account.domain.to_lowercase(), account.user.to_lowercase()];
        let own = if is_local { server } else { "" };
        for part in [names[0].as_str(), names[1].as_str(), own, password] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let mut all = ALL.lock();
        if all.len() >= MOST {
            all.retain(|_, known| Arc::strong_count(known) > 1);
        }
        Arc::clone(all.entry(digest.finalize().into()).or_default())
    }

    /// The right to try it at this server, if it can be had at once; `None` while another call tries it first.
    pub(super) fn turn(&self, server: &str) -> Result<Option<Turn>, Barred> {
        let began = Instant::now();
        if self.known.lock().trust(server, began)? == Trust::Fresh {
            return Ok(Some(Turn { began, flight: None }));
        }
        let Ok(flight) = Arc::clone(&self.flight).try_lock_owned() else { return Ok(None) };
        // Whoever had it may have been refused just now.
        self.known.lock().trust(server, began)?;
        Ok(Some(Turn { began, flight: Some(flight) }))
    }

    /// The same, waiting until then at most for whoever tries it first.
    pub(super) async fn waited(&self, server: &str, until: Instant) -> Result<Turn, Barred> {
        let trust = self.known.lock().trust(server, Instant::now())?;
        let until = until.checked_sub(IN_TIME).unwrap_or(until);
        let limit = if trust == Trust::None { until } else { until.min(Instant::now() + PRESUMED) };
        let flight = timeout_at(limit, Arc::clone(&self.flight).lock_owned()).await.ok();
        let began = Instant::now();
        let trust = self.known.lock().trust(server, began)?;
        match flight {
            Some(_) if trust == Trust::Fresh => Ok(Turn { began, flight: None }),
            Some(flight) => Ok(Turn { began, flight: Some(flight) }),
            None if trust == Trust::None || began >= until => Err(Barred::Late),
            None => Ok(Turn { began, flight: None }),
        }
    }

    /// Whether it may still be sent: it was not refused since this turn began.
    pub(super) fn stands(&self, server: &str, turn: &Turn) -> Result<(), Barred> {
        match &turn.flight {
            Some(_) => Ok(()),
            None => self.known.lock().trust(server, Instant::now()).map(drop),
        }
    }

    /// What a server has said of it.
    pub(super) fn ended(&self, server: &str, turn: &Turn, was_refused: bool) {
        let (now, mut known) = (Instant::now(), self.known.lock());
        let known = &mut *known;
        let here = known.servers.entry(server.to_owned()).or_default();
        if !was_refused {
            *here = AtServer { taken: Some(now), refused: None };
            known.refused = None;
            return;
        }
        here.refused = Some(Refused::again(here.refused, turn.began, now));
        // Who took it and does not any more: it was changed in the domain, and other servers will say the same.
        if here.taken.is_some() {
            known.servers.values_mut().for_each(|at| at.taken = None);
        }
        if !known.is_good() {
            let before = known.refused.take().map(|(refused, _)| refused);
            known.refused = Some((Refused::again(before, turn.began, now), server.to_owned()));
        }
    }
}

impl Known {
    /// Whether any server takes it.
    fn is_good(&self) -> bool {
        self.servers.values().any(|at| at.taken.is_some())
    }

    /// What one may think of it at this server, unless it is left alone.
    fn trust(&self, server: &str, now: Instant) -> Result<Trust, Barred> {
        let here = self.servers.get(server).copied().unwrap_or_default();
        let mut until = here.refused.map(Refused::until);
        if let Some((refused, last)) = self.refused.as_ref().filter(|_| !self.is_good()) {
            let all = match here.refused {
                // Who comes late is not to wait for what others were told before.
                None => refused.last + WAITS[0],
                // Of several the last to refuse it waits for the others: one of them may take it by now.
                Some(_) if last == server && self.servers.len() > 1 => refused.until() + WAITS[0],
                Some(_) => refused.until(),
            };
            until = until.max(Some(all));
        }
        if let Some(until) = until.filter(|until| now < *until) {
            return Err(Barred::Refused { left: until - now, is_here: here.refused.is_some() });
        }
        Ok(match here.taken {
            Some(taken) if now.saturating_duration_since(taken) < FRESH => Trust::Fresh,
            _ if self.is_good() => Trust::Earlier,
            _ => Trust::None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Barred, Lockout, Turn};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::{Instant, advance, sleep};

    fn tries(lockout: &Lockout, server: &str) -> Turn {
        lockout.turn(server).unwrap().expect("nobody else tries it")
    }

    /// Seconds for which it is left alone.
    fn left(lockout: &Lockout, server: &str) -> u64 {
        match lockout.turn(server) {
            Err(Barred::Refused { left, .. }) => left.as_secs(),
            Ok(_) | Err(Barred::Late) => 0,
        }
    }

    fn refused(lockout: &Lockout, server: &str) {
        let turn = tries(lockout, server);
        lockout.ended(server, &turn, true);
    }

    async fn pass(seconds: u64) {
        advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_tries_first_and_the_others_wait_for_what_comes_of_it() {
        for was_refused in [true, false] {
            let lockout = Arc::new(Lockout::default());
            let first = tries(&lockout, "a");
            let until = Instant::now() + Duration::from_secs(30);
            let others: Vec<_> = (0..15)
                .map(|_| {
                    let lockout = Arc::clone(&lockout);
                    assert!(lockout.turn("a").unwrap().is_none());
                    tokio::spawn(async move { lockout.waited("a", until).await })
                })
                .collect();
            sleep(Duration::from_secs(2)).await;
            assert!(others.iter().all(|other| !other.is_finished()));
            lockout.ended("a", &first, was_refused);
            drop(first);
            let mut turns = Vec::new();
            for other in others {
                match other.await.unwrap() {
                    Ok(turn) => turns.push(turn),
                    Err(barred) => assert!(matches!(barred, Barred::Refused { is_here: true, .. }), "{barred:?}"),
                }
            }
            // All of them at once, or none.
            assert_eq!(turns.len(), if was_refused { 0 } else { 15 });
            assert!(turns.iter().all(|turn| turn.flight.is_none()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_goes_when_its_time_is_over_and_follows_who_got_no_answer() {
        let lockout = Lockout::default();
        let first = tries(&lockout, "a");
        let began = Instant::now();
        let late = lockout.waited("a", began + Duration::from_secs(3)).await;
        assert!(matches!(late, Err(Barred::Late)));
        assert!(began.elapsed() < Duration::from_secs(3), "before the call's own time is over");
        drop(first);
        let next = lockout.waited("a", Instant::now() + Duration::from_secs(3)).await.unwrap();
        assert!(next.flight.is_some() && lockout.turn("a").unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_password_is_tried_four_times_in_half_an_hour() {
        let lockout = Lockout::default();
        let (began, mut tried) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_secs(1800) {
            if left(&lockout, "a") == 0 {
                refused(&lockout, "a");
                tried += 1;
            }
            pass(1).await;
        }
        assert_eq!(tried, 4);
        pass(1000).await;
        let turn = tries(&lockout, "a");
        lockout.ended("a", &turn, false);
        assert!(tries(&lockout, "a").flight.is_none());
        drop(turn);
        // What comes later counts from the beginning.
        refused(&lockout, "a");
        assert_eq!(left(&lockout, "a"), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_password_that_was_good_is_tried_by_one_first_but_not_waited_for_long() {
        let lockout = Lockout::default();
        let turn = tries(&lockout, "a");
        lockout.ended("a", &turn, false);
        drop(turn);
        let (one, other) = (tries(&lockout, "a"), tries(&lockout, "a"));
        // Two that try at once, and whose refusals count once.
        pass(1).await;
        lockout.ended("a", &one, true);
        assert!(lockout.stands("a", &other).is_err(), "it is not sent any more");
        lockout.ended("a", &other, true);
        assert_eq!(left(&lockout, "a"), 5);
        pass(5).await;
        let turn = tries(&lockout, "a");
        assert!(turn.flight.is_some());
        lockout.ended("a", &turn, false);
        drop(turn);
        pass(61).await;
        let first = tries(&lockout, "a");
        assert!(first.flight.is_some(), "whether it is still good is asked by one");
        let began = Instant::now();
        let second = lockout.waited("a", began + Duration::from_secs(30)).await.unwrap();
        assert!(second.flight.is_none());
        assert_eq!(began.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_domain_counts_the_refusals_of_all_its_servers() {
        let lockout = Lockout::default();
        refused(&lockout, "a");
        assert_eq!(left(&lockout, "b"), 5, "as long as nobody has taken it");
        pass(5).await;
        refused(&lockout, "b");
        assert_eq!((left(&lockout, "a"), left(&lockout, "b")), (150, 155));
        assert_eq!(left(&lockout, "c"), 5);
        pass(5).await;
        let turn = tries(&lockout, "c");
        lockout.ended("c", &turn, false);
        drop(turn);
        // It is good: what the others said is their own.
        assert_eq!((left(&lockout, "a"), left(&lockout, "b")), (0, 0));
        refused(&lockout, "a");
        assert_eq!((left(&lockout, "a"), left(&lockout, "b"), left(&lockout, "c")), (150, 0, 0));
        // Until who took it does not any more.
        refused(&lockout, "c");
        assert_eq!(left(&lockout, "b"), 5);
    }
}
