//! Our account at a service: which of our secrets go with each call, and what an answer says of them.

use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::events::Event;
use tokio::time::Instant;

use super::config::Login;
use super::error::Fault;
use super::guard::{Barred, Guard, Outcome, Turn};
use super::{Request, Service, SoapError};

/// Codes of faults that refuse a secret: of WS-Security (section 12), and the one by which CXF says no to a header without
/// saying why, a wrong password among it.
const REFUSALS: [&str; 3] = ["FailedAuthentication", "InvalidSecurityToken", "SecurityError"];

/// Codes that say neither that it is taken nor that it is not: the header is wrong in another way, or was not looked at.
const UNDECIDED: [&str; 9] = [
    "DataEncodingUnknown",
    "FailedCheck",
    "InvalidSecurity",
    "MessageExpired",
    "MustUnderstand",
    "SecurityTokenUnavailable",
    "UnsupportedAlgorithm",
    "UnsupportedSecurityToken",
    "VersionMismatch",
];

impl Service {
    /// What is known of the secrets that go with each call; `None` where none does that a service could lock.
    pub(super) fn guard(&self) -> Result<Option<Arc<Guard>>, SoapError> {
        let config = &self.config;
        // A connection is let in by a Windows account, and nobody locks a token.
        let (login, beside) = match &config.login {
            Login::None => (None, None),
            Login::Basic { username, password } => (Some(("basic", username.as_str(), password)), None),
            Login::OAuth2(oauth2) => (Some(("oauth2", oauth2.client_id.as_str(), &oauth2.client_secret)), None),
            Login::Bearer(token) => (None, Some(("bearer", "", token))),
            Login::Ntlm(account) => (None, Some(("ntlm", account.user.as_str(), &account.password))),
        };
        let wsse = config.wsse.as_ref().and_then(|wsse| wsse.account.as_ref());
        let wsse = wsse.map(|(username, password, _)| ("wsse", username.as_str(), password));
        let own = config.account.as_ref().map(|account| ("account", account.username.as_str(), &account.password));
        if login.is_none() && wsse.is_none() && own.is_none() {
            return Ok(None);
        }
        // A no may be meant for those beside them: where one of them is another, all is tried at once.
        let session = config.session.as_ref().and_then(|session| {
            session.password.as_ref().map(|password| ("session", session.username.as_str(), password))
        });
        let mut revealed = Vec::new();
        for (kind, username, secret) in [login, wsse, own, beside, session].into_iter().flatten() {
            revealed.push((kind, username, secret.reveal()?));
        }
        let secrets: Vec<(&str, &str, &str)> =
            revealed.iter().map(|(kind, username, secret)| (*kind, *username, secret.reveal())).collect();
        let host = format!("{}:{}", config.endpoint.host.to_lowercase(), config.endpoint.port);
        Ok(Some(Guard::of(&host, &secrets)))
    }

    /// The same of what goes with a plain GET.
    pub(super) fn guard_of_get(&self) -> Result<Option<Arc<Guard>>, SoapError> {
        match self.config.login {
            Login::Basic { .. } | Login::OAuth2(_) => self.guard(),
            _ => Ok(None),
        }
    }

    /// The right to send our secrets with this call, waiting until then at most for whoever tries them first. Whoever has it
    /// already goes on with it.
    pub(super) async fn turn(
        &self,
        turn: &mut Option<Turn>,
        request: &Request,
        until: Instant,
    ) -> Result<(), SoapError> {
        if turn.is_none()
            && let Some(guard) = self.guard()?
        {
            let entered = guard.enter(&self.operation(request), until).await;
            *turn = Some(entered.map_err(|barred| self.barred(&barred))?);
        }
        Ok(())
    }

    pub(super) fn barred(&self, barred: &Barred) -> SoapError {
        SoapError::Login { endpoint: self.place(), reason: barred.to_string() }
    }

    /// What an operation is told from others by.
    fn operation(&self, request: &Request) -> String {
        let path = &self.config.endpoint.path;
        match &*request.action {
            // Many services have the same for all, which is none.
            "" => format!("{path} {}", called(&request.envelope).unwrap_or_default()),
            action => format!("{path} {action}"),
        }
    }

    /// Learns from the end of a call what it says of our secrets. What `may_be_over` may be refused for that: a token, a
    /// session. It is asked for anew before anything is made of it, by the call that goes first.
    pub(super) fn learn(&self, turn: &mut Option<Turn>, error: Option<&SoapError>, may_be_over: bool) {
        if may_be_over && error.is_some_and(is_401) {
            return;
        }
        if let (Some(turn), Some(outcome)) = (turn.take(), self.outcome(error)) {
            turn.ended(outcome, &self.place(), || error.map(said).unwrap_or_default());
        }
    }

    /// Whether this refuses our account.
    pub(super) fn is_refusal(&self, error: &SoapError) -> bool {
        self.outcome(Some(error)) == Some(Outcome::Refused)
    }

    /// What the end of a call says of our secrets. A 403 is none: whoever knows that we may not do something knows who we are,
    /// and may say the same to whom he does not know.
    fn outcome(&self, error: Option<&SoapError>) -> Option<Outcome> {
        match error {
            None | Some(SoapError::Odd { .. }) => Some(Outcome::Taken),
            Some(error) if is_401(error) => Some(Outcome::Refused),
            Some(SoapError::Fault(fault)) => {
                let is = |known: &[&str]| codes(fault).any(|code| known.contains(&code));
                let own: Vec<&str> = self.config.refused.iter().map(String::as_str).collect();
                if is(&own) || is(&REFUSALS) {
                    return Some(Outcome::Refused);
                }
                let is_undecided = fault.says_trouble() || fault.status == 403 || is(&UNDECIDED);
                (!is_undecided).then_some(Outcome::Taken)
            }
            Some(_) => None,
        }
    }
}

/// The codes of a fault, each as a whole and by its last part: `Client.SessionExpired`.
pub(super) fn codes(fault: &Fault) -> impl Iterator<Item = &str> {
    let whole = fault.subcodes.iter().chain([&fault.code]).map(String::as_str);
    whole.flat_map(|code| [Some(code), code.rsplit_once('.').map(|(_, last)| last)]).flatten()
}

fn is_401(error: &SoapError) -> bool {
    match error {
        SoapError::Denied { status, .. } => *status == 401,
        SoapError::Fault(fault) => fault.status == 401,
        _ => false,
    }
}

/// A refusal in the words of whoever refuses.
fn said(error: &SoapError) -> String {
    match error {
        SoapError::Denied { status, .. } => format!("it does not take our account (status {status})"),
        other => other.to_string(),
    }
}

/// The name of the first element in an envelope's body.
pub(super) fn called(envelope: &[u8]) -> Option<String> {
    let mut reader = Reader::from_str(std::str::from_utf8(envelope).ok()?);
    let mut is_in_body = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) | Event::Empty(start) if is_in_body => {
                return Some(start.local_name().as_ref().to_owned());
            }
            Event::Start(start) if start.local_name().as_ref() == "Header" => {
                reader.read_to_end(start.name()).ok()?;
            }
            Event::Start(start) if start.local_name().as_ref() == "Body" => is_in_body = true,
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::called;

    #[test]
    fn what_is_called_is_the_first_element_of_the_body() {
        for (envelope, name) in [
            (
                "<s:Envelope><s:Header><Body><x/></Body></s:Header><s:Body> <m:Get a='b'/></s:Body></s:Envelope>",
                Some("Get"),
            ),
            ("<s:Envelope><s:Body><Get><Body/></Get></s:Body></s:Envelope>", Some("Get")),
            ("<s:Envelope><s:Body/></s:Envelope>", None),
            ("<s:Envelope><s:Body>", None),
            ("no xml <", None),
        ] {
            assert_eq!(called(envelope.as_bytes()).as_deref(), name, "{envelope}");
        }
    }
}
