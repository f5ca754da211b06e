//! Where a follower of a feed stands, as a word that only we can make.
//!
//! It holds the number of the last change that was told, and which changes were forgotten when it was made. Its seal covers
//! these and the resource: who changes a character, or takes it to another feed, is refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;

use crate::facade::cursor::Seal;
use crate::http::{Problem, Reason};
use crate::record::ResourceId;

/// The first byte, so that the form can change.
const VERSION: u8 = 1;

/// Bytes of the seal.
const SEAL_LENGTH: usize = 16;

/// A place in a feed: behind this change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The change's number; 0 at the beginning.
    pub(super) sequence: u64,
    /// Up to which number changes were forgotten by then, which the follower need not know of.
    pub(super) forgotten: u64,
}

impl Position {
    /// The word for it.
    pub(super) fn write(self, seal: &Seal, of: &ResourceId) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.forgotten.to_be_bytes());
        let mac = seal.of_feed(&of.to_string(), &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac[..SEAL_LENGTH]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place that a word stands for.
    pub(super) fn read(text: &str, seal: &Seal, of: &ResourceId) -> Result<Position, Problem> {
        Position::open(text, seal, of).ok_or_else(|| {
            Reason::InvalidCursor
                .because("this is no cursor of this feed, or it was changed on its way")
                .hint("take `page.next`, or the `cursor` of a change, as it is; `since=0` is the beginning, `since=now` the end")
        })
    }

    fn open(text: &str, seal: &Seal, of: &ResourceId) -> Option<Position> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (values, mac) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_LENGTH)?)?;
        seal.of_feed(&of.to_string(), values).verify_truncated_left(mac).ok()?;
        let (sequence, forgotten) = values.strip_prefix(&[VERSION])?.split_first_chunk::<8>()?;
        let forgotten = forgotten.try_into().ok()?;
        Some(Position { sequence: u64::from_be_bytes(*sequence), forgotten: u64::from_be_bytes(forgotten) })
    }
}

#[cfg(test)]
mod tests {
    use super::Position;
    use crate::facade::cursor::Seal;
    use proptest::prelude::*;

    #[test]
    fn every_changed_character_is_noticed_and_every_other_feed() {
        let (seal, of) = (Seal::new([7; 32]), "orders.v1".parse().unwrap());
        let word = Position { sequence: 4711, forgotten: 12 }.write(&seal, &of);
        for at in 0..word.len() {
            let mut changed = word.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(Position::read(&String::from_utf8(changed).unwrap(), &seal, &of).is_err(), "{at}");
        }
        assert!(Position::read(&word, &seal, &"orders.v2".parse().unwrap()).is_err());
        assert!(Position::read(&word, &Seal::new([8; 32]), &of).is_err());
    }

    proptest! {
        #[test]
        fn positions_come_back(sequence in any::<u64>(), forgotten in any::<u64>()) {
            let (seal, of) = (Seal::new([1; 32]), "stock.v2".parse().unwrap());
            let position = Position { sequence, forgotten };
            prop_assert_eq!(Position::read(&position.write(&seal, &of), &seal, &of).ok(), Some(position));
        }

        #[test]
        fn noise_is_no_position(noise in "[A-Za-z0-9_=-]{0,80}") {
            prop_assert!(Position::read(&noise, &Seal::new([1; 32]), &"orders.v1".parse().unwrap()).is_err());
        }
    }
}
