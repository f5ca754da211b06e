//! The fragile backend of the simulation.

use std::time::Duration;

use super::Moment;

/// Numbers that look random and are the same in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// From 0 to 1.
    pub(super) fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// How long until the next of `rate` a second, when nobody knows of the others.
    pub(super) fn gap(&mut self, rate: f64) -> Duration {
        Duration::from_secs_f64(-(1.0 - self.part()).ln() / rate)
    }
}

/// How a backend takes its load: a call with n at work takes `alone` x (1 + (n / knee)^3), more or less.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Nature {
    pub(in super::super) alone: Duration,
    pub(in super::super) knee: f64,
    /// Beyond so many at work it is locked for `lock`, and for as long again with each call that comes meanwhile.
    pub(in super::super) halts_above: usize,
    pub(in super::super) lock: Duration,
    /// How far times scatter: evenly by so much of the mean, or as a log-normal of this deviation.
    pub(in super::super) scatter: Scatter,
}

#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Scatter {
    Evenly(f64),
    LogNormal(f64),
}

impl Default for Nature {
    fn default() -> Nature {
        Nature {
            alone: Duration::from_millis(50),
            knee: 8.0,
            halts_above: 12,
            lock: Duration::from_secs(5),
            scatter: Scatter::Evenly(0.2),
        }
    }
}

pub(super) struct Backend {
    pub(super) nature: Nature,
    pub(super) working: usize,
    /// Everything takes so many times as long, whatever the load.
    pub(super) slow: f64,
    /// It fails this part of the calls at once.
    pub(super) fails: f64,
    locked_until: Moment,
    /// The most calls at work at once.
    pub(super) most: usize,
    /// Times that it was locked by its load.
    pub(super) halts: usize,
}

impl Backend {
    pub(super) fn new(nature: Nature) -> Backend {
        let (slow, locked_until) = (1.0, Moment::ZERO);
        Backend { nature, working: 0, slow, fails: 0.0, locked_until, most: 0, halts: 0 }
    }

    /// Begins to work on a call that is so many times as long as others; answers how long it takes.
    pub(super) fn begin(&mut self, times: f64, now: Moment, dice: &mut Dice) -> Duration {
        self.working += 1;
        self.most = self.most.max(self.working);
        let is_locked = self.locked_until > now;
        if self.working > self.nature.halts_above {
            self.halts += usize::from(!is_locked);
            self.locked_until = now + self.nature.lock;
        }
        let load = 1.0 + (self.working as f64 / self.nature.knee).powi(3);
        let scatter = match self.nature.scatter {
            Scatter::Evenly(part) => 1.0 - part + 2.0 * part * dice.part(),
            Scatter::LogNormal(deviation) => {
                let normal = (-2.0 * (1.0 - dice.part()).ln()).sqrt() * (std::f64::consts::TAU * dice.part()).cos();
                (deviation * normal).exp()
            }
        };
        self.nature.alone.mul_f64(load * scatter * times * self.slow)
    }

    /// Nobody is answered from now until then.
    pub(super) fn lock(&mut self, until: Moment) {
        self.locked_until = self.locked_until.max(until);
    }

    /// When a call ends that would end now.
    pub(super) fn delayed(&self, now: Moment) -> Option<Moment> {
        (self.locked_until > now).then_some(self.locked_until)
    }
}
