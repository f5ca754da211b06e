//! What the log is told once for many: of a backend that is away each of a thousand operations would tell the same at each
//! of its tries.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The same is told again after so long.
const EVERY: Duration = Duration::from_secs(60);

/// A backend, and what is told of it.
type Of = (String, &'static str);

/// When something was told of a backend, and how often it was not since.
#[derive(Default)]
pub(super) struct Spoken(Mutex<HashMap<Of, (Instant, u64)>>);

impl Spoken {
    /// Whether this is to be told of the backend now, and how often it was not told since the last time.
    pub(super) fn now(&self, backend: &str, what: &'static str) -> Option<u64> {
        let now = Instant::now();
        let mut told = self.0.lock();
        match told.get_mut(&(backend.to_owned(), what)) {
            Some((since, untold)) if now.duration_since(*since) < EVERY => {
                *untold += 1;
                None
            }
            Some(known) => Some(std::mem::replace(known, (now, 0)).1),
            None => {
                told.insert((backend.to_owned(), what), (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EVERY, Spoken};

    #[tokio::test(start_paused = true)]
    async fn the_same_is_told_first_and_then_counted() {
        let spoken = Spoken::default();
        assert_eq!(
            (spoken.now("erp", "look"), spoken.now("crm", "look"), spoken.now("erp", "ended")),
            (Some(0), Some(0), Some(0))
        );
        for _ in 0..7 {
            assert_eq!(spoken.now("erp", "look"), None);
        }
        tokio::time::advance(EVERY).await;
        assert_eq!((spoken.now("erp", "look"), spoken.now("erp", "look")), (Some(7), None));
    }
}
