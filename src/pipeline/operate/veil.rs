//! Entity tags of records of which a caller sees a part.
//!
//! The tag of a whole record is a hash of it: whoever sees all but one field could try values until the hash fits. So who
//! sees a part is told another tag, made of that hash with the service's secret, which nobody else can make; another one for
//! each view. It changes when the record does, and so a write's `If-Match` can be held against it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::record::ContentHash;

/// Makes the tags.
#[derive(Clone)]
pub struct Veil {
    /// Begun with the secret; cloned for every tag.
    keyed: Hmac<Sha256>,
}

impl Veil {
    /// With the service's secret: the same after a restart, and on every replica.
    pub fn new(secret: [u8; 32]) -> Veil {
        // HMAC fills a shorter key with zeros up to the hash's block; doing it here leaves nothing to fail.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&secret);
        Veil { keyed: Hmac::new(&block.into()) }
    }

    /// The hash that is told of a record with this one to those who have this view of it.
    pub fn over(&self, view: &str, hash: ContentHash) -> ContentHash {
        let mut mac = self.keyed.clone();
        mac.update(b"tollbridge view\0");
        mac.update(view.as_bytes());
        mac.update(b"\0");
        mac.update(&hash.0);
        let sealed = mac.finalize().into_bytes();
        let mut told = [0; 16];
        told.copy_from_slice(&sealed[..16]);
        ContentHash(told)
    }
}

#[cfg(test)]
mod tests {
    use super::Veil;
    use crate::record::ContentHash;

    /// Made with Python: `hmac.new(bytes([9]*32), b"tollbridge view\0amount\0" + bytes(range(16)), "sha256").digest()[:16]`.
    const EXPECTED: [u8; 16] =
        [0xbb, 0xd5, 0x83, 0x16, 0x24, 0xbc, 0x8d, 0xba, 0xc6, 0x34, 0x31, 0x38, 0xe5, 0x55, 0xe6, 0xed];

    #[test]
    fn a_view_has_a_hash_of_its_own() {
        let (veil, hash) = (Veil::new([9; 32]), ContentHash(std::array::from_fn(|at| at as u8)));
        assert_eq!(veil.over("amount", hash), ContentHash(EXPECTED));
        assert_ne!(veil.over("amount", hash), veil.over("amount,name", hash));
        assert_ne!(veil.over("amount", hash), veil.over("amount", ContentHash([0; 16])));
        assert_ne!(veil.over("amount", hash), Veil::new([8; 32]).over("amount", hash));
    }
}
