//! What lets a call in beyond what stands in the settings: a token that was given, a session that was begun.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use quick_xml::NsReader;
use quick_xml::events::Event;
use tokio::time::Instant;

use super::account::codes;
use super::config::{Carrier, Session};
use super::error::SoapError;
use super::keep::{Secret, Unmet, told_apart};
use super::oauth::Token;
use super::{Request, Service, Trouble};
use crate::gate::Permit;

/// What lets one call in.
#[derive(Clone, Default)]
pub(super) struct Pass {
    pub(super) token: Option<Arc<Token>>,
    pub(super) session: Option<Arc<Begun>>,
    /// Neither was asked for since a call was told that it is over.
    pub(super) may_be_over: bool,
}

/// A session that was begun.
#[derive(Default)]
pub(super) struct Begun {
    /// Fields of HTTP that carry it.
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
    /// A block of SOAP's header that carries it.
    pub(super) block: String,
}

/// The most bytes of a session's token.
const MOST_TOKEN: usize = 64 << 10;

impl Service {
    /// What lets a call in: what is known, or what is asked for now. Logging in is a call of the backend's: it goes over
    /// the place of the call that needs it, which has not begun yet.
    pub(super) async fn enter(&self, permit: &Permit, deadline: Instant) -> Result<Pass, SoapError> {
        let token = self.token().await?;
        let Some(session) = &self.config.session else { return Ok(Pass { token, ..Pass::default() }) };
        let pass = Pass { token: token.clone(), may_be_over: true, ..Pass::default() };
        let begun = self.session.get(|| password_of(session), || self.begin(permit, session, pass, deadline)).await;
        let begun = begun.map_err(|reason| SoapError::Login { endpoint: self.place(), reason })?;
        Ok(Pass { token, session: Some(begun), ..Pass::default() })
    }

    /// The token that calls take, where they do.
    pub(super) async fn token(&self) -> Result<Option<Arc<Token>>, SoapError> {
        let Some(giver) = &self.giver else { return Ok(None) };
        let token = self.token.get(|| giver.secret(), || giver.ask()).await;
        token.map(Some).map_err(|reason| SoapError::Login { endpoint: giver.place(), reason })
    }

    /// Whether an answer says that what let the call in is over. Then it is forgotten, and the call was not done.
    pub(super) async fn is_over(&self, error: &SoapError, pass: &Pass) -> bool {
        let (status, codes): (u16, Vec<&str>) = match error {
            SoapError::Denied { status, .. } => (*status, Vec::new()),
            SoapError::Fault(fault) => (fault.status, codes(fault).collect()),
            _ => return false,
        };
        let mut is_over = false;
        if let (Some(token), 401) = (&pass.token, status) {
            self.token.forget(token).await;
            is_over = true;
        }
        if let (Some(begun), Some(session)) = (&pass.session, &self.config.session) {
            let by_code = codes.iter().any(|code| session.expired.iter().any(|expired| expired == code));
            if by_code || status == 401 {
                self.session.forget(begun).await;
                is_over = true;
            }
        }
        is_over
    }

    async fn begin(
        &self,
        permit: &Permit,
        session: &Session,
        pass: Pass,
        deadline: Instant,
    ) -> Result<(Begun, Option<Instant>), Unmet> {
        let password = match &session.password {
            Some(password) => Some(password.reveal().map_err(|error| error.to_string())?),
            None => None,
        };
        let password = password.as_ref().map_or("", |password| password.reveal());
        let envelope = session.envelope.filled(&[("username", &session.username), ("password", password)]);
        let request = Request {
            envelope: Bytes::from(envelope),
            action: session.action.as_str().into(),
            version: session.version,
            addressing_action: "".into(),
            is_one_way: false,
            attachments: Vec::new(),
            is_package: session.is_package.unwrap_or(false),
            trouble: Trouble::default(),
            is_strict: false,
        };
        let answered = self.attempt(permit, &request, &pass, &mut None, deadline).await;
        let (answer, headers) =
            answered.map_err(|error| Unmet { reason: error.to_string(), is_refusal: is_refusal(&error) })?;
        let mut begun = Begun::default();
        begun.fields.extend(cookies(&headers).map(|cookies| (COOKIE, cookies)));
        if let Some(name) = &session.token {
            // Many a service says so that it does not take the account.
            let token = element(&answer.envelope, name).ok_or_else(|| {
                Unmet::refusal(format!("its answer to the login has no element `{name}` with a text"))
            })?;
            match &session.carrier {
                Carrier::Field(field) => {
                    let mut value = HeaderValue::from_str(&token)
                        .map_err(|_| "its token cannot stand in a header field".to_owned())?;
                    value.set_sensitive(true);
                    begun.fields.push((field.clone(), value));
                }
                Carrier::Block(block) => begun.block = block.filled(&[("token", &token)]),
                Carrier::Cookies => {}
            }
        } else if begun.fields.is_empty() {
            return Err(Unmet::refusal("its answer to the login sets no cookie"));
        }
        let until = session.lasts.map(|lasts: Duration| Instant::now() + lasts);
        Ok((begun, until))
    }
}

/// What a session's password is told from others by; none where it cannot be read.
fn password_of(session: &Session) -> Option<Secret> {
    let password = session.password.as_ref()?.reveal().ok()?;
    Some(told_apart(password.reveal()))
}

/// Whether a service has said no to a login, by whatever code: services have many for a wrong password. What says that it
/// is in trouble is none.
fn is_refusal(error: &SoapError) -> bool {
    match error {
        SoapError::Denied { .. } => true,
        SoapError::Fault(fault) => !fault.says_trouble(),
        _ => false,
    }
}

impl Pass {
    /// Whether a 401 may say that what lets the call in is over.
    pub(super) fn may_be_over(&self) -> bool {
        self.may_be_over && (self.token.is_some() || self.session.is_some())
    }

    /// The field by which the token goes.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        self.token.as_ref().map(|token| token.0.clone())
    }

    /// The block of SOAP's header by which the session goes; may be empty.
    pub(super) fn block(&self) -> &str {
        self.session.as_ref().map_or("", |session| &session.block)
    }
}

/// What goes back of the cookies that were set: name and value. They go to this one endpoint only.
fn cookies(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut known: Vec<(&str, &str)> = Vec::new();
    for cookie in headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok()) {
        let pair = cookie.split(';').next().unwrap_or_default().trim();
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else { continue };
        known.retain(|(other, _)| *other != name);
        known.push((name, value));
    }
    let pairs: Vec<String> = known.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut value = HeaderValue::from_str(&pairs.join("; ")).ok().filter(|_| !pairs.is_empty())?;
    value.set_sensitive(true);
    Some(value)
}

/// The text of the first element of this name, if it has one.
fn element(envelope: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(envelope).ok()?;
    let mut reader = NsReader::from_str(text);
    let (mut is_inside, mut found) = (false, String::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == name => {
                is_inside = true;
                found.clear();
            }
            Event::End(end) if is_inside && end.local_name().as_ref() == name => {
                let found = found.trim();
                if !found.is_empty() {
                    return Some(found.to_owned());
                }
                is_inside = false;
            }
            Event::Text(text) if is_inside => found.push_str(&text.xml10_content()),
            Event::CData(text) if is_inside => found.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) if is_inside => match reference.resolve_char_ref() {
                Ok(Some(character)) => found.push(character),
                _ => found.push_str(quick_xml::escape::resolve_xml_entity(&reference.xml10_content())?),
            },
            Event::Eof => return None,
            _ => {}
        }
        if found.len() > MOST_TOKEN {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{cookies, element};
    use hyper::HeaderMap;

    #[test]
    fn tokens_are_found() {
        let check =
            |xml: &str, token: Option<&str>| assert_eq!(element(xml.as_bytes(), "Token").as_deref(), token, "{xml}");
        check("<a xmlns:x='u'><x:Token> a&amp;b&#65;<![CDATA[<]]> </x:Token></a>", Some("a&bA<"));
        check("<a><Token/><Token></Token><Token>b</Token></a>", Some("b"));
        check("<a><Tokens>b</Tokens></a>", None);
        check("<a><Token>b", None);
        check("", None);
    }

    #[test]
    fn cookies_go_back_without_their_attributes() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookies(&headers), None);
        for cookie in ["a=1; Path=/; HttpOnly", "b=x=y", "a=2", "nonsense", "=z"] {
            headers.append("set-cookie", cookie.parse().unwrap());
        }
        assert_eq!(cookies(&headers).unwrap(), "b=x=y; a=2");
    }
}
