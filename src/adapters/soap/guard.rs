//! What keeps a service from locking our account where a secret goes with every call: a password of HTTP's or of
//! WS-Security's, one in a block of the service's own, a token that was asked for. With a secret that nobody has taken yet one
//! call goes first, and the others wait for what comes of it; after a refusal it is tried as seldom as a password of Windows
//! ([`super::lockout`]).
//!
//! Not every no is one to the secret: it may be one to what was asked. So a secret that was taken counts as refused only after
//! some refusals in a row, without a call between them that was let in. And what one operation says counts for the others only
//! as long as none of them takes the secret: then each has one try of its own before it is left alone as the first is. Once
//! one has taken it, the others' refusals are their own, and count for them alone.
//!
//! A person may ask for a try although it is left alone ([`Guard::ask`]): that lets one call through, and no second one.
//!
//! It is known for the whole process: backends at the same host with the same account know it together, and a reload forgets
//! nothing. Another secret is another account.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as Flight, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

use super::lockout::WAITS;

/// From so many refusals in a row on a secret that was good is one that is refused.
const IN_A_ROW: u32 = 3;

/// So many operations have a try of their own soon after another was refused.
const OWN_TRIES: usize = 3;

/// Whoever tries a secret first is waited for so long: a service says no at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most secrets that are remembered; those that nobody uses any more go first.
const MOST: usize = 1024;

/// What is known of secrets, by host, account and secret.
static ALL: LazyLock<Mutex<HashMap<[u8; 32], Arc<Guard>>>> = LazyLock::new(Mutex::default);

/// What is known of the secrets that go with each call.
#[derive(Default)]
pub(super) struct Guard {
    known: Mutex<Known>,
    /// Who tries them first.
    flight: Arc<Flight<()>>,
}

#[derive(Default)]
struct Known {
    operations: HashMap<Box<str>, AtOperation>,
    /// Refusals since a call was let in last, of a secret that was good; and when the last of them was told.
    row: u32,
    row_ended: Option<Instant>,
    /// The refusals by all operations, as long as none takes it.
    refused: Option<Refused>,
    /// What was said the last time.
    said: String,
    /// A person wants one call to try it although it is left alone.
    is_asked_for: bool,
}

/// What an operation has said of it.
#[derive(Clone, Copy, Default)]
struct AtOperation {
    is_taken: bool,
    refused: Option<Refused>,
}

/// Refusals in a row.
#[derive(Clone, Copy)]
struct Refused {
    last: Instant,
    times: usize,
}

impl Refused {
    /// One more; those of calls that were under way at the same time count once.
    fn again(before: Option<Refused>, began: Instant) -> Refused {
        let times = match before {
            Some(before) if began <= before.last => before.times,
            Some(before) => before.times + 1,
            None => 1,
        };
        Refused { last: Instant::now(), times }
    }

    fn wait(self) -> Duration {
        WAITS[self.times.clamp(1, WAITS.len()) - 1]
    }

    fn until(self) -> Instant {
        self.last + self.wait()
    }
}

/// What an answer says of the secret that went with its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was taken.
    Taken,
    /// It was refused.
    Refused,
}

/// The right to send it with a call.
pub(super) struct Turn {
    guard: Arc<Guard>,
    operation: Box<str>,
    began: Instant,
    /// Of whoever tries it first.
    flight: Option<OwnedMutexGuard<()>>,
}

/// Why it is not sent.
#[derive(Debug)]
pub(super) enum Barred {
    /// It was refused, and is left alone for so long.
    Refused { left: Duration, said: String },
    /// Whoever tries it first has no answer yet.
    Late,
}

impl std::fmt::Display for Barred {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Barred::Refused { left, said } => {
                let left = left.as_millis().div_ceil(1000);
                write!(formatter, "{said}; so that the account is not locked, it is not tried for {left} s")
            }
            Barred::Late => formatter.write_str(
                "another call tries our account first, and has no answer yet; so that it is not locked, nothing was sent",
            ),
        }
    }
}

/// What one may think of it.
#[derive(Clone, Copy, PartialEq)]
enum Trust {
    /// It is taken.
    Good,
    /// Nobody has said anything yet.
    New,
    /// It was refused.
    Doubted,
}

impl Guard {
    /// What is known of these secrets at a host: of each what it is for, whose it is, and itself.
    pub(super) fn of(host: &str, secrets: &[(&str, &str, &str)]) -> Arc<Guard> {
        let mut digest = Sha256::new();
        let parts = secrets.iter().flat_map(|(kind, user, secret)| [*kind, *user, *secret]);
        for part in std::iter::once(host).chain(parts) {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let mut all = ALL.lock();
        if all.len() >= MOST {
            all.retain(|_, known| Arc::strong_count(known) > 1 || known.refused_until().is_some());
        }
        Arc::clone(all.entry(digest.finalize().into()).or_default())
    }

    /// The right to send it with a call of this operation, waiting until then at most for whoever tries it first.
    pub(super) async fn enter(self: &Arc<Self>, operation: &str, until: Instant) -> Result<Turn, Barred> {
        if self.known.lock().trust(operation, true)? == Trust::Good {
            return Ok(self.turn(operation, None));
        }
        let limit = until.min(Instant::now() + PATIENCE);
        let flight = timeout_at(limit, Arc::clone(&self.flight).lock_owned()).await.ok();
        let mut known = self.known.lock();
        match (known.trust(operation, true)?, flight) {
            (Trust::Good, _) => Ok(self.turn(operation, None)),
            (trust, Some(flight)) => {
                // One try for each time that a person asks, also where its time had come.
                known.is_asked_for &= trust != Trust::Doubted;
                Ok(self.turn(operation, Some(flight)))
            }
            // A call that takes long says nothing against it.
            (Trust::New, None) => Ok(self.turn(operation, None)),
            (Trust::Doubted, None) => Err(Barred::Late),
        }
    }

    /// The same, if it can be had at once; for a look, which a person who asks for a try does not mean.
    pub(super) fn enter_now(self: &Arc<Self>, operation: &str) -> Result<Turn, Barred> {
        if self.known.lock().trust(operation, false)? == Trust::Good {
            return Ok(self.turn(operation, None));
        }
        let flight = Arc::clone(&self.flight).try_lock_owned().map_err(|_| Barred::Late)?;
        // Whoever had it may have been refused just now.
        self.known.lock().trust(operation, false)?;
        Ok(self.turn(operation, Some(flight)))
    }

    fn turn(self: &Arc<Self>, operation: &str, flight: Option<OwnedMutexGuard<()>>) -> Turn {
        Turn { guard: Arc::clone(self), operation: operation.into(), began: Instant::now(), flight }
    }

    /// When it is tried again, as long as no operation has taken it since it was refused.
    pub(super) fn refused_until(&self) -> Option<Instant> {
        let known = self.known.lock();
        known.refused.map(Refused::until)
    }

    /// Whether it is left alone, be it by one operation.
    pub(super) fn is_left_alone(&self) -> bool {
        self.known.lock().is_left_alone()
    }

    /// Lets one call try it at once where it is left alone.
    pub(super) fn ask(&self) {
        let mut known = self.known.lock();
        known.is_asked_for = known.is_left_alone();
    }
}

impl Turn {
    /// What came of it; `said` is what a refusal says.
    pub(super) fn ended(self, outcome: Outcome, place: &str, said: impl FnOnce() -> String) {
        let mut known = self.guard.known.lock();
        match outcome {
            Outcome::Taken => {
                if known.taken(&self.operation, self.began) {
                    tracing::info!(endpoint = place, "our account is taken again");
                }
            }
            Outcome::Refused => {
                let Some(refused) = known.refused(&self.operation, self.began) else { return };
                known.said = said();
                tracing::warn!(
                    endpoint = place,
                    operation = &*self.operation,
                    times = refused.times,
                    reason = known.said,
                    not_tried_for_s = refused.wait().as_secs(),
                    "our account is refused"
                );
            }
        }
        // Whoever waits looks at what is known now.
        drop(known);
        drop(self.flight);
    }
}

impl Known {
    /// Whether any operation takes it.
    fn is_good(&self) -> bool {
        self.operations.values().any(|at| at.is_taken)
    }

    fn is_left_alone(&self) -> bool {
        let own = self.operations.values().filter_map(|at| at.refused);
        own.chain(self.refused).any(|refused| Instant::now() < refused.until())
    }

    /// What one may think of it for this operation, unless it is left alone: also where a person asks for a try, which is for a
    /// call.
    fn trust(&self, operation: &str, is_call: bool) -> Result<Trust, Barred> {
        let now = Instant::now();
        let here = self.operations.get(operation).copied().unwrap_or_default();
        let all = self.refused.map(|refused| {
            let tried = self.operations.values().filter(|at| at.refused.is_some()).count();
            // Who has not refused it itself is not to wait for what others have said again and again.
            let has_own_try = here.refused.is_none() && tried < OWN_TRIES;
            if has_own_try { refused.last + WAITS[0] } else { refused.until() }
        });
        let until = all.max(here.refused.map(Refused::until));
        if let Some(until) = until.filter(|until| now < *until && !(is_call && self.is_asked_for)) {
            return Err(Barred::Refused { left: until - now, said: self.said.clone() });
        }
        Ok(match here.refused.is_some() || self.refused.is_some() {
            true => Trust::Doubted,
            false if self.is_good() => Trust::Good,
            false => Trust::New,
        })
    }

    /// An operation has taken it, with a call that was sent then; whether it had been refused.
    fn taken(&mut self, operation: &str, began: Instant) -> bool {
        let here = self.operations.entry(operation.into()).or_default();
        // Who was refused since knows better.
        let is_overtaken = |refused: Option<Refused>| refused.is_some_and(|refused| began < refused.last);
        if is_overtaken(here.refused) || is_overtaken(self.refused) {
            return false;
        }
        *here = AtOperation { is_taken: true, refused: None };
        if self.row_ended.is_none_or(|ended| began >= ended) {
            (self.row, self.row_ended) = (0, None);
        }
        let was_refused = self.refused.take().is_some();
        if was_refused {
            // What the others said may have been said of the secret. From now on it is their own.
            for refused in self.operations.values_mut().filter_map(|at| at.refused.as_mut()) {
                refused.times = 1;
            }
        }
        self.is_asked_for &= self.is_left_alone();
        was_refused
    }

    /// An operation has refused it, with a call that was sent then; how often so far, where it is left alone for that.
    fn refused(&mut self, operation: &str, began: Instant) -> Option<Refused> {
        let is_good = self.is_good();
        let is_known = self.operations.get(operation).is_some_and(|at| at.refused.is_some());
        if is_good && !is_known {
            self.row += 1;
            self.row_ended = Some(Instant::now());
            if self.row < IN_A_ROW {
                return None;
            }
            (self.row, self.row_ended) = (0, None);
            self.operations.values_mut().for_each(|at| at.is_taken = false);
        }
        let here = self.operations.entry(operation.into()).or_default();
        let own = Refused::again(here.refused, began);
        *here = AtOperation { is_taken: false, refused: Some(own) };
        if is_good && is_known {
            return Some(own);
        }
        let all = Refused::again(self.refused, began);
        self.refused = Some(all);
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::{Barred, Guard, OWN_TRIES, Outcome, PATIENCE, Turn};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::{Instant, advance, sleep};

    fn tries(guard: &Arc<Guard>, operation: &str) -> Turn {
        guard.enter_now(operation).expect("nobody else tries it")
    }

    fn ended(turn: Turn, outcome: Outcome) {
        turn.ended(outcome, "erp", || "no".to_owned());
    }

    fn says(guard: &Arc<Guard>, operation: &str, outcome: Outcome) {
        ended(tries(guard, operation), outcome);
    }

    /// Seconds for which it is left alone.
    fn left(guard: &Arc<Guard>, operation: &str) -> u64 {
        match guard.enter_now(operation) {
            Err(Barred::Refused { left, said }) => {
                assert_eq!(said, "no");
                left.as_secs()
            }
            Ok(_) | Err(Barred::Late) => 0,
        }
    }

    async fn pass(seconds: u64) {
        advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_goes_first_with_a_secret_that_nobody_has_taken() {
        for outcome in [Outcome::Refused, Outcome::Taken] {
            let guard = Arc::new(Guard::default());
            let first = tries(&guard, "a");
            assert!(matches!(guard.enter_now("b"), Err(Barred::Late)));
            let others: Vec<_> = (0..15)
                .map(|number| {
                    let (guard, until) = (Arc::clone(&guard), Instant::now() + Duration::from_secs(30));
                    tokio::spawn(async move { guard.enter(if number % 2 == 0 { "a" } else { "b" }, until).await })
                })
                .collect();
            sleep(Duration::from_secs(2)).await;
            assert!(others.iter().all(|other| !other.is_finished()));
            ended(first, outcome);
            let mut let_in = 0;
            for other in others {
                match other.await.unwrap() {
                    Ok(turn) => {
                        assert!(turn.flight.is_none());
                        let_in += 1;
                    }
                    Err(barred) => assert!(matches!(barred, Barred::Refused { .. }), "{barred:?}"),
                }
            }
            // All of them at once, or none.
            assert_eq!(let_in, if outcome == Outcome::Taken { 15 } else { 0 });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_call_that_takes_long_is_not_waited_for_for_ever() {
        let guard = Arc::new(Guard::default());
        let first = tries(&guard, "a");
        let (began, far) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        assert!(guard.enter("a", far).await.is_ok_and(|turn| turn.flight.is_none()));
        assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());
        // Nor by whoever has less time.
        assert!(guard.enter("a", Instant::now() + Duration::from_secs(1)).await.is_ok());
        assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs() + 1);
        // What has ended without a word leaves the next one to try it.
        drop(first);
        assert!(guard.enter("a", far).await.is_ok_and(|turn| turn.flight.is_some()));
        // With one that was refused nobody goes along.
        says(&guard, "a", Outcome::Refused);
        pass(5).await;
        let probe = tries(&guard, "a");
        assert!(matches!(guard.enter("a", Instant::now() + Duration::from_secs(1)).await, Err(Barred::Late)));
        ended(probe, Outcome::Taken);
        assert!(guard.enter("a", Instant::now()).await.is_ok_and(|turn| turn.flight.is_none()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_is_wrong_is_tried_four_times_in_half_an_hour() {
        for was_good in [false, true] {
            let guard = Arc::new(Guard::default());
            if was_good {
                says(&guard, "a", Outcome::Taken);
            }
            let (began, mut tried) = (Instant::now(), Vec::new());
            while began.elapsed() < Duration::from_secs(1800) {
                if let Ok(turn) = guard.enter_now("a") {
                    ended(turn, Outcome::Refused);
                    tried.push(began.elapsed().as_secs());
                }
                pass(1).await;
            }
            match was_good {
                false => assert_eq!(tried, [0, 5, 155, 1055]),
                // Two more, since a no may be one to what was asked.
                true => assert_eq!(tried, [0, 1, 2, 7, 157, 1057]),
            }
            assert!(guard.refused_until().is_some());
            pass(1000).await;
            says(&guard, "a", Outcome::Taken);
            assert_eq!((guard.refused_until(), left(&guard, "a")), (None, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_operations_do_not_try_it_one_after_another() {
        let guard = Arc::new(Guard::default());
        let (began, mut tried) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_secs(600) {
            for operation in ["a", "b", "c", "d", "e", "f", "g", "h"] {
                if let Ok(turn) = guard.enter_now(operation) {
                    ended(turn, Outcome::Refused);
                    tried += 1;
                }
            }
            pass(1).await;
        }
        // The first of them twice.
        assert_eq!(tried, OWN_TRIES + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_no_to_one_record_or_operation_shuts_nobody_out() {
        let guard = Arc::new(Guard::default());
        says(&guard, "b", Outcome::Taken);
        // As long as others are let in between, it is none to the secret.
        for _ in 0..100 {
            says(&guard, "a", Outcome::Refused);
            says(&guard, "a", Outcome::Refused);
            says(&guard, "b", Outcome::Taken);
            pass(1).await;
        }
        assert_eq!((left(&guard, "a"), left(&guard, "b"), guard.refused_until()), (0, 0, None));
        // Where only it is called for a while nobody knows; the other one finds out.
        (0..3).for_each(|_| says(&guard, "a", Outcome::Refused));
        assert_eq!((left(&guard, "a"), left(&guard, "b")), (5, 5));
        pass(5).await;
        says(&guard, "a", Outcome::Refused);
        assert_eq!((left(&guard, "a"), left(&guard, "b")), (150, 5));
        pass(5).await;
        says(&guard, "b", Outcome::Taken);
        assert_eq!((left(&guard, "a"), left(&guard, "b"), guard.refused_until()), (0, 0, None));
        // From now on it is its own.
        says(&guard, "a", Outcome::Refused);
        says(&guard, "b", Outcome::Taken);
        assert_eq!((left(&guard, "a"), left(&guard, "b"), left(&guard, "c")), (150, 0, 0));
        pass(150).await;
        says(&guard, "a", Outcome::Taken);
        assert_eq!(left(&guard, "a"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_were_under_way_count_once_and_late_good_ones_prove_nothing() {
        let guard = Arc::new(Guard::default());
        says(&guard, "a", Outcome::Taken);
        let mut under_way: Vec<Turn> = (0..8).map(|_| tries(&guard, "a")).collect();
        let slow = tries(&guard, "b");
        pass(1).await;
        under_way.drain(..).for_each(|turn| ended(turn, Outcome::Refused));
        assert_eq!((left(&guard, "a"), left(&guard, "b")), (5, 5));
        // Its secret was looked at before it was changed.
        pass(1).await;
        ended(slow, Outcome::Taken);
        assert_eq!((left(&guard, "a"), left(&guard, "b")), (4, 4));
        pass(4).await;
        says(&guard, "a", Outcome::Refused);
        assert_eq!(left(&guard, "a"), 150);
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_who_asks_has_it_tried_once_and_at_once() {
        let guard = Arc::new(Guard::default());
        let enter = |operation: &'static str| {
            let guard = Arc::clone(&guard);
            async move { guard.enter(operation, Instant::now() + Duration::from_secs(30)).await }
        };
        // Nothing is left alone: what is asked for now is no try for later.
        guard.ask();
        says(&guard, "a", Outcome::Refused);
        assert!(guard.is_left_alone() && enter("a").await.is_err());
        for seconds in [5, 150] {
            pass(seconds).await;
            says(&guard, "a", Outcome::Refused);
        }
        for _ in 0..3 {
            guard.ask();
            // A look does not use it up.
            assert!(matches!(guard.enter_now("a"), Err(Barred::Refused { .. })));
            let turn = enter("a").await.ok().filter(|turn| turn.flight.is_some()).expect("it may try it");
            assert!(enter("a").await.is_err(), "one alone");
            ended(turn, Outcome::Refused);
            assert_eq!(left(&guard, "a"), 900);
            assert!(enter("a").await.is_err());
        }
        // Of two who find at the same time that it may be tried one does.
        guard.ask();
        let held = Arc::clone(&guard.flight).try_lock_owned().unwrap();
        let both = [enter("a"), enter("a")].map(tokio::spawn);
        sleep(Duration::from_secs(1)).await;
        drop(held);
        let mut tried = 0;
        for one in both {
            if let Ok(turn) = one.await.unwrap() {
                ended(turn, Outcome::Refused);
                tried += 1;
            }
        }
        assert_eq!((tried, left(&guard, "a")), (1, 900));
        // Whoever gave up without a word has used it up as well.
        guard.ask();
        drop(enter("a").await.ok().expect("it may try it"));
        assert!(enter("a").await.is_err());
        guard.ask();
        ended(enter("a").await.ok().expect("it may try it"), Outcome::Taken);
        assert!(!guard.is_left_alone() && guard.refused_until().is_none());
        assert!(enter("a").await.is_ok_and(|turn| turn.flight.is_none()), "all of them");
        // What one operation refuses alone.
        (0..3).for_each(|_| says(&guard, "a", Outcome::Refused));
        pass(5).await;
        says(&guard, "a", Outcome::Refused);
        pass(5).await;
        says(&guard, "b", Outcome::Taken);
        says(&guard, "a", Outcome::Refused);
        assert!(guard.is_left_alone() && guard.refused_until().is_none());
        guard.ask();
        assert!(enter("b").await.is_ok_and(|turn| turn.flight.is_none()));
        ended(enter("a").await.ok().expect("it may try it"), Outcome::Taken);
        assert_eq!((left(&guard, "a"), guard.is_left_alone()), (0, false));
        // Nothing is left of it when its time comes by itself.
        (0..3).for_each(|_| says(&guard, "b", Outcome::Refused));
        guard.ask();
        pass(5).await;
        ended(enter("b").await.ok().expect("its time has come"), Outcome::Refused);
        assert!(enter("b").await.is_err());
    }

    #[test]
    fn another_secret_or_host_is_another_account() {
        let one = Guard::of("erp:80", &[("basic", "svc", "one")]);
        assert!(Arc::ptr_eq(&one, &Guard::of("erp:80", &[("basic", "svc", "one")])));
        for (host, secrets) in [
            ("erp:81", [("basic", "svc", "one")]),
            ("erp:80", [("basic", "svc", "two")]),
            ("erp:80", [("basic", "svcone", "")]),
            ("erp:80", [("wsse", "svc", "one")]),
        ] {
            assert!(!Arc::ptr_eq(&one, &Guard::of(host, &secrets)), "{host} {secrets:?}");
        }
    }
}
