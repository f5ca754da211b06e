//! NTLM ([MS-NLMP]) over HTTP ([MS-NTHT]): the account of a Windows domain, as IIS asks for it.
//!
//! What is let in is a connection, not a call: over one and the same connection go a first message, the server's challenge,
//! and an answer to it together with the call. The connection is known from then on, as long as the server does not ask
//! again. The messages are those of the library `sspi`: NTLMv2, with a code over all three messages (MIC), and over TLS bound
//! to the server's certificate, so that nobody can pass them on to another server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use sspi::{AuthIdentityBuffers, BufferType, ClientRequestFlags, DataRepresentation, SecurityBuffer, Sspi, SspiImpl};
use tokio::time::Instant;
use tracing::subscriber::{NoSubscriber, with_default};

use super::SoapError;
use super::config::Windows;

/// After a refusal the account is not tried again for so long; each further refusal doubles it,
const REFUSED: Duration = Duration::from_secs(5);

/// up to this: domains lock accounts that are tried too often.
const REFUSED_MOST: Duration = Duration::from_secs(600);

/// A server that asks again so often in a row asks with each call: then no call is sent in vain.
const EACH_TIME: u32 = 3;

/// The most bytes of a challenge.
const MOST: usize = 16 << 10;

/// An account of Windows, and what its server has said so far.
pub(super) struct Ntlm {
    account: Windows,
    place: String,
    /// The server takes NTLM under the name of `Negotiate` only.
    is_negotiated: AtomicBool,
    /// How often in a row a connection that was let in was asked again.
    asked_again: AtomicU32,
    refused: Mutex<Option<Refused>>,
}

/// A refusal: which password, until when it is not tried again, and how long that was.
struct Refused {
    password: [u8; 32],
    until: Instant,
    wait: Duration,
}

/// A handshake that was begun.
pub(super) struct Begun {
    ntlm: sspi::Ntlm,
    credentials: Option<AuthIdentityBuffers>,
    password: [u8; 32],
}

/// What a server says to the first message.
pub(super) enum Asked {
    /// The second: its challenge.
    Challenge(Vec<u8>),
    /// It takes NTLM by the other name: begin again.
    ByOtherName,
    /// It does not take NTLM.
    No(SoapError),
}

impl Ntlm {
    pub(super) fn new(account: &Windows, place: String) -> Ntlm {
        Ntlm {
            account: account.clone(),
            place,
            is_negotiated: AtomicBool::new(false),
            asked_again: AtomicU32::new(0),
            refused: Mutex::new(None),
        }
    }

    /// Whether a connection that was let in is asked again with each call.
    pub(super) fn asks_each_time(&self) -> bool {
        self.asked_again.load(Ordering::Relaxed) >= EACH_TIME
    }

    /// A call over a connection that was let in was taken, or was asked who it is.
    pub(super) fn went(&self, was_asked: bool) {
        match was_asked {
            true => self.asked_again.fetch_add(1, Ordering::Relaxed),
            false => self.asked_again.swap(0, Ordering::Relaxed),
        };
    }

    /// The first message. Nothing is sent for a while after the account was refused.
    pub(super) fn begin(&self) -> Result<(Begun, HeaderValue), SoapError> {
        let secret = self.account.password.reveal()?;
        let password: [u8; 32] = Sha256::digest(secret.reveal()).into();
        self.may_try(password)?;
        let credentials = AuthIdentityBuffers::from_utf8(&self.account.user, &self.account.domain, secret.reveal());
        let mut begun = Begun { ntlm: sspi::Ntlm::new(), credentials: Some(credentials), password };
        let first = begun.step(None).map_err(|reason| self.failed(&reason))?;
        let header = self.header(&first)?;
        Ok((begun, header))
    }

    /// Reads what the server has answered to the first message with the status 401.
    pub(super) fn asked(&self, headers: &HeaderMap) -> Asked {
        let ways = ways(headers);
        let name = self.scheme();
        for (way, challenge) in &ways {
            if !way.eq_ignore_ascii_case(name) || challenge.is_empty() {
                continue;
            }
            return match STANDARD.decode(challenge) {
                Ok(challenge) if challenge.len() <= MOST => Asked::Challenge(challenge),
                _ => Asked::No(self.failed("the server's challenge is no base64, or too long")),
            };
        }
        let offers = |name: &str| ways.iter().any(|(way, _)| way.eq_ignore_ascii_case(name));
        if offers("Negotiate") && !offers("NTLM") && !self.is_negotiated.swap(true, Ordering::Relaxed) {
            return Asked::ByOtherName;
        }
        let mut names: Vec<&str> = ways.iter().map(|(way, _)| way.as_str()).collect();
        names.dedup();
        Asked::No(match names.as_slice() {
            [] => self.failed("it answers status 401 without saying which account it wants"),
            [..] if offers(name) => self.failed(
                "it answers our first message with no challenge: a proxy on the way may not keep connections apart",
            ),
            [..] => self.failed(&format!("it wants {}, not NTLM", names.join(" or "))),
        })
    }

    /// The third message: the answer to a challenge. `binding` is what a certificate of the server's is told by.
    pub(super) fn answer(
        &self,
        begun: &mut Begun,
        challenge: &[u8],
        binding: Option<&[u8]>,
    ) -> Result<HeaderValue, SoapError> {
        if let Some(binding) = binding {
            begun.ntlm.set_channel_bindings(binding);
        }
        let third = begun.step(Some(challenge)).map_err(|reason| self.failed(&reason))?;
        self.header(&third)
    }

    /// What came of the third message.
    pub(super) fn ended(&self, begun: &Begun, was_refused: bool) {
        let mut refused = self.refused.lock();
        if !was_refused {
            *refused = None;
            return;
        }
        let before = refused.as_ref().filter(|refused| refused.password == begun.password).map(|refused| refused.wait);
        let wait = before.map_or(REFUSED, |wait| (wait * 2).min(REFUSED_MOST));
        *refused = Some(Refused { password: begun.password, until: Instant::now() + wait, wait });
    }

    /// Whether this password may be tried. Of those who come after the wait one tries, and the others go on waiting.
    fn may_try(&self, password: [u8; 32]) -> Result<(), SoapError> {
        let mut refused = self.refused.lock();
        let Some(known) = refused.as_mut().filter(|refused| refused.password == password) else { return Ok(()) };
        let now = Instant::now();
        if now < known.until {
            let left = (known.until - now).as_secs() + 1;
            return Err(self.failed(&format!(
                "it has refused our Windows account; so that the domain does not lock it, it is not tried for {left} s"
            )));
        }
        known.until = now + known.wait;
        Ok(())
    }

    fn scheme(&self) -> &'static str {
        if self.is_negotiated.load(Ordering::Relaxed) { "Negotiate" } else { "NTLM" }
    }

    fn header(&self, message: &[u8]) -> Result<HeaderValue, SoapError> {
        let text = format!("{} {}", self.scheme(), STANDARD.encode(message));
        let mut value = HeaderValue::from_str(&text).map_err(|error| self.failed(&error.to_string()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn failed(&self, reason: &str) -> SoapError {
        SoapError::Login { endpoint: self.place.clone(), reason: reason.to_owned() }
    }
}

impl Begun {
    /// The next message of ours. What a server sends must end nobody, and what goes on here is in no log: who has an answer
    /// to a challenge can try passwords against it.
    fn step(&mut self, input: Option<&[u8]>) -> Result<Vec<u8>, String> {
        let stepped = catch_unwind(AssertUnwindSafe(|| {
            with_default(NoSubscriber::default(), || {
                let mut output = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
                let mut input = [SecurityBuffer::new(input.unwrap_or_default().to_vec(), BufferType::Token)];
                let mut builder = self
                    .ntlm
                    .initialize_security_context()
                    .with_credentials_handle(&mut self.credentials)
                    .with_context_requirements(ClientRequestFlags::empty())
                    .with_target_data_representation(DataRepresentation::Native)
                    .with_input(&mut input)
                    .with_output(&mut output);
                let result = self.ntlm.initialize_security_context_impl(&mut builder);
                result.and_then(|mut step| step.resolve_to_result()).map_err(|error| error.description)?;
                let [token] = output;
                Ok(token.buffer)
            })
        }));
        let unreadable = |reason: String| format!("its challenge cannot be read: {reason}");
        match stepped {
            Ok(token) => token.map_err(unreadable),
            Err(_) => Err(unreadable("it is no message of NTLM's".to_owned())),
        }
    }
}

/// The ways in that a server offers, each with what stands behind its name.
pub(super) fn ways(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut ways = Vec::new();
    for field in headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|field| field.to_str().ok()) {
        // A list may stand in one field: `Negotiate, NTLM`. Commas also part the parameters of one way.
        for part in field.split(',') {
            let mut words = part.split_whitespace();
            let Some(name) = words.next().filter(|name| !name.contains('=')) else { continue };
            ways.push((name.to_owned(), words.next().unwrap_or_default().to_owned()));
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretRef;
    use proptest::prelude::*;

    fn ntlm(folder: &tempfile::TempDir) -> Ntlm {
        let path = folder.path().join("password");
        std::fs::write(&path, "s3cret").unwrap();
        let password = SecretRef::File(path);
        let account = Windows { user: "svc".into(), domain: "CORP".into(), password, over_http: false };
        Ntlm::new(&account, "http://erp/".to_owned())
    }

    fn offers(fields: &[&str]) -> HeaderMap {
        fields.iter().map(|field| (WWW_AUTHENTICATE, HeaderValue::from_str(field).unwrap())).collect()
    }

    #[test]
    fn ways_are_read_from_one_field_or_several() {
        let said = |fields: &[&str]| ways(&offers(fields)).into_iter().map(|(way, _)| way).collect::<Vec<_>>();
        assert_eq!(said(&["Negotiate", "NTLM"]), ["Negotiate", "NTLM"]);
        assert_eq!(said(&["Negotiate, NTLM, Basic realm=\"a\""]), ["Negotiate", "NTLM", "Basic"]);
        assert_eq!(said(&["Digest realm=\"a\", nonce=\"b\""]), ["Digest"]);
        assert_eq!(ways(&offers(&["NTLM TlRM"])), [("NTLM".to_owned(), "TlRM".to_owned())]);
    }

    #[test]
    fn what_a_server_offers_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let no = |fields: &[&str]| match ntlm(&folder).asked(&offers(fields)) {
            Asked::No(error) => error.to_string(),
            _ => panic!("{fields:?}"),
        };
        assert!(no(&["Basic realm=\"x\""]).contains("it wants Basic, not NTLM"));
        assert!(no(&[]).contains("without saying"));
        assert!(no(&["NTLM"]).contains("no challenge"));
        assert!(no(&["NTLM ???"]).contains("no base64"));
        let negotiating = ntlm(&folder);
        assert!(matches!(negotiating.asked(&offers(&["Negotiate"])), Asked::ByOtherName));
        assert!(negotiating.begin().unwrap().1.to_str().unwrap().starts_with("Negotiate TlRMTVNTU"));
        assert!(matches!(negotiating.asked(&offers(&["Negotiate"])), Asked::No(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_password_is_tried_seldom_and_another_one_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let ntlm = ntlm(&folder);
        let (begun, _) = ntlm.begin().unwrap();
        ntlm.ended(&begun, true);
        assert!(ntlm.begin().is_err());
        tokio::time::advance(Duration::from_secs(6)).await;
        let (begun, _) = ntlm.begin().unwrap();
        // One tries.
        assert!(ntlm.begin().is_err());
        ntlm.ended(&begun, true);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(ntlm.begin().is_err());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(ntlm.begin().is_ok());
        std::fs::write(folder.path().join("password"), "other").unwrap();
        let (begun, _) = ntlm.begin().unwrap();
        ntlm.ended(&begun, false);
        assert!(ntlm.begin().is_ok());
    }

    proptest! {
        #[test]
        fn no_challenge_makes_it_panic(
            head in prop::sample::select(vec![b"NTLMSSP\0\x02\0\0\0".to_vec(), Vec::new()]),
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let ntlm = ntlm(&folder);
            let (mut begun, _) = ntlm.begin().unwrap();
            let _ = ntlm.answer(&mut begun, &[head, rest].concat(), Some(b"tls-server-end-point:x"));
        }
    }
}
