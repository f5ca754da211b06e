//! Places for tokens that an issuer is asked about: so many at once, and of one address only a part of them.
//!
//! Whoever invents tokens has each of them asked about. Without the part, one who sends many at once would have all places,
//! and nobody else's token could be checked.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// So many are asked about at once; each has a caller who waits.
const MOST: usize = 32;

/// So many of one address.
const MOST_OF_ONE: usize = 8;

/// The places.
pub(super) struct Places {
    all: Semaphore,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

impl Places {
    pub(super) fn new() -> Places {
        Places { all: Semaphore::new(MOST), taken: Mutex::default() }
    }

    /// A place for a caller from this address; `None` where there is none for it. Whose address is not said takes any.
    pub(super) fn take(&self, from: Option<IpAddr>) -> Option<Place<'_>> {
        let permit = self.all.try_acquire().ok()?;
        if let Some(address) = from {
            let mut taken = self.taken.lock();
            let count = taken.entry(address).or_default();
            if *count >= MOST_OF_ONE {
                return None;
            }
            *count += 1;
        }
        Some(Place { places: self, from, _permit: permit })
    }
}

/// A place that is taken, until it is dropped.
pub(super) struct Place<'p> {
    places: &'p Places,
    from: Option<IpAddr>,
    _permit: SemaphorePermit<'p>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(address) = self.from else { return };
        let mut taken = self.places.taken.lock();
        if let Some(count) = taken.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, MOST_OF_ONE, Places};

    #[test]
    fn one_address_has_a_part_of_the_places_and_gives_it_back() {
        let places = Places::new();
        let take = |address: &str| places.take(Some(address.parse().unwrap()));
        let mut held: Vec<_> = (0..MOST).filter_map(|_| take("203.0.113.7")).collect();
        assert_eq!(held.len(), MOST_OF_ONE);
        // The refused ones took nothing.
        let others: Vec<_> = (0..MOST).filter_map(|number| take(&format!("2001:db8::{number:x}"))).collect();
        assert_eq!(others.len(), MOST - MOST_OF_ONE);
        assert!(places.take(None).is_none());
        held.pop();
        assert!(places.take(None).is_some());
        assert!(take("203.0.113.7").is_some());
        drop((held, others));
        assert_eq!(places.taken.lock().len(), 0);
        assert_eq!(places.all.available_permits(), MOST);
    }
}
