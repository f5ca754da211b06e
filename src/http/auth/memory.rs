//! What is remembered for a moment, so that it need not be asked again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long an answer of the database about a key holds.
const HOLDS_FOR: Duration = Duration::from_secs(1);

/// How many are remembered at once.
const MOST: usize = 4096;

/// Answers about keys and tokens, by their hashes, each with the moment until which it holds.
pub(super) struct Memory<T>(Mutex<HashMap<[u8; 32], (T, Instant)>>);

impl<T> Default for Memory<T> {
    fn default() -> Memory<T> {
        Memory(Mutex::default())
    }
}

impl<T: Clone> Memory<T> {
    /// What is remembered of it and still holds.
    pub(super) fn recall(&self, hash: &[u8; 32]) -> Option<T> {
        let remembered = self.0.lock();
        let (answer, until) = remembered.get(hash)?;
        (Instant::now() < *until).then(|| answer.clone())
    }

    /// Remembers an answer of the database.
    pub(super) fn remember(&self, hash: [u8; 32], answer: T) {
        self.remember_for(hash, answer, HOLDS_FOR);
    }

    /// Remembers an answer that holds for another time.
    pub(super) fn remember_for(&self, hash: [u8; 32], answer: T, holds_for: Duration) {
        let now = Instant::now();
        let Some(until) = now.checked_add(holds_for) else { return };
        let mut remembered = self.0.lock();
        if remembered.len() >= MOST {
            remembered.retain(|_, (_, until)| now < *until);
        }
        if remembered.len() >= MOST {
            remembered.clear();
        }
        remembered.insert(hash, (answer, until));
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Memory};

    #[test]
    fn a_million_answers_take_no_more_room_than_some_thousand() {
        let memory = Memory::default();
        for number in 0..1_000_000u32 {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&number.to_be_bytes());
            memory.remember(hash, number);
            assert_eq!(memory.recall(&hash), Some(number));
        }
        let remembered = memory.0.lock();
        assert!(remembered.len() <= MOST && remembered.capacity() <= 4 * MOST);
    }
}
