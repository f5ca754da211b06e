//! NTLM ([MS-NLMP]) over HTTP ([MS-NTHT]): the account of a Windows domain, as IIS asks for it.
//!
//! What is let in is a connection, not a call: over one and the same connection go a first message, the server's challenge,
//! and an answer to it together with the call. The connection is known from then on, as long as the server does not ask
//! again. The messages are those of the library `sspi`: NTLMv2, with a code over all three messages (MIC), and over TLS bound
//! to the server's certificate, so that nobody can pass them on to another server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use parking_lot::Mutex;
use sspi::{AuthIdentityBuffers, BufferType, ClientRequestFlags, DataRepresentation, SecurityBuffer, Sspi, SspiImpl};
use tokio::time::Instant;
use tracing::subscriber::{NoSubscriber, with_default};

use super::SoapError;
use super::config::{Endpoint, Windows};
use super::connection::Line;
use super::lockout::{Barred, How, Lockout, Outcome, Turn};

/// A server that asks so often in a row over one connection that it has just let in asks with each call: then no call is
/// sent in vain,
const EACH_TIME: u32 = 3;

/// but for one in so long: the server may have been set otherwise.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The most bytes of a challenge.
const MOST: usize = 16 << 10;

/// An account of Windows, and what its server has said so far.
pub(super) struct Ntlm {
    account: Windows,
    place: String,
    /// Its host and port: what has a word of its own on an account.
    server: String,
    /// The server takes NTLM under the name of `Negotiate` only.
    is_negotiated: AtomicBool,
    /// The server asks with each call, as far as one knows until then.
    each_time: Mutex<Option<Instant>>,
}

/// The right to log in with the password as it stands now.
pub(super) struct Entry {
    lockout: Arc<Lockout>,
    turn: Turn,
    credentials: AuthIdentityBuffers,
}

/// A third message that is on its way. Whoever gives its call up has had no answer: that may be a refusal as well.
pub(super) struct Tried<'n> {
    ntlm: &'n Ntlm,
    entry: Option<Entry>,
}

impl Tried<'_> {
    /// What came of it; nothing where it was not sent.
    pub(super) fn ended(mut self, outcome: Option<Outcome>) {
        if let (Some(entry), Some(outcome)) = (self.entry.take(), outcome) {
            self.ntlm.ended(&entry, outcome);
        }
    }
}

impl Drop for Tried<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.ntlm.ended(&entry, Outcome::Silent);
        }
    }
}

/// A handshake that was begun.
pub(super) struct Begun {
    ntlm: sspi::Ntlm,
    credentials: Option<AuthIdentityBuffers>,
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
    pub(super) fn new(account: &Windows, endpoint: &Endpoint) -> Ntlm {
        Ntlm {
            account: account.clone(),
            place: endpoint.describe(),
            server: format!("{}:{}", endpoint.host.to_lowercase(), endpoint.port),
            is_negotiated: AtomicBool::new(false),
            each_time: Mutex::new(None),
        }
    }

    /// Whether a connection that was let in is tried without asking who we are. Of a server that asks with each call one call
    /// tries it now and then.
    pub(super) fn tries_known(&self) -> bool {
        let mut each_time = self.each_time.lock();
        let now = Instant::now();
        match *each_time {
            Some(until) if now < until => false,
            Some(_) => {
                *each_time = Some(now + LOOK_AGAIN);
                true
            }
            None => true,
        }
    }

    /// A call over a connection that was let in was taken, or was asked who it is. A server that begins anew asks each
    /// connection once, whatever it has carried; one that asks with each call asks the same one again and again.
    pub(super) fn went(&self, line: &mut Line, was_asked: bool) {
        if !was_asked {
            (line.has_carried, line.in_vain) = (true, 0);
            *self.each_time.lock() = None;
            return;
        }
        line.in_vain = if line.has_carried { 0 } else { line.in_vain + 1 };
        (line.is_known, line.has_carried) = (false, false);
        if line.in_vain >= EACH_TIME {
            *self.each_time.lock() = Some(Instant::now() + LOOK_AGAIN);
        }
    }

    /// The right to log in, where it can be had at once; `None` while another call tries the password first. It is had by
    /// nobody for a while after the account was refused.
    pub(super) fn enter(&self) -> Result<Option<Entry>, SoapError> {
        let (lockout, credentials) = self.known()?;
        let turn = lockout.turn(&self.server).map_err(|barred| self.barred(&barred))?;
        Ok(turn.map(|turn| Entry { lockout, turn, credentials }))
    }

    /// The same, waiting until then at most for whoever tries the password first.
    pub(super) async fn waits(&self, until: Instant) -> Result<Entry, SoapError> {
        let (lockout, credentials) = self.known()?;
        let turn = lockout.waited(&self.server, until).await.map_err(|barred| self.barred(&barred))?;
        Ok(Entry { lockout, turn, credentials })
    }

    /// What is known of the password as it stands now.
    fn known(&self) -> Result<(Arc<Lockout>, AuthIdentityBuffers), SoapError> {
        let (account, secret) = (&self.account, self.account.password.reveal()?);
        let lockout = Lockout::of(account, &self.server, secret.reveal());
        Ok((lockout, AuthIdentityBuffers::from_utf8(&account.user, &account.domain, secret.reveal())))
    }

    /// When our account may be tried again, as long as it is left alone.
    pub(super) fn refused_until(&self) -> Option<Instant> {
        let (lockout, _) = self.known().ok()?;
        lockout.refused_until(&self.server)
    }

    /// Lets one call try our account at once where it is left alone.
    pub(super) fn ask(&self) -> Result<(), SoapError> {
        let (lockout, _) = self.known()?;
        lockout.ask(&self.server);
        Ok(())
    }

    fn barred(&self, barred: &Barred) -> SoapError {
        match barred {
            Barred::Refused { left, is_here, how } => {
                let (who, left) =
                    (if *is_here { "it" } else { "another server" }, left.as_millis().div_ceil(1000));
                let did = match how {
                    How::Said => "has refused our Windows account",
                    How::Closed => {
                        "has closed the connection in answer to our Windows account, as some do that refuse it"
                    }
                    How::Silent => "has given no answer to our Windows account, as some do that refuse it",
                };
                self.failed(&format!("{who} {did}; so that the domain does not lock it, it is not tried for {left} s"))
            }
            Barred::Late => self.failed(
                "another call tries our Windows account first, and has no answer yet; so that the domain does not lock it, \
                 nothing was sent",
            ),
        }
    }

    /// The first message.
    pub(super) fn begin(&self, entry: &Entry) -> Result<(Begun, HeaderValue), SoapError> {
        let mut begun = Begun { ntlm: sspi::Ntlm::new(), credentials: Some(entry.credentials.clone()) };
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

    /// The third message: the answer to a challenge. `binding` is what a certificate of the server's is told by. There is
    /// none if another call was refused meanwhile.
    pub(super) fn answer(
        &self,
        entry: &Entry,
        begun: &mut Begun,
        challenge: &[u8],
        binding: Option<&[u8]>,
    ) -> Result<HeaderValue, SoapError> {
        entry.lockout.stands(&self.server, &entry.turn).map_err(|barred| self.barred(&barred))?;
        if let Some(binding) = binding {
            begun.ntlm.set_channel_bindings(binding);
        }
        let third = begun.step(Some(challenge)).map_err(|reason| self.failed(&reason))?;
        self.header(&third)
    }

    /// The third message goes out.
    pub(super) fn tries(&self, entry: Entry) -> Tried<'_> {
        Tried { ntlm: self, entry: Some(entry) }
    }

    fn ended(&self, entry: &Entry, outcome: Outcome) {
        entry.lockout.ended(&self.server, &entry.turn, outcome);
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
        // What is known of an account is known to all tests.
        let domain = folder.path().display().to_string();
        let account = Windows { user: "svc".into(), domain, password, over_http: false };
        Ntlm::new(&account, &Endpoint::parse("http://erp/").unwrap())
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
        assert!(
            negotiating
                .begin(&negotiating.enter().unwrap().unwrap())
                .unwrap()
                .1
                .to_str()
                .unwrap()
                .starts_with("Negotiate TlRMTVNTU")
        );
        assert!(matches!(negotiating.asked(&offers(&["Negotiate"])), Asked::No(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_known_to_whoever_has_the_account_and_another_password_is_tried_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = ntlm(&folder);
        first.ended(&first.enter().unwrap().unwrap(), Outcome::Refused);
        // As after a reload.
        let next = ntlm(&folder);
        let told = next.enter().err().unwrap().to_string();
        assert!(told.contains("it has refused our Windows account") && told.contains("for 5 s"), "{told}");
        tokio::time::advance(Duration::from_secs(5)).await;
        let entry = next.enter().unwrap().unwrap();
        assert!(first.enter().unwrap().is_none(), "one tries");
        next.ended(&entry, Outcome::Refused);
        drop(entry);
        assert!(first.enter().err().unwrap().to_string().contains("for 150 s"));
        std::fs::write(folder.path().join("password"), "other").unwrap();
        assert!(first.enter().unwrap().is_some());
    }

    async fn line() -> Line {
        let (ours, theirs) = tokio::io::duplex(64);
        // The other end stays as long as the test.
        std::mem::forget(theirs);
        crate::adapters::soap::connection::speak(ours, None).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_begins_anew_is_told_from_one_that_asks_with_each_call() {
        let folder = tempfile::tempdir().unwrap();
        let ntlm = ntlm(&folder);
        let mut lines = [line().await, line().await, line().await, line().await];
        // Whatever they have carried, all of them are asked once.
        for line in &mut lines {
            ntlm.went(line, true);
        }
        for line in &mut lines {
            ntlm.went(line, false);
            ntlm.went(line, true);
            ntlm.went(line, true);
            ntlm.went(line, true);
        }
        // Twice in a row may be by chance, whichever connection it is.
        assert!(ntlm.tries_known());
        ntlm.went(&mut lines[0], true);
        assert!(!ntlm.tries_known());
        tokio::time::advance(LOOK_AGAIN - Duration::from_secs(1)).await;
        assert!(!ntlm.tries_known());
        tokio::time::advance(Duration::from_secs(1)).await;
        // One looks.
        assert!(ntlm.tries_known() && !ntlm.tries_known());
        ntlm.went(&mut lines[1], false);
        assert!(ntlm.tries_known() && ntlm.tries_known());
    }

    /// A challenge with this as its target's facts, said to stand there and to be so long.
    fn challenge(facts: &[u8], length: u16, offset: u32) -> Vec<u8> {
        let mut message = b"NTLMSSP\0\x02\0\0\0".to_vec();
        // The target's name: none.
        message.extend([0, 0, 0, 0]);
        message.extend(56u32.to_le_bytes());
        // Unicode, NTLM, signatures always, extended security, target's facts, version, 128 and 56 bits.
        message.extend(0xa288_8205_u32.to_le_bytes());
        message.extend([7; 8]);
        message.extend([0; 8]);
        message.extend(length.to_le_bytes());
        message.extend(length.to_le_bytes());
        message.extend(offset.to_le_bytes());
        message.extend([10, 0, 0x5d, 0x58, 0, 0, 0, 15]);
        message.extend(facts);
        message
    }

    /// The domain `CORP`, a time, and the end.
    const FACTS: &[u8] = b"\x02\0\x08\0C\0O\0R\0P\0\x07\0\x08\0\0\x40\x3a\x5c\x20\xbe\xdb\x01\0\0\0\0";

    fn answered(message: &[u8]) -> Result<Vec<u8>, String> {
        let folder = tempfile::tempdir().unwrap();
        let ntlm = ntlm(&folder);
        let entry = ntlm.enter().unwrap().unwrap();
        let (mut begun, _) = ntlm.begin(&entry).unwrap();
        let third = ntlm.answer(&entry, &mut begun, message, Some(b"tls-server-end-point:x"));
        let third = third.map_err(|error| error.to_string())?;
        assert!(third.is_sensitive());
        let (_, text) = third.to_str().unwrap().split_once(' ').unwrap();
        Ok(STANDARD.decode(text).unwrap())
    }

    #[test]
    fn a_challenge_that_says_what_it_has_not_is_none() {
        let length = u16::try_from(FACTS.len()).unwrap();
        let good = challenge(FACTS, length, 56);
        let third = answered(&good).unwrap();
        // Domain and user are in it, in UTF-16; the password is not.
        let holds = |text: &str| {
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            memchr::memmem::find(&third, &wide).is_some() || memchr::memmem::find(&third, text.as_bytes()).is_some()
        };
        assert!(third.starts_with(b"NTLMSSP\0\x03") && holds("svc") && !holds("s3cret"));
        // Cut anywhere.
        for end in 0..good.len() {
            let told = answered(&good[..end]).unwrap_err();
            assert!(told.contains("its challenge cannot be read"), "{end}: {told}");
        }
        for (length, offset) in
            [(length, 57), (length, u32::MAX), (u16::MAX, 56), (length, u32::MAX - 55), (length + 1, 56)]
        {
            let told = answered(&challenge(FACTS, length, offset)).unwrap_err();
            assert!(told.contains("its challenge cannot be read"), "{length} {offset}: {told}");
        }
        // Facts that are longer than all of them.
        let mut sly = FACTS.to_vec();
        sly[2..4].copy_from_slice(&u16::MAX.to_le_bytes());
        assert!(answered(&challenge(&sly, length, 56)).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_challenge_has_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let asked = |length: usize| {
            let field = format!("NTLM {}", STANDARD.encode(vec![0; length]));
            ntlm(&folder).asked(&offers(&[field.as_str()]))
        };
        assert!(matches!(asked(MOST), Asked::Challenge(_)));
        assert!(matches!(asked(MOST + 1), Asked::No(error) if error.to_string().contains("too long")));
    }

    proptest! {
        #[test]
        fn no_challenge_makes_it_panic(
            head in prop::sample::select(vec![b"NTLMSSP\0\x02\0\0\0".to_vec(), Vec::new()]),
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let ntlm = ntlm(&folder);
            let entry = ntlm.enter().unwrap().unwrap();
            let (mut begun, _) = ntlm.begin(&entry).unwrap();
            let _ = ntlm.answer(&entry, &mut begun, &[head, rest].concat(), Some(b"tls-server-end-point:x"));
        }
    }
}
