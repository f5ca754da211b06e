//! The signature algorithms of tokens (RFC 7518, RFC 8037) that can be taken: those with a public key, so that whoever can
//! check a token cannot make one. `none` and the HMACs are not among them and never will be.

use jsonwebtoken::Algorithm as Library;

macro_rules! algorithms {
    ($($name:ident $text:literal $family:ident,)+) => {
        /// One of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Algorithm { $(#[doc = $text] $name,)+ }

        impl Algorithm {
            /// All of them by their names.
            pub const ALL: &'static [(&'static str, Algorithm)] = &[$(($text, Algorithm::$name),)+];

            /// Which keys it takes.
            pub(super) fn family(self) -> Family {
                match self { $(Algorithm::$name => Family::$family,)+ }
            }

            pub(super) fn library(self) -> Library {
                match self { $(Algorithm::$name => Library::$name,)+ }
            }
        }
    };
}

algorithms! {
    RS256 "RS256" Rsa,
    RS384 "RS384" Rsa,
    RS512 "RS512" Rsa,
    PS256 "PS256" Rsa,
    PS384 "PS384" Rsa,
    PS512 "PS512" Rsa,
    ES256 "ES256" P256,
    ES384 "ES384" P384,
    EdDSA "EdDSA" Ed25519,
}

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Algorithm {
    /// The one with this name. `Ed25519` is what RFC 9864 calls EdDSA with that curve.
    pub(super) fn named(name: &str) -> Option<Algorithm> {
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Algorithm::ALL.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }
}
