//! The queue that stands and the queue that drains, on virtual time: one place, calls of ten milliseconds, and a second to
//! wait. So many who wait are as many times ten milliseconds of wait, and a hundred are a second.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::simulation::{limits, ms};
use super::super::{Arrival, Ask, Core, End, Grant, Limits, Ticket};
use super::{ask, granted, queued};
use crate::gate::{Lane, Refused};

struct Place {
    core: Core,
    now: Duration,
    running: Grant,
    waiting: VecDeque<Ticket>,
}

impl Place {
    /// So many wait, who came all at once.
    fn with(waiting: usize) -> Place {
        let mut core = Core::new(Limits { target_wait: ms(1000), ..limits(1) });
        for n in 0..4 {
            let grant = granted(core.arrive(ask("a", ms(n * 10)), ms(n * 10), &mut Vec::new()));
            core.end(&grant, End::Answered, true, ms(n * 10 + 10));
        }
        assert_eq!(core.service_time(), Some(ms(10)));
        let now = ms(100);
        let running = granted(core.arrive(ask("a", now), now, &mut Vec::new()));
        let mut place = Place { core, now, running, waiting: VecDeque::new() };
        (0..waiting).for_each(|_| place.comes());
        place
    }

    fn arrives(&mut self) -> Arrival {
        let ask = Ask { wait_until: self.now + ms(1000), ..ask("a", self.now) };
        self.core.arrive(ask, self.now, &mut Vec::new())
    }

    /// Somebody comes, and there is room.
    #[track_caller]
    fn comes(&mut self) {
        let ticket = queued(self.arrives());
        self.waiting.push_back(ticket);
    }

    /// Somebody comes, and there is none.
    #[track_caller]
    fn is_refused(&mut self) {
        let arrival = self.arrives();
        assert!(matches!(arrival, Arrival::Refused(Refused::QueueFull { .. })), "{arrival:?} after {:?}", self.age());
    }

    /// A call ends, and the next goes.
    #[track_caller]
    fn goes(&mut self) {
        self.now += ms(10);
        self.core.end(&self.running, End::Answered, true, self.now);
        let mut verdicts = Vec::new();
        self.core.pump(self.now, &mut verdicts);
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        let verdict = verdicts.remove(0);
        assert_eq!(Some(verdict.ticket), self.waiting.pop_front());
        self.running = verdict.outcome.unwrap();
    }

    /// Since those came who were there first.
    fn age(&self) -> Duration {
        self.now - ms(100)
    }

    /// One goes and one comes, until this age.
    #[track_caller]
    fn stands_until(&mut self, age: u64) {
        while self.age() < ms(age) {
            self.goes();
            self.comes();
        }
    }
}

#[test]
fn who_waits_for_half_the_time_is_no_reason_to_refuse_anybody() {
    // Fifty wait, each for half a second, for a minute.
    Place::with(50).stands_until(60_000);
}

#[test]
fn a_burst_that_fills_the_queue_is_served_to_its_end_and_the_next_one_too() {
    let mut place = Place::with(98);
    for _ in 0..10 {
        // The last of them waits for 0.98 s, but the first ones waited for less than half a second.
        (0..98).for_each(|_| place.goes());
        (0..98).for_each(|_| place.comes());
    }
}

#[test]
fn a_queue_that_stands_for_an_interval_is_halved_until_it_drains() {
    let mut place = Place::with(80);
    // The first who has waited for more than half a second is the 51st, after 0.51 s; all behind it have, too. So it stands
    // from 0.51 s on, and for a second after 1.51 s.
    place.stands_until(1500);
    assert_eq!(place.waiting.len(), 80);
    // From now on fifty may wait. There are 79, and nobody of them is sent away: one goes every ten milliseconds, and who
    // comes finds no room for thirty of these.
    for _ in 0..30 {
        place.goes();
        place.is_refused();
    }
    assert_eq!((place.age(), place.waiting.len()), (ms(1800), 50));
    place.goes();
    place.comes();
    // That one waits for fifty calls. Until it goes, after 2.31 s, those go who have waited for longer: no more than fifty
    // wait. The next cut would come after 2.51 s.
    while place.age() < ms(2300) {
        place.goes();
        place.comes();
        place.is_refused();
    }
    // It has waited for half a second: the queue has drained, and there is room for all who can be served in time.
    place.goes();
    assert_eq!(place.age(), ms(2310));
    (0..49).for_each(|_| place.comes());
    assert_eq!(place.waiting.len(), 98);
}

#[test]
fn an_empty_queue_has_room_for_all_again() {
    let mut place = Place::with(80);
    place.stands_until(1500);
    // All go, those who came last after 0.8 s.
    (0..80).for_each(|_| place.goes());
    (0..98).for_each(|_| place.comes());
}

/// Runs wait for as long as it takes, and say nothing of how long people do.
#[test]
fn runs_that_wait_for_long_take_no_room_from_people() {
    let mut place = Place::with(0);
    let run = |place: &Place| Ask { lane: Lane::Sync, wait_until: place.now + ms(60_000), ..ask("run", place.now) };
    // Each of these has waited for four seconds when it goes.
    for _ in 0..400 {
        let run = run(&place);
        let ticket = queued(place.core.arrive(run, place.now, &mut Vec::new()));
        place.waiting.push_back(ticket);
    }
    for _ in 0..1000 {
        place.goes();
        let run = run(&place);
        let ticket = queued(place.core.arrive(run, place.now, &mut Vec::new()));
        place.waiting.push_back(ticket);
    }
    // People go first, so all of them are served within their second.
    for _ in 0..90 {
        queued(place.arrives());
    }
}
