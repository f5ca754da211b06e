//! The `Security` header of what we send.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};

use super::{BASE64, Identity, UsernameToken, WSSE, WSU, X509, sign};
use crate::adapters::soap::Version;
use crate::adapters::soap::answer::envelope::NAMESPACES;
use crate::adapters::soap::splice::with_blocks;

/// Ids of what is signed. A message has each once.
const BODY: &str = "tb-body";
const TIMESTAMP: &str = "tb-timestamp";
const TOKEN: &str = "tb-certificate";

/// What a message is sent with.
pub(in crate::adapters::soap) struct Secured<'s> {
    /// Name and password, and how they are sent.
    pub(in crate::adapters::soap) account: Option<(&'s str, &'s str, UsernameToken)>,
    /// How long the message is good, where it says so.
    pub(in crate::adapters::soap) good_for: Option<SignedDuration>,
    /// The service must look at the header or refuse the message.
    pub(in crate::adapters::soap) must_understand: bool,
    /// What it is signed with.
    pub(in crate::adapters::soap) identity: Option<&'s Identity>,
    /// The service's idea of now.
    pub(in crate::adapters::soap) now: Timestamp,
    /// What nobody can guess, another for each message.
    pub(in crate::adapters::soap) nonce: [u8; 16],
}

impl Secured<'_> {
    /// The envelope with the header, and these blocks beside it. Of the blocks, those with these ids are signed too.
    pub(in crate::adapters::soap) fn apply(
        &self,
        envelope: &str,
        version: Version,
        blocks: &str,
        ids: &[&str],
    ) -> Result<String, String> {
        let header = format!("{}{blocks}", self.header(version));
        let body = self.identity.map(|_| BODY);
        let (written, id) = with_blocks(envelope, &header, body).ok_or("what is sent is no envelope")?;
        let (Some(identity), Some(id)) = (self.identity, id) else { return Ok(written) };
        let mut parts = vec![id];
        parts.extend(self.good_for.map(|_| TIMESTAMP.to_owned()));
        parts.extend(ids.iter().map(|id| (*id).to_owned()));
        sign::signed(&written, identity, &parts, TOKEN)
    }

    fn header(&self, version: Version) -> String {
        let mut header = format!("<wsse:Security xmlns:wsse=\"{WSSE}\" xmlns:wsu=\"{WSU}\"");
        if self.must_understand {
            let soap = NAMESPACES[usize::from(version == Version::V12)];
            header.push_str(&format!(" xmlns:tbsoap=\"{soap}\" tbsoap:mustUnderstand=\"1\""));
        }
        header.push('>');
        let created = written(self.now);
        if let Some(good_for) = self.good_for {
            let expires = written(self.now.checked_add(good_for).unwrap_or(Timestamp::MAX));
            header.push_str(&format!(
                "<wsu:Timestamp wsu:Id=\"{TIMESTAMP}\"><wsu:Created>{created}</wsu:Created>\
                 <wsu:Expires>{expires}</wsu:Expires></wsu:Timestamp>"
            ));
        }
        if let Some(identity) = self.identity {
            let certificate = STANDARD.encode(&identity.certificate);
            header.push_str(&format!(
                "<wsse:BinarySecurityToken EncodingType=\"{BASE64}\" ValueType=\"{X509}\" wsu:Id=\"{TOKEN}\">{certificate}\
                 </wsse:BinarySecurityToken>"
            ));
        }
        if let Some((username, password, token)) = self.account {
            header.push_str(&token.element(username, password, &self.nonce, &created));
        }
        header.push_str("</wsse:Security>");
        header
    }
}

/// A time in UTC with a `Z`, to the second: what every service reads.
fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
