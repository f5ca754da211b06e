//! SOAP services: one operation called while somebody waits for its answer.
//!
//! A service goes on working when its caller leaves: closing the connection proves nothing. So a call, once sent, is
//! read to its end, by a task that holds the permit and that no caller's leaving ends; and what is known of its end
//! decides when its place is free ([`Service::call`]). Answers are judged by what they are, not by their status:
//! services send faults with 200, good answers with 500, and pages of HTML with either.
//!
//! It carries envelopes. What stands in them it does not know, but for what secures them (`security`), what an answer is
//! (`answer`), and how one logs in (`pass`).

mod account;
mod answer;
mod binding;
mod body;
mod compose;
mod config;
mod connection;
mod diagnose;
mod document;
mod error;
mod guard;
mod handshake;
mod keep;
mod lockout;
mod mask;
mod ntlm;
mod oauth;
mod package;
mod pass;
mod security;
mod splice;
mod stream;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Method, Request as HttpRequest, StatusCode};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::gate::{Call, Permit};
use crate::wsdl::Attached;
use answer::{Head, Weighed, weigh};
use connection::Lines;
use guard::Turn;
use keep::Kept;
use ntlm::Ntlm;
use oauth::{Giver, Token};
use pass::{Begun, Pass};
use security::{Identity, Trusted, Wanted, verified};

pub use answer::{Answer, Leniency, Part, Parts, is_in_parts, unpacked};
pub use config::{
    ACCOUNT, Account, BASIC, Carrier, Config, Endpoint, Field, Login, MTLS, NTLM, OAUTH2, OAuth2, Pem, SECTION,
    SESSION, SIGN, Session, Template, VERIFY, Verify, WSSE, Windows, Wsdl, Wsse,
};
pub use error::{Fault, SoapError};
pub use mask::{mask, mask_with};
pub use security::{PasswordType, UsernameToken};
pub use stream::{Late, StreamReader, Streamed};

/// Which SOAP an envelope is of; it decides the header fields beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// SOAP 1.1.
    #[default]
    V11,
    /// SOAP 1.2.
    V12,
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// The whole envelope, in UTF-8. Credentials, times, addresses and signatures are put into its header as the settings
    /// say.
    pub envelope: Bytes,
    /// What goes beside it (SOAP with attachments).
    pub attachments: Vec<Attached>,
    /// It goes as an XOP package (MTOM), whether anything is beside the envelope or not.
    pub is_package: bool,
    /// The operation as the service knows it (`SOAPAction`); may be empty.
    pub action: Arc<str>,
    /// What WS-Addressing calls it, where it is sent; empty where that is the same.
    pub addressing_action: Arc<str>,
    /// The SOAP that the envelope is of.
    pub version: Version,
    /// Nothing is to come back: an empty answer with a status of success is one.
    pub is_one_way: bool,
    /// Which of its faults say that it is in trouble.
    pub trouble: Trouble,
    /// A message that is not in every respect as SOAP and HTTP want it is refused ([`SoapError::Odd`]). A fault is what it is.
    pub is_strict: bool,
}

type IsTrouble = dyn Fn(&Fault) -> bool + Send + Sync;

/// Which faults of a service say that it is in trouble, and so speak against it; the others are answers. Beyond what is said
/// here, one with the status 502, 503 or 504 does.
#[derive(Clone, Default)]
pub struct Trouble(Option<Arc<IsTrouble>>);

impl Trouble {
    /// Those of which this is true.
    pub fn of(is_trouble: impl Fn(&Fault) -> bool + Send + Sync + 'static) -> Trouble {
        Trouble(Some(Arc::new(is_trouble)))
    }

    fn is(&self, fault: &Fault) -> bool {
        fault.says_trouble() || self.0.as_ref().is_some_and(|is_trouble| is_trouble(fault))
    }
}

impl std::fmt::Debug for Trouble {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.0.is_some() { "Trouble(..)" } else { "Trouble" })
    }
}

/// So long is a key or certificate used that was read from a file.
const READ: Duration = Duration::from_secs(60);

/// Something that is read from files and read anew now and then.
struct Cached<T>(Mutex<Option<(Arc<T>, Instant)>>);

impl<T> Cached<T> {
    fn new() -> Cached<T> {
        Cached(Mutex::new(None))
    }

    fn get(&self, read: impl FnOnce() -> Result<T, String>) -> Result<Arc<T>, String> {
        let mut known = self.0.lock();
        if let Some((kept, since)) = &*known
            && since.elapsed() < READ
        {
            return Ok(Arc::clone(kept));
        }
        let read = Arc::new(read()?);
        *known = Some((Arc::clone(&read), Instant::now()));
        Ok(read)
    }
}

/// A SOAP service behind one endpoint.
pub struct Service {
    config: Config,
    lines: Lines,
    giver: Option<Giver>,
    token: Kept<Token>,
    session: Kept<Begun>,
    identity: Cached<Identity>,
    trusted: Cached<Trusted>,
}

/// What is known of a call's end.
enum End {
    /// The service is done, and well.
    Answered,
    /// The service is done, and in trouble.
    Failed,
    /// The service may still be at work.
    Lost,
    /// Nothing was sent, and not for the service's sake.
    NotMade,
}

impl SoapError {
    fn end(&self, trouble: &Trouble) -> End {
        match self {
            // A gateway that has lost its patience says so by a fault as well.
            SoapError::Fault(fault) if fault.is_of_gateway() => End::Lost,
            SoapError::Fault(fault) if trouble.is(fault) => End::Failed,
            // A no of its own is no trouble; and what was not sent is none of the service's.
            SoapError::Fault(_)
            | SoapError::Denied { .. }
            | SoapError::Secret(_)
            | SoapError::Login { .. }
            | SoapError::Unsendable { .. } => End::Answered,
            // The service is done and has said something: that it is not taken is the mapping's choice.
            SoapError::Odd { .. } => End::Answered,
            SoapError::Own { .. } => End::NotMade,
            // A gateway that has lost its patience or its connection says nothing of the service behind it.
            SoapError::NoEnvelope { status: 502 | 504, .. } => End::Lost,
            SoapError::Unreachable { .. }
            | SoapError::NoEnvelope { .. }
            | SoapError::TooLarge { .. }
            | SoapError::Untrusted { .. } => End::Failed,
            // Half an answer is no proof that the work is done.
            SoapError::Cut { .. } | SoapError::Lost { .. } | SoapError::Silent { .. } => End::Lost,
        }
    }
}

/// Ends a call as its error says.
fn end(call: Call<'_>, error: Option<&SoapError>, trouble: &Trouble) {
    match (error.map_or(End::Answered, |error| error.end(trouble)), error) {
        (End::Answered, _) => call.answered(),
        (End::NotMade, Some(error)) => call.not_made(error),
        (End::Failed | End::NotMade, _) => call.failed(),
        (End::Lost, _) => call.lost(),
    }
}

impl Service {
    /// Touches nothing yet.
    pub fn new(config: Config) -> Service {
        let ntlm = match &config.login {
            Login::Ntlm(account) => Some(Arc::new(Ntlm::new(account, &config.endpoint))),
            _ => None,
        };
        let lines = Lines::new(&config.endpoint, config.ca.as_ref(), config.mtls.as_ref(), config.timeout);
        let lines = lines.with_ntlm(ntlm);
        let giver = match &config.login {
            Login::OAuth2(oauth2) => Some(Giver::new(oauth2)),
            _ => None,
        };
        let token = Kept::of(giver.as_ref().map(Giver::place).unwrap_or_default());
        let session = Kept::of(config.endpoint.describe());
        Service { config, lines, giver, token, session, identity: Cached::new(), trusted: Cached::new() }
    }

    /// Whether our login or account is refused, as long as it has not been taken since: when it is tried again.
    pub fn refused_until(&self) -> Option<Instant> {
        let logins = [self.token.refused(), self.session.refused()].into_iter().flatten().map(|refused| refused.until);
        // Who cannot read it has nothing that could be refused.
        let account = self.guard().ok().flatten().and_then(|guard| guard.refused_until());
        let windows = self.lines.ntlm.as_ref().and_then(|ntlm| ntlm.refused_until());
        logins.chain(account).chain(windows).max()
    }

    /// Whether our login or account is left alone, be it for one operation.
    pub fn is_left_alone(&self) -> Result<bool, SoapError> {
        let now = Instant::now();
        let logins = [self.token.refused(), self.session.refused()].into_iter().flatten().map(|refused| refused.until);
        let windows = self.lines.ntlm.as_ref().and_then(|ntlm| ntlm.refused_until());
        let is_account = self.guard()?.is_some_and(|guard| guard.is_left_alone());
        Ok(is_account || logins.chain(windows).any(|until| now < until))
    }

    /// Lets one call try at once what is left alone, since a person asks for it. Whether it is taken decides, as ever, about
    /// those that come after it.
    pub fn ask_for_a_try(&self) -> Result<(), SoapError> {
        self.token.ask();
        self.session.ask();
        if let Some(guard) = self.guard()? {
            guard.ask();
        }
        self.lines.ntlm.as_ref().map_or(Ok(()), |ntlm| ntlm.ask())
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        self.config.endpoint.describe()
    }

    /// How long a caller waits for an answer once the call was sent.
    pub fn timeout(&self) -> Duration {
        self.config.timeout
    }

    /// How long a call may take until it is given up.
    pub fn longest(&self) -> Duration {
        self.config.timeout.saturating_add(self.config.late)
    }

    /// What a person should know of it although it works.
    pub fn doubts(&self) -> Vec<String> {
        self.config.doubts()
    }

    /// An envelope of this service, or a piece of one, that may be shown: without passwords, nonces, tokens and sessions.
    pub fn shown(&self, envelope: &str) -> String {
        mask_with(envelope, &self.secret_names())
    }

    /// An answer without what it repeats of our credentials.
    fn masked(&self, answer: Answer) -> Answer {
        let envelope = mask::reply(&answer.envelope, &self.secret_names()).unwrap_or(answer.envelope);
        Answer { envelope, ..answer }
    }

    /// An answer with its parts in the places that mean them. Base64 has a third more than they have; what refers to them
    /// again and again does not grow beyond twice the most bytes of an answer.
    pub fn inlined(&self, answer: &Answer) -> Result<Bytes, SoapError> {
        let most = self.config.max_answer.saturating_mul(2);
        answer.inlined(most).ok_or(SoapError::TooLarge { limit: most as u64 })
    }

    /// The names of elements with secrets in them that this service alone has.
    fn secret_names(&self) -> Vec<&str> {
        let token = self.config.session.as_ref().and_then(|session| session.token.as_deref());
        let account = self.config.account.iter().flat_map(|account| &account.secret_names);
        token.into_iter().chain(account.map(String::as_str)).collect()
    }

    /// Calls the operation and reads its answer to the end. The future must be driven to its end by a task of its own:
    /// dropping it counts as a call whose end nobody saw. It ends after `timeout` and `late` at the latest.
    ///
    /// The call counts as answered when the service has said something, a fault included, and as answered too late when that
    /// came later than `timeout`; as failed when there was no connection, or when what it said is no SOAP; as lost when the
    /// connection ended before the whole answer was there, none came, or a gateway says that it has given up.
    ///
    /// Where a session or a token is needed and not there, it is asked for first; and once more, when the service says that
    /// it is over. That is told before it begins with a call, so the call is sent again then.
    pub async fn call(&self, permit: &Permit, request: &Request) -> Result<Answer, SoapError> {
        let deadline = Instant::now() + self.longest();
        let (mut has_tried, mut turn) = (false, None);
        loop {
            let entered = timeout_at(deadline, self.enter(permit, deadline)).await.map_err(|_| self.silent())??;
            let pass = Pass { may_be_over: !has_tried, ..entered };
            match self.attempt(permit, request, &pass, &mut turn, deadline).await {
                Err(error) if !has_tried && self.is_over(&error, &pass).await => {
                    has_tried = true;
                    // Logging in has a turn of its own.
                    turn.take_if(|_| pass.session.is_some());
                }
                result => return result.map(|(answer, _)| self.masked(answer)),
            }
        }
    }

    /// One exchange over a place at the gate.
    async fn attempt(
        &self,
        permit: &Permit,
        request: &Request,
        pass: &Pass,
        turn: &mut Option<Turn>,
        deadline: Instant,
    ) -> Result<(Answer, HeaderMap), SoapError> {
        self.turn(turn, request, deadline).await?;
        // Without the account's secret there is no call.
        let prepared = self.prepare(request, pass)?;
        let call = permit.begin();
        let answered = self.in_time(&call, deadline, self.exchange(prepared, request, deadline)).await;
        let result = answered.unwrap_or_else(|| Err(self.silent()));
        self.learn(turn, result.as_ref().err(), pass.may_be_over());
        end(call, result.as_ref().err(), &request.trouble);
        result
    }

    /// Waits for what comes of a call. When the time of the call is over its gate is told, and it is waited for on, until
    /// `deadline`.
    async fn in_time<T>(&self, call: &Call<'_>, deadline: Instant, awaited: impl Future<Output = T>) -> Option<T> {
        let mut awaited = pin!(awaited);
        let in_time = deadline.min(Instant::now() + self.config.timeout);
        if let Ok(done) = timeout_at(in_time, &mut awaited).await {
            return Some(done);
        }
        call.overdue();
        timeout_at(deadline, awaited).await.ok()
    }

    fn silent(&self) -> SoapError {
        SoapError::Silent { endpoint: self.place(), after: self.longest() }
    }

    async fn exchange(
        &self,
        prepared: HttpRequest<Full<Bytes>>,
        request: &Request,
        deadline: Instant,
    ) -> Result<(Answer, HeaderMap), SoapError> {
        let (response, line) = self.lines.send(prepared, deadline).await?;
        let headers = match self.config.session {
            Some(_) => response.headers().clone(),
            None => HeaderMap::new(),
        };
        let (bytes, body) = body::whole(response, line, &self.lines, self.config.max_answer).await?;
        let head = body.head(request.version);
        Ok((self.judged(weigh(bytes, &head), &head, request)?, headers))
    }

    /// What an answer means, by what it is and then by its status.
    fn judged(&self, weighed: Weighed, head: &Head<'_>, request: &Request) -> Result<Answer, SoapError> {
        let status = head.status;
        match weighed {
            Weighed::Message(answer) => {
                borne(&answer.leniencies, head, request)?;
                self.accepted(answer)
            }
            Weighed::Fault(mut fault) => {
                fault.status = status;
                Err(SoapError::Fault(fault))
            }
            // A call that has only one way is over when it was taken.
            Weighed::Other(_, told)
                if request.is_one_way && (status == 202 || (200..300).contains(&status) && told.trim().is_empty()) =>
            {
                Ok(Answer { envelope: Bytes::new(), parts: Parts::default(), leniencies: Vec::new() })
            }
            Weighed::Other(found, told) => {
                let endpoint = self.place();
                tracing::warn!(endpoint, status, body = self.shown(&told), "the service answered no SOAP");
                match status {
                    401 | 403 | 407 => Err(SoapError::Denied { endpoint, status }),
                    _ => Err(SoapError::NoEnvelope { status, found }),
                }
            }
        }
    }

    /// An answer whose signature was looked at, where the settings want one.
    fn accepted(&self, answer: Answer) -> Result<Answer, SoapError> {
        let Some(verify) = self.config.wsse.as_ref().and_then(|wsse| wsse.verify.as_ref()) else {
            return Ok(answer);
        };
        let untrusted = |reason: String| SoapError::Untrusted { reason };
        let trusted = self.trusted.get(|| Trusted::read(&verify.certificate));
        let trusted = trusted.map_err(|reason| SoapError::Unsendable { reason })?;
        if !answer.parts.is_empty() {
            return Err(untrusted("it comes in parts, whose signatures cannot be verified".to_owned()));
        }
        let text = std::str::from_utf8(&answer.envelope).map_err(|_| untrusted("it is no text".to_owned()))?;
        let now = verify.timestamp.then(|| self.their_now());
        let wanted = Wanted { trusted: &trusted, takes_sha1: verify.sha1, now };
        let verified = verified(text, &wanted).map_err(untrusted)?;
        Ok(Answer { envelope: Bytes::from(verified), ..answer })
    }

    /// Whether the service answers at all, for `check` and for health: any answer to a plain GET is one. Answers what a
    /// person should know although it does.
    pub async fn probe(&self, permit: &Permit) -> Result<Vec<String>, SoapError> {
        self.look(permit).await.map(|(doubts, _)| doubts)
    }

    /// The same, with the head of its answer.
    async fn look(&self, permit: &Permit) -> Result<(Vec<String>, HeaderMap), SoapError> {
        // An account that is left alone is not needed to find out whether the service answers.
        let turn = self.guard_of_get()?.map(|guard| guard.enter_to_look(&format!("GET {}", self.config.endpoint.path)));
        let (mut turn, barred) = match turn {
            Some(Ok(turn)) => (Some(turn), None),
            Some(Err(barred)) => (None, Some(barred)),
            None => (None, None),
        };
        let head = match &barred {
            Some(_) => self.bare_head(Method::GET)?,
            None => self.head(Method::GET, &Pass { token: self.token().await?, ..Pass::default() })?,
        };
        let request = head.body(Full::default());
        let request = request.map_err(|error| SoapError::Unsendable { reason: error.to_string() })?;
        let call = permit.begin();
        let deadline = Instant::now() + self.config.timeout;
        let asked = async {
            let (response, line) = self.lines.send(request, deadline).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            body::whole(response, line, &self.lines, self.config.max_answer).await.map(|_| (status, headers))
        };
        let result = match timeout_at(deadline, asked).await {
            Ok(result) => result,
            Err(_) => Err(SoapError::Silent { endpoint: self.place(), after: self.config.timeout }),
        };
        // What it says to a GET is no answer to a call; that it says something is what was asked.
        match &result {
            Ok(_) | Err(SoapError::TooLarge { .. }) => call.answered(),
            Err(SoapError::Lost { .. } | SoapError::Silent { .. }) => call.lost(),
            Err(error @ SoapError::Own { .. }) => call.not_made(error),
            Err(_) => call.failed(),
        }
        let (status, headers) = result?;
        // That a GET is answered proves nothing: many a service looks at no account for that.
        if status == StatusCode::UNAUTHORIZED {
            let denied = SoapError::Denied { endpoint: self.place(), status: status.as_u16() };
            self.learn(&mut turn, Some(&denied), self.giver.is_some());
        }
        let mut doubts = Vec::new();
        if let Some(barred) = barred {
            doubts.push(self.barred(&barred).to_string());
        } else if matches!(status.as_u16(), 401 | 403 | 407) {
            let place = self.place();
            doubts.push(match (&self.config.login, wants_windows(&headers)) {
                (Login::Ntlm(_), _) => format!("{place} answers status {status}: it does not take our Windows account"),
                (_, true) => {
                    format!("{place} answers status {status} and wants a Windows account: give it one by `ntlm`")
                }
                (_, false) => format!("{place} answers status {status}: it may not take our account"),
            });
        } else if status == StatusCode::NOT_FOUND || status.is_redirection() {
            doubts.push(format!("{} answers status {status}: is the path of `endpoint` right?", self.place()));
        }
        Ok((doubts, headers))
    }
}

/// Refuses a message that was not as it should be, where its request wants that.
fn borne(leniencies: &[Leniency], head: &Head<'_>, request: &Request) -> Result<(), SoapError> {
    if !request.is_strict || leniencies.is_empty() {
        return Ok(());
    }
    Err(SoapError::Odd { found: answer::told_of(leniencies, head) })
}

/// Whether a service asks for the ways in that Windows has, and for no other.
fn wants_windows(headers: &HeaderMap) -> bool {
    let ways = ntlm::ways(headers);
    let is_windows = |way: &str| way.eq_ignore_ascii_case("ntlm") || way.eq_ignore_ascii_case("negotiate");
    !ways.is_empty() && ways.iter().all(|(way, _)| is_windows(way))
}
