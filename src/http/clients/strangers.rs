//! How often strangers may fail, each for itself: by address, and by the key that they name.
//!
//! The tables are bounded: a stranger more than there is room for shares a budget with all others like that.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::bucket::{Bucket, Standing};
use super::rate::Rate;

/// How many are known at once.
const MOST: usize = 4096;

/// The table is not tidied more often.
const TIDIED_EVERY: Duration = Duration::from_millis(500);

/// Budgets by who they are for.
pub(super) struct Strangers<K> {
    rate: Rate,
    known: Mutex<(HashMap<K, Bucket>, Instant)>,
    others: Bucket,
}

impl<K: Eq + Hash> Strangers<K> {
    pub(super) fn new(rate: Rate) -> Strangers<K> {
        Strangers { rate, known: Mutex::new((HashMap::new(), Instant::now())), others: Bucket::new(rate) }
    }

    /// Takes one from a stranger's budget; `Err` when there is nothing left of it.
    pub(super) fn take(&self, who: K) -> Result<Standing, Standing> {
        let mut known = self.known.lock();
        let (table, tidied) = &mut *known;
        if let Some(bucket) = table.get(&who) {
            return bucket.take();
        }
        if table.len() >= MOST && tidied.elapsed() >= TIDIED_EVERY {
            table.retain(|_, bucket| bucket.used() > 0);
            *tidied = Instant::now();
        }
        match table.len() < MOST {
            true => table.entry(who).or_insert_with(|| Bucket::new(self.rate)).take(),
            false => self.others.take(),
        }
    }
}

/// An address as a stranger has it: of IPv6 the network, since everybody has a whole one.
pub(in crate::http) fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !(u128::from(u64::MAX)))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Strangers, place};
    use crate::http::clients::rate::Rate;

    #[test]
    fn each_has_a_budget_and_a_million_share_what_is_left() {
        let strangers = Strangers::new(Rate::parse("1/h burst 3").unwrap());
        let taken = |who: u32| (0..9).filter(|_| strangers.take(who).is_ok()).count();
        assert_eq!((taken(1), taken(2), taken(1)), (3, 3, 0));
        let new = (10..1_000_000u32).filter(|who| strangers.take(*who).is_ok()).count();
        assert_eq!(new, MOST - 2 + 3);
        let known = strangers.known.lock();
        assert!(known.0.len() <= MOST && known.0.capacity() <= 4 * MOST);
    }

    #[test]
    fn of_ipv6_the_network_counts() {
        let check = |address: &str, expected: &str| assert_eq!(place(address.parse().unwrap()).to_string(), expected);
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        check("::ffff:10.0.0.1", "10.0.0.1");
        check("10.0.0.1", "10.0.0.1");
    }
}
