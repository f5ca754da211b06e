//! How long callers stay, learned from those who left.
//!
//! An estimate of survival (Kaplan and Meier, 1958): of those who were still there at some age, how many are there a
//! while later? Ages fall into steps that grow by a thirtieth, from ten milliseconds to a minute; what was seen long
//! ago counts less and less.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

const STEPS: usize = 270;
const FIRST: f64 = 0.01;
const GROWTH: f64 = 31.0 / 30.0;

/// Fewer say nothing.
const ENOUGH: f64 = 20.0;

/// Clients that are remembered, at most.
const KNOWN_CLIENTS: usize = 4096;

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

/// Clients of whom somebody has left lately. Bounded, however many clients there are.
#[derive(Default)]
pub(super) struct Known {
    young: HashMap<Arc<str>, Box<Patience>>,
    /// Who is not seen again before the young are as many goes.
    old: HashMap<Arc<str>, Box<Patience>>,
}

impl Known {
    /// What is known of a client; `None` when nobody of it has left.
    pub(super) fn get(&self, client: &Arc<str>) -> Option<&Patience> {
        self.young.get(client).or_else(|| self.old.get(client)).map(Box::as_ref)
    }

    /// Somebody of the client left at this age.
    pub(super) fn left(&mut self, client: &Arc<str>, age: Duration) {
        match self.find(client) {
            Some(patience) => patience.left(age),
            None => {
                let mut patience = Box::new(Patience::default());
                patience.left(age);
                self.remember(Arc::clone(client), patience);
            }
        }
    }

    /// Somebody of the client had the answer at this age. Says nothing as long as nobody leaves.
    pub(super) fn stayed(&mut self, client: &Arc<str>, age: Duration) {
        if let Some(patience) = self.find(client) {
            patience.stayed(age);
        }
    }

    fn find(&mut self, client: &Arc<str>) -> Option<&mut Patience> {
        if let Some((client, patience)) = self.old.remove_entry(client) {
            self.remember(client, patience);
        }
        self.young.get_mut(client).map(Box::as_mut)
    }

    fn remember(&mut self, client: Arc<str>, patience: Box<Patience>) {
        if self.young.len() >= KNOWN_CLIENTS / 2 {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(client, patience);
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

    #[test]
    fn many_clients_are_forgotten_and_the_regular_one_is_not() {
        let mut known = Known::default();
        let name = |number: usize| Arc::<str>::from(number.to_string());
        for number in 0..100_000 {
            if number % 500 == 0 {
                known.left(&name(0), Duration::from_millis(100));
            }
            known.left(&name(number), Duration::from_millis(100));
            known.stayed(&name(number + 1), Duration::from_millis(100));
        }
        assert!(known.young.len() + known.old.len() <= KNOWN_CLIENTS);
        assert!(known.get(&name(0)).unwrap().counted >= ENOUGH);
        assert!(known.get(&name(5)).is_none() && known.get(&name(100_001)).is_none());
    }
}
