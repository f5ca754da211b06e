//! A limit below the operator's cap that follows the backend: one place more after a while that went well with the
//! limit used up, a third less when calls are lost or take well beyond what they take in calm times.
//!
//! Additive increase, multiplicative decrease (Chiu and Jain, 1989) in steps of one place, because caps are small. What
//! is special:
//!
//! - *It begins at the floor.* A backend's first overload is the one that nobody has learned from.
//! - *Slow is what is slow throughout.* Times are compared by five quantiles, all but one of which must be twice those of
//!   calm times: a few more long reports among many quick calls are no slow-down.
//! - *A cut is a trial.* Where fewer calls at a time take as long as before, it is not our load that makes them slow: the
//!   cut is taken back, and the slowness excused for a while. Therefore nothing pins the limit down that a lower limit
//!   does not mend.
//! - *Nobody is quicker under load than in calm times.* So what is quicker corrects what was learned on a slow day, and
//!   where it was never calm the quickest so far stands for it; then one trial tells whether fewer would be quicker.
//! - *What hurt is remembered.* The place at which the trouble began is not taken again for a while, and for twice as
//!   long each time that it hurts again.
//!
//! It is moved by the ends of calls alone, never by time.
//!
//! It finds what is too much by trying. A backend that slows down before it breaks is seen in time; one that gives no
//! warning breaks once, then again whenever its sore place is tried. After an outage all places but that one are back
//! within [`ROUNDS`] calls for each. A backend that fails a good part of its calls whatever the load is brought down to the
//! floor. In the shadow the load does not follow, so that what is shown is the next step rather than where it would end.

use std::time::Duration;

use super::Moment;

/// Calls that are looked at together.
const WINDOW: usize = 16;

/// The quantiles of a window that are compared, as places in its order: 1/10, 3/10, ... 9/10.
const QUANTILES: [usize; 5] = [1, 4, 8, 11, 14];

/// So many times the calm time is slow, when two windows agree; so many times, at once.
const SLOW: f64 = 2.0;
const VERY_SLOW: f64 = 6.0;

/// Under load, so many times as quick as what was learned in calm times is news of them.
const QUICKER: f64 = 1.25;

/// Windows under load after which, had it never been calm, one looks whether fewer calls at a time are quicker.
const IN_THE_DARK: u32 = 8;

/// So many calls in a row that take longer than nearly all in calm times, by [`VERY_SLOW`], are a backend that stands.
const STANDS: usize = 5;

/// What is left of the limit by a cut.
const CUT: f64 = 0.7;

/// A place more takes so many good calls for each place, once the first trouble was met.
const ROUNDS: usize = 10;

/// Lost and failed calls are trouble when they are this part of a window, or so many in a row. Fewer are taken for faults
/// that have nothing to do with the load.
const LOSSES: f64 = 3.0 / 8.0;
const LOST_IN_A_ROW: usize = 4;

/// A cut has helped when times went down by at least this power of what the load did.
const RELIEF: f64 = 0.7;

/// In which an excuse loses half of its weight.
const EXCUSED: Duration = Duration::from_secs(60);

/// How long the place that made the backend slow is not taken again, at first and at most.
const SLOW_SORE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(320));

/// The same of the place at which calls were lost.
const LOST_SORE: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(4 * 3600));

/// Losses within this time are of one trouble.
const ONE_TROUBLE: Duration = Duration::from_secs(60);

/// A call that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Calls in flight when it was let through, itself included; of a lost one also when it ended.
    pub(super) beside: usize,
    /// Calls in flight on the mean while it was, itself included. Who comes first of a crowd has the crowd beside it all
    /// the same.
    pub(super) load: f64,
    pub(super) granted: Moment,
    pub(super) ended: Moment,
    /// Lost or failed: its time says nothing.
    pub(super) lost: bool,
    /// It took as long as others do; runs take as long as their files are.
    pub(super) is_timed: bool,
}

/// Logarithms of the quantiles of service times, in seconds.
type Spread = [f64; 5];

/// Calls of one kind, until there are enough of them.
#[derive(Default)]
struct Window {
    times: Vec<f64>,
    beside: usize,
    /// Calls that had the last place of the limit.
    full: usize,
    lost: usize,
    /// Calls lost since one was answered.
    lost_in_a_row: usize,
    /// The most calls in flight when one was lost.
    lost_at: usize,
    /// Calls in a row that took very long.
    standing: usize,
}

impl Window {
    fn spread(&mut self) -> Spread {
        self.times.sort_by(f64::total_cmp);
        QUANTILES.map(|place| self.times[place.min(self.times.len() - 1)].max(1e-6).ln())
    }

    /// Calls in flight, on the mean.
    fn level(&self) -> f64 {
        self.beside as f64 / self.times.len().max(1) as f64
    }

    fn is_full(&self) -> bool {
        self.times.len() + self.lost >= WINDOW
    }
}

/// What was so before a cut for slowness.
struct Trial {
    limit: usize,
    level: f64,
    spread: Spread,
    sore: Option<Sore>,
}

/// A place that hurt.
#[derive(Clone, Copy, Debug)]
struct Sore {
    at: usize,
    until: Moment,
    times: u32,
}

/// See the module.
pub(super) struct Adaptive {
    floor: usize,
    cap: usize,
    limit: usize,
    /// There was no trouble yet: a place more each window.
    starts: bool,
    busy: Window,
    calm_calls: Window,
    /// What calls take in calm times.
    calm: Option<Spread>,
    calm_windows: u32,
    /// The load follows it.
    is_in_force: bool,
    /// Windows under load, as long as it was never calm.
    dark_windows: u32,
    /// Times as long as this are not held against the limit.
    excuse: (f64, Moment),
    /// The last window was slow.
    was_slow: bool,
    /// Good calls since the limit moved.
    good: usize,
    trial: Option<Trial>,
    /// The place that made the backend slow.
    slow_sore: Option<Sore>,
    /// The place at which calls were lost.
    lost_sore: Option<Sore>,
    /// Calls that were let through before are not of the limit in force.
    cut: Moment,
    /// When calls were last lost.
    lost: Option<Moment>,
}

impl Adaptive {
    /// From the floor when it is in force; from the cap when it only looks on.
    pub(super) fn new(floor: usize, cap: usize, is_in_force: bool) -> Adaptive {
        let floor = floor.clamp(1, cap.max(1));
        Adaptive {
            floor,
            cap,
            limit: if is_in_force { floor } else { cap },
            starts: is_in_force,
            busy: Window::default(),
            calm_calls: Window::default(),
            calm: None,
            calm_windows: 0,
            is_in_force,
            dark_windows: 0,
            excuse: (1.0, Moment::ZERO),
            was_slow: false,
            good: 0,
            trial: None,
            slow_sore: None,
            lost_sore: None,
            cut: Moment::ZERO,
            lost: None,
        }
    }

    /// Where it stands; from the floor to the cap.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Other bounds, and whether it is in force.
    pub(super) fn bound(&mut self, floor: usize, cap: usize, is_in_force: bool) {
        self.is_in_force = is_in_force;
        // Who was held back by the cap alone goes on as at the start.
        self.starts |= self.limit == self.cap && cap > self.cap && self.sores().next().is_none();
        self.floor = floor.clamp(1, cap.max(1));
        self.cap = cap;
        self.limit = self.limit.clamp(self.floor, cap.max(1));
    }

    /// A call is over.
    pub(super) fn ended(&mut self, sample: Sample) {
        let now = sample.ended;
        let calm = self.floor.max(self.limit / 4);
        let is_calm = sample.beside <= calm && (sample.lost || sample.load <= calm as f64 + 0.25);
        let took = now.saturating_sub(sample.granted).as_secs_f64();
        if is_calm && !sample.lost && sample.is_timed {
            self.calm_calls.times.push(took);
            if self.calm_calls.is_full() {
                let spread = std::mem::take(&mut self.calm_calls).spread();
                self.learn(&spread);
            }
        }
        let is_old = self.cut > Moment::ZERO && sample.granted < self.cut;
        if is_old || 2 * sample.beside <= self.limit || (is_calm && sample.lost) {
            return;
        }
        let excused = self.excused(now).ln();
        let window = &mut self.busy;
        if sample.lost {
            window.lost += 1;
            window.lost_in_a_row += 1;
            window.lost_at = window.lost_at.max(sample.beside);
            let (at, is_struck) = (window.lost_at, window.lost_in_a_row >= LOST_IN_A_ROW.min(self.limit.max(3)));
            let is_trouble = window.is_full() && window.lost as f64 >= LOSSES * WINDOW as f64;
            if is_struck || is_trouble {
                self.lost_at(at, now);
            } else if window.is_full() {
                let window = std::mem::take(window);
                self.look(window, now);
            }
            return;
        }
        window.lost_in_a_row = 0;
        if !sample.is_timed {
            if sample.beside >= self.limit && !self.was_slow {
                self.good += 1;
                self.grow(now);
            }
            return;
        }
        window.times.push(took);
        window.beside += sample.beside;
        window.full += usize::from(sample.beside >= self.limit);
        let is_standing = self.calm.is_some_and(|calm| took.ln() - calm[4] - excused > VERY_SLOW.ln());
        window.standing = if is_standing { window.standing + 1 } else { 0 };
        if window.is_full() || window.standing >= STANDS {
            let window = std::mem::take(window);
            self.look(window, now);
        }
    }

    /// What calm calls took.
    fn learn(&mut self, spread: &Spread) {
        self.calm_windows = self.calm_windows.saturating_add(1);
        let Some(calm) = &mut self.calm else {
            self.calm = Some(*spread);
            return;
        };
        let gain =
            if shift(spread, calm, 3) < -(1.5f64.ln()) { 0.5 } else { 1.0 / f64::from(self.calm_windows.min(16)) };
        blend(calm, spread, gain);
    }

    /// A window of calls at the limit, or near it.
    fn look(&mut self, mut window: Window, now: Moment) {
        let (spread, level) = (window.spread(), window.level());
        let is_used = 2 * window.full >= window.times.len();
        // Nobody is faster under load than in calm times: where it was never calm this is the best that is known, and
        // where it is less than what was learned, that was of slower days.
        let calm = self.calm.get_or_insert(spread);
        let faster = -shift(&spread, calm, 3);
        // Times that scatter widely are quicker by chance.
        let chance = (spread[3] - spread[1]) / 2.0;
        if faster > 1.5f64.ln() {
            blend(calm, &spread, 0.5);
            if faster > 2.0 * chance {
                // It was no calm time at all.
                (self.calm_windows, self.dark_windows) = (0, 0);
            }
        } else if faster > QUICKER.ln().max(chance) {
            blend(calm, &spread, 0.25);
        }
        let slower = self.calm.map_or(0.0, |calm| shift(&spread, &calm, 1));
        if let Some(trial) = self.trial.take().filter(|trial| level <= 0.85 * trial.level) {
            let relief = shift(&spread, &trial.spread, 2);
            if relief > RELIEF * (level / trial.level).ln() {
                self.excuse = (slower.exp().max(self.excused(now)), now);
                self.limit = trial.limit.min(self.cap);
                self.slow_sore = trial.sore;
                self.was_slow = false;
                self.good = 0;
                return;
            }
        }
        let beyond = slower - self.excused(now).ln();
        if beyond > SLOW.ln() {
            if self.was_slow || beyond > VERY_SLOW.ln() {
                self.slow_at(level, spread, beyond > VERY_SLOW.ln(), now);
            } else {
                self.was_slow = true;
            }
            return;
        }
        self.was_slow = false;
        if self.is_in_the_dark() {
            let (limit, sore) = (self.limit, self.slow_sore);
            if self.cut_to((level * CUT) as usize, now) {
                self.trial = Some(Trial { limit, level, spread, sore });
            }
            return;
        }
        for sore in [&mut self.slow_sore, &mut self.lost_sore] {
            *sore = sore.filter(|sore| level < sore.at as f64);
        }
        if is_used {
            self.good += WINDOW;
            self.grow(now);
        }
    }

    /// Whether it is time to look, once, whether fewer calls at a time are quicker: it was never calm, so that nobody knows.
    fn is_in_the_dark(&mut self) -> bool {
        if self.calm_windows > 0 || !self.is_in_force {
            return false;
        }
        self.dark_windows = self.dark_windows.saturating_add(1);
        self.dark_windows == IN_THE_DARK
    }

    fn grow(&mut self, now: Moment) {
        let is_sore = self.sores().any(|sore| self.limit + 1 >= sore.at && now < sore.until);
        let pace = if self.starts { WINDOW } else { ROUNDS * self.limit };
        if self.limit < self.cap && !is_sore && self.good >= pace {
            self.limit += 1;
            self.good = 0;
        }
    }

    fn slow_at(&mut self, level: f64, spread: Spread, stands: bool, now: Moment) {
        let at = level.round().max(1.0) as usize;
        let (limit, sore) = (self.limit, self.slow_sore);
        let is_known = sore.is_some_and(|sore| at >= sore.at);
        // As bad as lost calls; but should the trial show that it has other reasons, nothing is remembered.
        self.slow_sore = Some(hurt(sore, at, if stands { LOST_SORE } else { SLOW_SORE }, now));
        // Of a place that was tried again one knows that it is one too many.
        let left = if is_known { at - 1 } else { (level * CUT) as usize };
        if self.cut_to(left, now) && !is_known {
            self.trial = Some(Trial { limit, level, spread, sore });
        }
    }

    fn lost_at(&mut self, at: usize, now: Moment) {
        let is_new = self.lost.is_none_or(|lost| now.saturating_sub(lost) > ONE_TROUBLE);
        self.lost = Some(now);
        if is_new {
            self.lost_sore = Some(hurt(self.lost_sore, at, LOST_SORE, now));
        }
        self.trial = None;
        self.cut_to((at as f64 * CUT) as usize, now);
    }

    fn sores(&self) -> impl Iterator<Item = Sore> {
        self.slow_sore.into_iter().chain(self.lost_sore)
    }

    /// Answers whether the limit is lower now.
    fn cut_to(&mut self, left: usize, now: Moment) -> bool {
        self.busy = Window::default();
        (self.starts, self.was_slow, self.good, self.cut) = (false, false, 0, now);
        let before = self.limit;
        self.limit = self.limit.min(left.max(self.floor));
        self.limit < before
    }

    fn excused(&self, now: Moment) -> f64 {
        let (excuse, since) = self.excuse;
        let halves = now.saturating_sub(since).as_secs_f64() / EXCUSED.as_secs_f64();
        1.0 + (excuse - 1.0) * (-halves).exp2()
    }
}

/// What is remembered of a place that hurts: longer when it has hurt before, or one below it.
fn hurt(before: Option<Sore>, at: usize, (first, longest): (Duration, Duration), now: Moment) -> Sore {
    let before = before.filter(|sore| at >= sore.at);
    let times = before.map_or(0, |sore| sore.times + 1).min(16);
    let until = now.saturating_add(first.saturating_mul(1 << times).min(longest));
    Sore { at: before.map_or(at, |sore| sore.at), until: before.map_or(until, |sore| sore.until.max(until)), times }
}

/// By how much (as a logarithm) one is longer than the other, at the quantile that is `rank`th by this.
fn shift(one: &Spread, other: &Spread, rank: usize) -> f64 {
    let mut shifts = [0.0; 5];
    for (shift, (one, other)) in shifts.iter_mut().zip(one.iter().zip(other)) {
        *shift = one - other;
    }
    shifts.sort_by(f64::total_cmp);
    shifts[rank]
}

fn blend(into: &mut Spread, from: &Spread, gain: f64) {
    for (into, from) in into.iter_mut().zip(from) {
        *into += gain * (from - *into);
    }
}
