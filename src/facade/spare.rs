//! What coding answers may cost that are given to everybody. Whoever is known has a rate; who is not could have the description
//! coded again and again, at a hundred times of what the request costs them. Beyond this it is sent plain.

use parking_lot::Mutex;
use tokio::time::Instant;

/// So many in a second, in the long run.
const PER_SECOND: f64 = 5.0;

/// So many at once.
const AT_ONCE: f64 = 50.0;

/// That an answer is given to everybody: told by the handler, among the answer's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct ForEverybody;

/// What is left of it.
pub(super) struct Spare(Mutex<(f64, Instant)>);

impl Spare {
    pub(super) fn new() -> Spare {
        Spare(Mutex::new((AT_ONCE, Instant::now())))
    }

    /// Takes one; false where none is left.
    pub(super) fn take(&self) -> bool {
        let mut state = self.0.lock();
        let (left, looked) = &mut *state;
        let now = Instant::now();
        *left = (*left + now.saturating_duration_since(*looked).as_secs_f64() * PER_SECOND).min(AT_ONCE);
        *looked = now;
        let is_there = *left >= 1.0;
        if is_there {
            *left -= 1.0;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, PER_SECOND, Spare};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn what_is_spent_comes_back_in_time() {
        let spare = Spare::new();
        let taken = || (0..1000).filter(|_| spare.take()).count();
        assert_eq!((taken(), taken()), (AT_ONCE as usize, 0));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!((taken(), taken()), (2 * PER_SECOND as usize, 0));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(taken(), AT_ONCE as usize);
    }
}
