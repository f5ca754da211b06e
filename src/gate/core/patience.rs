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

#[derive(Clone)]
pub(super) struct Patience {
    /// Who left at this age.
    left: [f32; STEPS],
    /// Who had the answer at this age; how long they would have stayed nobody knows.
    stayed: [f32; STEPS],
    counted: f64,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { left: [0.0; STEPS], stayed: [0.0; STEPS], counted: 0.0 }
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
        self.left[step(age)] += 1.0;
        self.count();
    }

    /// Somebody had the answer at this age.
    pub(super) fn stayed(&mut self, age: Duration) {
        self.stayed[step(age)] += 1.0;
        self.count();
    }

    fn count(&mut self) {
        self.counted += 1.0;
        if self.counted >= MOST {
            self.counted /= 2.0;
            for count in self.left.iter_mut().chain(&mut self.stayed) {
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
        let (from, to) = (step(from), step(to));
        let mut there: f64 = (from..STEPS).map(|age| f64::from(self.left[age] + self.stayed[age])).sum();
        let mut stays = 1.0;
        for age in from..=to {
            if there < 1.0 {
                break;
            }
            stays *= (1.0 - f64::from(self.left[age]) / there).max(0.0);
            there -= f64::from(self.left[age] + self.stayed[age]);
        }
        Some(stays)
    }
}
