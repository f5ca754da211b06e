//! What an account is bound to, so that nobody can pass it on to another server: the certificate of the one that we speak
//! to (RFC 5929, `tls-server-end-point`).

use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::web::der::{OBJECT, SEQUENCE, any, of};

/// What stands before the hash.
const NAME: &[u8] = b"tls-server-end-point:";

/// `sha384WithRSAEncryption`, `ecdsa-with-SHA384`, and `id-sha384` in the parameters of RSASSA-PSS.
const SHA384: [&[u8]; 3] = [
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
];

/// The same of SHA-512.
const SHA512: [&[u8]; 3] = [
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
];

/// `RSASSA-PSS`, whose hash is in its parameters.
const PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];

/// Signatures without a hash of their own (Ed25519, Ed448): for them nothing is defined.
const EDWARDS: [&[u8]; 2] = [&[0x2b, 0x65, 0x70], &[0x2b, 0x65, 0x71]];

/// The binding to a certificate in DER: its hash, by the one of its signature, or by SHA-256 where that is MD5 or SHA-1.
/// `None` for what is no certificate, and where none is defined.
pub(super) fn binding(der: &[u8]) -> Option<Vec<u8>> {
    let (certificate, _) = of(der, SEQUENCE)?;
    let (_, rest) = of(certificate, SEQUENCE)?;
    let (algorithm, _) = of(rest, SEQUENCE)?;
    let (mut object, parameters) = of(algorithm, OBJECT)?;
    if EDWARDS.contains(&object) {
        return None;
    }
    if object == PSS {
        object = hash_of_pss(parameters).unwrap_or_default();
    }
    let hash = if SHA384.contains(&object) {
        Sha384::digest(der).to_vec()
    } else if SHA512.contains(&object) {
        Sha512::digest(der).to_vec()
    } else {
        Sha256::digest(der).to_vec()
    };
    Some([NAME, &hash].concat())
}

/// The hash in `RSASSA-PSS-params` (RFC 4055): the first field, tagged 0; SHA-1 where it is absent.
fn hash_of_pss(parameters: &[u8]) -> Option<&[u8]> {
    const FIRST: u8 = 0xa0;
    let (parameters, _) = of(parameters, SEQUENCE)?;
    let (tag, content, _) = any(parameters)?;
    let (algorithm, _) = of(content, SEQUENCE)?;
    of(algorithm, OBJECT).filter(|_| tag == FIRST).map(|(object, _)| object)
}

#[cfg(test)]
mod tests {
    use super::binding;
    use proptest::prelude::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use std::process::Command;

    /// The hash of certificates that openssl has made, as openssl says it.
    #[test]
    fn certificates_are_hashed_as_they_are_signed() {
        let folder = tempfile::tempdir().unwrap();
        let openssl = |arguments: &[&str]| {
            let ran = Command::new("openssl").current_dir(folder.path()).args(arguments).output().unwrap();
            assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
            String::from_utf8(ran.stdout).unwrap()
        };
        let rsa = ["-newkey", "rsa:2048"];
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let cases: [(&[&str], &[&str], &str); 8] = [
            (&rsa, &["-sha256"], "-sha256"),
            (&rsa, &["-sha384"], "-sha384"),
            (&rsa, &["-sha512"], "-sha512"),
            (&rsa, &["-sha1"], "-sha256"),
            (&rsa, &["-sha384", "-sigopt", "rsa_padding_mode:pss"], "-sha384"),
            (&ec, &["-sha256"], "-sha256"),
            (&ec, &["-sha384"], "-sha384"),
            (&ec, &["-sha512"], "-sha512"),
        ];
        let made = |key: &[&str], signed: &[&str]| {
            let own = ["req", "-x509", "-nodes", "-batch", "-days", "2", "-keyout", "k", "-out", "c.pem"];
            openssl(&[&own, key, signed].concat());
            CertificateDer::from_pem_file(folder.path().join("c.pem")).unwrap()
        };
        for (key, signed, hash) in cases {
            let certificate = made(key, signed);
            let said = openssl(&["x509", "-in", "c.pem", "-noout", "-fingerprint", hash]);
            let hex = said.trim().rsplit('=').next().unwrap().replace(':', "").to_ascii_lowercase();
            let found = binding(&certificate).unwrap();
            let found = found.strip_prefix(b"tls-server-end-point:").unwrap();
            let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, hex, "{signed:?}");
        }
        assert_eq!(binding(&made(&["-newkey", "ed25519"], &[])), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            binding(&bytes);
            binding(&[b"\x30\x40\x30\x00\x30\x3c\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a".as_slice(), &bytes].concat());
        }
    }
}
