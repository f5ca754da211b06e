//! The UsernameToken (WSS UsernameToken Profile 1.0).

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;

use super::{BASE64, USERNAME};

/// How a password is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordType {
    /// As it is.
    Text,
    /// As a digest of it, of the nonce and of the time.
    Digest,
}

/// What a token has besides the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsernameToken {
    /// How the password is sent.
    pub password_type: PasswordType,
    /// Whether it has a nonce.
    pub has_nonce: bool,
    /// Whether it has a time.
    pub has_created: bool,
}

impl UsernameToken {
    /// The element. The digest is that of the nonce's bytes, not of their text; a part that is not sent is not in it.
    pub(super) fn element(&self, username: &str, password: &str, nonce: &[u8], created: &str) -> String {
        let (kind, said) = match self.password_type {
            PasswordType::Text => ("PasswordText", escape(password).into_owned()),
            PasswordType::Digest => {
                let mut text = Vec::new();
                if self.has_nonce {
                    text.extend_from_slice(nonce);
                }
                if self.has_created {
                    text.extend_from_slice(created.as_bytes());
                }
                text.extend_from_slice(password.as_bytes());
                // The profile knows no other digest.
                let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
                ("PasswordDigest", STANDARD.encode(digest))
            }
        };
        let mut element = format!(
            "<wsse:UsernameToken><wsse:Username>{}</wsse:Username><wsse:Password Type=\"{USERNAME}#{kind}\">{said}\
             </wsse:Password>",
            escape(username)
        );
        if self.has_nonce {
            let nonce = STANDARD.encode(nonce);
            element.push_str(&format!("<wsse:Nonce EncodingType=\"{BASE64}\">{nonce}</wsse:Nonce>"));
        }
        if self.has_created {
            element.push_str(&format!("<wsu:Created>{created}</wsu:Created>"));
        }
        element.push_str("</wsse:UsernameToken>");
        element
    }
}

#[cfg(test)]
mod tests {
    use super::{PasswordType, UsernameToken};

    /// The digests are made by Python: base64(sha1(nonce + created + password)).
    #[test]
    fn digests() {
        let token = |has_nonce, has_created| {
            let token = UsernameToken { password_type: PasswordType::Digest, has_nonce, has_created };
            token.element("me & you", "p<w", b"\0\x01\xfe\xff", "2026-11-28T12:00:00Z")
        };
        let whole = token(true, true);
        assert!(whole.contains("#PasswordDigest\">eQJybJW81lV4iDlI6XZ4yEyzIKU=</wsse:Password>"), "{whole}");
        assert!(whole.contains("#Base64Binary\">AAH+/w==</wsse:Nonce><wsu:Created>2026-11-28T12:00:00Z</wsu:Created>"));
        assert!(whole.contains("<wsse:Username>me &amp; you</wsse:Username>"));
        let only_created = token(false, true);
        assert!(
            only_created.contains("NyCx9jipAzSC8Mp6JnRcGM0nYY4=<") && !only_created.contains("Nonce"),
            "{only_created}"
        );
        let neither = token(false, false);
        assert!(neither.contains("+VHO1doEKnupJxSjawwblmK7lIU=<") && !neither.contains("Created"), "{neither}");
    }

    #[test]
    fn text() {
        let token = UsernameToken { password_type: PasswordType::Text, has_nonce: false, has_created: false };
        let element = token.element("svc", "s3cret & <safe>", b"n", "c");
        assert!(
            element.contains("#PasswordText\">s3cret &amp; &lt;safe&gt;</wsse:Password></wsse:UsernameToken>"),
            "{element}"
        );
    }
}
