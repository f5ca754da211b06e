//! Input that is dear to read, such as a download: when reading breaks off, what came so far stays, and the next
//! attempt goes on behind it. The hash is over all of it, so that a blob is the same however often it was cut.

use std::io::Read;

use sha2::{Digest, Sha256};

use super::incoming::Incoming;
use super::{BLOCK, Landed, Landing, LandingError, fill};

/// The beginning of a blob.
pub struct Partial<'l> {
    landing: &'l Landing,
    incoming: Incoming,
    hasher: Sha256,
    size: u64,
}

impl Landing {
    /// What there is of the input with this mark: anything that is the same only as long as the input is. After a
    /// restart of the machine it begins anew, as what was not synced may be anything then.
    pub fn partial(&self, mark: &[u8; 32]) -> Result<Partial<'_>, LandingError> {
        let boot = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let name: [u8; 32] = Sha256::new().chain_update(mark).chain_update(boot).finalize().into();
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut incoming = match Incoming::resume(&self.incoming, &name)? {
            Some(incoming) => incoming,
            None => Incoming::create(&self.incoming)?,
        };
        let (mut hasher, mut size, mut block) = (Sha256::new(), 0, vec![0; BLOCK]);
        loop {
            let read = fill(incoming.content(), &mut block);
            let filled = read.map_err(|cause| LandingError::failed("read", incoming.path())(cause))?;
            hasher.update(&block[..filled]);
            size += filled as u64;
            if filled < BLOCK {
                break;
            }
        }
        Ok(Partial { landing: self, incoming, hasher, size })
    }
}

impl Partial<'_> {
    /// Where the input is to be read from.
    pub fn offset(&self) -> u64 {
        self.size
    }

    /// Takes the rest. When reading it fails, all that came stays for the next attempt; on a full disk nothing
    /// stays.
    pub fn complete(mut self, rest: impl Read) -> Result<Landed, LandingError> {
        let result = self.landing.finish(&mut self.incoming, self.hasher.clone(), self.size, rest);
        match &result {
            Err(LandingError::DiskFull { .. }) => self.incoming.give_up(),
            Ok(landed) if landed.known => self.incoming.give_up(),
            _ => {}
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Cursor};

    use proptest::prelude::*;

    use super::super::tests::fresh;
    use super::*;

    /// Breaks off at its end.
    struct Cut<'a>(&'a [u8]);

    impl Read for Cut<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("the line was cut")),
                count => Ok(count),
            }
        }
    }

    #[test]
    fn goes_on_where_it_broke_off_and_hashes_all() {
        let (landing, _folder) = fresh();
        let content: Vec<u8> = (0..3 * BLOCK / 2).map(|n| (n * 7 % 251) as u8).collect();
        let whole = landing.store(&content[..]).unwrap().id;
        fs::remove_file(landing.path(whole)).unwrap();
        let mark = [7; 32];
        for cut in [0, 1000, 1000, BLOCK + 3] {
            let partial = landing.partial(&mark).unwrap();
            let from = partial.offset() as usize;
            assert!(matches!(partial.complete(Cut(&content[from..cut.max(from)])), Err(LandingError::Input(_))));
            assert_eq!(landing.partial(&mark).unwrap().offset() as usize, cut);
        }
        let partial = landing.partial(&mark).unwrap();
        let from = partial.offset() as usize;
        let landed = partial.complete(Cursor::new(&content[from..])).unwrap();
        assert_eq!((landed.id, landed.size, landed.known), (whole, content.len() as u64, false));
        landing.verify(whole).unwrap();
        assert_eq!(fs::read_dir(&landing.incoming).unwrap().count(), 0);
        assert_eq!(landing.partial(&mark).unwrap().offset(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn however_often_it_breaks_off_it_is_the_same(
            length in 0usize..3000,
            mut cuts in proptest::collection::vec(0usize..3000, 0..6),
            seed in any::<u8>(),
        ) {
            let (landing, _folder) = fresh();
            let content: Vec<u8> = (0..length).map(|n| (n as u8).wrapping_mul(29) ^ seed).collect();
            cuts.sort_unstable();
            for cut in cuts.into_iter().map(|cut| cut.min(length)) {
                let partial = landing.partial(&[3; 32]).unwrap();
                let from = partial.offset() as usize;
                prop_assert!(from <= cut);
                prop_assert!(partial.complete(Cut(&content[from..cut])).is_err());
            }
            let partial = landing.partial(&[3; 32]).unwrap();
            let from = partial.offset() as usize;
            let landed = partial.complete(&content[from..]).unwrap();
            prop_assert_eq!(landed.id, crate::record::BlobId(Sha256::digest(&content).into()));
            prop_assert_eq!(landed.size, length as u64);
            landing.verify(landed.id).unwrap();
        }
    }

    #[test]
    fn two_who_read_the_same_do_not_mix() {
        let (landing, _folder) = fresh();
        let first = landing.partial(&[1; 32]).unwrap();
        let second = landing.partial(&[1; 32]).unwrap();
        assert_eq!(second.complete(&b"whole"[..]).unwrap().size, 5);
        assert!(first.complete(&b"whole"[..]).unwrap().known);
        assert_eq!(landing.store(&b"whole"[..]).unwrap().size, 5);
        assert_eq!(fs::read_dir(&landing.incoming).unwrap().count(), 0);
    }
}
