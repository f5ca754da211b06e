//! What keeps a domain from locking our account: with a password that nobody has taken yet one call tries, and the others wait
//! for what comes of it; after a refusal it is tried seldom. A server that says nothing, but closes the connection or leaves
//! us without an answer, may have refused it: that counts as if it had.
//!
//! A person may ask for a try although it is left alone ([`Lockout::ask`]): that lets one call through, and no second one.
//!
//! It is known for the whole process: services that have the same account know it together, and a reload forgets nothing. A
//! domain counts the refusals of all its servers; so does this, as long as none of them has taken the password. Once one has,
//! a refusal is that server's own (its rights, its certificate), and counts for it alone.

#[cfg(test)]
mod tests;

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
pub(super) const WAITS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(150), Duration::from_secs(900)];

/// A password that a server took so recently is taken for good by all calls at once.
const FRESH: Duration = Duration::from_secs(60);

/// The first call with a password that was good earlier is waited for so long. A server says no at once; what takes longer is
/// the call itself.
const PRESUMED: Duration = Duration::from_secs(1);

/// A password that was good, and may be no good any more because a connection was closed, is left alone for so long at first:
/// it may as well be the server that has broken down.
const DOUBTED: Duration = Duration::from_secs(1);

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
    /// The server at which a person wants one call to try it although it is left alone.
    asked_for: Option<String>,
}

/// What a server has said of it.
#[derive(Clone, Copy, Default)]
struct AtServer {
    /// When it was proven to a server that has taken it.
    taken: Option<Instant>,
    refused: Option<Refused>,
    /// How it has refused it the last time.
    how: How,
}

/// How a server has refused a password, or may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum How {
    /// It has said so.
    #[default]
    Said,
    /// It has closed the connection, and said nothing.
    Closed,
    /// It has said nothing at all.
    Silent,
}

/// Refusals in a row, and what may be some.
#[derive(Clone, Copy)]
struct Refused {
    last: Instant,
    times: usize,
    /// The first of them is none for sure, and nothing was said against the password before.
    is_doubt: bool,
}

impl Refused {
    /// One more; those of calls that tried at the same time count once.
    fn again(before: Option<Refused>, turn: &Turn, how: How, was_good: bool) -> Refused {
        let (last, is_said) = (Instant::now(), how == How::Said);
        match before {
            Some(before) if turn.began <= before.last => {
                Refused { last, is_doubt: before.is_doubt && !is_said, ..before }
            }
            Some(before) => Refused { last, times: before.times + 1, is_doubt: false },
            None => Refused { last, times: 1, is_doubt: !is_said && was_good },
        }
    }

    fn until(self) -> Instant {
        let rest = if self.is_doubt { DOUBTED } else { WAITS[self.times.clamp(1, WAITS.len()) - 1] };
        self.last + rest
    }
}

/// What has come of trying a password at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has taken it.
    Taken,
    /// It has refused it.
    Refused,
    /// The connection was closed so long after the password's proof was sent, and nothing was said.
    Closed(Duration),
    /// No answer came to the password's proof, and the call that went with it was given up.
    Silent,
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
    /// It was refused, or may have been, and is left alone for so long.
    Refused { left: Duration, is_here: bool, how: How },
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
        let mut known = self.known.lock();
        known.trust(server, began)?;
        known.use_up(server);
        Ok(Some(Turn { began, flight: Some(flight) }))
    }

    /// The same, waiting until then at most for whoever tries it first.
    pub(super) async fn waited(&self, server: &str, until: Instant) -> Result<Turn, Barred> {
        let trust = self.known.lock().trust(server, Instant::now())?;
        let until = until.checked_sub(IN_TIME).unwrap_or(until);
        let limit = if trust == Trust::None { until } else { until.min(Instant::now() + PRESUMED) };
        let flight = timeout_at(limit, Arc::clone(&self.flight).lock_owned()).await.ok();
        let began = Instant::now();
        let mut known = self.known.lock();
        let trust = known.trust(server, began)?;
        match flight {
            Some(_) if trust == Trust::Fresh => Ok(Turn { began, flight: None }),
            Some(flight) => {
                known.use_up(server);
                Ok(Turn { began, flight: Some(flight) })
            }
            None if trust == Trust::None || began >= until => Err(Barred::Late),
            None => Ok(Turn { began, flight: None }),
        }
    }

    /// Whether it may still be sent: it was not refused since this turn began.
    pub(super) fn stands(&self, server: &str, turn: &Turn) -> Result<(), Barred> {
        match &turn.flight {
            Some(_) => Ok(()),
            None => self.known.lock().barred(server, Instant::now()).map_or(Ok(()), Err),
        }
    }

    /// When it may be tried again at this server, as long as it is left alone there.
    pub(super) fn refused_until(&self, server: &str) -> Option<Instant> {
        let now = Instant::now();
        match self.known.lock().barred(server, now) {
            Some(Barred::Refused { left, .. }) => Some(now + left),
            _ => None,
        }
    }

    /// Lets one call try it at this server at once where it is left alone there.
    pub(super) fn ask(&self, server: &str) {
        let mut known = self.known.lock();
        known.asked_for = known.barred(server, Instant::now()).map(|_| server.to_owned());
    }

    /// What a server has said of it.
    pub(super) fn ended(&self, server: &str, turn: &Turn, outcome: Outcome) {
        let mut known = self.known.lock();
        let known = &mut *known;
        let was_good = known.is_good();
        let how = match outcome {
            Outcome::Taken => return known.taken(server, turn),
            // A server says no at once. Whoever knows a good password and closes later has broken down over the call.
            Outcome::Closed(after) if was_good && after > PRESUMED => return,
            // Whoever has let others in since then would have let in this one as well: its call hangs.
            Outcome::Silent if known.was_taken_since(turn.began) => return,
            Outcome::Closed(_) => How::Closed,
            Outcome::Silent => How::Silent,
            Outcome::Refused => How::Said,
        };
        let here = known.servers.entry(server.to_owned()).or_default();
        here.refused = Some(Refused::again(here.refused, turn, how, was_good));
        here.how = how;
        match how {
            // Who took it and does not any more: it was changed in the domain, and other servers will say the same.
            How::Said if here.taken.take().is_some() => known.servers.values_mut().for_each(|at| at.taken = None),
            How::Said => {}
            How::Closed => here.taken = None,
            // It is more likely that the call hangs; so it is no word against the password at other servers.
            How::Silent => {}
        }
        if !known.is_good() {
            let before = known.refused.take().map(|(refused, _)| refused);
            known.refused = Some((Refused::again(before, turn, how, was_good), server.to_owned()));
        }
    }
}

impl Known {
    /// Whether any server takes it.
    fn is_good(&self) -> bool {
        self.servers.values().any(|at| at.taken.is_some())
    }

    /// Whether any server has taken a proof of it that was sent since then.
    fn was_taken_since(&self, since: Instant) -> bool {
        self.servers.values().any(|at| at.taken.is_some_and(|taken| taken >= since))
    }

    /// A server has taken it. It was good when that was looked at, right behind the proof: who was refused since then knows
    /// better.
    fn taken(&mut self, server: &str, turn: &Turn) {
        let is_older = |refused: &Refused, at: &AtServer| at.how == How::Said && turn.began < refused.last;
        let here = self.servers.entry(server.to_owned()).or_default();
        if here.refused.is_some_and(|refused| is_older(&refused, here)) {
            return;
        }
        *here = AtServer { taken: Some(turn.began), ..AtServer::default() };
        let all = self.refused.as_ref();
        let is_overtaken = all.is_some_and(|(refused, last)| {
            last != server && self.servers.get(last).is_some_and(|at| is_older(refused, at))
        });
        if !is_overtaken {
            self.refused = None;
        }
    }

    /// One try for each time that a person asks, also where its time had come.
    fn use_up(&mut self, server: &str) {
        self.asked_for.take_if(|asked_for| asked_for == server);
    }

    /// Why it is left alone at this server.
    fn barred(&self, server: &str, now: Instant) -> Option<Barred> {
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
        let until = until.filter(|until| now < *until)?;
        let is_here = here.refused.is_some();
        let last = self.refused.as_ref().and_then(|(_, last)| self.servers.get(last));
        let how = if is_here { here.how } else { last.map_or(How::Said, |last| last.how) };
        Some(Barred::Refused { left: until - now, is_here, how })
    }

    /// What one may think of it at this server, unless it is left alone and no person asks for a try.
    fn trust(&self, server: &str, now: Instant) -> Result<Trust, Barred> {
        if let Some(barred) = self.barred(server, now).filter(|_| self.asked_for.as_deref() != Some(server)) {
            return Err(barred);
        }
        let here = self.servers.get(server).copied().unwrap_or_default();
        Ok(match here.taken {
            // Whether it has refused it is asked by one.
            _ if here.refused.is_some() => Trust::None,
            Some(taken) if now.saturating_duration_since(taken) < FRESH => Trust::Fresh,
            _ if self.is_good() => Trust::Earlier,
            _ => Trust::None,
        })
    }
}
