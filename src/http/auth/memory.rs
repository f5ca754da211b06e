//! What is remembered for a moment, so that it need not be asked again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long an answer of the database about a key holds.
const HOLDS_FOR: Duration = Duration::from_secs(1);

/// How many are remembered at once.
const MOST: usize = 4096;

/// Answers about keys, by the keys' hashes.
pub(super) struct Memory<T>(Mutex<HashMap<[u8; 32], (T, Instant)>>);

impl<T> Default for Memory<T> {
    fn default() -> Memory<T> {
        Memory(Mutex::default())
    }
}

impl<T: Clone> Memory<T> {
    /// What was remembered of it not long ago.
    pub(super) fn recall(&self, hash: &[u8; 32]) -> Option<T> {
        let remembered = self.0.lock();
        let (answer, at) = remembered.get(hash)?;
        (at.elapsed() < HOLDS_FOR).then(|| answer.clone())
    }

    pub(super) fn remember(&self, hash: [u8; 32], answer: T) {
        let mut remembered = self.0.lock();
        if remembered.len() >= MOST {
            remembered.retain(|_, (_, at)| at.elapsed() < HOLDS_FOR);
        }
        if remembered.len() >= MOST {
            remembered.clear();
        }
        remembered.insert(hash, (answer, Instant::now()));
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
