//! How long callers stay, learned from those who left.
//!
//! An estimate of survival (Kaplan and Meier, 1958): of those who were still there at some age, how many are there a
//! while later? Ages fall into steps that grow by a thirtieth, from ten milliseconds to a minute; what was seen long
//! ago counts less and less.

use std::time::Duration;

const STEPS: usize = 270;
const FIRST: f64 = 0.01;
const GROWTH: f64 = 31.0 / 30.0;

/// Fewer say nothing.
const ENOUGH: f64 = 20.0;

/// When so many are counted, each counts half.
const MOST: f64 = 1000.0;

/// Steps whose sum is kept, so that the old need not be counted one by one.
const BLOCK: usize = 16;

#[derive(Clone)]
pub(super) struct Patience {
    /// Who left at this age.
    left: [f32; STEPS],
    /// Who left, or had the answer, at this age; how long those would have stayed nobody knows.
    ended: [f32; STEPS],
    /// The same by blocks of steps.
    blocks: [f32; STEPS.div_ceil(BLOCK)],
    counted: f64,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { left: [0.0; STEPS], ended: [0.0; STEPS], blocks: [0.0; STEPS.div_ceil(BLOCK)], counted: 0.0 }
    }
}

fn step(age: Duration) -> usize {
    let steps = (age.as_secs_f64() / FIRST).max(1.0).log(GROWTH);
    // Saturates.
    (steps as usize).min(STEPS - 1)
}

impl Patience {
    /// Somebody left at this age.
    pub(super) fn left(&mut self, age: Duration) {
        let step = step(age);
        self.left[step] += 1.0;
        self.count(step);
    }

    /// Somebody had the answer at this age.
    pub(super) fn stayed(&mut self, age: Duration) {
        self.count(step(age));
    }

    fn count(&mut self, step: usize) {
        self.ended[step] += 1.0;
        self.blocks[step / BLOCK] += 1.0;
        self.counted += 1.0;
        if self.counted >= MOST {
            self.counted /= 2.0;
            for count in self.left.iter_mut().chain(&mut self.ended).chain(&mut self.blocks) {
                *count /= 2.0;
            }
        }
    }

    /// Of those who are there at the age `from`, the part that is there at the age `to`; `None` when too little is
    /// known.
    pub(super) fn stays(&self, from: Duration, to: Duration) -> Option<f64> {
        if self.counted < ENOUGH {
            return None;
        }
        let (from, to) = (step(from), step(to).max(step(from)));
        let block = from.div_ceil(BLOCK);
        let ended = self.ended[from..(block * BLOCK).min(STEPS)].iter().chain(&self.blocks[block..]);
        let mut there: f64 = ended.map(|count| f64::from(*count)).sum();
        let mut stays = 1.0;
        for (left, ended) in self.left[from..=to].iter().zip(&self.ended[from..=to]) {
            if there < 1.0 {
                break;
            }
            stays *= (1.0 - f64::from(*left) / there).max(0.0);
            there -= f64::from(*ended);
        }
        Some(stays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_left_are_missing_later() {
        let mut patience = Patience::default();
        let ms = Duration::from_millis;
        assert_eq!(patience.stays(ms(0), ms(100)), None, "nothing is known");
        // Of forty, twenty leave at 200 ms; ten have the answer at 100 ms, ten at 400 ms.
        for (count, age, left) in [(20, 200, true), (10, 100, false), (10, 400, false)] {
            for _ in 0..count {
                if left { patience.left(ms(age)) } else { patience.stayed(ms(age)) }
            }
        }
        for (from, to, expected) in
            [(0, 150, 1.0), (0, 300, 1.0 / 3.0), (150, 300, 1.0 / 3.0), (300, 390, 1.0), (0, 90_000, 1.0 / 3.0)]
        {
            let stays = patience.stays(ms(from), ms(to)).unwrap();
            assert!((stays - expected).abs() < 1e-6, "{from} to {to}: {stays}");
        }
        // A thousand others of whom nobody leaves, and the old count little.
        for _ in 0..10_000 {
            patience.stayed(ms(300));
        }
        assert!(patience.stays(ms(0), ms(250)).unwrap() > 0.99);
    }
}
